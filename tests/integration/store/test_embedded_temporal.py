"""The embedded Temporal: start, sharing, takeover and restart."""

import asyncio
import os
import signal

import pytest
from temporalio.client import Client

from tests.support.waiting import wait_until
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_temporal import EmbeddedTemporal
from tmf_apis.store.process import CannotStart


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, temporal_namespace="network")


@pytest.fixture
def temporal(settings):
    server = EmbeddedTemporal(settings)
    server.start()
    yield server
    server.stop()


def supervise_until_ready(server):
    def check():
        server.supervise()
        return server.is_ready

    wait_until(check, timeout=60, pause=0.02)


async def namespace_of(address):
    client = await Client.connect(address, namespace="network")
    return client.namespace if await client.service_client.check_health() else None


def test_a_client_can_use_the_namespace(temporal):
    assert asyncio.run(namespace_of(temporal.address)) == "network"


def test_a_second_server_attaches_and_takes_over_on_the_same_ports(settings, temporal):
    second = EmbeddedTemporal(settings)
    second.start()
    try:
        assert (second.is_owner, second.address) == (False, temporal.address)
        address = temporal.address
        temporal.stop()
        second.supervise()
        assert second.is_owner
        supervise_until_ready(second)
        assert second.address == address
        assert asyncio.run(namespace_of(address)) == "network"
    finally:
        second.stop()


def test_a_killed_temporal_is_restarted(temporal):
    os.kill(temporal.child.pid, signal.SIGKILL)
    temporal.child._process.wait()
    temporal.supervise()
    assert temporal.child.is_running
    supervise_until_ready(temporal)
    assert asyncio.run(namespace_of(temporal.address)) == "network"


def test_a_damaged_database_file_is_reported(settings):
    (settings.data_dir / "temporal.db").write_text("not SQLite" * 1000)
    with pytest.raises(CannotStart, match=r"temporal\.db is damaged"):
        EmbeddedTemporal(settings).start()
