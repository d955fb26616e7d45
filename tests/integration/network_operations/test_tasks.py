"""Discovery, audits and remedies, requested over HTTP and executed by the worker."""

import asyncio
import json
import threading
import uuid
from contextlib import contextmanager

import pytest

from adapters.snmp.simulator import SimulatedGateway
from tests.support.live_server import INVENTORY, live_server
from tests.support.waiting import wait_until
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.inventory.tenants import tenants_with_elements
from tmf_apis.network_operations.discovery_scope import DiscoveryScope, TargetNotPermitted
from tmf_apis.reconciliation.scheduler import TaskScheduler
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

NETWORK = "/networkOperations/v5"
LAB = {"lab": {"community": "simulated"}, "wrong": {"community": "wrong"}}


@contextmanager
def gateway(name, address, **more):
    """Run a simulated gateway in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    simulated = SimulatedGateway(name, address=(address, 0), **more)
    asyncio.run_coroutine_threadsafe(simulated.__aenter__(), loop).result(10)
    try:
        yield simulated
    finally:
        asyncio.run_coroutine_threadsafe(simulated.__aexit__(None, None, None), loop).result(10)
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


def run_task(served, kind, **attributes):
    """Create a task and return it when it has ended."""
    path = f"{NETWORK}/{kind[0].lower()}{kind[1:]}"
    created = served.post(path, {"@type": kind, **attributes})
    assert created["state"] == "acknowledged"

    def ended_task():
        task = served.get(f"{path}/{created['id']}")
        return task if task["state"] in {"done", "terminatedWithError"} else None

    return wait_until(ended_task)


def test_a_network_is_discovered_audited_and_corrected(served):
    with gateway("gw-n", "127.0.3.1", ports=3) as running:
        address = "{}:{}".format(*running.address)
        discovery = run_task(
            served, "NetworkDiscovery",
            target=[address, "127.0.3.9:9"],
            credentials=["wrong", "lab"],
            adapterOptions={"timeout": "2", "retries": "0"},
            place={"@type": "EntityRef", "id": "site-7"},
        )  # fmt: skip
        assert (discovery["state"], discovery["found"], discovery["created"]) == ("done", 1, 1)
        assert (discovery["unreachable"], discovery["percentComplete"]) == (["127.0.3.9:9"], 100)
        (created,) = (
            element for element in discovery["element"] if element["outcome"] == "created"
        )
        assert created["name"] == "gw-n"
        ports = served.get(f"{INVENTORY}/resource", category="accessPort", limit=10)
        assert len(ports) == 3
        assert ports[0]["place"][0]["place"]["id"] == "site-7"

        running.port("sub1").tag = "s-unknown"
        audit = run_task(served, "NetworkAudit", elementId=["gw-n"])
        assert (audit["differences"], audit["checked"]) == (1, 0)
        (difference,) = audit["difference"]
        assert difference["type"] == "unknownOnElement"
        assert running.port("sub1").tag == "s-unknown"
        resolved = run_task(
            served, "ResolveDifference",
            audit={"@type": "EntityRef", "id": audit["id"]},
            differenceId=[difference["id"]],
            remedy="correctNetwork",
        )  # fmt: skip
        assert (resolved["resolved"], resolved["failed"]) == (1, 0)
        assert running.port("sub1").tag == ""
        assert run_task(served, "NetworkAudit")["differences"] == 0


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("10.0.0.0/8", "at most 4096"),
        ("198.18.0.9-198.18.0.1", "not a range"),
        ("no such place", "not an address"),
        ("198.18.0.300", "not an address"),
        ("198.18.0.1:99999", "not an address"),
        ("198.18.0.1/99", "not a block"),
        ("file:///etc/passwd", "not a block"),
    ],
)
def test_a_malformed_target_is_refused(api, target, reason):
    body = {"@type": "NetworkDiscovery", "target": [target]}
    answer = api.post(f"/tmf-api{NETWORK}/networkDiscovery", json=body)
    assert answer.status_code == 400
    assert reason in answer.json()["message"]


def test_a_host_name_that_cannot_be_resolved_is_not_permitted():
    networks = {"TMF_AUTH": "on", "TMF_DISCOVERY_NETWORKS": "10.0.0.0/24"}
    scope = DiscoveryScope.from_settings(Settings.from_environment(networks))
    with pytest.raises(TargetNotPermitted, match=r"no-such-name\.invalid: not in the networks"):
        scope.permitted_targets(["10.0.0.1:161", "no-such-name.invalid"])


def test_a_discovery_outside_the_permitted_networks_is_refused(authenticated_server, tenant):
    path = f"/tmf-api{NETWORK}/networkDiscovery"
    with authenticated_server.client(authenticated_server.token(tenant=tenant)) as staff:
        body = {"@type": "NetworkDiscovery", "target": ["192.0.2.1:1"]}
        answer = staff.post(path, json=body)
        assert answer.status_code == 403
        assert "192.0.2.1:1" in answer.json()["message"]
        assert staff.post(path, json={"@type": "NetworkDiscovery"}).status_code == 201


def test_a_remedy_for_an_unknown_audit_is_refused(api):
    body = {"@type": "ResolveDifference", "audit": {"@type": "EntityRef", "id": "none"}}
    path = f"/tmf-api{NETWORK}/resolveDifference"
    answer = api.post(path, json={**body, "remedy": "openTask"})
    assert answer.status_code == 422


def test_a_party_cannot_request_network_operations(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, parties=["alice"])
    with authenticated_server.client(token) as alice:
        for kind in ("NetworkDiscovery", "NetworkAudit"):
            path = f"/tmf-api{NETWORK}/{kind[0].lower()}{kind[1:]}"
            assert alice.post(path, json={"@type": kind}).status_code == 403


def test_the_schedulers_create_one_task_per_period(database, tmp_path):
    contracts = load_contracts(CONTRACTS_DIR, tmp_path / "cache")
    settings = Settings(mongodb_database=database.name, data_dir=tmp_path)
    engine = Engine(settings, contracts, database)
    repositories = RepositoryFactory(engine.writer, "test")
    repository = repositories.for_tenant("default")
    address = [{"name": "managementAddress", "value": "192.0.2.1"}]
    repository.create("Resource", {"@type": "PhysicalResource", "resourceCharacteristic": address})
    intervals = {"NetworkAudit": (60.0, {"remedy": "none"}), "NetworkDiscovery": (0.0, {})}
    schedulers = [
        TaskScheduler(repositories, lambda: tenants_with_elements(database), None, intervals)
        for _ in range(2)
    ]
    counts = [
        [scheduler.create_due_tasks(now) for scheduler in schedulers]
        for now in (600.0, 659.0, 660.0)
    ]
    assert counts == [[1, 0], [0, 0], [1, 0]]
    assert repository.find("NetworkDiscovery", {}) == []
    first = repository.get("NetworkAudit", "scheduled-10")
    old = {**first, "creationDate": "2020-01-01T00:00:00.000Z"}
    repository.change("NetworkAudit", first["id"], lambda _: old)
    requested = repository.create("NetworkAudit", {"@type": "NetworkAudit"})
    schedulers[0].create_due_tasks(720.0)
    assert {audit["id"] for audit in repository.find("NetworkAudit", {})} == {
        *("scheduled-11", "scheduled-12", requested["id"]),
    }
