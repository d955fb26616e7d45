"""The embedded database: started, shared, killed, taken over, and clear about what is wrong."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import mongoengine
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tmf_apis.errors import Stale, TooLarge, Unavailable
from tmf_apis.settings import Settings
from tmf_apis.store import embedded_mongod
from tmf_apis.store.connection import connect, ping, translate_errors
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.process import CannotStart, ChildProcess

#: A server of its own: starts the database of a directory, says so, waits to be killed.
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

VERSION = "echo 'db version v6.0.5'; [ $1 = --version ]"


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data", mongodb_timeout=20.0)


@contextlib.contextmanager
def started(settings):
    server = EmbeddedMongod(settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def another_server(settings):
    command = [sys.executable, "-c", textwrap.dedent(SERVER), str(settings.data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def watched_until(server, condition, seconds=40.0):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        server.supervise()
        time.sleep(0.02)
    return found


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_document_written_is_read_back(database):
    database.things.insert_one({"_id": 1})
    assert database.things.find_one({"_id": 1}) == {"_id": 1}


def test_the_database_listens_on_its_own_socket_only(settings):
    default = "/tmp/mongodb-27017.sock"  # noqa: S108 - mongod's
    before = Path("/proc/net/unix").read_text().split().count(default)
    with started(settings) as server:
        sockets = Path("/proc/net/unix").read_text().split()
    assert str(server.socket_path) in sockets
    assert sockets.count(default) == before


def test_nobody_else_reaches_the_database(mongod):
    assert (
        mongod.socket_path.stat().st_mode & 0o077 == 0 or mongod.folder.stat().st_mode & 0o077 == 0
    )


def test_data_is_there_after_a_stop_and_a_start(settings):
    with started(settings) as server:
        with MongoClient(server.uri, w="majority") as client:
            client.shop.things.insert_one({"_id": 1})
        pid = server.child.pid
    assert is_gone(pid)
    server.start()
    with MongoClient(server.uri) as client:
        assert client.shop.things.count_documents({}) == 1
    server.stop()


def test_data_is_there_after_the_directory_was_moved(settings, tmp_path):
    with started(settings) as server, MongoClient(server.uri, w="majority") as client:
        client.shop.things.insert_one({"_id": 1})
    settings.data_dir.rename(tmp_path / "elsewhere")
    moved = Settings(data_dir=tmp_path / "elsewhere")
    with started(moved) as server, MongoClient(server.uri, w="majority") as client:
        client.shop.things.insert_one({"_id": 2})
        assert client.shop.things.count_documents({}) == 2


def test_a_directory_with_a_long_name_is_good(tmp_path):
    settings = Settings(data_dir=tmp_path / ("long" * 30))
    with started(settings) as server, MongoClient(server.uri, w="majority") as client:
        assert client.shop.things.insert_one({}).acknowledged


def test_a_second_server_attaches_and_takes_over_when_the_first_is_killed(settings):
    second = EmbeddedMongod(settings)
    with another_server(settings) as (first, pid):
        second.start()
        try:
            assert second.is_ready
            assert not second.is_owner
            with MongoClient(second.uri, w="majority") as client:
                client.shop.things.insert_one({"_id": 1})
                first.kill()
                first.wait()
                assert watched_until(second, lambda: second.is_owner and second.is_ready)
                assert is_gone(pid)
                client.shop.things.insert_one({"_id": 2})
                assert client.shop.things.count_documents({}) == 2
        finally:
            second.stop()


def test_the_database_ends_with_its_parent(settings):
    with another_server(settings) as (parent, pid):
        assert not is_gone(pid)
        parent.kill()
        end = time.monotonic() + 20
        while not is_gone(pid) and time.monotonic() < end:
            time.sleep(0.02)
        assert is_gone(pid)


def test_a_database_left_by_a_dead_server_is_ended_first(settings):
    with started(settings) as server:
        left = server.child.pid
        os.close(server._lock)  # as if the server were gone and its database were not
        server._lock = None
        with started(settings) as second:
            assert second.is_owner
            assert second.child.pid != left
            assert is_gone(left)


class Writer(threading.Thread):
    """Inserts numbers and remembers those that were acknowledged."""

    def __init__(self, collection, first):
        super().__init__()
        self.collection, self.number = collection, first
        self.acknowledged = []
        self.going = True

    def run(self):
        while self.going:
            self.number += 1
            with contextlib.suppress(PyMongoError):
                self.collection.insert_one({"_id": self.number})
                self.acknowledged.append(self.number)


def test_no_acknowledged_write_is_lost_when_the_database_is_killed(settings):
    with started(settings) as server:
        database = connect(settings, server.uri)
        writers = [Writer(database.things, number * 1_000_000) for number in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(2):
            before = len(writers[0].acknowledged)
            assert watched_until(server, lambda n=before: len(writers[0].acknowledged) > n + 20)
            pid = server.child.pid
            os.kill(pid, signal.SIGKILL)
            assert watched_until(server, lambda p=pid: server.child.pid != p and server.is_ready)
        before = len(writers[0].acknowledged)
        assert watched_until(server, lambda n=before: len(writers[0].acknowledged) > n)
        for writer in writers:
            writer.going = False
        for writer in writers:
            writer.join()
        kept = {one["_id"] for one in database.things.find({}, {"_id": 1})}
        lost = {number for writer in writers for number in writer.acknowledged} - kept
        database.client.close()
        assert lost == set()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match=r"file/data is not writable .* TMF_DATA_DIR"):
        EmbeddedMongod(Settings(data_dir=tmp_path / "file" / "data")).start()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_not_writable_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CannotStart, match=r"is not writable by user .* Permission denied"):
        EmbeddedMongod(Settings(data_dir=tmp_path / "data")).start()


def test_without_a_mongod_the_message_says_what_to_install(settings, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(embedded_mongod, "_packaged_mongod", lambda: None)
    embedded_mongod.mongod_path.cache_clear()
    with pytest.raises(CannotStart, match=r"no mongod 6 or newer on PATH; .*TMF_MONGODB_URI"):
        EmbeddedMongod(settings).start()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'error while loading shared libraries: libx.so' >&2; exit 127", "libx.so"),
        (f"{VERSION} || (echo 'No space left on device'; false)", "the disk is full"),
        (f"{VERSION} || exit 62", r"status 62.*its log is"),
    ],
)
def test_a_mongod_that_cannot_run_is_quoted(settings, monkeypatch, tmp_path, script, message):
    program = tmp_path / "mongod"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    embedded_mongod.mongod_path.cache_clear()
    try:
        with pytest.raises(CannotStart, match=message):
            EmbeddedMongod(settings).start()
    finally:
        embedded_mongod.mongod_path.cache_clear()


def test_another_mongod_on_the_same_files_is_named(settings):
    with started(settings) as server:
        command = [*map(str, server.command()[:3]), "--bind_ip=/tmp/tmf-none.sock"]
        intruder = ChildProcess("intruder", settings.data_dir / "intruder.log")
        server.child, kept = intruder, server.child
        intruder.start(command)
        intruder._process.wait(20)
        diagnosis = server.diagnosis()
        server.child = kept
        assert "another mongod uses" in diagnosis


def test_a_uri_that_does_not_answer_is_an_error_in_time_and_without_the_password():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(CannotStart, match=f"no MongoDB primary answers at {place}") as failure:
            connect(Settings(mongodb_timeout=1.0), f"mongodb://me:secret@{place}/?replicaSet=x")
        assert time.monotonic() - began < 4
        assert "secret" not in str(failure.value)


@pytest.mark.parametrize("uri", ["nonsense", "mongodb://", "mongodb://h/?w=2&nosuch[", "http://h"])
def test_a_uri_that_is_none_is_an_error(uri):
    with pytest.raises(CannotStart, match="TMF_MONGODB_URI"):
        connect(Settings(mongodb_timeout=0.2), uri)


def test_a_database_that_is_no_replica_set_is_refused(tmp_path):
    path = tmp_path / "m.sock"
    (tmp_path / "db").mkdir()
    single = ChildProcess("single", tmp_path / "log")
    single.start(
        [embedded_mongod.mongod_path(), f"--dbpath={tmp_path / 'db'}", f"--bind_ip={path}"]
    )
    try:
        uri = f"mongodb://{str(path).replace('/', '%2F')}/"
        with pytest.raises(CannotStart, match="is not a replica set"):
            connect(Settings(mongodb_timeout=20.0), uri)
    finally:
        single.stop(20)


def test_the_connection_is_the_one_that_mongoengine_uses(mongodb_uri):
    first = connect(Settings(mongodb_database="one"), mongodb_uri)
    second = connect(Settings(mongodb_database="two"), mongodb_uri)
    assert mongoengine.get_db().name == "two"
    assert mongoengine.get_connection() is second.client
    assert ping(first, 1.0)
    first.client.close()
    second.client.close()
    assert not ping(second, 0.1)


def test_a_query_that_takes_too_long_is_unavailable(database):
    database.things.insert_many([{"_id": number} for number in range(1000)])
    numbers = {"$reduce": {"input": {"$range": [0, 10**6]}, "initialValue": 0, "in": "$$this"}}
    slow = database.things.find({"$expr": {"$gt": [numbers, -1]}}, max_time_ms=50)
    with pytest.raises(Unavailable, match="took too long"), translate_errors():
        list(slow)


def test_a_document_over_the_limit_of_the_database_is_too_large(database):
    with pytest.raises(TooLarge), translate_errors():
        database.things.insert_one({"text": "x" * 17_000_000})


def test_a_database_that_does_not_answer_is_unavailable():
    with (
        MongoClient("127.0.0.1:9", serverSelectionTimeoutMS=100) as nobody,
        pytest.raises(Unavailable, match="does not answer"),
        translate_errors(),
    ):
        nobody.shop.things.find_one()


def test_two_transactions_that_meet_are_stale(database):
    database.things.insert_one({"_id": 1})
    change = {"$inc": {"n": 1}}
    start = database.client.start_session
    with start() as one, start() as two, one.start_transaction():
        database.things.update_one({"_id": 1}, change, session=one)
        with pytest.raises(Stale), translate_errors(), two.start_transaction():
            database.things.update_one({"_id": 1}, change, session=two)


def test_a_long_log_is_cut_and_kept_once(tmp_path):
    child = ChildProcess("echo", tmp_path / "log")
    child.log.write_bytes(b"x" * (17 * 1024 * 1024))
    child.start(["echo", "hello"])
    child._process.wait()
    assert child.recent_output() == "hello\n"
    assert (tmp_path / "log.1").stat().st_size == 17 * 1024 * 1024


def test_a_child_is_started_from_the_main_thread_only(tmp_path):
    failures = []

    def start():
        try:
            ChildProcess("true", tmp_path / "log").start(["true"])
        except RuntimeError as error:
            failures.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert failures == ["true must be started from the main thread"]


def test_a_child_that_dies_again_and_again_is_given_pauses(tmp_path):
    child = ChildProcess("false", tmp_path / "log")
    assert child.check_restart_due()
    child.start(["false"])
    child._process.wait()
    assert child.check_restart_due()
    child.start(["false"])
    child._process.wait()
    assert not child.check_restart_due()


def test_the_state_file_tells_who_runs(settings):
    with started(settings) as server:
        state = json.loads((settings.data_dir / "mongod.json").read_text())
        assert state["pid"] == server.child.pid
