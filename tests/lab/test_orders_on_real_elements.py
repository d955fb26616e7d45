"""Orders on real elements: commits that wait to be confirmed, and what the customer really gets."""

import asyncio
import json
import re
import shutil
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress

import pytest
from netconf_client.ncclient import Manager

from adapters import registry
from adapters.credentials import Credentials
from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.lab.netconf import NetconfLab, netconf_unavailable_reason
from adapters.lab.network import LabError, run
from adapters.testing import MBIT
from tests.lab.test_netconf_gateway import session_of
from tests.support.fulfilment_harness import FulfilmentHarness, order_item
from tmf_apis.inventory.characteristics import with_characteristics
from tmf_apis.reconciliation.discovery import register
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of

MISSING = netconf_unavailable_reason() or lab_unavailable_reason()
if MISSING is None and shutil.which("iperf3") is None:
    MISSING = "the effect is measured by iperf3: apt-get install iperf3"
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


class Real(FulfilmentHarness):
    """An operator with real elements."""

    def introduce(self, lab, **options):
        """Put an element into the inventory."""
        target = lab.target
        named = f"{self.tenant}-{lab.name}"
        self.secrets[named] = lab.credentials[lab.name]
        self.credentials.write_text(json.dumps(self.secrets))
        options = {**target.options, **options}
        self.target = type(target)(lab.name, target.address, target.adapter, named, options)

        async def go():
            async with registry.create_adapter(
                self.target, Credentials(self.credentials)
            ) as adapter:
                return await register(self.repository, adapter)

        self.run_async(go())

    def put_head(self, lab):
        """Have sub1 measured from now on."""
        address = {"testAddress": lab.network.start_test_head("sub1")}
        id = self.find_port(lab.name, "sub1")["id"]
        self.repository.change("Resource", id, lambda port: with_characteristics(port, address))

    def on(self, port):
        """Return the service that the element says it has on a port, and its settings."""

        async def go():
            async with registry.create_adapter(
                self.target, Credentials(self.credentials)
            ) as adapter:
                return await adapter.services()

        found = {one.port: one for one in self.run_async(go()) if one.service_id}
        one = found.get(port)
        return (one.service_id, one.settings) if one else ("", {})

    def remove(self):
        """Take every service off the element."""

        async def go():
            async with registry.create_adapter(
                self.target, Credentials(self.credentials)
            ) as adapter:
                for one in await adapter.services():
                    if one.service_id:
                        await adapter.remove(one.service_id)

        self.run_async(go())


@pytest.fixture(scope="module")
def harness(tmp_path_factory, mongodb_uri, contracts):
    with client_of(Settings(mongodb_database="real"), mongodb_uri) as client:
        client.drop_database("real")
        folder = tmp_path_factory.mktemp("x")
        with Real(contracts, client["real"], folder, fulfilment_confirm=10.0) as harness:
            yield harness
        client.drop_database("real")


@pytest.fixture(scope="module")
def lab():
    with NetconfLab() as lab:
        yield lab


@pytest.fixture
def operator(harness, lab):
    """An operator with the real NETCONF gateway and nothing else."""
    harness.use_new_tenant()
    harness.configure(fulfilment_patience=20.0, fulfilment_confirm=30.0)
    harness.introduce(lab, patience="0.4", timeout="5")
    yield harness
    harness.remove()


@pytest.fixture
def fibre(operator):
    return operator.create_offering(20, 10)


@pytest.fixture
def engineer(lab):
    """Somebody else's session."""
    session = session_of(lab, "engineer")
    yield Manager(session, timeout=10)
    session.close()


def shaped(lab, port="sub1"):
    """The rate that the kernel has for a port, in Mbit/s; 0: none."""
    shown = "tc class show dev $0 2>/dev/null || true"  # the one for upstream comes and goes
    said = lab.network.run(lab.network.gateway, "sh", "-c", shown, port)
    found = re.search(r"rate (\d+)Mbit", said)
    return int(found[1]) if found else 0


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.05)


def message(order):
    return order["productOrderErrorMessage"][0]["message"]


def add(operator, fibre, lab):
    """Order a service on sub1 and return its product id."""
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    )
    assert order["state"] == "completed", message(order)
    return order["productOrderItem"][0]["product"]["id"]


BEHIND_ITS_BACK = """\
class add dev sub1 parent 1: classid 1:20 htb rate {rate}mbit ceil {rate}mbit
filter add dev sub1 parent 1: protocol all prio 1 u32 match u32 0 0 flowid 1:20
"""


@contextmanager
def meddling(operator, lab, after, rate):
    """Let another rate flow as soon as the element has done what it says, and goes on saying."""
    provisioning = operator.runner._provisioner
    whole = provisioning._verify

    def meddle():
        until(lambda: shaped(lab) == after)
        inside = ("ip", "netns", "exec", lab.network.gateway)
        run(*inside, "tc", "-batch", "-", batch=BEHIND_ITS_BACK.format(rate=rate))

    async def checked(entry, adapter):
        await asyncio.to_thread(meddle)
        await whole(entry, adapter)

    provisioning._verify = checked
    try:
        yield
    finally:
        provisioning._verify = whole
    inside = ("ip", "netns", "exec", lab.network.gateway)
    for deed in ("filter del dev sub1 parent 1: prio 1", "class del dev sub1 classid 1:20"):
        with suppress(LabError):
            run(*inside, "tc", *deed.split())


def nothing_waits(engineer):
    """Whether no commit waits to be confirmed: then, and only then, anybody can have the lock."""
    engineer.lock(target="candidate")
    engineer.unlock(target="candidate")
    return True


def dying(operator, key, step, **when):
    """Let the worker die when it comes to a step, as a process does: nothing more is written."""
    provisioning = operator.runner._provisioner
    whole = getattr(provisioning, step)

    async def stop(entry, *rest, **more):
        if when.items() <= more.items():
            raise asyncio.CancelledError
        return await whole(entry, *rest, **more)

    setattr(provisioning, step, stop)
    with pytest.raises(CancelledError):
        operator.advance(key)


def test_a_service_is_provided_made_faster_and_ended_by_commits_that_are_confirmed(
    operator, lab, fibre, engineer
):
    operator.put_head(lab)
    product = add(operator, fibre, lab)
    assert nothing_waits(engineer)
    assert operator.on("sub1")[0] == product
    until(lambda: (shaped(lab), shaped(lab, "isub1")) == (20, 10))
    fast = operator.create_offering(80, 30)
    order = operator.run_order(
        operator.place_order(order_item("modify", offering=fast, product=product))
    )
    assert order["state"] == "completed", order
    assert operator.on("sub1")[1]["downstream"] == 80 * MBIT
    until(lambda: (shaped(lab), shaped(lab, "isub1")) == (80, 30))
    operator.assert_consistent()
    order = operator.run_order(operator.place_order(order_item("delete", product=product)))
    assert order["state"] == "completed"
    assert operator.on("sub1") == ("", {})
    until(lambda: shaped(lab) == 0)
    operator.assert_consistent()


def test_an_element_that_says_a_rate_and_gives_another_is_found_out(operator, lab, fibre):
    operator.put_head(lab)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    with meddling(operator, lab, 20, 200):
        order = operator.run_order(key)
    assert order["state"] == "failed"
    assert re.search(r"downstream is \d{8,9} instead of 20000000", message(order))
    assert operator.on("sub1") == ("", {})
    until(lambda: shaped(lab) == 0)
    operator.assert_consistent()


def test_an_upgrade_that_the_customer_does_not_get_is_taken_back(operator, lab, fibre):
    product = add(operator, fibre, lab)
    operator.put_head(lab)
    key = operator.place_order(
        order_item("modify", offering=operator.create_offering(90, 10), product=product)
    )
    with meddling(operator, lab, 90, 5):
        order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "instead of 90000000" in message(order)
    assert operator.on("sub1")[1]["downstream"] == 20 * MBIT
    assert operator.repository.get("Product", product)["productOffering"]["id"] == fibre
    operator.assert_consistent()


def test_a_worker_that_dies_before_it_confirms_is_followed_by_one_that_does_it_anew(
    operator, lab, fibre
):
    operator.configure(fulfilment_patience=20.0, fulfilment_confirm=2.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    dying(operator, key, "_checked")
    assert operator.task_states(key) == {"1#1": "applied"}
    until(lambda: shaped(lab) == 20)
    until(lambda: shaped(lab) == 0, 10)  # the element's own doing: nobody has confirmed
    assert operator.on("sub1") == ("", {})
    operator.configure(fulfilment_patience=20.0, fulfilment_confirm=30.0)
    order = operator.run_order(key)
    assert order["state"] == "completed", message(order)
    until(lambda: shaped(lab) == 20)
    operator.assert_consistent()


def test_a_worker_that_dies_is_followed_while_the_commit_still_waits(
    operator, lab, fibre, engineer
):
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    dying(operator, key, "_checked")
    operator.restart_worker()
    order = operator.run_order(key)
    assert order["state"] == "completed", message(order)
    assert nothing_waits(engineer)
    operator.assert_consistent()


def test_what_a_worker_committed_before_it_died_is_taken_back_when_it_is_cancelled(
    operator, lab, fibre
):
    operator.configure(fulfilment_patience=2.0, fulfilment_confirm=60.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    dying(operator, key, "_note", state="applied")  # committed, and nobody has written it down
    assert operator.task_states(key) == {"1#1": "planned"}
    request = operator.request_cancellation(key)
    operator.restart_worker()
    operator.run_order(key)
    operator.resolve_cancellation(key, request)
    order = operator.get_order(key)
    assert order["state"] == "cancelled", order
    assert operator.on("sub1") == ("", {})
    assert not operator.find_port(lab.name, "sub1").get("unknownStatus")
    operator.assert_consistent()


def test_a_server_that_is_killed_in_the_middle_is_waited_for(operator, lab, fibre):
    provisioning = operator.runner._provisioner
    checked = provisioning._verify
    killed = []

    async def kill(entry, adapter):
        if not killed:
            killed.append(entry.state)
            await asyncio.to_thread(lab.stop)
        await checked(entry, adapter)

    provisioning._verify = kill
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    report = operator.advance(key)
    assert killed == ["applied"]
    assert report.incomplete
    assert report.retry_in > 0
    lab.start()
    order = operator.run_order(key)
    assert order["state"] == "completed", order
    until(lambda: shaped(lab) == 20)
    operator.assert_consistent()


def test_a_rival_that_keeps_the_lock_longer_than_our_patience_is_outlived(
    operator, lab, fibre, engineer
):
    operator.configure(fulfilment_patience=20.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    engineer.lock(target="candidate")
    assert operator.advance(key).incomplete
    assert operator.on("sub1") == ("", {})
    engineer.unlock(target="candidate")
    order = operator.run_order(key)
    assert order["state"] == "completed", order
    operator.assert_consistent()


def test_a_rival_that_never_gives_the_lock_back_is_named(operator, lab, fibre, engineer):
    operator.configure(fulfilment_patience=3.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    engineer.lock(target="candidate")
    order = operator.run_order(key)
    engineer.unlock(target="candidate")
    assert order["state"] == "failed"
    assert f"session {engineer.session_id}" in message(order)
    operator.assert_consistent()


def test_the_effect_counts_over_snmp_too(operator):
    operator.use_new_tenant()
    operator.configure(fulfilment_patience=20.0)
    with SnmpLab() as lab:
        operator.introduce(lab)
        fibre = operator.create_offering(20, 10)
        product = add(operator, fibre, lab)
        assert shaped(lab) == 20
        operator.put_head(lab)
        key = operator.place_order(
            order_item("modify", offering=operator.create_offering(60, 10), product=product)
        )
        with meddling(operator, lab, 60, 300):
            order = operator.run_order(key)
        assert order["state"] == "failed"
        assert "instead of 60000000" in message(order)
        assert shaped(lab) == 20
        operator.assert_consistent()
