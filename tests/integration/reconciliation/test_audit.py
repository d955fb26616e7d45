"""What services say and what elements have: every difference is found, and can be resolved."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from click.testing import CliRunner

from adapters.credentials import Credentials
from adapters.snmp import mib
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Observed, Target
from tmf_apis.cli import main
from tmf_apis.element_access.connections import Connections
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.elements import managed_elements, ports_by_key
from tmf_apis.inventory.resource_state import ReservationMark, ResourceUsage, ServiceUse
from tmf_apis.reconciliation.audit_tasks import AuditTasks
from tmf_apis.reconciliation.auditor import Auditor, select_elements
from tmf_apis.reconciliation.comparison import (
    ACCEPT_INTO_INVENTORY,
    CORRECT_NETWORK,
    IN_DOUBT,
    MISSING_ON_ELEMENT,
    OPEN_TASK,
    PORT_DIFFERS,
    PORT_GONE,
    SETTING_DIFFERS,
    UNKNOWN_ON_ELEMENT,
    compare,
)
from tmf_apis.reconciliation.discovery import register
from tmf_apis.reconciliation.expected_state import ExpectedService, ExpectedState
from tmf_apis.reconciliation.remedies import RemedyExecutor
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

HASTE = {"timeout": "0.4", "retries": "0"}
SPEEDS = {"downstream": 100_000_000, "upstream": 20_000_000}
LAB = {"community": "simulated"}


# The comparison, pure.


def expected(service, port="p1", **more):
    resource = more.pop("resource", {"id": f"r-{port}"})
    return ExpectedService(service, port, more.pop("settings", SPEEDS), resource, **more)


def observed(service, port="p1", **settings):
    return Observed(service, port, {**SPEEDS, **settings}, up=True)


def types(view, *seen, ports=None):
    return [one.type for one in compare(view, seen, ports)]


@pytest.mark.parametrize(
    ("view", "seen", "ports", "wanted"),
    [
        (ExpectedState(), [], None, []),
        (ExpectedState([expected("s")]), [observed("s")], None, []),
        (ExpectedState([expected("s")]), [], {"p1"}, [MISSING_ON_ELEMENT]),
        (ExpectedState([expected("s")]), [], {"p2"}, [PORT_GONE]),
        (ExpectedState([expected("s")]), [observed("s", upstream=1)], None, [SETTING_DIFFERS]),
        (ExpectedState([expected("s")]), [observed("s", "p2")], None, [PORT_DIFFERS]),
        (ExpectedState(), [observed("s")], None, [UNKNOWN_ON_ELEMENT]),
        (
            ExpectedState([expected("s", state="terminated")]),
            [observed("s")],
            None,
            [UNKNOWN_ON_ELEMENT],
        ),
        (ExpectedState([expected("s", state="terminated")]), [], None, [IN_DOUBT]),
        (
            ExpectedState([expected("s"), expected("s", "p2")]),
            [observed("s")],
            None,
            [IN_DOUBT, IN_DOUBT],
        ),
        (ExpectedState([expected("s")]), [observed("s"), observed("s", "p2")], None, [IN_DOUBT]),
        (
            ExpectedState([expected("a"), expected("b")]),
            [observed("a")],
            None,
            [IN_DOUBT, IN_DOUBT],
        ),
        (
            ExpectedState([expected("a")]),
            [observed("b")],
            {"p1"},
            [MISSING_ON_ELEMENT, UNKNOWN_ON_ELEMENT],
        ),
        (
            ExpectedState([expected("s", resource={"id": "r", "unknownStatus": True})]),
            [observed("s")],
            None,
            [IN_DOUBT],
        ),
        (ExpectedState(ports_in_doubt={"p1": {"id": "r"}}), [], None, [IN_DOUBT]),
        (ExpectedState(held_ports={"p1"}), [observed("s")], None, []),
        (ExpectedState(services_in_flight={"s"}), [observed("s", "p7")], None, []),
        (ExpectedState([expected("s", settings={})]), [observed("s")], None, []),
    ],
)
def test_each_kind_of_difference_is_told_from_the_others(view, seen, ports, wanted):
    assert types(view, *seen, ports=frozenset(ports) if ports else None) == wanted


def test_a_setting_that_the_element_does_not_tell_is_no_difference():
    view = ExpectedState([expected("s", settings={**SPEEDS, "colour": "blue"})])
    assert types(view, observed("s")) == []


def test_a_difference_says_what_should_be_and_what_is():
    (one,) = compare(ExpectedState([expected("s")]), [observed("s", downstream=5)])
    assert one.message == "downstream is 5 instead of 100000000"
    assert (one.expected["downstream"], one.observed["downstream"]) == (100_000_000, 5)


# On a real database and over the wire.


@pytest.fixture(scope="module")
def house(_mongo_client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    database = _mongo_client["test_audit"]
    made = Engine(
        Settings(mongodb_database=database.name, data_dir=folder),
        load_contracts(CONTRACTS_DIR, folder / "cache"),
        database,
    )
    made.prepare()
    yield made
    _mongo_client.drop_database(database.name)


@pytest.fixture
def desk(house):
    for kind in ("Resource", "Service", "NetworkAudit", "ResolveDifference", "FalloutTask"):
        house.database[kind].delete_many({})
    return RepositoryFactory(house.writer, "test").for_tenant("default")


@pytest.fixture
def secrets(tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"lab": LAB}))
    return Credentials(file)


class Site:
    """A gateway, the inventory of it, and a way between them."""

    def __init__(self, desk, gateway, connections):
        self.desk, self.gateway, self.connections = desk, gateway, connections
        host, port = gateway.address
        self.target = Target(gateway.name, f"{host}:{port}", "snmp", "lab", HASTE)

    @property
    def element(self):
        (found,) = (one for one in managed_elements(self.desk) if one["name"] == self.gateway.name)
        return found

    def port(self, name):
        return ports_by_key(self.desk, self.element["id"])[name]

    def on(self, name):
        """Tag and rates in kbit/s of a port of the element."""
        found = self.gateway.port(name)
        return found.tag, found.downstream_kbps, found.upstream_kbps

    def sell(self, service, port, *, here=True, there=True):
        """Put a service on a port: in the inventory, on the element or both."""
        if here:
            use = ServiceUse(ResourceUsage(service, dict(SPEEDS), "o-1"), product=service)
            self.desk.change(
                "Resource", self.port(port)["id"], lambda old: resource_state.set_use(old, use)
            )
        if there:
            found = self.gateway.port(port)
            found.tag, found.downstream_kbps, found.upstream_kbps = service, 100_000, 20_000

    async def audit(self):
        return await Auditor(self.desk, self.connections).run(managed_elements(self.desk))

    async def differences(self):
        return [one for _, one in (await self.audit()).differences]

    async def resolve(self, remedy):
        (one,) = await self.differences()
        return await RemedyExecutor(self.desk, self.connections, "a-1").apply(
            self.element, one, remedy
        )


@asynccontextmanager
async def site(desk, secrets, name="gw-a", ports=6):
    connections = Connections(secrets)
    async with SimulatedGateway(name, ports=ports, address=("127.0.2.1", 0)) as gateway:
        one = Site(desk, gateway, connections)
        async with connections.acquire(one.target) as adapter:
            await register(desk, adapter)
        try:
            yield one
        finally:
            await connections.close()


def at(desk, secrets, work):
    """Do something at a site."""

    async def go():
        async with site(desk, secrets) as one:
            return await work(one)

    return asyncio.run(go())


def missing(one):
    one.sell("s-1", "sub1", there=False)


def unknown(one):
    one.sell("s-1", "sub1", here=False)


def differing(one):
    one.sell("s-1", "sub1")
    one.gateway.port("sub1").downstream_kbps = 5_000


def elsewhere(one):
    one.sell("s-1", "sub1", there=False)
    one.sell("s-1", "sub2", here=False)


def lost(one):
    one.sell("s-1", "sub6")
    del one.gateway.ports[8]


def doubtful(one):
    one.sell("s-1", "sub1")
    port = one.port("sub1")["id"]
    one.desk.change(
        "Resource", port, lambda old: resource_state.quarantine(old, "o-1/1#1", "no answer")
    )


FAULTS = {
    missing: MISSING_ON_ELEMENT,
    unknown: UNKNOWN_ON_ELEMENT,
    differing: SETTING_DIFFERS,
    elsewhere: PORT_DIFFERS,
    lost: PORT_GONE,
    doubtful: IN_DOUBT,
}
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.__name__)


@every_fault
def test_a_difference_is_found_and_nothing_is_changed(desk, secrets, fault):
    async def work(one):
        fault(one)
        before = desk.find("Resource", {})
        found = await one.differences()
        assert desk.find("Resource", {}) == before
        assert one.gateway.set_count == 0
        return found

    (one,) = at(desk, secrets, work)
    assert one.type == FAULTS[fault]
    assert one.service == "s-1"


@pytest.mark.parametrize("fault", [missing, unknown, differing, elsewhere])
def test_the_network_is_corrected(desk, secrets, fault):
    async def work(one):
        fault(one)
        outcome = await one.resolve(CORRECT_NETWORK)
        assert (outcome.what, outcome.message) == ("done", "")
        assert await one.differences() == []
        assert resource_state.holder_of(one.port("sub1")) == ""
        return one.on("sub1"), one.on("sub2")

    there = ("", 0, 0) if fault is unknown else ("s-1", 100_000, 20_000)
    assert at(desk, secrets, work) == (there, ("", 0, 0))


@every_fault
def test_what_is_there_is_accepted_into_the_inventory(desk, secrets, fault):
    async def work(one):
        fault(one)
        outcome = await one.resolve(ACCEPT_INTO_INVENTORY)
        assert outcome.what == "done", outcome.message
        assert one.gateway.set_count == 0
        ports = ports_by_key(desk, one.element["id"])
        return await one.differences(), ports

    left, ports = at(desk, secrets, work)
    assert [found.type for found in left] == ([PORT_GONE] if fault is lost else [])
    services = {name: resource_state.service_use(port).usage for name, port in ports.items()}
    on = {name: usage.service for name, usage in services.items() if usage.service}
    assert (
        on
        == {
            missing: {},
            unknown: {"sub1": "s-1"},
            differing: {"sub1": "s-1"},
            elsewhere: {"sub2": "s-1"},
            lost: {"sub6": "s-1"},
            doubtful: {"sub1": "s-1"},
        }[fault]
    )
    if fault is differing:
        assert services["sub1"].settings["downstream"] == 5_000_000
    if fault is lost:
        assert ports["sub6"]["operationalState"] == "disabled"
    if fault is unknown:
        (service,) = desk.find("Service", {"id": "s-1"})
        assert (service["state"], service["category"]) == ("active", "RFS")


@every_fault
def test_a_person_is_asked_once(desk, secrets, fault):
    async def work(one):
        fault(one)
        assert [(await one.resolve(OPEN_TASK)).what for _ in range(2)] == ["done", "done"]
        return len(await one.differences())

    assert at(desk, secrets, work) == 1
    (task,) = desk.find("FalloutTask", {})
    assert (task["state"], task["element"]) == ("open", "gw-a")
    assert "s-1" in task["reason"]


def test_the_characteristics_of_a_service_follow_in_their_own_unit(desk, secrets):
    speeds = [
        {"name": "downstream", "valueType": "integer", "value": 100},
        {"name": "colour", "valueType": "string", "value": "blue"},
    ]
    service = {"@type": "Service", "id": "s-1", "state": "active", "serviceCharacteristic": speeds}

    async def work(one):
        differing(one)
        desk.create("Service", service)
        return await one.resolve(ACCEPT_INTO_INVENTORY)

    assert at(desk, secrets, work).what == "done"
    now = desk.get("Service", "s-1")["serviceCharacteristic"]
    assert [one["value"] for one in now] == [5, "blue"]


def test_what_an_order_works_on_is_left_alone(desk, secrets):
    async def work(one):
        one.sell("s-1", "sub1", here=False)  # applied, not yet in the inventory
        one.sell("s-2", "sub2", there=False)  # about to go
        for port, service in (("sub1", ""), ("sub2", "s-2")):
            claim = ReservationMark.for_duration(
                "o-9/1#1", desk.now, resource_state.timedelta(hours=1), service
            )
            id = one.port(port)["id"]
            desk.change("Resource", id, lambda old, claim=claim: resource_state.reserve(old, claim))
        result = await one.audit()
        return result.differences, result.ports_in_flight, result.checked

    assert at(desk, secrets, work) == ([], 2, 0)


def test_a_difference_that_is_gone_by_the_second_look_is_none(desk, secrets):
    async def work(one):
        missing(one)
        heard, asked = one.gateway.datagram_received, 0

        def late(datagram, source):
            nonlocal asked
            asked += 1
            if asked == 12:  # the order gets there while the audit looks
                one.sell("s-1", "sub1", here=False)
            heard(datagram, source)

        one.gateway.datagram_received = late
        return await one.differences()

    assert at(desk, secrets, work) == []


def test_a_port_that_an_order_has_taken_meanwhile_is_not_corrected(desk, secrets):
    async def work(one):
        missing(one)
        (found,) = await one.differences()
        claim = ReservationMark.for_duration(
            "o-9/1#1", desk.now, resource_state.timedelta(hours=1), "s-1"
        )
        desk.change(
            "Resource", one.port("sub1")["id"], lambda old: resource_state.reserve(old, claim)
        )
        outcome = await RemedyExecutor(desk, one.connections, "a").apply(
            one.element, found, CORRECT_NETWORK
        )
        return outcome.status, one.gateway.set_count

    assert at(desk, secrets, work) == ("noLongerThere", 0)


def test_a_difference_that_has_changed_is_not_resolved_as_it_was(desk, secrets):
    async def work(one):
        differing(one)
        (found,) = await one.differences()
        one.gateway.port("sub1").downstream_kbps = 7_000
        outcome = await RemedyExecutor(desk, one.connections, "a").apply(
            one.element, found, ACCEPT_INTO_INVENTORY
        )
        return outcome.status, one.gateway.port("sub1").downstream_kbps

    assert at(desk, secrets, work) == ("noLongerThere", 7_000)


@pytest.mark.parametrize("wrong", ["rejected_sets", "ignore_sets", "silent"])
def test_an_element_that_cannot_be_corrected_is_left_as_it_was(desk, secrets, wrong):
    async def work(one):
        differing(one)
        (found,) = await one.differences()
        injection = one.gateway.fault_injection
        if wrong == "rejected_sets":
            injection.rejected_sets[mib.SVC_DOWN_KBPS] = 10
        else:
            setattr(injection, wrong, True)
        outcome = await RemedyExecutor(desk, one.connections, "a").apply(
            one.element, found, CORRECT_NETWORK
        )
        injection.rejected_sets.clear()
        injection.ignore_sets = injection.silent = False
        assert resource_state.holder_of(one.port("sub1")) == ""
        return outcome.status, one.on("sub1")

    assert at(desk, secrets, work) == ("failed", ("s-1", 5_000, 20_000))


def test_an_element_that_does_not_answer_is_no_difference(desk, secrets):
    async def work(one):
        missing(one)
        one.gateway.fault_injection.silent = True
        return await one.audit()

    result = at(desk, secrets, work)
    assert (result.differences, list(result.unreachable), result.elements) == ([], ["gw-a"], 0)


def test_elements_are_chosen_by_id_or_name(desk, secrets):
    async def work(one):
        return one.element["id"]

    id = at(desk, secrets, work)
    assert [one["id"] for one in select_elements(desk, [id, "gw-a"])] == [id]
    with pytest.raises(ValueError, match="no such element in the inventory: gw-z"):
        select_elements(desk, ["gw-z"])


# As tasks.


def task(desk, kind, **attributes):
    return desk.create(kind, {"@type": kind, **attributes})


def done(desk, work, kind, **attributes):
    made = task(desk, kind, **attributes)
    work(desk, made)
    return desk.get(kind, made["id"])


def test_an_audit_tells_what_it_found_and_takes_remedies(desk, secrets):
    auditing = AuditTasks(secrets)

    async def work(one):
        differing(one)
        one.sell("s-9", "sub3", here=False)
        found = await asyncio.to_thread(done, desk, auditing.run_audit, "NetworkAudit")
        audit = {"@type": "EntityRef", "id": found["id"]}
        kind, work = "ResolveDifference", auditing.run_resolution
        chosen = {"audit": audit, "differenceId": ["1"], "remedy": CORRECT_NETWORK}
        resolved = await asyncio.to_thread(done, desk, work, kind, **chosen)
        rest = await asyncio.to_thread(
            done, desk, work, kind, audit=audit, remedy=ACCEPT_INTO_INVENTORY
        )
        return found, resolved, rest, desk.get("NetworkAudit", found["id"]), one.on("sub1")

    found, resolved, rest, after, there = at(desk, secrets, work)
    assert (found["state"], found["checked"], found["differences"]) == ("done", 1, 2)
    assert {one["type"]: one["count"] for one in found["count"]} == {
        SETTING_DIFFERS: 1,
        UNKNOWN_ON_ELEMENT: 1,
    }
    first, second = found["difference"]
    assert (first["type"], first["service"]["id"], first["port"]) == (
        SETTING_DIFFERS,
        "s-1",
        "sub1",
    )
    assert first["element"]["name"] == "gw-a"
    assert (second["type"], "resource" in second) == (UNKNOWN_ON_ELEMENT, False)
    assert (resolved["state"], resolved["resolved"], resolved["failed"]) == ("done", 1, 0)
    assert there == ("s-1", 100_000, 20_000)
    assert rest["resolved"] == 1
    assert [(one["chosen"], one["outcome"]) for one in after["difference"]] == [
        (CORRECT_NETWORK, "done"),
        (ACCEPT_INTO_INVENTORY, "done"),
    ]


def test_a_policy_corrects_but_takes_nothing_off_that_it_does_not_know(desk, secrets):
    async def work(one):
        differing(one)
        one.sell("s-9", "sub3", here=False)
        audit = AuditTasks(secrets).run_audit
        found = await asyncio.to_thread(done, desk, audit, "NetworkAudit", remedy=CORRECT_NETWORK)
        return found, one.on("sub1"), one.on("sub3")[0]

    found, corrected, kept = at(desk, secrets, work)
    assert corrected == ("s-1", 100_000, 20_000)
    assert kept == "s-9"
    assert [(one["chosen"], one["outcome"]) for one in found["difference"]] == [
        (CORRECT_NETWORK, "done"),
        (OPEN_TASK, "done"),
    ]


def test_a_policy_does_nothing_when_everything_differs(desk, secrets):
    async def work():
        async with site(desk, secrets, ports=30) as one:
            for number in range(1, 26):
                one.sell(f"s-{number}", f"sub{number}", there=False)
            audit = AuditTasks(secrets).run_audit
            return (
                await asyncio.to_thread(done, desk, audit, "NetworkAudit", remedy=CORRECT_NETWORK),
                one.gateway.set_count,
            )

    found, sets = asyncio.run(work())
    assert (found["state"], found["differences"], sets) == ("done", 25, 0)
    assert "without a person" in found["message"]


def test_an_audit_of_an_element_that_is_not_there_says_so(desk, secrets):
    found = done(desk, AuditTasks(secrets).run_audit, "NetworkAudit", elementId=["gw-z"])
    assert found["state"] == "terminatedWithError"
    assert "gw-z" in found["message"]


def test_a_remedy_for_a_difference_that_is_not_there_says_so(desk, secrets):
    audit = task(desk, "NetworkAudit", state="done", difference=[])
    found = done(
        desk,
        AuditTasks(secrets).run_resolution,
        "ResolveDifference",
        audit={"@type": "EntityRef", "id": audit["id"]},
        differenceId=["7"],
        remedy=OPEN_TASK,
    )
    assert found["state"] == "terminatedWithError"
    assert "no difference 7" in found["message"]


# On the command line.


def test_the_commands_discover_and_audit(desk, house, mongodb_uri, monkeypatch, tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"lab": LAB}))
    monkeypatch.setenv("TMF_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("TMF_MONGODB_URI", mongodb_uri)
    monkeypatch.setenv("TMF_MONGODB_DATABASE", house.database.name)

    def tmf(*arguments):
        return CliRunner().invoke(main, [*arguments, "--data-dir", str(tmp_path)])

    async def work():
        async with SimulatedGateway("gw-c", ports=4, address=("127.0.2.9", 0)) as gateway:
            host, port = gateway.address
            listed = tmp_path / "elements"
            listed.write_text(
                "# the lab\n"
                + json.dumps({"address": f"{host}:{port}", "credentials": "lab", "options": HASTE})
            )
            outputs = [await asyncio.to_thread(tmf, "discover", str(listed))]
            gateway.port("sub1").tag = "s-77"
            outputs += [await asyncio.to_thread(tmf, "audit")]
            outputs += [
                await asyncio.to_thread(tmf, "audit", "--remedy", ACCEPT_INTO_INVENTORY, "--json")
            ]
            outputs += [await asyncio.to_thread(tmf, "audit", "gw-c")]
            return outputs

    discovered, bad, accepted, after = asyncio.run(work())
    assert discovered.exit_code == 0, discovered.output
    assert "gw-c" in discovered.output
    assert "1 created" in discovered.output
    assert (bad.exit_code, "s-77" in bad.output, UNKNOWN_ON_ELEMENT in bad.output) == (
        1,
        True,
        True,
    )
    assert accepted.exit_code == 0, accepted.output
    assert (after.exit_code, "1 services on 1 elements: no difference" in after.output) == (0, True)
    assert tmf("audit", "gw-z").exit_code == 1
    assert tmf("discover", "10.0.0.0/8").exit_code == 1
