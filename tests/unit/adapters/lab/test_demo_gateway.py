"""The gateway of the demo: simulated where the machine cannot run the lab."""

import asyncio

import pytest

from adapters.credentials import Secret
from adapters.lab import SnmpLab, network
from adapters.lab.demo_gateway import SimulatedDemoGateway, create_demo_gateway
from adapters.snmp.element import SnmpElement


@pytest.fixture
def _fresh_lab_check():
    """Check again whether the machine can run the lab, before and after the test."""
    network.lab_unavailable_reason.cache_clear()
    yield
    network.lab_unavailable_reason.cache_clear()


def test_the_simulated_demo_gateway_runs_in_this_process():
    with SimulatedDemoGateway("gw-demo", trap_port=0) as gateway:
        secret = Secret(gateway.credentials["gw-demo"])

        async def conditions():
            async with SnmpElement(gateway.target, secret) as element:
                return [fault.port for fault in await element.active_conditions()]

        assert asyncio.run(conditions()) == []
        gateway.cut_link("sub2")
        assert asyncio.run(conditions()) == ["sub2"]
        gateway.restore_link("sub2")
        assert asyncio.run(conditions()) == []
    with pytest.raises(RuntimeError, match="not up"):
        gateway.cut_link("sub2")


@pytest.mark.usefixtures("_fresh_lab_check")
def test_without_a_lab_the_demo_gateway_is_simulated_and_says_why(monkeypatch):
    monkeypatch.setattr(network.os, "geteuid", lambda: 1000)
    gateway, reason = create_demo_gateway("gw-demo", trap_port=0)
    with gateway:
        assert isinstance(gateway, SimulatedDemoGateway)
        assert not isinstance(gateway, SnmpLab)
        assert "root" in reason


@pytest.mark.usefixtures("_fresh_lab_check")
def test_a_lab_without_its_packages_names_them(monkeypatch):
    monkeypatch.setattr(network.os, "geteuid", lambda: 0)
    monkeypatch.setattr(network, "PATH", "")
    assert "apt-get install iproute2 snmpd" in network.lab_unavailable_reason()
