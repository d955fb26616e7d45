"""Several HTTP processes on one port: clients see one server."""

import contextlib
import json
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.server import ServerProcess, free_port
from tests.support.waiting import wait_until

CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
IMPORT_JOB = "/tmf-api/productCatalogManagement/v5/importJob"
ORDER = "/tmf-api/productOrderingManagement/v5/productOrder"
PROCESSES = 2
#: State of a connection in /proc/net/tcp.
ESTABLISHED = "01"
BURST = 20


def serve(folder, **environment):
    return ServerProcess(folder, TMF_PROCESSES=str(PROCESSES), TMF_AUTH="on", **environment)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """A server with two HTTP processes, a worker and a port for metrics."""
    served = serve(
        tmp_path_factory.mktemp("processes") / "data",
        TMF_CALLBACK_LOOPBACK="true",
        TMF_WORKERS="2",
        TMF_METRICS_PORT=str(free_port()),
    )
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture(scope="module")
def limited(tmp_path_factory, mongodb_uri):
    """A server with two HTTP processes, low limits and neither worker nor Temporal."""
    served = serve(
        tmp_path_factory.mktemp("limited") / "data",
        TMF_MONGODB_URI=mongodb_uri,
        TMF_MONGODB_DATABASE="processes_limited",
        TMF_TEMPORAL_ADDRESS="127.0.0.1:1",
        TMF_WORKERS="0",
        TMF_CLIENT_RATE="0.01",
        TMF_CLIENT_BURST=str(BURST),
        TMF_ADDRESS_CONNECTIONS="10",
        TMF_ORDER_LIMIT="3",
    )
    try:
        yield served.start()
    finally:
        served.stop()


def children(server):
    """Return the process ids of the HTTP processes by their numbers."""
    pids = {}
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"serve-process" in command:
                pids[int(command[command.index(b"--number") + 1])] = int(pid)
    return pids


def metric(text, name, label=""):
    """Return the sum of the samples of a metric that have a value of a label."""
    samples = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for labels, value in samples if label in labels)


def open_clients(server, count, **claims):
    """Return clients with a connection each, so that they use different processes."""
    token = server.token(**claims)
    clients = [server.client(token) for _ in range(count)]
    for client in clients:
        assert client.get(f"{CATEGORY}?limit=1").status_code == 200
    return clients


@pytest.fixture
def clients(processes, tenant):
    """Eight clients of a new tenant."""
    opened = open_clients(processes, 8, tenant=tenant)
    yield opened
    for client in opened:
        client.close()


def connections_of(pid, port):
    """Return the number of connections of clients to a port that a process has accepted."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED}
    count = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it has been closed meanwhile
            count += str(file.readlink()).removeprefix("socket:[").rstrip("]") in inodes
    return count


def wait_until_all_accept(server, **claims):
    """Open connections until each process of a server has accepted one."""
    port, clients = int(server.url.rpartition(":")[2]), []

    def have_all_accepted():
        clients.extend(open_clients(server, 4, **claims))
        return all(connections_of(pid, port) for pid in children(server).values())

    try:
        wait_until(have_all_accepted)
    finally:
        for client in clients:
            client.close()


def test_every_process_accepts_connections(processes):
    assert set(children(processes)) == {1, 2}
    wait_until_all_accept(processes)


def test_the_metrics_are_those_of_all_processes(processes, clients):
    def count():
        texts = [read_metrics(processes) for _ in range(4)]
        assert {metric(text, "tmf_http_processes") for text in texts} == {PROCESSES}
        counts = {metric(text, "tmf_requests_total", "v5 listCategory") for text in texts}
        assert len(counts) == 1
        return counts.pop()

    before = count()
    for client in clients:
        for _ in range(5):
            assert client.get(CATEGORY).status_code == 200
    assert count() == before + 5 * len(clients)


def test_a_client_reads_its_writes_on_every_process(clients):
    created = []
    for number in range(16):
        writer = clients[number % len(clients)]
        response = writer.post(CATEGORY, json={"@type": "Category", "name": f"c{number}"})
        assert response.status_code == 201
        created.append(response.json())
        for client in clients:
            response = client.get(f"{CATEGORY}?limit=1")
            assert response.headers["x-total-count"] == str(len(created))
            response = client.get(f"{CATEGORY}?name=c{number}")
            assert response.headers["x-total-count"] == "1"
    assert clients[0].delete(created[0]["href"]).status_code == 204
    for client in clients:
        assert client.get(created[0]["href"]).status_code == 404
        assert client.get(f"{CATEGORY}?limit=1").headers["x-total-count"] == "15"
        assert client.get(f"{CATEGORY}?name=c0").headers["x-total-count"] == "0"


def test_one_of_several_patches_of_a_revision_succeeds(clients):
    created = clients[0].post(CATEGORY, json={"@type": "Category", "name": "a"})
    url, tag = created.json()["href"], created.headers["etag"]
    with ThreadPoolExecutor(len(clients)) as pool:
        for attempt in range(3):
            patches = pool.map(
                lambda client: client.patch(
                    url,
                    json={"name": f"{attempt}"},  # noqa: B023 - used at once
                    headers={"If-Match": tag, "Content-Type": "application/merge-patch+json"},  # noqa: B023
                ),
                clients,
            )
            statuses = sorted(response.status_code for response in patches)
            assert statuses[0] == 200
            assert set(statuses[1:]) <= {409, 412}
            tags = {client.get(url).headers["etag"] for client in clients}
            assert len(tags) == 1
            tag = tags.pop()


def test_an_idempotency_key_that_all_processes_get_at_once_creates_one_resource(clients):
    with ThreadPoolExecutor(len(clients)) as pool:
        responses = pool.map(
            lambda client: client.post(
                CATEGORY,
                json={"@type": "Category", "name": "a"},
                headers={"Idempotency-Key": "same"},
            ),
            clients,
        )
    bodies = [response.json() for response in responses if response.status_code == 201]
    assert len(bodies) == len(clients)
    assert len({body["id"] for body in bodies}) == 1


def test_a_job_is_polled_on_every_process(clients):
    response = clients[0].post(
        IMPORT_JOB,
        json={"@type": "ImportJob", "url": "http://127.0.0.1:9/nothing.json"},
        headers={"Prefer": "respond-async"},
    )
    assert response.status_code == 202
    url = response.headers["location"]
    for client in clients:
        assert client.get(url).status_code == 200
    wait_until(lambda: clients[0].get(url).json()["state"] != "InProgress", timeout=90, pause=0.2)
    assert {client.get(url).json()["state"] for client in clients} == {"Failed"}


def test_an_extension_type_is_known_to_every_process_at_once(processes, clients, tenant):
    token = processes.token(scopes=("admin",))
    type_ = f"Acme{tenant}Category"
    schema = {
        "x-baseType": "Category",
        "required": ["acme"],
        "properties": {"acme": {"type": "string"}},
    }
    with processes.client(token) as admin:
        response = admin.put(f"/admin/schemas/{type_}", json=schema)
        assert response.status_code in {200, 201}, response.text
    body = {"@type": type_, "@baseType": "Category", "name": "a"}
    for client in clients:
        assert client.post(CATEGORY, json=body).status_code == 400
        assert client.post(CATEGORY, json={**body, "acme": "b"}).status_code == 201


def test_a_rate_holds_for_all_processes_together(limited):
    token = limited.token(subject="greedy")
    statuses = []
    for _ in range(3 * BURST):  # each on a connection of its own
        with limited.client(token) as client:
            statuses.append(client.get(f"{CATEGORY}?limit=1").status_code)
    # The first request to a process counts for its address: its token is not verified before.
    assert BURST <= statuses.count(200) <= BURST + PROCESSES + 1
    assert statuses.count(429) == len(statuses) - statuses.count(200)


def test_the_connections_of_an_address_are_those_to_all_processes(limited):
    clients = [limited.client() for _ in range(16)]
    statuses = [client.get("/health/live").status_code for client in clients]
    for client in clients:
        client.close()
    assert statuses.count(200) == 10
    assert statuses.count(429) == 6
    with limited.client() as client:
        wait_until(lambda: client.get("/health/live").status_code == 200, timeout=5)


def test_a_quota_of_orders_holds_for_all_processes_together(limited, tenant):
    body = {
        "@type": "ProductOrder",
        "productOrderItem": [{"@type": "ProductOrderItem", "id": "1", "action": "add"}],
    }
    statuses = []
    for number in range(9):
        token = limited.token(tenant=tenant, subject=f"client-{number}")
        with limited.client(token) as client:
            statuses.append(client.post(ORDER, json=body).status_code)
    assert statuses == [201] * 3 + [429] * 6


def test_requests_go_on_while_a_killed_process_is_started_again(processes, clients, tenant):
    before = children(processes)
    token = processes.token(tenant=tenant)
    counted = metric(read_metrics(processes), "tmf_requests_total")
    os.kill(before[2], signal.SIGKILL)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with processes.client(token) as client:
            assert client.get(CATEGORY).status_code == 200
        now = children(processes)
        if now.get(2, before[2]) != before[2] and is_whole(processes):
            break
        time.sleep(0.05)
    assert children(processes)[1] == before[1]
    text = read_metrics(processes)
    assert metric(text, "tmf_http_process_restarts_total") == 1
    assert metric(text, "tmf_requests_total") >= counted
    assert '"reason":"killed by SIGKILL"' in processes.log
    for client in clients:
        client.close()
    wait_until_all_accept(processes, tenant=tenant)


def read_metrics(server):
    return httpx.get(f"http://127.0.0.1:{server.environment['TMF_METRICS_PORT']}/metrics").text


def is_whole(server):
    return metric(read_metrics(server), "tmf_http_processes") == PROCESSES


def test_as_many_workers_run_as_wanted(processes, limited):
    logs = [processes.folder / name for name in ("worker.log", "worker-2.log")]
    wait_until(lambda: all("working for Temporal" in log.read_text() for log in logs), timeout=60)
    assert not (limited.folder / "worker.log").exists()


def test_lines_of_the_log_have_the_number_of_their_process(processes):
    ready = re.findall(r'"message":"ready at [^}]*"http_process":(\d)', processes.log)
    assert set(ready) == {"1", "2"}


def write_until_refused(server, token, answered):
    """Create categories, each on a connection of its own; collect the ids that are answered."""
    while True:
        try:
            with server.client(token) as client:
                response = client.post(CATEGORY, json={"@type": "Category", "name": "a"})
        except httpx.HTTPError:
            if server.process.poll() is not None:
                return
            continue
        if response.status_code == 201:
            answered.append(response.json()["id"])


def test_a_stop_under_load_loses_no_answer(tmp_path, mongodb_uri, database):
    server = serve(
        tmp_path / "data",
        TMF_MONGODB_URI=mongodb_uri,
        TMF_MONGODB_DATABASE=database.name,
        TMF_TEMPORAL_ADDRESS="127.0.0.1:1",
        TMF_WORKERS="0",
    ).start()
    answered = []
    token = server.token(tenant="default")
    threads = [
        threading.Thread(target=write_until_refused, args=(server, token, answered))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 60, timeout=60)
    pids = children(server).values()
    assert server.stop() == 0
    for thread in threads:
        thread.join(30)
    stored = {document["id"] for document in database["Category"].find({}, {"id": 1})}
    assert stored == set(answered)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_the_processes_end_when_the_supervisor_is_killed(tmp_path, mongodb_uri, database):
    server = serve(
        tmp_path / "data",
        TMF_MONGODB_URI=mongodb_uri,
        TMF_MONGODB_DATABASE=database.name,
        TMF_TEMPORAL_ADDRESS="127.0.0.1:1",
        TMF_WORKERS="0",
    ).start()
    pids = children(server).values()
    server.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), timeout=20)


def test_a_process_that_cannot_start_ends_the_server_with_its_reason(tmp_path):
    keys = tmp_path / "no-keys"
    keys.write_text("nothing")
    environment = {"TMF_MASTER_KEY_FILE": str(keys), "TMF_TEMPORAL_ADDRESS": "127.0.0.1:1"}
    server = serve(tmp_path / "data", **environment)
    server.start(wait=0)
    try:
        assert server.process.wait(90) == 1
    finally:
        server.stop()
    assert "a master key is 32 random bytes" in server.log.splitlines()[-1]
    assert json.loads(server.log.splitlines()[-1])["level"] == "ERROR"
