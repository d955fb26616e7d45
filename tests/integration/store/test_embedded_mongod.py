"""The embedded database: start, sharing, takeover, and recovery after a kill."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.support.waiting import wait_until
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.process import ChildProcess

#: A program that starts the database of a directory, prints its process id and sleeps.
SERVER = """
    import sys, time
    from pathlib import Path
    from tmf_apis.settings import Settings
    from tmf_apis.store.embedded_mongod import EmbeddedMongod

    server = EmbeddedMongod(Settings(data_dir=Path(sys.argv[1])))
    server.start()
    print(server.child.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data", mongodb_timeout=20.0)


@contextlib.contextmanager
def running_mongod(settings):
    server = EmbeddedMongod(settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def other_server(settings):
    command = [sys.executable, "-c", textwrap.dedent(SERVER), str(settings.data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def supervise_until(server, condition):
    """Supervise the database until a condition is true."""

    def check():
        server.supervise()
        return condition()

    return wait_until(check, timeout=60, pause=0.02)


def has_ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_document_is_written_and_read(database):
    database.things.insert_one({"_id": 1})
    assert database.things.find_one({"_id": 1}) == {"_id": 1}


def test_the_database_listens_on_its_own_socket_only(settings):
    default = "/tmp/mongodb-27017.sock"  # noqa: S108 - the default of mongod
    before = Path("/proc/net/unix").read_text().split().count(default)
    with running_mongod(settings) as server:
        sockets = Path("/proc/net/unix").read_text().split()
    assert str(server.socket_path) in sockets
    assert sockets.count(default) == before


def test_other_users_cannot_access_the_database(mongod):
    assert (
        mongod.socket_path.stat().st_mode & 0o077 == 0 or mongod.folder.stat().st_mode & 0o077 == 0
    )


def test_data_is_kept_after_a_restart(settings):
    with running_mongod(settings) as server:
        with MongoClient(server.uri, w="majority") as client:
            client.shop.things.insert_one({"_id": 1})
        pid = server.child.pid
    assert has_ended(pid)
    server.start()
    with MongoClient(server.uri) as client:
        assert client.shop.things.count_documents({}) == 1
    server.stop()


def test_data_is_kept_after_the_directory_was_moved(settings, tmp_path):
    with running_mongod(settings) as server, MongoClient(server.uri, w="majority") as client:
        client.shop.things.insert_one({"_id": 1})
    settings.data_dir.rename(tmp_path / "elsewhere")
    moved = Settings(data_dir=tmp_path / "elsewhere")
    with running_mongod(moved) as server, MongoClient(server.uri, w="majority") as client:
        client.shop.things.insert_one({"_id": 2})
        assert client.shop.things.count_documents({}) == 2


@pytest.mark.parametrize(
    "name",
    [
        "long" * 30,
        "with space",
        "a@B:c,d?e=f&g#h%25$;+'\"\\\n*[x]é\N{COMBINING ACUTE ACCENT}\udcff",
    ],
)
def test_a_directory_with_any_name_is_supported(tmp_path, name):
    settings = Settings(data_dir=tmp_path / name)
    with running_mongod(settings) as server, MongoClient(server.uri, w="majority") as client:
        assert client.shop.things.insert_one({}).acknowledged


def test_a_second_server_attaches_and_takes_over_when_the_first_is_killed(settings):
    second = EmbeddedMongod(settings)
    with other_server(settings) as (first, pid):
        second.start()
        try:
            assert second.is_ready
            assert not second.is_owner
            with MongoClient(second.uri, w="majority") as client:
                client.shop.things.insert_one({"_id": 1})
                first.kill()
                first.wait()
                supervise_until(second, lambda: second.is_owner and second.is_ready)
                assert has_ended(pid)
                client.shop.things.insert_one({"_id": 2})
                assert client.shop.things.count_documents({}) == 2
        finally:
            second.stop()


def test_the_database_ends_with_its_parent(settings):
    with other_server(settings) as (parent, pid):
        assert not has_ended(pid)
        parent.kill()
        wait_until(lambda: has_ended(pid))


def test_an_orphaned_database_is_ended_before_a_new_one_starts(settings):
    with running_mongod(settings) as server:
        orphan = server.child.pid
        os.close(server._lock)  # like a server that has ended while its database runs
        server._lock = None
        with running_mongod(settings) as second:
            assert second.is_owner
            assert second.child.pid != orphan
            assert has_ended(orphan)


class Writer(threading.Thread):
    """Inserts numbers and records those that were acknowledged."""

    def __init__(self, collection, first):
        super().__init__()
        self.collection, self.number = collection, first
        self.acknowledged = []
        self.is_stopping = False

    def run(self):
        while not self.is_stopping:
            self.number += 1
            with contextlib.suppress(PyMongoError):
                self.collection.insert_one({"_id": self.number})
                self.acknowledged.append(self.number)


def test_a_killed_database_loses_no_acknowledged_write(settings):
    with running_mongod(settings) as server:
        database = connect(settings, server.uri)
        writers = [Writer(database.things, number * 1_000_000) for number in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(2):
            before = len(writers[0].acknowledged)
            supervise_until(server, lambda n=before: len(writers[0].acknowledged) > n + 20)
            pid = server.child.pid
            os.kill(pid, signal.SIGKILL)
            supervise_until(server, lambda p=pid: server.child.pid != p and server.is_ready)
        before = len(writers[0].acknowledged)
        supervise_until(server, lambda n=before: len(writers[0].acknowledged) > n)
        for writer in writers:
            writer.is_stopping = True
        for writer in writers:
            writer.join()
        stored = {document["_id"] for document in database.things.find({}, {"_id": 1})}
        acknowledged = {number for writer in writers for number in writer.acknowledged}
        database.client.close()
        assert acknowledged <= stored


def test_another_mongod_on_the_same_files_is_reported(settings):
    with running_mongod(settings) as server:
        command = [*map(str, server.command()[:3]), "--bind_ip=/tmp/tmf-none.sock"]
        intruder = ChildProcess("intruder", settings.data_dir / "intruder.log")
        server.child, own_child = intruder, server.child
        intruder.start(command, folder=server.folder)
        intruder._process.wait(20)
        diagnosis = server.diagnosis()
        server.child = own_child
        assert "another mongod uses" in diagnosis


def test_the_state_file_has_the_process_id(settings):
    with running_mongod(settings) as server:
        state = json.loads((settings.data_dir / "mongod.json").read_text())
        assert state["pid"] == server.child.pid
