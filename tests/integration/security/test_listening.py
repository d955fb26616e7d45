"""Access to the metrics, and to the files of the data directory."""

import stat

import httpx
import pytest

from tests.support.server import ServerProcess, free_port
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def metrics_port():
    return free_port()


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory, metrics_port):
    """A server with authentication, a port for metrics, and a data directory that was wide."""
    folder = tmp_path_factory.mktemp("listening") / "data"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / "worker.log").touch(mode=0o644)
    served = ServerProcess(folder, TMF_AUTH="on", TMF_METRICS_PORT=str(metrics_port))
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.mark.parametrize(
    ("scopes", "parties", "status"),
    [
        (None, None, 401),
        (["tmf620:read"], None, 403),
        (["metrics"], None, 200),
        (["admin"], None, 200),
        (["metrics", "admin"], ["p"], 403),
    ],
)
def test_metrics_need_a_token_of_the_operator(closed_server, scopes, parties, status):
    token = "" if scopes is None else closed_server.token(scopes=scopes, parties=parties)
    with closed_server.client(token) as client:
        response = client.get("/metrics")
        assert response.status_code == status
        assert ("tmf_requests_total" in response.text) == (status == 200)


def test_metrics_have_a_port_of_their_own_without_a_token(closed_server, metrics_port):
    response = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics")
    assert response.status_code == 200
    assert "tmf_backlog_known" in response.text


def test_without_authentication_metrics_are_open(server):
    with server.client() as client:
        assert client.get("/metrics").status_code == 200


def test_nobody_else_has_access_to_the_data_directory(closed_server):
    wait_until(lambda: (closed_server.folder / "worker.log").stat().st_size > 0, timeout=30)
    paths = [closed_server.folder, *closed_server.folder.rglob("*")]
    names = {path.name for path in paths}
    assert {"worker.log", "signing.pem", "temporal.db", "mongod.log"} <= names
    wide = [p for p in paths if stat.S_IMODE(p.lstat().st_mode) & 0o077 and not p.is_symlink()]
    assert wide == []
    assert "access of other users to the data directory removed" in closed_server.log


def test_the_address_of_temporal_is_for_administrators_only(closed_server):
    with closed_server.client(closed_server.token(scopes=["tmf620:read"])) as client:
        assert client.get("/admin/temporal").status_code == 403
        page = client.get("/", headers={"Accept": "text/html"}).text
        assert "Running workflows" not in page
        assert "temporal" not in client.get("/").text.lower()
    with closed_server.client(closed_server.token(scopes=["admin"])) as client:
        access = client.get("/admin/temporal").json()
    assert access["address"].startswith(("unix:", "127.0.0.1:"))
    assert access["namespace"] == "default"
