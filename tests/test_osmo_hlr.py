"""A real HLR: subscribers over CTRL and VTY, proved over GSUP; and what goes wrong."""

import asyncio
import json
import signal
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import registry
from adapters.credentials import Credentials, Secret
from adapters.errors import (
    Conflict,
    Misconfigured,
    NotVerified,
    PartiallyApplied,
    Rejected,
    Unreachable,
)
from adapters.lab.hlr import HlrLab, missing
from adapters.osmo_hlr import OsmoHlr, gsup, ipa, subscriber
from adapters.osmo_hlr.ctrl import Ctrl, Refused, parse
from adapters.osmo_hlr.ipa import Broken, Frame, Splitter
from adapters.osmo_hlr.keys import Keys, keys_of
from adapters.osmo_hlr.vty import Row, Vty, plain, rows
from adapters.testing import AdapterContract, provide
from adapters.values import Intent, Target

ONE, OTHER, STRANGER = "901700000000001", "901700000000002", "901700000000099"
SERVICE = {"msisdn": "491700000001", "circuitSwitched": True, "packetSwitched": True}
SUBSCRIBER = Intent("service-1", ONE, SERVICE)
BARRED = Intent("service-1", ONE, {**SERVICE, "enabled": False})
GONE = Intent("service-1", ONE, present=False)
needs_hlr = pytest.mark.skipif(missing() is not None, reason=str(missing()))
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def lab():
    with HlrLab(imsis=(ONE, OTHER)) as lab:
        yield lab


@pytest.fixture
async def hlr(lab, anyio_backend):
    async with OsmoHlr(lab.target, Secret(lab.credentials[lab.name])) as hlr:
        yield hlr
        for one in await hlr.services():
            await provide(hlr, Intent("", one.port, present=False))


@needs_hlr
class TestHlr(AdapterContract):
    settings = SERVICE
    changed = {"msisdn": "491700000002", "circuitSwitched": False}  # noqa: RUF012
    wrong = {"msisdn": "49170-1"}  # noqa: RUF012
    unknown_port = "no-such-imsi"
    fixed_ports = False
    tagged = False

    @pytest.fixture
    def adapter(self, hlr):
        return hlr

    @pytest.fixture
    def ports(self):
        return (ONE, OTHER)
