"""Elements get from the network into the inventory, whatever they say and whoever else is at it."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from adapters.credentials import Credentials
from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Component, Facts, Inventory, Neighbour, Port, Target
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import managed_elements, ports_by_key
from tmf_apis.inventory.ports import element_id_of, service_of
from tmf_apis.inventory.resource_state import ResourceUsage, ServiceUse, set_use
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation import links, snapshots
from tmf_apis.reconciliation.discovery import Candidate, Discovery, DiscoveryResult
from tmf_apis.reconciliation.inventory_update import store_snapshot
from tmf_apis.reconciliation.matching import ElementIndex, match
from tmf_apis.reconciliation.snapshots import InconsistentSnapshot
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

HASTE = {"timeout": "0.4", "retries": "0"}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def house(_mongo_client, tmp_path_factory):
    """An engine on a database of this module; making its indexes takes longer than any test."""
    folder = tmp_path_factory.mktemp("house")
    database = _mongo_client["test_discovery"]
    made = Engine(
        Settings(mongodb_database=database.name, data_dir=folder),
        load_contracts(CONTRACTS_DIR, folder / "cache"),
        database,
    )
    made.prepare()
    yield made
    _mongo_client.drop_database(database.name)


@pytest.fixture
def engine(house):
    clear(house)
    return house


@pytest.fixture
def desk(engine):
    return RepositoryFactory(engine.writer, "test").for_tenant("default")


@pytest.fixture
def secrets(tmp_path):
    """Credentials that tests may add to."""
    file = tmp_path / "credentials.json"
    file.write_text("{}")

    class Secrets(Credentials):
        def add(self, more):
            file.write_text(json.dumps({**json.loads(file.read_text()), **more}))

    return Secrets(file)


def picture(name="gw", address="192.0.2.1", *, serial="", ports=3, **more):
    """An element with some ports as it shows itself."""
    facts = Facts(name, "maker", "box", "1.0", serial, 5.0, 1)
    found = tuple(
        Port(f"p{n}", str(n), "", enabled=True, up=True, speed=10**9, mac="", access=True)
        for n in range(1, ports + 1)
    )
    seen = Inventory(facts, more.pop("found", found), NOW, **more)
    return snapshots.validated_snapshot(Target(name, address, "snmp", "lab"), seen)


def take(desk, *shown):
    """Bring pictures into the inventory and return the outcome of each, by address."""
    elements = ElementIndex()
    for one in managed_elements(desk):
        elements.put(one)
    outcomes = {}
    for one in match(shown, elements):
        if one.inconsistency or one.is_duplicate:
            outcomes[one.snapshot.target.address] = "inDoubt" if one.inconsistency else "same"
        else:
            stored = store_snapshot(desk, one.snapshot, one.known_element, elements)
            outcomes[one.snapshot.target.address] = stored.status
    links.update_links(desk)
    return outcomes


def inventory(desk):
    """All resources by id, as they are stored."""
    return {one["id"]: one for one in desk.find("Resource", {}, limit=10_000)}


def clear(engine):
    engine.database["Resource"].delete_many({})


def element(desk, name="gw"):
    (found,) = (one for one in managed_elements(desk) if one["name"] == name)
    return found


# What an element is.


def test_an_element_comes_with_its_ports_and_parts(desk):
    parts = (
        Component("slot 1", "card", "frame", "card-48", "C-1", "7"),
        Component("frame", "chassis", "", "frame-2", "S-77"),
    )
    assert take(desk, picture(components=parts)) == {"192.0.2.1": "created"}
    gateway = element(desk)
    said = resource_characteristics(gateway)
    assert (said["managementAddress"], said["model"], said["systemName"]) == (
        *("192.0.2.1", "box", "gw"),
    )
    assert gateway["serialNumber"] == "S-77"
    assert sorted(ports_by_key(desk, gateway["id"])) == ["p1", "p2", "p3"]
    (frame,) = desk.find("Resource", {"category": "chassis"})
    (card,) = desk.find("Resource", {"category": "card"})
    assert (element_id_of(card), element_id_of(frame)) == (frame["id"], gateway["id"])
    assert (card["serialNumber"], resource_characteristics(card)["model"]) == ("C-1", "card-48")
    contained = {
        one["resource"]["id"]
        for one in gateway["resourceRelationship"]
        if one["relationshipType"] == "contains"
    }
    assert contained == {
        frame["id"],
        *(one["id"] for one in ports_by_key(desk, gateway["id"]).values()),
    }


def test_what_is_found_again_is_left_as_it_is(desk):
    one = picture(components=(Component("frame", "chassis", "", "", "S-1"),))
    take(desk, one)
    before = inventory(desk)
    assert take(desk, one) == {"192.0.2.1": "unchanged"}
    assert inventory(desk) == before


def test_new_parts_are_announced_like_any_other_resource(desk, engine):
    take(desk, picture())
    events = [
        event["what"] for one in engine.database["Resource"].find() for event in one["events"]
    ]
    assert events.count("Create") == 4


def test_a_port_that_is_gone_is_marked_and_comes_back(desk):
    take(desk, picture())
    take(desk, picture(ports=2))
    gateway = element(desk)
    gone = ports_by_key(desk, gateway["id"])["p3"]
    assert gone["operationalState"] == "disabled"
    since = resource_characteristics(gone)["missingSince"]
    assert take(desk, picture(ports=2)) == {"192.0.2.1": "unchanged"}
    assert (
        resource_characteristics(ports_by_key(desk, gateway["id"])["p3"])["missingSince"] == since
    )
    assert take(desk, picture()) == {"192.0.2.1": "updated"}
    back = ports_by_key(desk, gateway["id"])["p3"]
    assert back["operationalState"] == "enabled"
    assert "missingSince" not in resource_characteristics(back)


def test_what_fulfilment_and_people_have_written_stays(desk):
    take(desk, picture())
    gateway = element(desk)
    port = ports_by_key(desk, gateway["id"])["p1"]
    use = ServiceUse(ResourceUsage("svc-1", {"downstream": 10**8, "upstream": 10**7}, "o-1"))
    desk.change("Resource", port["id"], lambda old: set_use(old, use))
    note = [{"@type": "Note", "text": "the one by the window"}]
    desk.change("Resource", port["id"], lambda old: {**old, "note": note, "name": "window"})
    take(desk, picture(found=(replace(picture().ports[0], up=False, speed=10**8),)))
    kept = ports_by_key(desk, gateway["id"])["p1"]
    assert (service_of(kept), kept["note"], kept["name"]) == ("svc-1", note, "window")
    assert (kept["operationalState"], kept["usageState"]) == ("disabled", "idle")
    assert resource_characteristics(kept)["downstreamSpeed"] == 100
    take(desk, picture())
    assert ports_by_key(desk, gateway["id"])["p1"]["usageState"] == "active"


# Which element it is.


def test_a_renamed_element_is_known_by_its_serial_number(desk):
    take(desk, picture("old", serial="S-1"))
    id = element(desk, "old")["id"]
    assert take(desk, picture("new", serial="S-1")) == {"192.0.2.1": "updated"}
    renamed = element(desk, "new")
    assert renamed["id"] == id
    assert {one["name"] for one in ports_by_key(desk, id).values()} == {
        "new p1",
        "new p2",
        "new p3",
    }
    assert len(inventory(desk)) == 4


def test_a_name_that_people_gave_stays_when_the_element_is_renamed(desk):
    take(desk, picture("old", serial="S-1"))
    id = element(desk, "old")["id"]
    desk.change("Resource", id, lambda old: {**old, "name": "Main Street"})
    take(desk, picture("new", serial="S-1"))
    found = element(desk, "Main Street")
    assert (found["id"], resource_characteristics(found)["systemName"]) == (id, "new")


def test_an_element_takes_its_history_to_another_address(desk):
    take(desk, picture(serial="S-1", address="192.0.2.1"))
    id = element(desk)["id"]
    take(desk, picture(serial="S-1", address="192.0.2.9"))
    assert element(desk)["id"] == id
    assert resource_characteristics(element(desk))["managementAddress"] == "192.0.2.9"


def test_a_box_replaced_by_another_of_the_same_name_keeps_its_place(desk):
    take(desk, picture(serial="S-1"))
    id = element(desk)["id"]
    assert take(desk, picture(serial="S-2")) == {"192.0.2.1": "updated"}
    assert (element(desk)["id"], element(desk)["serialNumber"]) == (id, "S-2")


def test_two_addresses_of_one_element_are_one_element(desk):
    shown = picture(serial="S-1"), picture(serial="S-1", address="192.0.2.2")
    assert take(desk, *shown) == {"192.0.2.1": "created", "192.0.2.2": "same"}
    assert len(managed_elements(desk)) == 1


def test_a_serial_number_on_two_elements_is_in_doubt(desk):
    shown = picture("a", serial="S-1"), picture("b", serial="S-1", address="192.0.2.2")
    assert take(desk, *shown) == {"192.0.2.1": "created", "192.0.2.2": "inDoubt"}


def test_two_elements_of_one_name_without_serial_number_are_in_doubt(desk):
    shown = picture("x"), picture("x", address="192.0.2.2")
    assert take(desk, *shown) == {"192.0.2.1": "created", "192.0.2.2": "inDoubt"}


def test_another_element_at_a_known_address_is_in_doubt(desk):
    take(desk, picture("a", serial="S-1"))
    before = inventory(desk)
    assert take(desk, picture("b", serial="S-2")) == {"192.0.2.1": "inDoubt"}
    assert inventory(desk) == before


def test_serial_numbers_that_say_nothing_are_none():
    for serial in ("N/A", "To Be Filled By O.E.M.", "0000000", "  "):
        assert picture(serial=serial).serial == ""


def test_two_new_elements_of_one_name_get_names_of_their_own(desk):
    shown = picture("x", serial="S-1"), picture("x", serial="S-2", address="192.0.2.2")
    assert set(take(desk, *shown).values()) == {"created"}
    assert sorted(one["name"] for one in managed_elements(desk)) == ["x", "x S-2"]


# What an element may claim.


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"ports": 5000}, "claims 5000 ports"),
        ({"found": (picture(ports=1).ports[0],) * 2}, "2 of its ports are called 'p1'"),
        ({"found": (replace(picture(ports=1).ports[0], name="x" * 300),)}, "is called"),
        ({"found": (replace(picture(ports=1).ports[0], name=""),)}, "is called ''"),
        ({"components": (Component("a", "card"),) * 2}, "2 of its parts"),
    ],
)
def test_what_contradicts_itself_is_in_doubt(seen, why):
    with pytest.raises(InconsistentSnapshot, match=why):
        picture(**seen)


def test_parts_inside_themselves_hang_on_the_element(desk):
    loop = (Component("a", "card", "b"), Component("b", "card", "a"))
    shown = picture(components=loop)
    assert shown.anomalies
    take(desk, shown)
    assert len(desk.find("Resource", {"category": "card"})) == 2
    assert take(desk, shown) == {"192.0.2.1": "unchanged"}


def test_text_of_an_element_is_one_line_that_fits():
    shown = picture("gw\n\x1b[31m" + "x" * 500)
    assert shown.facts.name.isprintable()
    assert len(shown.facts.name) <= 255


def test_addresses_that_are_none_are_left_out():
    port = replace(picture(ports=1).ports[0], addresses=("192.0.2.7/24", "<script>"))
    shown = picture(found=(port,))
    assert shown.ports[0].addresses == ("192.0.2.7/24",)
    assert shown.anomalies == ("port p1 has the address '<script>'",)


# Cables.


def cabled(name, address, *ends, **more):
    neighbours = tuple(Neighbour(port, system, chassis, far) for port, system, chassis, far in ends)
    return picture(name, address, neighbours=neighbours, **more)


def ends_of(desk, name, port):
    found = ports_by_key(desk, element(desk, name)["id"])[port]
    return {
        one["resource"]["name"]
        for one in found.get("resourceRelationship", [])
        if one["relationshipType"] == "connectedTo"
    }


A = cabled("a", "192.0.2.1", ("p1", "b", "", "p2"))
B = cabled("b", "192.0.2.2", ("p2", "a", "", "p1"))
SILENT = picture("b", "192.0.2.2")


@pytest.mark.parametrize("order", [[(A, B)], [(A,), (B,)], [(B,), (A,)], [(A,), (SILENT,)]])
def test_a_cable_is_known_at_both_ends_in_whatever_order_they_are_found(desk, order):
    for shown in order:
        take(desk, *shown)
    assert ends_of(desk, "a", "p1") == {"b p2"}
    assert ends_of(desk, "b", "p2") == {"a p1"}


def test_a_cable_that_was_moved_is_connected_anew(desk):
    take(desk, A, B)
    moved = cabled("a", "192.0.2.1", ("p3", "b", "", "p2"))
    take(desk, moved, cabled("b", "192.0.2.2", ("p2", "a", "", "p3")))
    assert ends_of(desk, "a", "p1") == set()
    assert ends_of(desk, "a", "p3") == {"b p2"}
    assert ends_of(desk, "b", "p2") == {"a p3"}


def test_a_cable_that_people_have_drawn_stays(desk):
    take(desk, picture("a"), SILENT)
    far = ports_by_key(desk, element(desk, "b")["id"])["p1"]
    near = ports_by_key(desk, element(desk, "a")["id"])["p1"]
    drawn = {
        "@type": "ResourceRelationship",
        "relationshipType": "connectedTo",
        "resource": {"@type": "ResourceRef", "id": far["id"], "name": "b p1"},
    }
    relations = [*near["resourceRelationship"], drawn]
    desk.change("Resource", near["id"], lambda old: {**old, "resourceRelationship": relations})
    take(desk, picture("a"), SILENT)
    assert ends_of(desk, "a", "p1") == {"b p1"}


def test_a_neighbour_is_known_by_hardware_addresses(desk):
    mac = "02:00:5e:00:00:0a"
    port = replace(picture(ports=1).ports[0], mac=mac)
    take(
        desk,
        cabled("a", "192.0.2.1", ("p1", "", mac.upper().replace(":", "-"), mac)),
        picture("b", "192.0.2.2", found=(port,)),
    )
    assert ends_of(desk, "a", "p1") == {"b p1"}


def test_a_neighbour_that_could_be_several_is_none(desk):
    a = cabled("a", "192.0.2.1", ("p1", "x", "", "p1"))
    twins = picture("x", "192.0.2.2", serial="1a"), picture("x", "192.0.2.3", serial="2b")
    take(desk, a, *twins)
    assert ends_of(desk, "a", "p1") == set()


# Whatever the order.

NETWORK = (
    A,
    B,
    picture("c", "192.0.2.3", serial="S-3", components=(Component("f", "chassis"),)),
    picture("c", "192.0.2.4", serial="S-3"),
    picture("d", "192.0.2.5", serial="S-3"),
    picture("c", "192.0.2.6", serial="S-6"),
    picture("a", "192.0.2.7"),
    picture("", "192.0.2.8"),
)


def test_the_order_in_which_elements_are_looked_at_makes_no_difference(desk, engine):
    wanted = None
    for order in itertools.islice(itertools.permutations(NETWORK), 0, 40_000, 5003):
        clear(engine)
        take(desk, *order)
        found = inventory(desk)
        wanted = wanted or found
        assert found == wanted
        assert set(take(desk, *reversed(order)).values()) <= {"unchanged", "same", "inDoubt"}
        assert inventory(desk) == wanted


names = st.sampled_from(["a", "b", "c"])
shapes = st.builds(
    lambda name, host, serial, ports: picture(name, f"192.0.2.{host}", serial=serial, ports=ports),
    names,
    st.integers(1, 5),
    st.sampled_from(["", "S-1", "S-2"]),
    st.integers(0, 3),
)


@given(st.lists(shapes, max_size=5, unique_by=lambda one: one.target.address))
@hypothesis_settings(max_examples=15, deadline=None)
def test_discovering_twice_changes_nothing(house, shown):
    desk = RepositoryFactory(house.writer, "test").for_tenant("default")
    clear(house)
    take(desk, *shown)
    before = inventory(desk)
    take(desk, *reversed(shown))
    assert inventory(desk) == before
    assert len({one["name"] for one in managed_elements(desk)}) == len(managed_elements(desk))


# Over the wire.


@asynccontextmanager
async def network(*addresses, **more):
    """Simulated gateways, each at an address of its own."""
    running = []
    try:
        for number, address in enumerate(addresses):
            made = SimulatedGateway(f"gw-{number}", address=(address, 0), **more)
            running.append(await made.__aenter__())
        yield running
    finally:
        for one in running:
            await one.__aexit__(None, None, None)


def candidate(gateway, *credentials, named=True):
    host, port = gateway.address
    return Candidate(
        DiscoveryTarget(f"{host}:{port}", is_explicit=named), "snmp", credentials, HASTE
    )


def run(work):
    return asyncio.run(work)


def test_elements_are_found_with_whichever_credentials_they_take(desk, secrets):
    secrets.add({"wrong": {"community": "wrong"}, "right": {"community": "simulated"}})

    async def go():
        async with network("127.0.1.1", "127.0.1.2") as (one, two):
            found = await Discovery(desk, secrets).run(
                [candidate(one, "wrong", "right"), candidate(two, "right")]
            )
            again = await Discovery(desk, secrets).run([candidate(two), candidate(one)])
            return found, again

    found, again = run(go())
    assert (found.count("created"), again.count("unchanged")) == (2, 2)
    assert {resource_characteristics(one)["credentials"] for one in managed_elements(desk)} == {
        "right"
    }


def test_what_does_not_answer_is_told_of_only_where_it_was_named(desk, secrets):
    secrets.add({"lab": {"community": "public"}})
    places = [
        Candidate(DiscoveryTarget("127.0.1.3:9", is_explicit=True), "snmp", ("lab",), HASTE),
        Candidate(DiscoveryTarget("127.0.1.4:9", is_explicit=False), "snmp", ("lab",), HASTE),
    ]
    found = run(Discovery(desk, secrets).run(places))
    assert (found.count("unreachable"), found.count("silent")) == (1, 1)
    assert [one.address for one in found.outcomes] == ["127.0.1.3:9"]
    assert inventory(desk) == {}


def test_an_element_that_vanishes_in_the_middle_leaves_the_inventory_whole(desk, secrets):
    secrets.add({"right": {"community": "simulated"}})

    async def go():
        async with network("127.0.1.5", "127.0.1.6", ports=40) as (one, two):
            await Discovery(desk, secrets).run([candidate(one, "right")])
            before = inventory(desk)
            for port in one.ports.values():
                port.name = f"x{port.name}"  # it would have 42 other ports ...
            answered = 0

            def vanish(datagram, source, heard=one.datagram_received):
                nonlocal answered
                answered += 1
                if answered < 6:
                    heard(datagram, source)

            one.datagram_received = vanish  # ... but it is gone before it has told all
            for wrong in ("silent", "send_garbage", "endless_tables"):
                setattr(two.fault_injection, wrong, True)
                found = await Discovery(desk, secrets).run(
                    [candidate(one, "right"), candidate(two, "right")]
                )
                assert found.count("created") + found.count("updated") == 0, wrong
                assert found.targets_done == 2
                setattr(two.fault_injection, wrong, False)
            return before

    assert run(go()) == inventory(desk)


def test_two_discoveries_at_once_make_one_inventory(desk, secrets):
    secrets.add({"right": {"community": "simulated"}})

    async def go():
        async with network("127.0.1.7", "127.0.1.8", "127.0.1.9", ports=8) as running:
            candidates = [candidate(one, "right") for one in running]
            runs = (Discovery(desk, secrets).run(candidates) for _ in range(3))
            return await asyncio.gather(*runs)

    for found in run(go()):
        assert found.targets_done == 3
    assert len(managed_elements(desk)) == 3
    assert len(desk.find("Resource", {"category": "accessPort"})) == 24
    for one in managed_elements(desk):
        assert len(ports_by_key(desk, one["id"])) == 9


def test_an_element_with_two_addresses_keeps_the_one_that_is_known(desk, secrets):
    secrets.add({"right": {"community": "simulated"}})

    async def go():
        async with network("127.0.1.10") as (one,), network("127.0.1.11") as (other,):
            await Discovery(desk, secrets).run([candidate(one, "right")])
            return one.address, await Discovery(desk, secrets).run([candidate(other, "right")])

    (host, port), found = run(go())
    assert found.count("unchanged") == 1
    assert (
        resource_characteristics(managed_elements(desk)[0])["managementAddress"] == f"{host}:{port}"
    )


def test_it_goes_on_past_what_is_refused(desk, secrets):
    place = Candidate(DiscoveryTarget("127.0.1.12:9", is_explicit=True), "no-such-adapter")
    found = run(Discovery(desk, secrets).run([place]))
    assert isinstance(found, DiscoveryResult)
    (one,) = found.outcomes
    assert one.status == "refused"
    assert "no such adapter" in one.message


# A real agent.


@pytest.fixture
def lab():
    with SnmpLab(trap_port=16168) as running:
        yield running


@pytest.mark.skipif(lab_unavailable_reason() is not None, reason=str(lab_unavailable_reason()))
def test_a_real_snmpd_is_discovered_and_found_again_unchanged(desk, secrets, lab):
    secrets.add(lab.credentials)
    target = lab.target
    options = {**target.options, "timeout": "2"}
    place = Candidate(
        DiscoveryTarget(target.address, is_explicit=True),
        target.adapter,
        (target.credentials,),
        options,
    )
    found = run(Discovery(desk, secrets).run([place]))
    assert [one.status for one in found.outcomes] == ["created"], found.outcomes
    (gateway,) = managed_elements(desk)
    ports = ports_by_key(desk, gateway["id"])
    assert {one for one in ports if one.startswith("sub")}
    assert len(resource_characteristics(next(iter(ports.values())))["macAddress"]) == 17
    before = inventory(desk)
    again = run(Discovery(desk, secrets).run([place]))
    assert [one.status for one in again.outcomes] == ["unchanged"]
    assert inventory(desk) == before
