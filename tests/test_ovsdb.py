"""A real switch: services over OVSDB, proved by traffic; and what goes wrong."""

import pytest

from adapters.credentials import Secret
from adapters.lab.switch import SwitchLab, missing
from adapters.ovsdb import OvsdbSwitch
from adapters.testing import AdapterContract

MBIT = 1_000_000
needs_switch = pytest.mark.skipif(missing() is not None, reason=str(missing()))
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def lab():
    with SwitchLab() as lab:
        yield lab


@pytest.fixture
async def switch(lab, anyio_backend):
    async with OvsdbSwitch(lab.target, Secret({})) as switch:
        yield switch
        for one in await switch.services():
            await switch.remove(one.service_id)


@needs_switch
class TestSwitch(AdapterContract):
    settings = {"vlan": 100, "downstream": 100 * MBIT}  # noqa: RUF012
    changed = {"vlan": 200, "downstream": 200 * MBIT}  # noqa: RUF012
    wrong = {"vlan": 5000}  # noqa: RUF012

    @pytest.fixture
    def adapter(self, switch):
        return switch

    @pytest.fixture
    def ports(self):
        return ("sub1", "sub2")
