"""The embedded Temporal: start, sharing, takeover and restart."""

import asyncio
import dataclasses
import http.client
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tmf_apis.settings import Settings
from tmf_apis.store import network_namespace
from tmf_apis.store.embedded_temporal import EmbeddedTemporal
from tmf_apis.store.process import CannotStart, command_line
from tmf_apis.temporal_worker import connect


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
    client = await connect(address, "network")
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


@pytest.mark.parametrize("isolation", ["auto", "off"])
def test_the_database_is_in_a_directory_with_any_name(tmp_path, isolation):
    """SQLite reads its file as a URI: a query, a fragment and percent signs have a meaning."""
    folder = tmp_path / "A b%41?c=d#e,f:g'\udcff"
    server = EmbeddedTemporal(Settings(data_dir=folder, temporal_isolation=isolation))
    server.start()
    try:
        assert (folder / "temporal.db").is_file()
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
        assert server._is_own_process(server.child.pid)
    finally:
        server.stop()


def test_a_damaged_database_file_is_reported(settings):
    (settings.data_dir / "temporal.db").write_text("not SQLite" * 1000)
    with pytest.raises(CannotStart, match=r"temporal\.db is damaged"):
        EmbeddedTemporal(settings).start()


needs_namespaces = pytest.mark.skipif(
    not network_namespace.is_available(), reason="the system permits no network namespaces"
)


def descendants(pid):
    """Return the ids of a process and of all its descendants."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = " ".join((task / "children").read_text() for task in tasks).split()
    return [pid, *(other for child in children for other in descendants(int(child)))]


@needs_namespaces
def test_only_its_user_can_connect_and_only_by_sockets(temporal):
    paths = [temporal.access.address.removeprefix("unix:"), temporal.access.page_socket]
    for path in map(Path, paths):
        status = path.stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid())
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert temporal.access.page_url == ""
    pids = descendants(temporal.child.pid)
    listing = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True)  # noqa: S607
    assert not [pid for pid in pids if f"pid={pid}," in listing.stdout]


@needs_namespaces
def test_it_can_connect_to_nothing_outside(temporal):
    _, server = descendants(temporal.child.pid)
    devices = Path(f"/proc/{server}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    own, other = (os.stat(f"/proc/{p}/ns/net").st_ino for p in ("self", server))  # noqa: PTH116
    assert own != other
    assert Path(f"/proc/{server}/net/route").read_text().count("\n") == 1
    assert b"TEMPORAL_VERSION_CHECK_DISABLED=1" in Path(f"/proc/{server}/environ").read_bytes()


@needs_namespaces
def test_the_server_ends_with_its_forwarder(temporal):
    _, server = descendants(temporal.child.pid)
    os.kill(temporal.child.pid, signal.SIGKILL)
    temporal.child._process.wait()
    wait_until(lambda: "start-dev" not in command_line(server))


@needs_namespaces
def test_without_authentication_its_page_has_a_port_on_loopback(settings):
    server = EmbeddedTemporal(dataclasses.replace(settings, auth="off"))
    server.start()
    try:
        netloc = server.access.page_url.removeprefix("http://")
        connection = http.client.HTTPConnection(netloc, timeout=10)
        connection.request("GET", "/api/v1/namespaces/network")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.stop()


def test_without_isolation_it_listens_on_loopback_with_a_warning(settings, caplog, monkeypatch):
    monkeypatch.setattr(network_namespace, "is_available", lambda: False)
    server = EmbeddedTemporal(settings)
    server.start()
    try:
        host, port = server.address.split(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), timeout=10).close()
        assert asyncio.run(namespace_of(server.address)) == "network"
    finally:
        server.stop()
    assert "every user of this machine can use the embedded Temporal" in caplog.text


def test_required_isolation_that_is_not_possible_is_reported(settings, monkeypatch):
    monkeypatch.setattr(network_namespace, "is_available", lambda: False)
    server = EmbeddedTemporal(dataclasses.replace(settings, temporal_isolation="on"))
    with pytest.raises(CannotStart, match="TMF_TEMPORAL_ISOLATION"):
        server.start()
    server.stop()
