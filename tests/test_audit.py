"""What services say and what elements have: every difference is found, and can be resolved."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from click.testing import CliRunner

from adapters import mib
from adapters.credentials import Credentials
from adapters.simulator import SimulatedGateway
from adapters.values import Observed, Target
from tmf_apis.cli import main
from tmf_apis.elements.connections import Connections
from tmf_apis.engine import CONTRACTS, Engine
from tmf_apis.fulfilment.elements import gateways, ports_of
from tmf_apis.fulfilment.reservation import holdings
from tmf_apis.fulfilment.reservation.holdings import Claim, Use
from tmf_apis.fulfilment.values import Usage
from tmf_apis.reconciliation.audit import Audit, chosen
from tmf_apis.reconciliation.auditing import Auditing
from tmf_apis.reconciliation.comparing import (
    ACCEPT,
    CORRECT,
    DOUBT,
    GONE,
    MISSING,
    PORT,
    SETTING,
    TASK,
    UNKNOWN,
    compare,
)
from tmf_apis.reconciliation.discovery import register
from tmf_apis.reconciliation.expecting import Expected, View
from tmf_apis.reconciliation.remedies import Remedies
from tmf_apis.rest.contracts import load
from tmf_apis.rest.desk import Desks
from tmf_apis.settings import Settings

HASTE = {"timeout": "0.4", "retries": "0"}
SPEEDS = {"downstream": 100_000_000, "upstream": 20_000_000}
LAB = {"community": "simulated"}


# The comparison, pure.


def expected(service, port="p1", **more):
    resource = more.pop("resource", {"id": f"r-{port}"})
    return Expected(service, port, more.pop("settings", SPEEDS), resource, **more)


def observed(service, port="p1", **settings):
    return Observed(service, port, {**SPEEDS, **settings}, up=True)


def types(view, *seen, ports=None):
    return [one.type for one in compare(view, seen, ports)]


@pytest.mark.parametrize(
    ("view", "seen", "ports", "wanted"),
    [
        (View(), [], None, []),
        (View([expected("s")]), [observed("s")], None, []),
        (View([expected("s")]), [], {"p1"}, [MISSING]),
        (View([expected("s")]), [], {"p2"}, [GONE]),
        (View([expected("s")]), [observed("s", upstream=1)], None, [SETTING]),
        (View([expected("s")]), [observed("s", "p2")], None, [PORT]),
        (View(), [observed("s")], None, [UNKNOWN]),
        (View([expected("s", state="terminated")]), [observed("s")], None, [UNKNOWN]),
        (View([expected("s", state="terminated")]), [], None, [DOUBT]),
        (View([expected("s"), expected("s", "p2")]), [observed("s")], None, [DOUBT, DOUBT]),
        (View([expected("s")]), [observed("s"), observed("s", "p2")], None, [DOUBT]),
        (View([expected("a"), expected("b")]), [observed("a")], None, [DOUBT, DOUBT]),
        (View([expected("a")]), [observed("b")], {"p1"}, [MISSING, UNKNOWN]),
        (
            View([expected("s", resource={"id": "r", "unknownStatus": True})]),
            [observed("s")],
            None,
            [DOUBT],
        ),
        (View(doubtful={"p1": {"id": "r"}}), [], None, [DOUBT]),
        (View(held={"p1"}), [observed("s")], None, []),
        (View(moving={"s"}), [observed("s", "p7")], None, []),
        (View([expected("s", settings={})]), [observed("s")], None, []),
    ],
)
def test_each_kind_of_difference_is_told_from_the_others(view, seen, ports, wanted):
    assert types(view, *seen, ports=frozenset(ports) if ports else None) == wanted


def test_a_setting_that_the_element_does_not_tell_is_no_difference():
    view = View([expected("s", settings={**SPEEDS, "colour": "blue"})])
    assert types(view, observed("s")) == []


def test_a_difference_says_what_should_be_and_what_is():
    (one,) = compare(View([expected("s")]), [observed("s", downstream=5)])
    assert one.message == "downstream is 5 instead of 100000000"
    assert (one.expected["downstream"], one.observed["downstream"]) == (100_000_000, 5)


# On a real database and over the wire.


@pytest.fixture(scope="module")
def house(_client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    database = _client["test_audit"]
    made = Engine(
        Settings(mongodb_database=database.name, data_dir=folder),
        load(CONTRACTS, folder / "cache"),
        database,
    )
    made.prepare()
    yield made
    _client.drop_database(database.name)


@pytest.fixture
def desk(house):
    for kind in ("Resource", "Service", "NetworkAudit", "ResolveDifference", "FalloutTask"):
        house.database[kind].delete_many({})
    return Desks(house.writes, "test").staff("default")


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
        (found,) = (one for one in gateways(self.desk) if one["name"] == self.gateway.name)
        return found

    def port(self, name):
        return ports_of(self.desk, self.element["id"])[name]

    def on(self, name):
        """Tag and rates in kbit/s of a port of the element."""
        found = self.gateway.port(name)
        return found.tag, found.down, found.up

    def sell(self, service, port, *, here=True, there=True):
        """Put a service on a port: in the inventory, on the element or both."""
        if here:
            use = Use(Usage(service, dict(SPEEDS), "o-1"), product=service)
            self.desk.change(
                "Resource", self.port(port)["id"], lambda old: holdings.in_use(old, use)
            )
        if there:
            found = self.gateway.port(port)
            found.tag, found.down, found.up = service, 100_000, 20_000

    async def audit(self):
        return await Audit(self.desk, self.connections).run(gateways(self.desk))

    async def differences(self):
        return [one for _, one in (await self.audit()).differences]

    async def resolve(self, remedy):
        (one,) = await self.differences()
        return await Remedies(self.desk, self.connections, "a-1").apply(self.element, one, remedy)


@asynccontextmanager
async def site(desk, secrets, name="gw-a", ports=6):
    connections = Connections(secrets)
    async with SimulatedGateway(name, ports=ports, address=("127.0.2.1", 0)) as gateway:
        one = Site(desk, gateway, connections)
        async with connections.to(one.target) as adapter:
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
    one.gateway.port("sub1").down = 5_000


def elsewhere(one):
    one.sell("s-1", "sub1", there=False)
    one.sell("s-1", "sub2", here=False)


def lost(one):
    one.sell("s-1", "sub6")
    del one.gateway.ports[8]


def doubtful(one):
    one.sell("s-1", "sub1")
    port = one.port("sub1")["id"]
    one.desk.change("Resource", port, lambda old: holdings.in_doubt(old, "o-1/1#1", "no answer"))


FAULTS = {
    missing: MISSING,
    unknown: UNKNOWN,
    differing: SETTING,
    elsewhere: PORT,
    lost: GONE,
    doubtful: DOUBT,
}
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.__name__)


@every_fault
def test_a_difference_is_found_and_nothing_is_changed(desk, secrets, fault):
    async def work(one):
        fault(one)
        before = desk.find("Resource", {})
        found = await one.differences()
        assert desk.find("Resource", {}) == before
        assert one.gateway.sets == 0
        return found

    (one,) = at(desk, secrets, work)
    assert one.type == FAULTS[fault]
    assert one.service == "s-1"


@pytest.mark.parametrize("fault", [missing, unknown, differing, elsewhere])
def test_the_network_is_corrected(desk, secrets, fault):
    async def work(one):
        fault(one)
        outcome = await one.resolve(CORRECT)
        assert (outcome.what, outcome.message) == ("done", "")
        assert await one.differences() == []
        assert holdings.holder_of(one.port("sub1")) == ""
        return one.on("sub1"), one.on("sub2")

    there = ("", 0, 0) if fault is unknown else ("s-1", 100_000, 20_000)
    assert at(desk, secrets, work) == (there, ("", 0, 0))


@every_fault
def test_what_is_there_is_accepted_into_the_inventory(desk, secrets, fault):
    async def work(one):
        fault(one)
        outcome = await one.resolve(ACCEPT)
        assert outcome.what == "done", outcome.message
        assert one.gateway.sets == 0
        ports = ports_of(desk, one.element["id"])
        return await one.differences(), ports

    left, ports = at(desk, secrets, work)
    assert [found.type for found in left] == ([GONE] if fault is lost else [])
    services = {name: holdings.use_of(port).usage for name, port in ports.items()}
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
        assert [(await one.resolve(TASK)).what for _ in range(2)] == ["done", "done"]
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
        return await one.resolve(ACCEPT)

    assert at(desk, secrets, work).what == "done"
    now = desk.get("Service", "s-1")["serviceCharacteristic"]
    assert [one["value"] for one in now] == [5, "blue"]


def test_what_an_order_works_on_is_left_alone(desk, secrets):
    async def work(one):
        one.sell("s-1", "sub1", here=False)  # applied, not yet in the inventory
        one.sell("s-2", "sub2", there=False)  # about to go
        for port, service in (("sub1", ""), ("sub2", "s-2")):
            claim = Claim.made("o-9/1#1", desk.now, holdings.timedelta(hours=1), service)
            id = one.port(port)["id"]
            desk.change("Resource", id, lambda old, claim=claim: holdings.reserved(old, claim))
        result = await one.audit()
        return result.differences, result.in_flight, result.checked

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
        claim = Claim.made("o-9/1#1", desk.now, holdings.timedelta(hours=1), "s-1")
        desk.change("Resource", one.port("sub1")["id"], lambda old: holdings.reserved(old, claim))
        outcome = await Remedies(desk, one.connections, "a").apply(one.element, found, CORRECT)
        return outcome.what, one.gateway.sets

    assert at(desk, secrets, work) == ("noLongerThere", 0)


def test_a_difference_that_has_changed_is_not_resolved_as_it_was(desk, secrets):
    async def work(one):
        differing(one)
        (found,) = await one.differences()
        one.gateway.port("sub1").down = 7_000
        outcome = await Remedies(desk, one.connections, "a").apply(one.element, found, ACCEPT)
        return outcome.what, one.gateway.port("sub1").down

    assert at(desk, secrets, work) == ("noLongerThere", 7_000)


@pytest.mark.parametrize("wrong", ["refuse", "lie", "silent"])
def test_an_element_that_cannot_be_corrected_is_left_as_it_was(desk, secrets, wrong):
    async def work(one):
        differing(one)
        (found,) = await one.differences()
        misbehaviour = one.gateway.misbehaviour
        if wrong == "refuse":
            misbehaviour.refuse[mib.SVC_DOWN_KBPS] = 10
        else:
            setattr(misbehaviour, wrong, True)
        outcome = await Remedies(desk, one.connections, "a").apply(one.element, found, CORRECT)
        misbehaviour.refuse.clear()
        misbehaviour.lie = misbehaviour.silent = False
        assert holdings.holder_of(one.port("sub1")) == ""
        return outcome.what, one.on("sub1")

    assert at(desk, secrets, work) == ("failed", ("s-1", 5_000, 20_000))


def test_an_element_that_does_not_answer_is_no_difference(desk, secrets):
    async def work(one):
        missing(one)
        one.gateway.misbehaviour.silent = True
        return await one.audit()

    result = at(desk, secrets, work)
    assert (result.differences, list(result.unreachable), result.elements) == ([], ["gw-a"], 0)


def test_elements_are_chosen_by_id_or_name(desk, secrets):
    async def work(one):
        return one.element["id"]

    id = at(desk, secrets, work)
    assert [one["id"] for one in chosen(desk, [id, "gw-a"])] == [id]
    with pytest.raises(ValueError, match="no such element in the inventory: gw-z"):
        chosen(desk, ["gw-z"])


# As tasks.


def task(desk, kind, **attributes):
    return desk.create(kind, {"@type": kind, **attributes})


def done(desk, work, kind, **attributes):
    made = task(desk, kind, **attributes)
    work(desk, made)
    return desk.get(kind, made["id"])


def test_an_audit_tells_what_it_found_and_takes_remedies(desk, secrets):
    auditing = Auditing(secrets)

    async def work(one):
        differing(one)
        one.sell("s-9", "sub3", here=False)
        found = await asyncio.to_thread(done, desk, auditing.audit, "NetworkAudit")
        audit = {"@type": "EntityRef", "id": found["id"]}
        kind, work = "ResolveDifference", auditing.resolve
        chosen = {"audit": audit, "differenceId": ["1"], "remedy": CORRECT}
        resolved = await asyncio.to_thread(done, desk, work, kind, **chosen)
        rest = await asyncio.to_thread(done, desk, work, kind, audit=audit, remedy=ACCEPT)
        return found, resolved, rest, desk.get("NetworkAudit", found["id"]), one.on("sub1")

    found, resolved, rest, after, there = at(desk, secrets, work)
    assert (found["state"], found["checked"], found["differences"]) == ("done", 1, 2)
    assert {one["type"]: one["count"] for one in found["count"]} == {SETTING: 1, UNKNOWN: 1}
    first, second = found["difference"]
    assert (first["type"], first["service"]["id"], first["port"]) == (SETTING, "s-1", "sub1")
    assert first["element"]["name"] == "gw-a"
    assert (second["type"], "resource" in second) == (UNKNOWN, False)
    assert (resolved["state"], resolved["resolved"], resolved["failed"]) == ("done", 1, 0)
    assert there == ("s-1", 100_000, 20_000)
    assert rest["resolved"] == 1
    assert [(one["chosen"], one["outcome"]) for one in after["difference"]] == [
        (CORRECT, "done"),
        (ACCEPT, "done"),
    ]


def test_a_policy_corrects_but_takes_nothing_off_that_it_does_not_know(desk, secrets):
    async def work(one):
        differing(one)
        one.sell("s-9", "sub3", here=False)
        audit = Auditing(secrets).audit
        found = await asyncio.to_thread(done, desk, audit, "NetworkAudit", remedy=CORRECT)
        return found, one.on("sub1"), one.on("sub3")[0]

    found, corrected, kept = at(desk, secrets, work)
    assert corrected == ("s-1", 100_000, 20_000)
    assert kept == "s-9"
    assert [(one["chosen"], one["outcome"]) for one in found["difference"]] == [
        (CORRECT, "done"),
        (TASK, "done"),
    ]


def test_a_policy_does_nothing_when_everything_differs(desk, secrets):
    async def work():
        async with site(desk, secrets, ports=30) as one:
            for number in range(1, 26):
                one.sell(f"s-{number}", f"sub{number}", there=False)
            audit = Auditing(secrets).audit
            return (
                await asyncio.to_thread(done, desk, audit, "NetworkAudit", remedy=CORRECT),
                one.gateway.sets,
            )

    found, sets = asyncio.run(work())
    assert (found["state"], found["differences"], sets) == ("done", 25, 0)
    assert "without a person" in found["message"]


def test_an_audit_of_an_element_that_is_not_there_says_so(desk, secrets):
    found = done(desk, Auditing(secrets).audit, "NetworkAudit", elementId=["gw-z"])
    assert found["state"] == "terminatedWithError"
    assert "gw-z" in found["message"]


def test_a_remedy_for_a_difference_that_is_not_there_says_so(desk, secrets):
    audit = task(desk, "NetworkAudit", state="done", difference=[])
    found = done(
        desk,
        Auditing(secrets).resolve,
        "ResolveDifference",
        audit={"@type": "EntityRef", "id": audit["id"]},
        differenceId=["7"],
        remedy=TASK,
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
            outputs += [await asyncio.to_thread(tmf, "audit", "--remedy", ACCEPT, "--json")]
            outputs += [await asyncio.to_thread(tmf, "audit", "gw-c")]
            return outputs

    discovered, bad, accepted, after = asyncio.run(work())
    assert discovered.exit_code == 0, discovered.output
    assert "gw-c" in discovered.output
    assert "1 created" in discovered.output
    assert (bad.exit_code, "s-77" in bad.output, UNKNOWN in bad.output) == (1, True, True)
    assert accepted.exit_code == 0, accepted.output
    assert (after.exit_code, "1 services on 1 elements: no difference" in after.output) == (0, True)
    assert tmf("audit", "gw-z").exit_code == 1
    assert tmf("discover", "10.0.0.0/8").exit_code == 1
