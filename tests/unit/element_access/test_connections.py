"""The pool of open adapters."""

from dataclasses import replace

import pytest

from adapters.credentials import Credentials
from adapters.errors import Rejected, Unreachable
from adapters.snmp.simulator import SimulatedGateway
from adapters.testing import premium
from tmf_apis.element_access.breaker import FAILURE_THRESHOLD, FIRST_PAUSE, CircuitOpenError
from tmf_apis.element_access.connections import Connections

pytestmark = pytest.mark.anyio


@pytest.fixture
def credentials():
    return Credentials("", {"TMF_CREDENTIAL_GW_SIM": '{"community": "simulated"}'})


async def test_an_open_circuit_fails_at_once_and_closes_after_a_successful_retry(credentials):
    now, changes = [0.0], []
    connections = Connections(
        credentials,
        on_circuit_change=lambda target, unreachable: changes.append((target.name, unreachable)),
        clock=lambda: now[0],
    )
    async with SimulatedGateway() as gateway:
        silent = replace(gateway.target, options={"timeout": "0.05", "retries": "0"})
        patient = replace(gateway.target, options={"timeout": "10", "retries": "0"})
        gateway.fault_injection.silent = True
        for _ in range(FAILURE_THRESHOLD):
            with pytest.raises(Unreachable):
                async with connections.acquire(silent) as adapter:
                    await adapter.probe()
        assert changes == [("gw-sim", True)]
        gateway.fault_injection.silent = False
        with pytest.raises(CircuitOpenError):
            async with connections.acquire(patient) as adapter:
                await adapter.probe()
        assert not connections.is_retry_due(patient)
        now[0] += FIRST_PAUSE
        assert connections.is_retry_due(patient)
        async with connections.acquire(patient) as adapter:
            assert (await adapter.probe()).name == "gw-sim"
        assert changes == [("gw-sim", True), ("gw-sim", False)]
        await connections.close()


async def test_users_share_an_adapter_until_an_error_replaces_it(credentials):
    async with SimulatedGateway() as gateway:
        connections = Connections(credentials)
        async with (
            connections.acquire(gateway.target) as first,
            connections.acquire(gateway.target) as second,
        ):
            assert first is second
        with pytest.raises(Rejected):
            async with connections.acquire(gateway.target) as adapter:
                await adapter.plan(premium("no-such-port"))
        async with connections.acquire(gateway.target) as replacement:
            assert replacement is not first
            assert (await replacement.probe()).name == "gw-sim"
        await connections.close()
