"""Discovery, audits and remedies as clients ask for them: over HTTP, done by the worker."""

import asyncio
import json
import threading
import uuid
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from adapters.snmp.simulator import SimulatedGateway
from tests.support.live_server import INVENTORY, live_server, wait_until
from tests.support.memory_repository import request_context
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.errors import Conflict
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.inventory.tenants import tenants_with_elements
from tmf_apis.network_operations import fallout
from tmf_apis.network_operations.discovery_scope import DiscoveryScope, TargetNotPermitted
from tmf_apis.reconciliation.scheduler import TaskScheduler
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

NETWORK = "/networkOperations/v5"
LAB = {"lab": {"community": "simulated"}, "wrong": {"community": "wrong"}}


@contextmanager
def gateway(name, address, **more):
    """A simulated gateway in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = SimulatedGateway(name, address=(address, 0), **more)
    asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(10)
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(made.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory, mongodb_uri, _mongo_client):
    folder = tmp_path_factory.mktemp("network")
    file = folder / "credentials.json"
    file.write_text(json.dumps(LAB))
    name = f"test_{uuid.uuid4().hex[:12]}"
    with live_server(folder, mongodb_uri, name, TMF_CREDENTIALS_FILE=str(file)) as running:
        yield running
    _mongo_client.drop_database(name)


def done(served, kind, **attributes):
    """Ask for a task and return it when it has ended."""
    path = f"{NETWORK}/{kind[0].lower()}{kind[1:]}"
    made = served.post(path, {"@type": kind, **attributes})
    assert made["state"] == "acknowledged"

    def ended():
        found = served.get(f"{path}/{made['id']}")
        return found if found["state"] in {"done", "terminatedWithError"} else None

    return wait_until(ended)


def test_a_network_is_discovered_audited_and_set_right(served):
    with gateway("gw-n", "127.0.3.1", ports=3) as running:
        address = "{}:{}".format(*running.address)
        found = done(
            served, "NetworkDiscovery",
            target=[address, "127.0.3.9:9"],
            credentials=["wrong", "lab"],
            adapterOptions={"timeout": "0.3", "retries": "0"},
            place={"@type": "EntityRef", "id": "site-7"},
        )  # fmt: skip
        assert (found["state"], found["found"], found["created"]) == ("done", 1, 1)
        assert (found["unreachable"], found["percentComplete"]) == (["127.0.3.9:9"], 100)
        (created,) = (one for one in found["element"] if one["outcome"] == "created")
        assert created["name"] == "gw-n"
        ports = served.get(f"{INVENTORY}/resource", category="accessPort", limit=10)
        assert len(ports) == 3
        assert ports[0]["place"][0]["place"]["id"] == "site-7"

        running.port("sub1").tag = "s-unknown"
        audit = done(served, "NetworkAudit", elementId=["gw-n"])
        assert (audit["differences"], audit["checked"]) == (1, 0)
        (difference,) = audit["difference"]
        assert difference["type"] == "unknownOnElement"
        assert running.port("sub1").tag == "s-unknown"
        resolved = done(
            served, "ResolveDifference",
            audit={"@type": "EntityRef", "id": audit["id"]},
            differenceId=[difference["id"]],
            remedy="correctNetwork",
        )  # fmt: skip
        assert (resolved["resolved"], resolved["failed"]) == (1, 0)
        assert running.port("sub1").tag == ""
        assert done(served, "NetworkAudit")["differences"] == 0


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("10.0.0.0/8", "at most 4096"),
        ("198.18.0.9-198.18.0.1", "no range"),
        ("no such place", "no address"),
        ("198.18.0.300", "no address"),
        ("198.18.0.1:99999", "no address"),
        ("198.18.0.1/99", "no block"),
        ("file:///etc/passwd", "no block"),
    ],
)
def test_what_is_no_place_of_an_element_is_refused(api, target, why):
    body = {"@type": "NetworkDiscovery", "target": [target]}
    answer = api.post(f"/tmf-api{NETWORK}/networkDiscovery", json=body)
    assert answer.status_code == 400
    assert why in answer.json()["message"]


def reach(networks="", auth="on"):
    environment = {"TMF_AUTH": auth, "TMF_DISCOVERY_NETWORKS": networks}
    return DiscoveryScope.from_settings(Settings.from_environment(environment))


@pytest.mark.parametrize(
    "target",
    [
        "10.0.1.0", "10.0.0.255-10.0.1.1", "10.0.0.0/23", "[::ffff:10.9.0.1]:161", "[::1]:161",
        "localhost", "0x0a090001", "no-such-name.invalid", "127.0.0.1",
    ],
)  # fmt: skip
def test_a_target_outside_of_the_permitted_networks_is_named(target):
    with pytest.raises(TargetNotPermitted) as refused:
        reach("10.0.0.0/24, 2001:db8::/64").permitted_targets(["10.0.0.1:161", target])
    assert str(refused.value).startswith(f"{target}: not in the networks")


def test_what_is_permitted_is_looked_at_by_its_address():
    found = reach("127.0.0.0/8,::1/128,10.0.0.0/24").permitted_targets(
        ["10.0.0.8/31", "localhost:1161", "::ffff:10.0.0.1"]
    )
    assert [one.address for one in found] in (
        ["10.0.0.8", "10.0.0.9", there, "::ffff:10.0.0.1"] for there in LOCALHOST
    )


LOCALHOST = ("127.0.0.1:1161", "[::1]:1161")


def test_without_authentication_everything_is_permitted_unless_networks_are_named():
    assert reach(auth="off").permitted_targets(["192.0.2.1"])
    for where in (reach(), reach("10.0.0.0/8", "off")):
        with pytest.raises(TargetNotPermitted):
            where.permitted_targets(["192.0.2.1"])


def test_a_network_that_is_none_is_told_by_its_setting():
    with pytest.raises(ValueError, match=r"TMF_DISCOVERY_NETWORKS='10\.0\.0\.1/8'"):
        reach("10.0.0.1/8")


def test_a_discovery_where_none_is_permitted_is_refused(authenticated_server, tenant):
    path = f"/tmf-api{NETWORK}/networkDiscovery"
    with authenticated_server.client(authenticated_server.token(tenant=tenant)) as staff:
        body = {"@type": "NetworkDiscovery", "target": ["192.0.2.1:1"]}
        answer = staff.post(path, json=body)
        assert answer.status_code == 403
        assert "192.0.2.1:1" in answer.json()["message"]
        assert staff.post(path, json={"@type": "NetworkDiscovery"}).status_code == 201


def test_a_remedy_needs_an_audit(api):
    body = {"@type": "ResolveDifference", "audit": {"@type": "EntityRef", "id": "none"}}
    path = f"/tmf-api{NETWORK}/resolveDifference"
    answer = api.post(path, json={**body, "remedy": "openTask"})
    assert answer.status_code == 422


def test_a_party_has_no_business_on_the_network(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, parties=["alice"])
    with authenticated_server.client(token) as alice:
        for kind in ("NetworkDiscovery", "NetworkAudit"):
            path = f"/tmf-api{NETWORK}/{kind[0].lower()}{kind[1:]}"
            assert alice.post(path, json={"@type": kind}).status_code == 403


def test_the_task_of_an_audit_has_nothing_to_try_again_and_touches_no_order():
    task = {"@type": "FalloutTask", "id": "t", "state": "open", "task": "settingDiffers: port 1"}
    with pytest.raises(Conflict, match="resolveDifference"):
        fallout.on_change(task, {**task, "decision": "retry"}, request_context())
    cancelled = fallout.on_change(task, {**task, "decision": "cancel"}, request_context())
    assert (cancelled["state"], cancelled["decidedBy"]) == ("resolved", "tester")
    order = {**task, "order": {"id": "o-1"}, "decision": "retry"}
    assert fallout.on_change({**task, "order": {"id": "o-1"}}, order, request_context())[
        "state"
    ] == ("resolved")
    told = []
    workflows = SimpleNamespace(signal=lambda *given: told.append(given))
    event = {"what": "StateChange", "tenant": "default", "body": cancelled}
    OrderEventHandler(None, None, workflows).handle_decision(event)
    assert told == []


def test_the_schedule_makes_one_task_a_period(database, tmp_path):
    contracts = load_contracts(CONTRACTS_DIR, tmp_path / "cache")
    settings = Settings(mongodb_database=database.name, data_dir=tmp_path)
    engine = Engine(settings, contracts, database)
    desks = RepositoryFactory(engine.writer, "test")
    desk = desks.for_tenant("default")
    address = [{"name": "managementAddress", "value": "192.0.2.1"}]
    desk.create("Resource", {"@type": "PhysicalResource", "resourceCharacteristic": address})
    intervals = {"NetworkAudit": (60.0, {"remedy": "none"}), "NetworkDiscovery": (0.0, {})}
    workers = [
        TaskScheduler(desks, lambda: tenants_with_elements(database), None, intervals)
        for _ in range(2)
    ]
    assert [one.create_due_tasks(now) for now in (600.0, 659.0, 660.0) for one in workers] == [
        1,
        0,
        0,
        0,
        1,
        0,
    ]
    assert desk.find("NetworkDiscovery", {}) == []
    first = desk.get("NetworkAudit", "scheduled-10")
    old = {**first, "creationDate": "2020-01-01T00:00:00.000Z"}
    desk.change("NetworkAudit", first["id"], lambda _: old)
    asked = desk.create("NetworkAudit", {"@type": "NetworkAudit"})
    workers[0].create_due_tasks(720.0)
    assert {one["id"] for one in desk.find("NetworkAudit", {})} == {
        *("scheduled-11", "scheduled-12", asked["id"]),
    }
