"""The OVSDB adapter without a switch."""

import asyncio

import pytest

from adapters import registry
from adapters.credentials import Secret
from adapters.errors import Misconfigured, Unreachable
from adapters.ovsdb import OvsdbSwitch
from adapters.values import Target
from tests.support.tcp_server import tcp_server

pytestmark = pytest.mark.anyio


async def test_the_adapter_is_found_by_its_name():
    assert registry.find_adapter("ovsdb") is OvsdbSwitch


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"[1]",
        b"{}" * 99,
        b'{"id": 1, "result": [], "error": null}',
        b'{"id": 1, "result": {"a": 1}}{"id": 2, "result": null}',
        b'{"id": 1, "result": [{"rows": [7]}, {"rows": 7}, {"rows": []}, {}, {}]}',
        b'{"' * 9999,
        b"\xff\xfe{",
    ],
)
async def test_a_server_that_is_no_switch_is_unreachable(noise):
    async def answer(reader, writer):
        await reader.read(100)
        writer.write(noise)
        await reader.read()

    async with tcp_server(answer) as port:
        target = Target("x", f"127.0.0.1:{port}", "ovsdb", "", {"timeout": "0.2"})
        async with OvsdbSwitch(target, Secret({})) as switch, asyncio.timeout(60):
            with pytest.raises(Unreachable) as caught:
                await switch.probe()
        assert caught.value.element == "x"


async def test_a_closed_port_is_unreachable():
    async with OvsdbSwitch(Target("x", "127.0.0.1:1", "ovsdb"), Secret({})) as switch:
        with pytest.raises(Unreachable, match="cannot connect"):
            await switch.probe()


async def test_the_error_of_a_connection_that_times_out_says_so():
    target = Target("x", "127.0.0.1:1", "ovsdb", options={"timeout": "0"})
    async with OvsdbSwitch(target, Secret({})) as switch:
        with pytest.raises(Unreachable, match="cannot connect: no answer in time"):
            await switch.probe()


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("127.0.0.1:x", {}),
        ("127.0.0.1", {"timeout": "soon"}),
        ("127.0.0.1", {"idle": "ajar"}),
        ("127.0.0.1", {"upstream": "hope"}),
        ("127.0.0.1", {"tls": "perhaps"}),
        ("127.0.0.1", {"tls": "yes"}),
        ("127.0.0.1", {"colour": "red"}),
    ],
)
async def test_an_invalid_target_is_misconfigured(address, options):
    with pytest.raises(Misconfigured):
        OvsdbSwitch(Target("x", address, "ovsdb", "", options), Secret({}))
