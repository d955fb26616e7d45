"""Kill -9 of server, worker and database in the middle of writes: nothing acknowledged is lost."""

import contextlib
import os
import signal
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import orjson
import pytest
from pymongo import MongoClient

from tests.support.server import ServerProcess, free_port
from tmf_apis.server import Server
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod

CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
HUB = "/tmf-api/productCatalogManagement/v5/hub"
SOON = 60.0


def eventually(question, within=SOON):
    """The first true answer to a question."""
    end = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.1)
    return answer


class Listener:
    """A subscriber over real HTTP."""

    def __init__(self):
        events = self.events = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                events.append(orjson.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self, what):
        """Names of the categories of the events of a type."""
        found = [one for one in self.events if one["eventType"] == f"Category{what}Event"]
        return [one["event"]["category"]["name"] for one in found]


class Writers:
    """Threads that create, change and delete categories as fast as they can.

    Attributes:
        made: By id, the name that was acknowledged last.
        gone: Ids whose deletion was acknowledged.
        unsure: Ids of changes and deletions without an answer.
        answers: Every status.
    """

    def __init__(self, server, count=4):
        self.server = server
        self.made, self.gone, self.unsure, self.answers = {}, set(), set(), []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(count)]

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._threads:
            one.join()

    def _write(self):
        with self.server.client() as client:
            while not self._stop.is_set():
                try:
                    self._round(client)
                except httpx.HTTPError:
                    time.sleep(0.02)

    def _round(self, client):
        name = uuid.uuid4().hex
        made = client.post(CATEGORY, json={"@type": "Category", "name": name})
        self.answers.append(made.status_code)
        if made.status_code != 201:
            time.sleep(0.02)
            return
        id = made.json()["id"]
        self.made[id] = name
        self.unsure.add(id)
        changed = client.patch(f"{CATEGORY}/{id}", json={"name": f"{name}-2"})
        self.answers.append(changed.status_code)
        if changed.status_code == 200:
            self.made[id] = f"{name}-2"
        if changed.status_code < 500:
            self.unsure.discard(id)
        if id[-1] == "0":
            self.unsure.add(id)
            ended = client.delete(f"{CATEGORY}/{id}")
            self.answers.append(ended.status_code)
            if ended.status_code == 204:
                self.gone.add(id)
                self.unsure.discard(id)

    def verify(self, client):
        """Hold what the server has to what it has acknowledged."""
        seen, url = {}, f"{CATEGORY}?limit=1000&after="
        while url:
            page = client.get(url)
            assert page.status_code in {200, 206}
            seen |= {one["id"]: one for one in page.json()}
            url = page.links.get("next", {}).get("url")
        for id, name in self.made.items():
            if id in self.gone:
                assert id not in seen
            elif id not in self.unsure:
                assert seen[id]["name"] == name
        for one in seen.values():
            assert {"id", "href", "@type", "name", "lifecycleStatus", "lastUpdate"} <= one.keys()
        return seen


@contextlib.contextmanager
def started(folder):
    served = ServerProcess(folder / "data", TMF_AUTH="off", TMF_RETRY_FIRST="0.2")
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture
def crashing(tmp_path):
    """A server of this test alone, which it may kill."""
    with started(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def surviving(tmp_path_factory):
    """A server that goes on while its children die."""
    with started(tmp_path_factory.mktemp("surviving")) as served:
        yield served


@pytest.mark.parametrize("victim", ["server", "worker", "mongod"])
def test_nothing_acknowledged_is_lost_when_a_process_is_killed(request, victim):
    crashing = request.getfixturevalue("crashing" if victim == "server" else "surviving")
    with Listener() as listener, crashing.client() as client:
        hub = client.post(HUB, json={"@type": "Hub", "callback": listener.url})
        assert hub.status_code == 201
        worker = eventually(lambda: crashing.child("tmf_apis work"))
        with Writers(crashing) as writers:
            eventually(lambda: len(writers.made) > 30)
            if victim == "server":
                crashing.kill()
                time.sleep(0.5)
                crashing.start()
            else:
                pid = worker if victim == "worker" else crashing.child("mongod")
                os.kill(pid, signal.SIGKILL)
                time.sleep(1.0)
                crashing.await_ready()
            if victim == "server":
                writers.server = crashing  # on another port: the old writers end
            else:
                before = len(writers.made)
                eventually(lambda: len(writers.made) > before + 10)
        assert set(writers.answers) <= {201, 200, 204, 503, 409}, set(writers.answers)
        with crashing.client() as after:
            seen = writers.verify(after)
            lost = set(writers.made) - writers.gone - writers.unsure - set(seen)
            assert lost == set()
        wanted = {one.removesuffix("-2") for one in writers.made.values()}
        eventually(lambda: wanted <= set(listener.told("Create")))
        deleted = {writers.made[id] for id in writers.gone}
        eventually(lambda: deleted <= set(listener.told("Delete")))
        known = {one["eventId"] for one in listener.events}
        assert len(known) >= len(wanted)


def test_a_follow_up_that_a_dead_server_owed_is_done(surviving):
    with surviving.client() as client:
        made = client.post(CATEGORY, json={"@type": "Category", "name": "above"})
        parent = made.json()["id"]
        below = {"@type": "Category", "name": "below"}
        below["parent"] = {"@type": "CategoryRef", "id": parent}
        child = client.post(CATEGORY, json=below)
        assert child.status_code == 201, child.text
        shown = client.get(f"{CATEGORY}/{parent}").json()
        assert [one["id"] for one in shown["subCategory"]] == [child.json()["id"]]
        with MongoClient(EmbeddedMongod(surviving.settings).uri) as database:
            table = database["tmf"]["Category"]
            key = f"default:{child.json()['id']}"
            past = "2026-01-01T00:00:00.000Z"
            table.update_one({"_id": f"default:{parent}"}, {"$unset": {"body.subCategory": ""}})
            table.update_one({"_id": key}, {"$set": {"todo": {"old": None, "at": past, "rev": 1}}})
            eventually(lambda: "todo" not in table.find_one({"_id": key}))
            body = table.find_one({"_id": f"default:{parent}"})["body"]
        assert [one["id"] for one in body["subCategory"]] == [child.json()["id"]]


def test_stopping_answers_what_is_under_way_and_ends_in_time(crashing):
    with Writers(crashing, 6) as writers:
        eventually(lambda: len(writers.made) > 20)
        started = time.monotonic()
        assert crashing.stop(20.0) == 0
        assert time.monotonic() - started < 10.0
    assert set(writers.answers) <= {201, 200, 204, 503}
    assert '"traceback"' not in crashing.log, crashing.log[-3000:]
    assert crashing.child_pid("mongod") is None
    crashing.start()
    with crashing.client() as client:
        writers.verify(client)


def test_readiness_follows_the_database(surviving):
    with surviving.client() as client:
        assert client.get("/health/ready").status_code == 200
        pid = surviving.child_pid("mongod")
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: client.get("/health/ready").status_code == 503)
            assert client.get("/health/live").status_code == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: client.get("/health/ready").status_code == 200)
        assert client.post(CATEGORY, json={"@type": "Category", "name": "x"}).status_code == 201


def test_a_database_that_does_not_answer_is_the_reason_for_not_being_ready(tmp_path):
    port = free_port()
    served = ServerProcess(
        tmp_path / "data", TMF_MONGODB_URI=f"mongodb://user:secret@127.0.0.1:{port}/?replicaSet=rs0",
        TMF_MONGODB_TIMEOUT="1", TMF_AUTH="off",
    )  # fmt: skip
    try:
        served.start(wait=0)

        def reason():
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.get(f"{served.url}/health/ready", timeout=5.0)
                return answer if str(port) in answer.text else None

        answer = eventually(reason)
        assert answer.status_code == 503
        assert answer.json()["@type"] == "Error"
        assert "secret" not in answer.text
        assert "secret" not in served.log
        request = httpx.get(f"{served.url}{CATEGORY}", timeout=5.0)
        assert request.status_code == 503
        assert request.headers["retry-after"]
    finally:
        assert served.stop(20.0) == 0


def test_two_servers_on_one_data_directory_serve_the_same(crashing):
    second = ServerProcess(crashing.folder, TMF_AUTH="off")
    try:
        second.start()
        with crashing.client() as one, second.client() as other:
            made = one.post(CATEGORY, json={"@type": "Category", "name": "shared"}).json()
            assert other.get(f"{CATEGORY}/{made['id']}").status_code == 200
            changed = other.patch(f"{CATEGORY}/{made['id']}", json={"name": "changed"})
            assert changed.status_code == 200
            stale = one.patch(
                f"{CATEGORY}/{made['id']}", json={"name": "late"}, headers={"If-Match": '"1"'}
            )
            assert stale.status_code == 412
            eventually(lambda: one.get(CATEGORY).headers["x-total-count"] == "1")
            crashing.kill()
            eventually(lambda: other.get("/health/ready").status_code == 200)
            eventually(lambda: other.get(f"{CATEGORY}/{made['id']}").status_code == 200)
            assert other.get(f"{CATEGORY}/{made['id']}").json()["name"] == "changed"
    finally:
        second.stop()


def test_a_signal_is_heard_whatever_the_server_is_doing_at_that_moment(tmp_path):
    server = Server(Settings(data_dir=tmp_path), host="127.0.0.1", port=0)
    with server._stopping._cond:  # where the main thread is whenever it begins or ends to wait
        handling = threading.Thread(target=server._handle_signal, args=(signal.SIGTERM, None))
        handling.start()
        handling.join(5)
        assert not handling.is_alive()
    assert server._is_stopping()
