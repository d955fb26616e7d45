"""Discovery: elements are read from the network and written into the inventory."""

import asyncio
import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Component, Neighbour
from tests.support.snapshots import access_port, element_snapshot
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import managed_elements, ports_by_key
from tmf_apis.inventory.ports import element_id_of, service_of
from tmf_apis.inventory.resource_state import ResourceUsage, ServiceUse, set_use
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation import links
from tmf_apis.reconciliation.discovery import Candidate, Discovery, DiscoveryResult
from tmf_apis.reconciliation.inventory_update import store_snapshot
from tmf_apis.reconciliation.matching import ElementIndex, match
from tmf_apis.rest.pipeline.repository import RepositoryFactory

#: Options of the adapter: a silent element is given up after two seconds.
OPTIONS = {"timeout": "2", "retries": "0"}


def store(repository, *snapshots):
    """Write snapshots into the inventory and return the status of each by address."""
    index = ElementIndex()
    for element in managed_elements(repository):
        index.put(element)
    statuses = {}
    for element_match in match(snapshots, index):
        snapshot = element_match.snapshot
        if element_match.inconsistency:
            status = "inDoubt"
        elif element_match.is_duplicate:
            status = "duplicate"
        else:
            known_element = element_match.known_element
            status = store_snapshot(repository, snapshot, known_element, index).status
        statuses[snapshot.target.address] = status
    links.update_links(repository)
    return statuses


def all_resources(repository):
    """All resources by id, as they are stored."""
    resources = repository.find("Resource", {}, limit=10_000)
    return {resource["id"]: resource for resource in resources}


def clear_inventory(engine):
    engine.database["Resource"].delete_many({})


def find_element(repository, name="gw"):
    elements = managed_elements(repository)
    (element,) = (element for element in elements if element["name"] == name)
    return element


# Content of the inventory.


def test_an_element_is_created_with_its_ports_and_components(repository):
    parts = (
        Component("slot 1", "card", "frame", "card-48", "C-1", "7"),
        Component("frame", "chassis", "", "frame-2", "S-77"),
    )
    assert store(repository, element_snapshot(components=parts)) == {"192.0.2.1": "created"}
    gateway = find_element(repository)
    characteristics = resource_characteristics(gateway)
    assert (
        characteristics["managementAddress"],
        characteristics["model"],
        characteristics["systemName"],
    ) == (*("192.0.2.1", "box", "gw"),)
    assert gateway["serialNumber"] == "S-77"
    assert sorted(ports_by_key(repository, gateway["id"])) == ["p1", "p2", "p3"]
    (frame,) = repository.find("Resource", {"category": "chassis"})
    (card,) = repository.find("Resource", {"category": "card"})
    assert (element_id_of(card), element_id_of(frame)) == (frame["id"], gateway["id"])
    assert (card["serialNumber"], resource_characteristics(card)["model"]) == ("C-1", "card-48")
    contained = {
        relationship["resource"]["id"]
        for relationship in gateway["resourceRelationship"]
        if relationship["relationshipType"] == "contains"
    }
    assert contained == {
        frame["id"],
        *(port["id"] for port in ports_by_key(repository, gateway["id"]).values()),
    }


def test_storing_the_same_snapshot_again_changes_nothing(repository):
    snapshot = element_snapshot(components=(Component("frame", "chassis", "", "", "S-1"),))
    store(repository, snapshot)
    before = all_resources(repository)
    assert store(repository, snapshot) == {"192.0.2.1": "unchanged"}
    assert all_resources(repository) == before


def test_each_new_resource_has_a_create_event(repository, engine):
    store(repository, element_snapshot())
    events = [
        event["what"]
        for resource in engine.database["Resource"].find()
        for event in resource["events"]
    ]
    assert events.count("Create") == 4


def test_a_missing_port_is_marked_until_it_is_found_again(repository):
    store(repository, element_snapshot())
    store(repository, element_snapshot(ports=2))
    gateway = find_element(repository)
    missing = ports_by_key(repository, gateway["id"])["p3"]
    assert missing["operationalState"] == "disabled"
    since = resource_characteristics(missing)["missingSince"]
    assert store(repository, element_snapshot(ports=2)) == {"192.0.2.1": "unchanged"}
    assert (
        resource_characteristics(ports_by_key(repository, gateway["id"])["p3"])["missingSince"]
        == since
    )
    assert store(repository, element_snapshot()) == {"192.0.2.1": "updated"}
    back = ports_by_key(repository, gateway["id"])["p3"]
    assert back["operationalState"] == "enabled"
    assert "missingSince" not in resource_characteristics(back)


def test_attributes_written_by_fulfilment_and_people_are_kept(repository):
    store(repository, element_snapshot())
    gateway = find_element(repository)
    port = ports_by_key(repository, gateway["id"])["p1"]
    use = ServiceUse(ResourceUsage("svc-1", {"downstream": 10**8, "upstream": 10**7}, "o-1"))
    repository.change("Resource", port["id"], lambda old: set_use(old, use))
    note = [{"@type": "Note", "text": "the one by the window"}]
    repository.change("Resource", port["id"], lambda old: {**old, "note": note, "name": "window"})
    store(repository, element_snapshot(ports=(replace(access_port(), up=False, speed=10**8),)))
    updated = ports_by_key(repository, gateway["id"])["p1"]
    assert (service_of(updated), updated["note"], updated["name"]) == ("svc-1", note, "window")
    assert (updated["operationalState"], updated["usageState"]) == ("disabled", "idle")
    assert resource_characteristics(updated)["downstreamSpeed"] == 100
    store(repository, element_snapshot())
    assert ports_by_key(repository, gateway["id"])["p1"]["usageState"] == "active"


# Identity of elements.


def test_a_renamed_element_is_identified_by_its_serial_number(repository):
    store(repository, element_snapshot("old", serial="S-1"))
    id = find_element(repository, "old")["id"]
    assert store(repository, element_snapshot("new", serial="S-1")) == {"192.0.2.1": "updated"}
    renamed = find_element(repository, "new")
    assert renamed["id"] == id
    assert {port["name"] for port in ports_by_key(repository, id).values()} == {
        "new p1",
        "new p2",
        "new p3",
    }
    assert len(all_resources(repository)) == 4


def test_a_name_given_by_people_is_kept_when_the_element_is_renamed(repository):
    store(repository, element_snapshot("old", serial="S-1"))
    id = find_element(repository, "old")["id"]
    repository.change("Resource", id, lambda old: {**old, "name": "Main Street"})
    store(repository, element_snapshot("new", serial="S-1"))
    renamed = find_element(repository, "Main Street")
    assert (renamed["id"], resource_characteristics(renamed)["systemName"]) == (id, "new")


def test_an_element_with_a_new_address_keeps_its_resource(repository):
    store(repository, element_snapshot(serial="S-1", address="192.0.2.1"))
    id = find_element(repository)["id"]
    store(repository, element_snapshot(serial="S-1", address="192.0.2.9"))
    assert find_element(repository)["id"] == id
    assert resource_characteristics(find_element(repository))["managementAddress"] == "192.0.2.9"


def test_a_replacement_with_the_same_name_and_address_keeps_the_resource(repository):
    store(repository, element_snapshot(serial="S-1"))
    id = find_element(repository)["id"]
    assert store(repository, element_snapshot(serial="S-2")) == {"192.0.2.1": "updated"}
    assert (find_element(repository)["id"], find_element(repository)["serialNumber"]) == (id, "S-2")


def test_two_addresses_of_one_element_are_one_element(repository):
    snapshots = element_snapshot(serial="S-1"), element_snapshot(serial="S-1", address="192.0.2.2")
    assert store(repository, *snapshots) == {"192.0.2.1": "created", "192.0.2.2": "duplicate"}
    assert len(managed_elements(repository)) == 1


def test_a_serial_number_on_two_elements_is_in_doubt(repository):
    snapshots = (
        element_snapshot("a", serial="S-1"),
        element_snapshot("b", serial="S-1", address="192.0.2.2"),
    )
    assert store(repository, *snapshots) == {"192.0.2.1": "created", "192.0.2.2": "inDoubt"}


def test_two_elements_of_one_name_without_serial_number_are_in_doubt(repository):
    snapshots = element_snapshot("x"), element_snapshot("x", address="192.0.2.2")
    assert store(repository, *snapshots) == {"192.0.2.1": "created", "192.0.2.2": "inDoubt"}


def test_another_element_at_a_known_address_is_in_doubt(repository):
    store(repository, element_snapshot("a", serial="S-1"))
    before = all_resources(repository)
    assert store(repository, element_snapshot("b", serial="S-2")) == {"192.0.2.1": "inDoubt"}
    assert all_resources(repository) == before


def test_two_new_elements_of_one_name_get_names_of_their_own(repository):
    snapshots = (
        element_snapshot("x", serial="S-1"),
        element_snapshot("x", serial="S-2", address="192.0.2.2"),
    )
    assert set(store(repository, *snapshots).values()) == {"created"}
    assert sorted(element["name"] for element in managed_elements(repository)) == ["x", "x S-2"]


def test_components_that_contain_each_other_are_put_into_the_element(repository):
    cycle = (Component("a", "card", "b"), Component("b", "card", "a"))
    snapshot = element_snapshot(components=cycle)
    assert snapshot.anomalies
    store(repository, snapshot)
    assert len(repository.find("Resource", {"category": "card"})) == 2
    assert store(repository, snapshot) == {"192.0.2.1": "unchanged"}


# Links.


def connected_snapshot(name, address, *ends, **arguments):
    neighbours = tuple(Neighbour(port, system, chassis, far) for port, system, chassis, far in ends)
    return element_snapshot(name, address, neighbours=neighbours, **arguments)


def linked_ports(repository, name, port):
    resource = ports_by_key(repository, find_element(repository, name)["id"])[port]
    return {
        relationship["resource"]["name"]
        for relationship in resource.get("resourceRelationship", [])
        if relationship["relationshipType"] == "connectedTo"
    }


A = connected_snapshot("a", "192.0.2.1", ("p1", "b", "", "p2"))
B = connected_snapshot("b", "192.0.2.2", ("p2", "a", "", "p1"))
B_WITHOUT_NEIGHBOUR = element_snapshot("b", "192.0.2.2")


@pytest.mark.parametrize(
    "order", [[(A, B)], [(A,), (B,)], [(B,), (A,)], [(A,), (B_WITHOUT_NEIGHBOUR,)]]
)
def test_a_link_is_created_at_both_ends_in_any_order_of_discovery(repository, order):
    for snapshots in order:
        store(repository, *snapshots)
    assert linked_ports(repository, "a", "p1") == {"b p2"}
    assert linked_ports(repository, "b", "p2") == {"a p1"}


def test_a_moved_cable_replaces_the_link(repository):
    store(repository, A, B)
    moved = connected_snapshot("a", "192.0.2.1", ("p3", "b", "", "p2"))
    store(repository, moved, connected_snapshot("b", "192.0.2.2", ("p2", "a", "", "p3")))
    assert linked_ports(repository, "a", "p1") == set()
    assert linked_ports(repository, "a", "p3") == {"b p2"}
    assert linked_ports(repository, "b", "p2") == {"a p3"}


def test_a_link_created_by_people_is_kept(repository):
    store(repository, element_snapshot("a"), B_WITHOUT_NEIGHBOUR)
    far = ports_by_key(repository, find_element(repository, "b")["id"])["p1"]
    near = ports_by_key(repository, find_element(repository, "a")["id"])["p1"]
    drawn = {
        "@type": "ResourceRelationship",
        "relationshipType": "connectedTo",
        "resource": {"@type": "ResourceRef", "id": far["id"], "name": "b p1"},
    }
    relations = [*near["resourceRelationship"], drawn]
    repository.change(
        "Resource", near["id"], lambda old: {**old, "resourceRelationship": relations}
    )
    store(repository, element_snapshot("a"), B_WITHOUT_NEIGHBOUR)
    assert linked_ports(repository, "a", "p1") == {"b p1"}


def test_a_neighbour_is_identified_by_hardware_addresses(repository):
    mac = "02:00:5e:00:00:0a"
    port = replace(access_port(), mac=mac)
    store(
        repository,
        connected_snapshot("a", "192.0.2.1", ("p1", "", mac.upper().replace(":", "-"), mac)),
        element_snapshot("b", "192.0.2.2", ports=(port,)),
    )
    assert linked_ports(repository, "a", "p1") == {"b p1"}


def test_an_ambiguous_neighbour_creates_no_link(repository):
    a = connected_snapshot("a", "192.0.2.1", ("p1", "x", "", "p1"))
    namesakes = (
        element_snapshot("x", "192.0.2.2", serial="1a"),
        element_snapshot("x", "192.0.2.3", serial="2b"),
    )
    store(repository, a, *namesakes)
    assert linked_ports(repository, "a", "p1") == set()


# Order and repetition.

NETWORK = (
    A,
    B,
    element_snapshot("c", "192.0.2.3", serial="S-3", components=(Component("f", "chassis"),)),
    element_snapshot("c", "192.0.2.4", serial="S-3"),
    element_snapshot("d", "192.0.2.5", serial="S-3"),
    element_snapshot("c", "192.0.2.6", serial="S-6"),
    element_snapshot("a", "192.0.2.7"),
    element_snapshot("", "192.0.2.8"),
)


def test_the_order_of_discovery_makes_no_difference(repository, engine):
    expected = None
    for order in itertools.islice(itertools.permutations(NETWORK), 0, 40_000, 5003):
        clear_inventory(engine)
        store(repository, *order)
        resources = all_resources(repository)
        expected = expected or resources
        assert resources == expected
        assert set(store(repository, *reversed(order)).values()) <= {
            "unchanged",
            "duplicate",
            "inDoubt",
        }
        assert all_resources(repository) == expected


names = st.sampled_from(["a", "b", "c"])
shapes = st.builds(
    lambda name, host, serial, ports: element_snapshot(
        name, f"192.0.2.{host}", serial=serial, ports=ports
    ),
    names,
    st.integers(1, 5),
    st.sampled_from(["", "S-1", "S-2"]),
    st.integers(0, 3),
)


@given(st.lists(shapes, max_size=5, unique_by=lambda snapshot: snapshot.target.address))
@hypothesis_settings(max_examples=15, deadline=None)
def test_discovering_twice_changes_nothing(module_engine, snapshots):
    repository = RepositoryFactory(module_engine.writer, "test").for_tenant("default")
    clear_inventory(module_engine)
    store(repository, *snapshots)
    before = all_resources(repository)
    store(repository, *reversed(snapshots))
    assert all_resources(repository) == before
    assert len({element["name"] for element in managed_elements(repository)}) == len(
        managed_elements(repository)
    )


# Simulated elements.


@asynccontextmanager
async def running_gateways(*addresses, ports=4):
    """Simulated gateways, each at an address of its own."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                SimulatedGateway(f"gw-{number}", address=(address, 0), ports=ports)
            )
            for number, address in enumerate(addresses)
        ]


def candidate(gateway, *credentials):
    host, port = gateway.address
    target = DiscoveryTarget(f"{host}:{port}", is_explicit=True)
    return Candidate(target, "snmp", credentials, OPTIONS)


def unused_address(address, *, is_explicit):
    return Candidate(DiscoveryTarget(address, is_explicit=is_explicit), "snmp", ("lab",), OPTIONS)


@pytest.fixture
def discover(repository, credentials):
    """A coroutine function that runs a discovery of candidates."""
    credentials.add({"right": {"community": "simulated"}, "wrong": {"community": "wrong"}})

    async def run(*candidates):
        return await Discovery(repository, credentials).run(candidates)

    return run


def test_credentials_are_tried_in_order_and_stored(repository, discover):
    async def scenario():
        async with running_gateways("127.0.1.1", "127.0.1.2") as (first, second):
            initial = await discover(candidate(first, "wrong", "right"), candidate(second, "right"))
            return initial, await discover(candidate(second), candidate(first))

    initial, repeated = asyncio.run(scenario())
    assert (initial.count("created"), repeated.count("unchanged")) == (2, 2)
    elements = managed_elements(repository)
    assert {resource_characteristics(element)["credentials"] for element in elements} == {"right"}


def test_a_silent_address_is_reported_only_if_it_was_named(repository, credentials, discover):
    credentials.add({"lab": {"community": "public"}})
    result = asyncio.run(
        discover(
            unused_address("127.0.1.3:9", is_explicit=True),
            unused_address("127.0.1.4:9", is_explicit=False),
        )
    )
    assert (result.count("unreachable"), result.count("silent")) == (1, 1)
    assert [outcome.address for outcome in result.outcomes] == ["127.0.1.3:9"]
    assert all_resources(repository) == {}


def test_an_element_that_disappears_during_the_reading_changes_nothing(repository, discover):
    async def scenario():
        async with running_gateways("127.0.1.5", "127.0.1.6", ports=40) as (first, second):
            await discover(candidate(first, "right"))
            before = all_resources(repository)
            for port in first.ports.values():
                port.name = f"x{port.name}"  # it would have 42 other ports ...
            request_count = 0

            def answer_five_requests(datagram, source, receive=first.datagram_received):
                nonlocal request_count
                request_count += 1
                if request_count < 6:
                    receive(datagram, source)

            first.datagram_received = answer_five_requests  # ... but it cannot be read completely
            for fault in ("silent", "send_garbage", "endless_tables"):
                setattr(second.fault_injection, fault, True)
                result = await discover(candidate(first, "right"), candidate(second, "right"))
                assert result.count("created") + result.count("updated") == 0, fault
                assert result.targets_done == 2
                setattr(second.fault_injection, fault, False)
            return before

    assert asyncio.run(scenario()) == all_resources(repository)


def test_concurrent_discoveries_create_one_inventory(repository, discover):
    async def scenario():
        async with running_gateways("127.0.1.7", "127.0.1.8", "127.0.1.9", ports=8) as gateways:
            candidates = [candidate(gateway, "right") for gateway in gateways]
            return await asyncio.gather(*(discover(*candidates) for _ in range(3)))

    for result in asyncio.run(scenario()):
        assert result.targets_done == 3
    assert len(managed_elements(repository)) == 3
    assert len(repository.find("Resource", {"category": "accessPort"})) == 24
    for element in managed_elements(repository):
        assert len(ports_by_key(repository, element["id"])) == 9


def test_an_element_with_two_addresses_keeps_the_known_one(repository, discover):
    async def scenario():
        async with (
            running_gateways("127.0.1.10") as (first,),
            running_gateways("127.0.1.11") as (second,),  # has the name and serial of the first
        ):
            await discover(candidate(first, "right"))
            return first.address, await discover(candidate(second, "right"))

    (host, port), result = asyncio.run(scenario())
    assert result.count("unchanged") == 1
    (element,) = managed_elements(repository)
    assert resource_characteristics(element)["managementAddress"] == f"{host}:{port}"


def test_an_unknown_adapter_is_refused(discover):
    target = DiscoveryTarget("127.0.1.12:9", is_explicit=True)
    result = asyncio.run(discover(Candidate(target, "no-such-adapter")))
    assert isinstance(result, DiscoveryResult)
    (outcome,) = result.outcomes
    assert outcome.status == "refused"
    assert "no such adapter" in outcome.message


# A real SNMP agent.


@pytest.fixture
def lab():
    with SnmpLab(trap_port=16168) as running:
        yield running


@pytest.mark.skipif(lab_unavailable_reason() is not None, reason=str(lab_unavailable_reason()))
def test_a_real_snmpd_is_discovered_and_then_unchanged(repository, credentials, lab):
    credentials.add(lab.credentials)
    target = lab.target
    options = {**target.options, "timeout": "2"}
    place = Candidate(
        DiscoveryTarget(target.address, is_explicit=True),
        target.adapter,
        (target.credentials,),
        options,
    )
    result = asyncio.run(Discovery(repository, credentials).run([place]))
    assert [outcome.status for outcome in result.outcomes] == ["created"], result.outcomes
    (gateway,) = managed_elements(repository)
    ports = ports_by_key(repository, gateway["id"])
    assert {name for name in ports if name.startswith("sub")}
    assert len(resource_characteristics(next(iter(ports.values())))["macAddress"]) == 17
    before = all_resources(repository)
    again = asyncio.run(Discovery(repository, credentials).run([place]))
    assert [outcome.status for outcome in again.outcomes] == ["unchanged"]
    assert all_resources(repository) == before
