"""What an SNMP element says it consists of, and what is made of it where it says nonsense."""

import pytest

from adapters.credentials import Secret
from adapters.snmp import entity_mib, mib, topology
from adapters.snmp.element import SnmpElement
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Component, Neighbour, Port

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


async def inventory_of(gateway):
    secret = Secret(gateway.credentials[gateway.name])
    async with SnmpElement(gateway.target, secret) as element:
        return await element.inventory()


async def test_the_inventory_has_chassis_cards_addresses_and_neighbours():
    async with SimulatedGateway(ports=2) as gateway:
        seen = await inventory_of(gateway)
        serial = gateway.serial
    assert (seen.facts.vendor, seen.facts.model, seen.facts.serial) == (
        "simulated",
        "SIM-100",
        serial,
    )
    assert seen.components == (
        Component("chassis", "chassis", "", "SIM-100", serial, ""),
        Component("line card 1", "card", "chassis", "SIM-LC-4", f"{serial}-1", "1.0"),
        Component("power supply 1", "powerSupply", "chassis", "SIM-PS", f"{serial}-2", ""),
    )
    assert {port.name: port.addresses for port in seen.ports} == {
        "sub1": (),
        "sub2": (),
        "up0": ("198.18.0.1/30",),
    }
    assert seen.neighbours == (Neighbour("up0", "core-1", "02:00:00:01:00:02", "ge-0/0/1"),)


async def test_an_element_without_these_tables_has_ports_all_the_same(monkeypatch):
    monkeypatch.setattr("adapters.snmp.simulator.entity_rows", lambda serial: {})
    monkeypatch.setattr("adapters.snmp.simulator.topology_rows", lambda ports, neighbours: {})
    async with SimulatedGateway(ports=2) as gateway:
        seen = await inventory_of(gateway)
    assert [port.name for port in seen.ports] == ["sub1", "sub2", "up0"]
    assert (seen.components, seen.neighbours, seen.facts.serial) == ((), (), "")


async def test_neighbours_stay_with_their_ports_when_indexes_move():
    async with SimulatedGateway(ports=2) as gateway:
        gateway.restart(shift=40)
        seen = await inventory_of(gateway)
        gateway.cut_link("up0")
        dark = await inventory_of(gateway)
    assert [one.port for one in seen.neighbours] == ["up0"]
    assert dark.neighbours == ()


def entities(*rows):
    """Return a table of (index, class, contained in, position, name)."""
    table = {column: {} for column in entity_mib.COLUMNS}
    for index, kind, inside, place, name in rows:
        table[mib.ENT_CLASS][index] = kind
        table[mib.ENT_CONTAINED_IN][index] = inside
        table[mib.ENT_PARENT_REL_POS][index] = place
        table[mib.ENT_NAME][index] = name
    return table


def test_a_card_in_a_slot_is_in_the_chassis_of_the_slot():
    table = entities(("10", 9, 7, 1, b"card"), ("7", 5, 1, 1, b"slot"), ("1", 3, 0, 0, b"shelf"))
    assert [(one.name, one.parent) for one in entity_mib.components(table)] == [
        ("shelf", ""),
        ("card", "shelf"),
    ]


def test_parts_of_one_name_are_told_apart_by_where_they_are():
    table = entities(
        ("1", 3, 0, 1, b"shelf"),
        ("2", 9, 1, 1, b"card"),
        ("3", 9, 1, 2, b"card"),
        ("4", 9, 1, 2, b"card"),
        ("5", 9, 1, 2, b"card"),
        ("6", 7, 1, 1, b""),
    )
    names = [one.name for one in entity_mib.components(table)]
    assert names == ["shelf", "card", "fan 1", "shelf/card", "shelf/card 2", "shelf/card 2 #2"]


@pytest.mark.parametrize(
    "rows",
    [
        [("1", 3, 1, 0, b"a")],
        [("1", 3, 2, 0, b"a"), ("2", 9, 1, 0, b"b")],
        [("1", 3, 2, 0, b"a"), ("2", 5, 3, 0, b"slot"), ("3", 5, 2, 0, b"slot")],
        [("1", 3, 99, 0, b"a")],
        [("1", 3, -1, -1, b"\xff\0"), ("2", 77, 1, 0, b"b")],
    ],
)
def test_parts_that_contain_themselves_or_nothing_known_are_still_there_once(rows):
    found = entity_mib.components(entities(*rows))
    assert len(found) == sum(1 for row in rows if row[1] in entity_mib.PHYSICAL_CLASSES)
    known = {""}
    for one in found:
        assert one.parent in known
        known.add(one.name)


def port(name, index="1", mac=""):
    return Port(name, index, "", enabled=True, up=True, speed=0, mac=mac, access=False)


def remote(key, **columns):
    table = {column: {} for column in topology.LLDP_REMOTE_COLUMNS}
    table[mib.LLDP_REM_CHASSIS_ID][key] = columns.get("chassis", b"switch")
    table[mib.LLDP_REM_CHASSIS_ID_SUBTYPE][key] = columns.get("kind", 7)
    table[mib.LLDP_REM_PORT_ID][key] = b"7"
    return table


def local(key, kind, said, description=b""):
    return {
        mib.LLDP_LOC_PORT_ID_SUBTYPE: {key: kind},
        mib.LLDP_LOC_PORT_ID: {key: said},
        mib.LLDP_LOC_PORT_DESC: {key: description},
    }


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (local("9", 5, b"eth1"), "eth1"),
        (local("9", 3, b"\x02\0\0\0\0\x01"), "eth1"),
        (local("9", 7, b"1"), "eth1"),
        (local("9", 7, b"whatever", b"eth2"), "eth2"),
        (local("9", 7, b"whatever"), None),
        (local("8", 5, b"eth1"), None),
    ],
)
def test_a_neighbour_is_at_the_port_that_lldp_names_in_whatever_way(here, expected):
    ports = {"1": port("eth1", mac="02:00:00:00:00:01"), "2": port("eth2", "2")}
    found = topology.neighbours(remote("0.9.1"), here, ports)
    assert [one.port for one in found] == ([expected] if expected else [])


def test_a_neighbour_that_is_reported_at_several_times_is_one():
    table = remote("0.1.1")
    for column in table.values():
        for value in list(column.values()):
            column["77.1.1"] = value
    assert len(topology.neighbours(table, local("1", 5, b"eth1"), {"1": port("eth1")})) == 1


@pytest.mark.parametrize(
    ("kind", "chassis", "expected"),
    [
        (4, b"\x02\0\0\0\0\x01", "02:00:00:00:00:01"),
        (5, b"\x01\xc6\x12\0\x01", "198.18.0.1"),
        (5, b"\x01\xc6", "\x01\ufffd"),
        (7, b"core-7", "core-7"),
    ],
)
def test_a_chassis_is_shown_as_its_kind_is_written(kind, chassis, expected):
    table = remote("0.1.1", kind=kind, chassis=chassis)
    (found,) = topology.neighbours(table, local("1", 5, b"eth1"), {"1": port("eth1")})
    assert found.chassis == expected


def test_addresses_come_from_both_tables_and_nonsense_from_none():
    new = {
        mib.IP_ADDRESS_IF_INDEX: {
            "1.4.198.18.1.1": 3,
            "2.16.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1": 3,
            "1.4.127.0.0.1": 1,
            "1.4.198.18.1": 3,
            "1.4.198.18.1.999": 3,
            "9.2.1.1": 3,
        },
        mib.IP_ADDRESS_PREFIX: {"1.4.198.18.1.1": "0.0"},
    }
    old = {
        mib.IP_AD_ENT_IF_INDEX: {"198.18.1.1": 3, "198.18.2.1": 4, "x": 4},
        mib.IP_AD_ENT_NET_MASK: {"198.18.1.1": "255.255.255.0", "198.18.2.1": "nonsense"},
    }
    assert topology.addresses(new, old) == {"3": ("198.18.1.1/24", "2001:db8::1")}
