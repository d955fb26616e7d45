"""SIGKILL of server, worker and database during writes: no acknowledged write is lost."""

import contextlib
import os
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import orjson
import pytest
from pymongo import MongoClient

from tests.support import waiting
from tests.support.server import ServerProcess, free_port
from tmf_apis.store.embedded_mongod import EmbeddedMongod

CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
HUB = "/tmf-api/productCatalogManagement/v5/hub"
#: Longest time of a recovery on a busy machine, in seconds.
RECOVERY_TIMEOUT = 60.0


def wait_until(condition):
    """Return the first true value of a condition."""
    return waiting.wait_until(condition, timeout=RECOVERY_TIMEOUT, pause=0.1)


class Listener:
    """A subscriber that receives events over HTTP."""

    def __init__(self):
        events = self.events = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                events.append(orjson.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def category_names(self, type_):
        """Return the names of the categories of the received events of a type."""
        return {
            event["event"]["category"]["name"]
            for event in self.events
            if event["eventType"] == type_
        }


class Writers:
    """Threads that create, change and delete categories as fast as they can.

    Attributes:
        names: The last acknowledged names, by id.
        deleted: Ids whose deletion was acknowledged.
        unacknowledged: Ids with a change or a deletion that has no answer.
        statuses: The status codes of all answers.
        errors: The number of requests without an answer.
    """

    def __init__(self, server, count=4):
        self.server = server
        self.names, self.deleted, self.unacknowledged, self.statuses = {}, set(), set(), []
        self.errors = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        with self.server.client() as client:
            while not self._stop.is_set():
                try:
                    self._write(client)
                except httpx.HTTPError:
                    self.errors += 1
                    time.sleep(0.02)

    def _write(self, client):
        name = uuid.uuid4().hex
        created = client.post(CATEGORY, json={"@type": "Category", "name": name})
        self.statuses.append(created.status_code)
        if created.status_code != 201:
            time.sleep(0.02)
            return
        id = created.json()["id"]
        self.names[id] = name
        self.unacknowledged.add(id)
        changed = client.patch(f"{CATEGORY}/{id}", json={"name": f"{name}-2"})
        self.statuses.append(changed.status_code)
        if changed.status_code == 200:
            self.names[id] = f"{name}-2"
        if changed.status_code < 500:
            self.unacknowledged.discard(id)
        if id[-1] == "0":
            self.unacknowledged.add(id)
            deleted = client.delete(f"{CATEGORY}/{id}")
            self.statuses.append(deleted.status_code)
            if deleted.status_code == 204:
                self.deleted.add(id)
                self.unacknowledged.discard(id)

    def verify(self, client):
        """Compare the stored categories with the acknowledged writes; return them by id."""
        categories, url = {}, f"{CATEGORY}?limit=1000&after="
        while url:
            page = client.get(url)
            assert page.status_code in {200, 206}
            categories |= {category["id"]: category for category in page.json()}
            url = page.links.get("next", {}).get("url")
        for id, name in self.names.items():
            if id in self.deleted:
                assert id not in categories
            elif id not in self.unacknowledged:
                assert categories[id]["name"] == name
        members = {"id", "href", "@type", "name", "lifecycleStatus", "lastUpdate"}
        for category in categories.values():
            assert members <= category.keys()
        return categories


@contextlib.contextmanager
def running_server(folder):
    server = ServerProcess(folder / "data", TMF_AUTH="off", TMF_RETRY_FIRST="0.2")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def own_server(tmp_path):
    """A server of this test only, which the test may kill."""
    with running_server(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """A server whose child processes may be killed."""
    with running_server(tmp_path_factory.mktemp("surviving")) as server:
        yield server


def kill_child(server, command):
    """Kill a child process with SIGKILL; return when the server has restarted it."""
    pid = wait_until(lambda: server.child_pid(command))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.child_pid(command) not in {None, pid})
    server.await_ready()


@pytest.mark.parametrize("victim", ["server", "worker", "mongod"])
def test_no_acknowledged_write_is_lost_when_a_process_is_killed(request, victim):
    server = request.getfixturevalue("own_server" if victim == "server" else "shared_server")
    with Listener() as listener, server.client() as client:
        hub = client.post(HUB, json={"@type": "Hub", "callback": listener.url})
        assert hub.status_code == 201
        wait_until(lambda: server.child_pid("tmf_apis work"))
        with Writers(server) as writers:
            wait_until(lambda: len(writers.names) > 30)
            if victim == "server":
                server.kill()
                wait_until(lambda: writers.errors)
                server.start()  # on another port: the writers do not reach it
            else:
                kill_child(server, "tmf_apis work" if victim == "worker" else "mongod")
                count = len(writers.names)
                wait_until(lambda: len(writers.names) > count + 10)
        statuses = set(writers.statuses)
        assert statuses <= {201, 200, 204, 503, 409}, statuses
        with server.client() as new_client:
            categories = writers.verify(new_client)
            lost = set(writers.names) - writers.deleted - writers.unacknowledged - set(categories)
            assert lost == set()
        created_names = {name.removesuffix("-2") for name in writers.names.values()}
        wait_until(lambda: created_names <= listener.category_names("CategoryCreateEvent"))
        deleted_names = {writers.names[id] for id in writers.deleted}
        wait_until(lambda: deleted_names <= listener.category_names("CategoryDeleteEvent"))
        event_ids = {event["eventId"] for event in listener.events}
        assert len(event_ids) >= len(created_names)


def test_a_side_effect_that_a_killed_server_left_pending_is_done(shared_server):
    with shared_server.client() as client:
        body = {"@type": "Category", "name": "parent"}
        parent = client.post(CATEGORY, json=body).json()["id"]
        reference = {"@type": "CategoryRef", "id": parent}
        body = {"@type": "Category", "name": "child", "parent": reference}
        answer = client.post(CATEGORY, json=body)
        assert answer.status_code == 201, answer.text
        child = answer.json()["id"]
        category = client.get(f"{CATEGORY}/{parent}").json()
        assert [each["id"] for each in category["subCategory"]] == [child]
        with MongoClient(EmbeddedMongod(shared_server.settings).uri) as mongo_client:
            categories = mongo_client["tmf"]["Category"]
            parent_key, child_key = f"default:{parent}", f"default:{child}"
            pending = {"old": None, "at": "2026-01-01T00:00:00.000Z", "rev": 1}
            categories.update_one({"_id": parent_key}, {"$unset": {"body.subCategory": ""}})
            categories.update_one({"_id": child_key}, {"$set": {"todo": pending}})
            wait_until(lambda: "todo" not in categories.find_one({"_id": child_key}))
            category = categories.find_one({"_id": parent_key})["body"]
        assert [each["id"] for each in category["subCategory"]] == [child]


def test_a_stopping_server_answers_open_requests_and_ends(own_server):
    with Writers(own_server, 6) as writers:
        wait_until(lambda: len(writers.names) > 20)
        assert own_server.stop(20.0) == 0
    assert set(writers.statuses) <= {201, 200, 204, 503}
    assert '"traceback"' not in own_server.log, own_server.log[-3000:]
    assert own_server.child_pid("mongod") is None
    own_server.start()
    with own_server.client() as client:
        writers.verify(client)


def test_readiness_follows_the_database(shared_server):
    with shared_server.client() as client:
        assert client.get("/health/ready").status_code == 200
        pid = shared_server.child_pid("mongod")
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: client.get("/health/ready").status_code == 503)
            assert client.get("/health/live").status_code == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert client.post(CATEGORY, json={"@type": "Category", "name": "x"}).status_code == 201


def test_every_request_to_a_database_that_hangs_is_refused_in_time(own_server):
    own_server.stop()
    own_server.environment["TMF_MONGODB_TIMEOUT"] = "2"
    own_server.start()
    body = {"@type": "Category", "name": "x"}
    with own_server.client() as client:
        path = f"{CATEGORY}/{client.post(CATEGORY, json=body).json()['id']}"
        wait_until(lambda: "temporal" in client.get("/health/ready").json()["checks"])
    requests = [
        *(("GET", path, None), ("GET", f"{CATEGORY}?fields=name", None), ("POST", CATEGORY, body)),
        *(("PATCH", path, {"name": "y"}), ("DELETE", path, None)),
        ("POST", HUB, {"callback": "http://127.0.0.1:9/", "@type": "Hub"}),
        (
            "POST",
            CATEGORY.replace("category", "importJob"),
            {"@type": "ImportJob", "url": "file:x"},
        ),
        ("GET", "/metrics", None),
        *[("POST", CATEGORY, body)] * 24,  # more than there are threads
    ]

    def refuse(request):
        method, path, content = request
        with own_server.client() as client:
            response = client.request(method, path, json=content)
        return path, response.status_code, response.elapsed.total_seconds()

    pid = own_server.child_pid("mongod")
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(len(requests)) as executor:
            for _ in range(2):  # the second time, threads and connections are taken
                outcomes = list(executor.map(refuse, requests))
                assert {status for path, status, _ in outcomes if path != "/metrics"} == {503}
                assert max(seconds for _, _, seconds in outcomes) < 2 + 2  # a busy machine
        with own_server.client() as client:
            unready = client.get("/health/ready")
            assert unready.status_code == 503
            assert unready.json()["checks"]["database"]["status"] == "fail"
    finally:
        os.kill(pid, signal.SIGCONT)
    with own_server.client() as client:
        wait_until(lambda: client.post(CATEGORY, json=body).status_code == 201)


def test_readiness_names_a_database_that_does_not_answer(tmp_path):
    port = free_port()
    server = ServerProcess(
        tmp_path / "data", TMF_MONGODB_URI=f"mongodb://user:secret@127.0.0.1:{port}/?replicaSet=rs0",
        TMF_MONGODB_TIMEOUT="1", TMF_AUTH="off",
    )  # fmt: skip
    try:
        server.start(wait=0)

        def answer_with_reason():
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.get(f"{server.url}/health/ready", timeout=5.0)
                return answer if str(port) in answer.text else None

        answer = wait_until(answer_with_reason)
        assert answer.status_code == 503
        assert answer.json()["@type"] == "Error"
        assert "secret" not in answer.text
        assert "secret" not in server.log
        unready = httpx.get(f"{server.url}{CATEGORY}", timeout=5.0)
        assert unready.status_code == 503
        assert unready.headers["retry-after"]
    finally:
        assert server.stop(20.0) == 0


def test_two_servers_on_one_data_directory_share_the_data(own_server):
    second = ServerProcess(own_server.folder, TMF_AUTH="off")
    try:
        second.start()
        with own_server.client() as client, second.client() as other:
            body = {"@type": "Category", "name": "shared"}
            path = f"{CATEGORY}/{client.post(CATEGORY, json=body).json()['id']}"
            assert other.get(path).status_code == 200
            assert other.patch(path, json={"name": "changed"}).status_code == 200
            stale = client.patch(path, json={"name": "late"}, headers={"If-Match": '"1"'})
            assert stale.status_code == 412
            wait_until(lambda: client.get(CATEGORY).headers["x-total-count"] == "1")
            own_server.kill()
            wait_until(lambda: other.get("/health/ready").status_code == 200)
            wait_until(lambda: other.get(path).status_code == 200)
            assert other.get(path).json()["name"] == "changed"
    finally:
        second.stop()
