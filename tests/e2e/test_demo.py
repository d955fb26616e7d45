"""The demo: the operator is loaded into a database, and the walkthrough runs to its end."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from adapters.lab.demo_gateway import SimulatedDemoGateway
from adapters.lab.network import PATH, lab_unavailable_reason
from tmf_apis.app import Engine
from tmf_apis.demo import SEED, load_demo_data, operator_resources
from tmf_apis.demo.gateway import DemoElement
from tmf_apis.inventory.elements import managed_elements
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

CATALOG_ATTRIBUTES = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}


@pytest.fixture
def engine(database, contracts):
    engine = Engine(Settings(auth="off"), list(contracts.values()), database)
    engine.prepare()
    return engine


def stored_count(engine):
    return sum(engine.resources.collection(kind).count_documents({}) for kind in engine.kinds)


# Loading.


def test_an_empty_database_is_loaded_once(engine):
    messages = []
    assert load_demo_data(engine, messages.append) == stored_count(engine) > 5000
    assert messages[-1].startswith("demo data is being loaded: ")
    assert load_demo_data(engine, messages.append) == 0
    pending = {"events": {"$exists": True}}
    assert engine.resources.collection("Customer").count_documents(pending) == 0


def test_an_interrupted_load_is_completed_with_the_same_dates(engine):
    class Interruption(Exception):
        pass

    def interrupt(_message):
        raise Interruption

    with pytest.raises(Interruption):
        load_demo_data(engine, interrupt)
    assert 0 < stored_count(engine) < 5000
    started = engine.database["meta"].find_one({"_id": "demo:default"})["now"]
    assert load_demo_data(engine, lambda _: None) == stored_count(engine)
    orders = engine.resources.collection("ProductOrder")
    expected = next(
        resource for kind, resource in operator_resources(SEED, started) if kind == "ProductOrder"
    )
    order = orders.find_one({"id": expected["id"]})
    assert order["body"]["creationDate"] == expected["creationDate"]


def test_a_database_with_resources_is_not_loaded(engine):
    engine.resources.collection("Category").insert_one(
        {"_id": "default:mine", "tenant": "default", "id": "mine", "body": {}}
    )
    assert load_demo_data(engine, lambda _: None) == 0
    assert stored_count(engine) == 1


def test_the_gateway_of_an_earlier_walkthrough_is_decommissioned(engine, tmp_path):
    repository = RepositoryFactory(engine.writer, "test").for_tenant(engine.settings.default_tenant)
    repository.create("Category", {"name": "Any", **CATALOG_ATTRIBUTES})  # prevents the load
    for name in ("gw-demo-1", "gw-demo-2"):
        with SimulatedDemoGateway(name, trap_port=0) as gateway:
            file = tmp_path / f"{name}.json"
            file.write_text(json.dumps(dict(gateway.credentials)))
            DemoElement(gateway, "requested", file).load_demo_data(engine, lambda _: None)
    (current,) = managed_elements(repository)
    assert current["name"] == "gw-demo-2"
    (former,) = repository.find("Resource", {"name": "gw-demo-1"})
    assert (former["administrativeState"], former["operationalState"]) == ("locked", "disabled")


# The walkthrough.


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def run_walkthrough(data_dir, *options):
    """Run the walkthrough and return the text of each step by title."""
    command = [sys.executable, "-W", "ignore", "-m", "tmf_apis", "demo", "--port", "0", "--exit"]
    run = subprocess.run(  # noqa: S603 - our own command
        [*command, "--data-dir", str(data_dir), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    steps = re.split(r"\n\d+\. ", run.stdout)[1:]
    return {text.partition("\n")[0]: text for text in steps}


@pytest.fixture(scope="module")
def walkthrough(data_dir):
    """The steps of a walkthrough with a simulated gateway."""
    return run_walkthrough(data_dir, "--simulated")


def step(walkthrough, words):
    """The text of the step whose title contains some words."""
    (text,) = (text for title, text in walkthrough.items() if words in title)
    return text


def test_the_dry_run_shows_the_plan_and_creates_no_order(walkthrough):
    text = step(walkthrough, "dry run")
    assert "feasible: yes" in text
    assert "downstream 100 Mbit/s, upstream 40 Mbit/s" in text
    assert "ProductOrder" not in text


@pytest.mark.parametrize(
    ("words", "condition", "speed"),
    [
        ("The result", "running", "100/40"),
        ("upgrade", "running", "1000/500"),
        ("fails half-way", "running", "1000/500"),
        ("cancels", "terminated", ""),
        ("suspended", "suspended", "1000/500"),
        ("resumed", "running", "1000/500"),
        ("is cut", "running", "1000/500"),
        ("is repaired", "running", "1000/500"),
        (": terminated", "terminated", ""),
    ],
)
def test_all_views_of_the_service_agree_after_each_step(walkthrough, words, condition, speed):
    text = step(walkthrough, words)
    assert f"all agree: {condition}" in text
    for view in (
        "TMF637 product",
        "TMF638 customer facing",
        "TMF638 resource facing",
        "TMF639 resource",
        "element over SNMP",
    ):
        (line,) = (line for line in text.splitlines() if line.strip().startswith(view))
        assert f" {speed} Mbit/s" in line if speed else "Mbit/s" not in line


def test_a_failed_change_is_rolled_back_with_the_reason(walkthrough):
    text = step(walkthrough, "fails half-way")
    assert "the order is failed" in text
    assert "ProductOrderErrorMessageEvent" in text
    assert re.search(r"stopped after downstream: sub\d upstream = 40000000", text)
    assert "the element reports 1000/500 Mbit/s" in text


def test_a_cancelled_order_lists_what_was_undone(walkthrough):
    assert "waiting for gw-demo" in step(walkthrough, "stops answering")
    text = step(walkthrough, "cancels")
    assert "the request is done" in text
    assert re.search(r"Undone: gw-demo-\d+ sub\d: restored on gw-demo-\d+ and released", text)


def test_a_cut_cable_raises_one_alarm_that_is_cleared_by_the_repair(walkthrough):
    text = step(walkthrough, "is cut")
    assert "1 alarm: linkDown, major" in text
    assert "AlarmCreateEvent" in text
    assert text.count(", link down") == 2
    text = step(walkthrough, "is repaired")
    assert "the alarm was cleared at" in text
    assert "AlarmStateChangeEvent" in text
    assert text.count(", link up") == 2


def test_the_gateway_is_withdrawn_at_the_end(walkthrough):
    assert "simulated (requested)" in step(walkthrough, "The result")
    assert "locked in the inventory" in step(walkthrough, "leaves the network")


@pytest.mark.skipif(lab_unavailable_reason() is not None, reason=str(lab_unavailable_reason()))
@pytest.mark.usefixtures("walkthrough")
def test_the_throughput_of_a_real_gateway_is_measured(data_dir):
    walkthrough = run_walkthrough(data_dir)
    assert "net-snmp in a network of its own" in step(walkthrough, "The result")
    if shutil.which("iperf3", path=PATH) is None:
        assert "not measured (no iperf3)" in step(walkthrough, "The result")
        return
    measured = {
        words: int(re.search(r"port: (\d+) Mbit/s downstream", step(walkthrough, words))[1])
        for words in ("The result", "upgrade", "fails half-way", "resumed")
    }
    before_upgrade = measured.pop("The result")
    assert before_upgrade <= 108
    assert min(measured.values()) > 108, "faster than before the upgrade, also after the rollback"
    assert "no traffic" in step(walkthrough, "suspended")
