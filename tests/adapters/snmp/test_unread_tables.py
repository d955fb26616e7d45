"""Tables that an agent does not answer are listed with the reason, and the rest is read."""

from dataclasses import replace

import pytest

from adapters.credentials import Secret
from adapters.errors import InvalidAnswer, Rejected, Unreachable
from adapters.snmp import mib
from adapters.snmp.element import SnmpElement
from adapters.snmp.session import RetryPolicy, Session
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import split_object_id
from adapters.snmp.wire.message import Variable
from tests.adapters.snmp.test_captured_walks import PUBLIC, SYSTEM, entity, interface
from tests.support.walk_player import WalkPlayer, error

pytestmark = pytest.mark.anyio
TOO_BIG, NO_SUCH_NAME, GEN_ERR = 1, 2, 5
PORTS = "".join(
    interface(n, f"ge{n}", f"GigabitEthernet{n}", high_speed=1000, mac=f"02000000000{n}")
    for n in range(1, 5)
)
PARTS = entity(1, 3, "chassis", model="X", serial="S1") + entity(
    2, 9, "card", container=1, serial="S2", model="C"
)
WALK = f"{SYSTEM}1.3.6.1.2.1.2.1.0|2|4\n{PORTS}{PARTS}"


async def read(player):
    async with SnmpElement(player.target, PUBLIC) as element:
        return await element.inventory()


def refuse(status, column):
    """Return an edit: refuse requests whose next variable is in a column."""

    def edit(request, response):
        for index, variable in enumerate(response.variables[: len(request.variables)], 1):
            if variable.oid.startswith(f"{column}."):
                return error(response, request, status, index)
        return response

    return edit


def reported(inventory):
    return {str(table) for table in inventory.unread if table.reason}


async def test_a_complete_walk_has_nothing_unread():
    async with WalkPlayer(WALK) as player:
        inventory = await read(player)
    assert reported(inventory) == set()
    assert {table.part for table in inventory.unread} == {"addresses"}


@pytest.mark.parametrize("tag", [ber.NULL, ber.NO_SUCH_INSTANCE, ber.NO_SUCH_OBJECT])
async def test_a_cell_without_a_value_is_unread_and_the_rest_is_read(tag):
    async with WalkPlayer(WALK) as player:
        player.view[split_object_id(f"{mib.IF_OPER_STATUS}.2")] = (tag, None)
        inventory = await read(player)
    ports = {port.name: port for port in inventory.ports}
    assert {name for name, port in ports.items() if port.unread} == {"ge2"}
    assert "up" in ports["ge2"].unread
    assert all(ports[name].up for name in ("ge1", "ge3", "ge4"))
    (text,) = reported(inventory)
    assert text.startswith("ifTable not read: ifOperStatus: ")
    assert "row 2" in text


@pytest.mark.parametrize("status", [GEN_ERR, TOO_BIG, 6])
@pytest.mark.parametrize(
    ("column", "part", "table"),
    [
        (mib.ENT_CLASS, "components", "entPhysicalTable"),
        (mib.ENT_SERIAL_NUM, "", "entPhysicalSerialNum"),
        (mib.IF_OPER_STATUS, "", "ifOperStatus"),
    ],
)
async def test_a_refused_column_is_unread(status, column, part, table):
    async with WalkPlayer(WALK) as player:
        player.edit = refuse(status, column)
        inventory = await read(player)
    assert [port.name for port in inventory.ports] == ["ge1", "ge2", "ge3", "ge4"]
    assert any(table in str(unread) for unread in inventory.unread)
    assert not part or part in {unread.part for unread in inventory.unread}


async def test_large_answers_are_asked_for_in_smaller_pieces():
    async with WalkPlayer(WALK) as player:

        def edit(request, response):
            return error(response, request, TOO_BIG) if len(response.variables) > 4 else response

        player.edit = edit
        inventory = await read(player)
        assert len(inventory.ports) == 4
        assert reported(inventory) == set()


@pytest.mark.parametrize("count", [1, 3, 8])
async def test_an_answer_with_fewer_variables_is_completed(count):
    async with WalkPlayer(WALK) as player:
        player.edit = lambda request, response: (
            replace(response, variables=response.variables[:count])
            if request.tag == message.GET_BULK
            else response
        )
        inventory = await read(player)
    assert len(inventory.ports) == 4
    assert reported(inventory) == set()


async def test_an_answer_that_is_cut_off_is_asked_for_in_smaller_pieces():
    async with WalkPlayer(WALK) as player:
        player.encode = lambda octets, request: octets[:300]
        inventory = await read(player)
    assert len(inventory.ports) == 4
    assert all(port.up for port in inventory.ports)


async def test_a_walk_that_ends_early_is_unread():
    async with WalkPlayer(WALK) as player:

        def edit(request, response):
            return replace(
                response,
                variables=tuple(
                    Variable(variable.oid, ber.END_OF_MIB)
                    if variable.oid.startswith((mib.IF_DESCR, mib.IF_NAME, mib.ENT_CLASS))
                    and variable.oid.endswith((".2", ".3", ".4"))
                    else variable
                    for variable in response.variables
                ),
            )

        player.edit = edit
        inventory = await read(player)
    text = "; ".join(reported(inventory))
    assert "ifName: ended early after 1 rows" in text
    assert "entPhysicalTable not read: " in text
    assert "components" in {table.part for table in inventory.unread}
    assert {port.name for port in inventory.ports if "name" not in port.unread} == {"ge1"}


async def test_fewer_interfaces_than_the_agent_counts_are_unread():
    async with WalkPlayer(WALK.replace("2.1.0|2|4", "2.1.0|2|6")) as player:
        inventory = await read(player)
    assert reported(inventory) == {"ifTable not read: 4 of 6 rows"}


async def test_a_value_that_is_not_encoded_as_snmp_is_reported_as_that():
    async with WalkPlayer(WALK) as player:
        good = ber.encode_object_id(f"{mib.IF_HIGH_SPEED}.3") + ber.encode_integer(
            1000, ber.GAUGE32
        )
        bad = good[:-4] + bytes((ber.GAUGE32, 2, 3, 232)).replace(b"\x42", b"\x5f")
        assert len(good) == len(bad)
        player.encode = lambda octets, request: octets.replace(good, bad)
        inventory = await read(player)
    assert {port.name for port in inventory.ports if "speed" in port.unread} == {"ge3"}
    (text,) = reported(inventory)
    assert "ifHighSpeed: a value that is not encoded as SNMP in row 3" in text


def session_with(player, timeout=30.0):
    endpoint = (player.address, player.port)
    return Session("gw", endpoint, Secret(PUBLIC), RetryPolicy(timeout, 0))


async def test_an_answer_that_cannot_be_decoded_is_not_a_missing_answer():
    async with WalkPlayer(WALK) as player, session_with(player) as session:
        player.encode = lambda octets, request: octets[:-3]
        with pytest.raises(InvalidAnswer, match="decoded as SNMP: truncated") as caught:
            await session.get([mib.SYS_NAME])
    assert "community" not in str(caught.value)


async def test_no_such_name_in_a_version_2_answer_is_a_missing_instance():
    def edit(request, response):
        for index, variable in enumerate(response.variables, 1):
            if variable.tag in {ber.NO_SUCH_INSTANCE, ber.END_OF_MIB}:
                position = index if request.tag == message.GET else 0
                return error(response, request, NO_SUCH_NAME, position)
        return response

    async with WalkPlayer(WALK) as player, session_with(player) as session:
        player.edit = edit
        values = await session.get([mib.SYS_NAME, mib.SYS_CONTACT, mib.SYS_LOCATION])
        assert values == {mib.SYS_NAME: b"edge-1", mib.SYS_CONTACT: None, mib.SYS_LOCATION: None}
        assert await session.get([mib.SYS_CONTACT]) == {mib.SYS_CONTACT: None}
        inventory = await read(player)
    assert len(inventory.ports) == 4
    assert len(inventory.components) == 2


async def test_a_table_without_an_answer_is_unread_while_the_element_answers_others():
    async with WalkPlayer(WALK) as player:
        player.edit = lambda request, response: (
            None if request.variables[0].oid.startswith("1.0.8802.1.1.2.1.4") else response
        )
        inventory = await read(player)
    assert any(text.startswith("lldpRemTable not read: no answer") for text in reported(inventory))
    assert len(inventory.ports) == 4


async def test_interfaces_that_are_refused_altogether_are_an_error():
    async with WalkPlayer(WALK) as player:
        player.edit = lambda request, response: (
            error(response, request, GEN_ERR) if request.tag == message.GET_BULK else response
        )
        with pytest.raises(Rejected, match="genErr"):
            await read(player)
        player.edit = lambda request, response: None
        with pytest.raises(Unreachable):
            await read(player)
