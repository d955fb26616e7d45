"""The OsmoHLR adapter without an HLR."""

import asyncio

import pytest

from adapters import registry
from adapters.credentials import Secret
from adapters.errors import Misconfigured, Unreachable, Unsupported
from adapters.osmo_hlr import OsmoHlr
from adapters.values import Intent, Target
from tests.support.tcp_server import tcp_server

IMSI = "901700000000001"
INTENT = Intent("service-1", IMSI, {"msisdn": "491700000001"})
pytestmark = pytest.mark.anyio


async def test_the_adapter_is_found_by_its_name():
    assert registry.find_adapter("osmo-hlr") is OsmoHlr


@pytest.mark.parametrize(
    "noise", [b"", b"\0", b"\xff" * 70000, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\1\xfe\0" * 99]
)
async def test_a_server_that_is_no_hlr_is_unreachable(noise):
    async def answer(reader, writer):
        writer.write(noise)
        await reader.read(100)
        writer.write(noise)

    async with tcp_server(answer) as port:
        options = {"timeout": "0.3", "vty": str(port), "gsup": str(port)}
        target = Target("x", f"127.0.0.1:{port}", "osmo-hlr", "", options)
        async with OsmoHlr(target, Secret({IMSI: f"xor k {'0' * 32}"})) as hlr, asyncio.timeout(60):
            for operation in (hlr.probe, hlr.services, lambda: hlr.measure(INTENT)):
                with pytest.raises(Unreachable) as caught:
                    await operation()
                assert caught.value.element == "x"


async def test_an_hlr_without_gsup_cannot_be_measured():
    async with OsmoHlr(Target("x", "127.0.0.1:1", options={"gsup": "none"}), Secret({})) as hlr:
        with pytest.raises(Unsupported) as caught:
            await hlr.measure(INTENT)
    assert caught.value.reason == "noTestHead"


async def test_a_closed_port_is_unreachable():
    async with OsmoHlr(Target("x", "127.0.0.1:1"), Secret({})) as hlr:
        with pytest.raises(Unreachable, match="cannot connect"):
            await hlr.verify(INTENT)


async def test_the_error_of_a_connection_that_times_out_says_so():
    target = Target("x", "127.0.0.1:1", options={"timeout": "0"})
    async with OsmoHlr(target, Secret({})) as hlr:
        with pytest.raises(Unreachable, match="cannot connect: no answer in time"):
            await hlr.verify(INTENT)


@pytest.mark.parametrize(
    ("address", "options"),
    [("127.0.0.1:x", {}), ("127.0.0.1", {"vty": "h:x"}), ("127.0.0.1", {"speed": "1"})],
)
async def test_an_invalid_target_is_misconfigured(address, options):
    with pytest.raises(Misconfigured):
        OsmoHlr(Target("x", address, "osmo-hlr", "", options), Secret({}))
