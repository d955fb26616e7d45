"""The inventory of agents as they are: missing tables, duplicate names, values of other types."""

import pytest

from adapters.credentials import Secret
from adapters.snmp.element import SnmpElement
from tests.support.walk_player import WalkPlayer

pytestmark = pytest.mark.anyio
SYSTEM = """
1.3.6.1.2.1.1.1.0|4|Example OS 7.2
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.2011.2.23.1
1.3.6.1.2.1.1.3.0|67|360000
1.3.6.1.2.1.1.5.0|4|edge-1
"""
PUBLIC = Secret({"community": "public"})


def interface(index, name=None, description=None, **columns):
    """Return the lines of an interface; ``columns`` are further lines by column."""
    lines = [f"1.3.6.1.2.1.2.2.1.3.{index}|2|{columns.get('type', 6)}"]
    lines += [f"1.3.6.1.2.1.2.2.1.7.{index}|2|1", f"1.3.6.1.2.1.2.2.1.8.{index}|2|1"]
    if description is not None:
        lines.append(f"1.3.6.1.2.1.2.2.1.2.{index}|4x|{description.encode().hex()}")
    if name is not None:
        lines.append(f"1.3.6.1.2.1.31.1.1.1.1.{index}|4x|{name.encode().hex()}")
    for column, oid in (("speed", "2.2.1.5"), ("high_speed", "31.1.1.1.15")):
        if column in columns:
            lines.append(f"1.3.6.1.2.1.{oid}.{index}|66|{columns[column]}")
    if "mac" in columns:
        lines.append(f"1.3.6.1.2.1.2.2.1.6.{index}|4x|{columns['mac']}")
    return "\n".join(lines) + "\n"


def entity(index, entity_class, name="", *, container=0, position=1, **texts):
    oid = "1.3.6.1.2.1.47.1.1.1.1"
    lines = [
        f"{oid}.5.{index}|2|{entity_class}",
        f"{oid}.4.{index}|2|{container}",
        f"{oid}.6.{index}|2|{position}",
        f"{oid}.7.{index}|4|{name}",
    ]
    columns = {"serial": 11, "vendor": 12, "model": 13}
    lines += [f"{oid}.{columns[key]}.{index}|4|{text}" for key, text in texts.items()]
    return "\n".join(lines) + "\n"


async def inventory_of(walk):
    async with WalkPlayer(walk) as player, SnmpElement(player.target, PUBLIC) as element:
        inventory = await element.inventory()
        assert (await element.probe()).name == inventory.facts.name
    return inventory


async def port_names(*interfaces):
    return [port.name for port in (await inventory_of(SYSTEM + "".join(interfaces))).ports]


async def test_interfaces_without_a_table_of_names_are_called_by_their_description():
    assert await port_names(interface(1, None, "eth0"), interface(2, None, "eth1")) == [
        "eth0",
        "eth1",
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([("Vlan", "Vlan 10"), ("Vlan", "Vlan 20")], ["Vlan (Vlan 10)", "Vlan (Vlan 20)"]),
        ([("a", "same"), ("a", "same")], ["a (ifIndex 1)", "a (ifIndex 2)"]),
        ([("a", "x"), ("a", "x"), ("b", "y")], ["a (ifIndex 1)", "a (ifIndex 2)", "b"]),
        ([("", "eth0"), ("", "")], ["eth0", "ifIndex 2"]),
        ([("eth0\0", "x"), ("eth1\n", "y"), (" eth\t2 ", "z")], ["eth 2", "eth0", "eth1"]),
        ([("x" * 300, "y")], ["x" * 200]),
        ([(None, None), ("b", None)], ["b", "ifIndex 1"]),
        ([("b (ifIndex 2)", "q"), ("b", ""), ("b", "")],
         ["b (ifIndex 2)", "b (ifIndex 2) (ifIndex 1)", "b (ifIndex 3)"]),
    ],
)  # fmt: skip
async def test_every_interface_has_one_printable_name(names, expected):
    lines = [interface(index, *pair) for index, pair in enumerate(names, 1)]
    assert sorted(await port_names(*lines)) == sorted(expected)


@pytest.mark.parametrize(
    ("columns", "speed"),
    [
        ({"speed": 100_000_000}, 100_000_000),
        ({"speed": 1_544_000, "high_speed": 0}, 1_544_000),
        ({"speed": 4_294_967_295, "high_speed": 40_000}, 40_000_000_000),
        ({"speed": 4_294_967_295, "high_speed": 0}, 0),
        ({"speed": 10_000_000, "high_speed": 4_000_000_000}, 10_000_000),
        ({}, 0),
    ],
)
async def test_the_speed_is_of_the_column_that_has_one(columns, speed):
    inventory = await inventory_of(SYSTEM + interface(1, "eth0", **columns))
    assert [port.speed for port in inventory.ports] == [speed]


@pytest.mark.parametrize(
    ("octets", "mac"),
    [
        ("0012e2d8a8c3", "00:12:e2:d8:a8:c3"),
        ("000000000000", ""),
        ("", ""),
        (b"0:12:e2:D8:a8:c3".hex(), "00:12:e2:d8:a8:c3"),
    ],
)
async def test_a_hardware_address_is_read_from_octets_and_text(octets, mac):
    (port,) = (await inventory_of(SYSTEM + interface(1, "eth0", mac=octets))).ports
    assert port.mac == mac


async def test_an_element_without_interfaces_is_read():
    inventory = await inventory_of("1.3.6.1.2.1.1.1.0|4|UPS\n1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.318.1")
    assert (inventory.ports, inventory.components) == ((), ())
    assert (inventory.facts.vendor, inventory.facts.model) == ("APC", "")


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ("", ("Huawei", "", "")),
        (entity(1, 3, vendor="Example", model="X-1 ", serial="S1"), ("Example", "X-1", "S1")),
        ("".join(entity(n, 9) for n in range(1, 30)) + entity(40, 3, model="X-2", serial="S2"),
         ("Huawei", "X-2", "S2")),
    ],
)  # fmt: skip
async def test_vendor_and_model_are_what_the_element_says(entities, expected):
    facts = (await inventory_of(SYSTEM + interface(1, "eth0") + entities)).facts
    assert (facts.vendor, facts.model, facts.serial) == expected


async def test_an_unknown_enterprise_has_no_vendor():
    walk = SYSTEM.replace("4.1.2011.", "4.1.99999999.") + interface(1, "eth0")
    assert (await inventory_of(walk)).facts.vendor == ""


async def test_components_with_one_name_have_places_of_their_own():
    walk = entity(1, 3, "Chassis") + "".join(
        entity(n, 7, "Fan", container=1, position=n) for n in (2, 3, 4)
    )
    components = (await inventory_of(SYSTEM + walk)).components
    assert len({component.name for component in components}) == 4
    assert len({component.place for component in components}) == 4
    fewer = await inventory_of(
        SYSTEM + walk.replace(entity(2, 7, "Fan", container=1, position=2), "")
    )
    assert {component.place for component in fewer.components} == {
        component.place for component in components if not component.place.endswith("/2 Fan")
    }


async def test_addresses_with_indexes_that_are_no_addresses_are_left_out():
    lines = "".join(
        f"1.3.6.1.2.1.4.34.1.3.{key}|2|1\n" for key in ("7", "1.4.192.0.2.1", "1", "2.16.1", "1.4")
    )
    (port,) = (await inventory_of(SYSTEM + interface(1, "eth0") + lines)).ports
    assert port.addresses == ("192.0.2.1",)


async def test_octets_are_counted_with_32_bits_where_there_are_no_others():
    octets = "1.3.6.1.2.1.2.2.1.10.1|65|7\n1.3.6.1.2.1.2.2.1.16.1|65|8\n"
    octets += "1.3.6.1.2.1.2.2.1.10.2|65|1\n1.3.6.1.2.1.31.1.1.1.6.2|70|5000000000\n"
    walk = SYSTEM + interface(1, None, "eth0") + interface(2, "eth1\0", "x") + octets
    async with WalkPlayer(walk) as player, SnmpElement(player.target, PUBLIC) as element:
        samples = await element.counters()
    values = {(sample.port, sample.counter): sample.value for sample in samples}
    assert values == {
        ("eth0", "octets_in"): 7,
        ("eth0", "octets_out"): 8,
        ("eth1", "octets_in"): 5_000_000_000,
    }
