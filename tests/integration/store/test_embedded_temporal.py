"""The embedded Temporal: started, shared, taken over."""

import asyncio
import os
import signal
import socket
import time

import pytest
from temporalio.client import Client

from tmf_apis.settings import Settings
from tmf_apis.store.embedded_temporal import EmbeddedTemporal, free_port
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


async def namespace_of(address):
    client = await Client.connect(address, namespace="network")
    return client.namespace if await client.service_client.check_health() else None


def test_a_client_finds_the_namespace(temporal):
    assert asyncio.run(namespace_of(temporal.address)) == "network"


def test_a_second_server_attaches_and_takes_over_on_the_same_ports(settings, temporal):
    second = EmbeddedTemporal(settings)
    second.start()
    try:
        assert (second.is_owner, second.address) == (False, temporal.address)
        address = temporal.address
        temporal.stop()
        end = time.monotonic() + 20
        second.supervise()
        assert second.is_owner
        while not second.is_ready and time.monotonic() < end:
            second.supervise()
            time.sleep(0.02)
        assert second.address == address
        assert asyncio.run(namespace_of(address)) == "network"
    finally:
        second.stop()


def test_it_is_started_again_when_it_was_killed(temporal):
    os.kill(temporal.child.pid, signal.SIGKILL)
    temporal.child._process.wait()
    end = time.monotonic() + 20
    temporal.supervise()
    assert temporal.child.is_running
    while not temporal.is_ready and time.monotonic() < end:
        temporal.supervise()
        time.sleep(0.02)
    assert asyncio.run(namespace_of(temporal.address)) == "network"


def test_a_damaged_file_is_named(settings):
    (settings.data_dir / "temporal.db").write_text("not SQLite" * 1000)
    with pytest.raises(CannotStart, match=r"temporal\.db is damaged"):
        EmbeddedTemporal(settings).start()


def test_a_taken_port_is_not_used():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert free_port(taken.getsockname()[1]) != taken.getsockname()[1]
