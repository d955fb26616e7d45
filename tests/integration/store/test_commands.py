"""Commands on the driver's connections: one effect whatever happens to a connection."""

import contextlib
import datetime as dt
import socket
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import bson
import pymongo
import pytest
from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
)

from tmf_apis.store.commands import CommandChannel

NUMBERS = {"$map": {"input": {"$range": [0, 1_000_000]}, "in": {"n": "$$this"}}}
#: An aggregation that takes seconds.
SLOW = {
    "aggregate": 1,
    "pipeline": [{"$documents": NUMBERS}, {"$group": {"_id": "$n"}}],
    "cursor": {},
}


class Proxy:
    """A proxy of the database that closes a connection instead of passing on some replies."""

    def __init__(self, path):
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.replies_to_drop = []
        self.replies_to_hold = []
        self.commands = []
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                self._sockets += [client, server]
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client, server):
        with contextlib.suppress(OSError, ValueError), client, server:
            while True:
                request = self._message(client)
                name = next(iter(bson.decode(request[21:]))) if request[12:14] == b"\xdd\7" else ""
                self.commands.append(name)
                server.sendall(request)
                reply = self._message(server)
                if name in self.replies_to_hold:
                    time.sleep(1.5)
                if name in self.replies_to_drop:
                    self.replies_to_drop.remove(name)
                    return
                client.sendall(reply)

    @staticmethod
    def _message(sock):
        head = sock.recv(4, socket.MSG_WAITALL)
        return head + sock.recv(int.from_bytes(head, "little") - 4, socket.MSG_WAITALL)

    def close(self):
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


@pytest.fixture
def proxy(mongodb_uri):
    path = urllib.parse.unquote(urllib.parse.urlsplit(mongodb_uri).netloc)
    proxy = Proxy(path)
    yield proxy
    proxy.close()


@pytest.fixture
def channel(database):
    return CommandChannel(database)


@pytest.fixture
def proxied(proxy, database):
    """A channel whose connections go through the proxy."""
    with MongoClient(
        "127.0.0.1", proxy.port, directConnection=True, w="majority", journal=True,
        serverMonitoringMode="poll", socketTimeoutMS=500,
    ) as client:  # fmt: skip
        yield CommandChannel(client[database.name])


def insert(id, **members):
    return {"insert": "Thing", "documents": [{"_id": id, **members}]}


def increment(id):
    return {"update": "Thing", "updates": [{"q": {"_id": id}, "u": {"$inc": {"n": 1}}}]}


def find(id):
    return {"find": "Thing", "filter": {"_id": id}}


def test_a_reply_has_the_documents_as_the_driver_reads_them(channel, database):
    at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    channel.write(insert("1", at=at, text={"v5": b"{}"}))
    documents = channel.read(find("1"))["cursor"]["firstBatch"]
    assert documents == [{"_id": "1", "at": at, "text": {"v5": b"{}"}}]
    assert documents == list(database.Thing.find())


def test_a_write_whose_reply_is_lost_has_one_effect(proxied, proxy, database):
    proxied.write(insert("1", n=0))
    proxy.replies_to_drop = ["update", "update"]
    assert proxied.write(increment("1"))["n"] == 1
    assert database.Thing.find_one() == {"_id": "1", "n": 1}
    assert proxy.commands.count("update") == 3


def test_an_insert_whose_reply_is_lost_is_no_duplicate(proxied, proxy, database):
    proxy.replies_to_drop = ["insert"]
    assert proxied.write(insert("1"))["n"] == 1
    assert database.Thing.count_documents({}) == 1


def test_a_read_whose_reply_is_lost_is_repeated(proxied, proxy):
    proxied.write(insert("1"))
    proxy.replies_to_drop = ["find", "find"]
    assert proxied.read(find("1"))["cursor"]["firstBatch"] == [{"_id": "1"}]


@pytest.mark.parametrize("name", ["find", "insert"])
def test_commands_are_repeated_twice_at_most(proxied, proxy, name):
    proxy.replies_to_drop = [name] * 5
    command, run = (find("1"), proxied.read) if name == "find" else (insert("1"), proxied.write)
    with pytest.raises(AutoReconnect):
        run(command)
    assert proxy.commands.count(name) == 3


def test_a_second_insert_of_an_id_is_refused(channel):
    channel.write(insert("1"))
    with pytest.raises(DuplicateKeyError) as refusal:
        channel.write(insert("1"))
    assert refusal.value.details["keyPattern"] == {"_id": 1}


def test_errors_are_those_of_the_driver(channel, database):
    channel.write(insert("1"))
    with pytest.raises(OperationFailure, match="unknown operator"):
        channel.read({"find": "Thing", "filter": {"n": {"$none": 1}}})
    with pytest.raises(ExecutionTimeout):
        channel.read({**SLOW, "maxTimeMS": 20})
    with pytest.raises(DocumentTooLarge):
        channel.write(insert("2", text="x" * 2**24))
    assert database.Thing.count_documents({}) == 1


def test_the_largest_document_that_the_driver_stores_is_stored(channel, database):
    document = {"_id": "1", "text": ""}
    text = "x" * (2**24 - len(bson.encode(document)))
    channel.write(insert("1", text=text))
    assert len(database.Thing.find_one()["text"]) == len(text)


def test_a_time_limit_of_the_driver_holds(channel):
    with pymongo.timeout(0.2), pytest.raises((ExecutionTimeout, NetworkTimeout)):
        channel.read(SLOW)


@pytest.mark.parametrize("name", ["find", "insert"])
def test_a_database_that_does_not_reply_is_not_waited_for(proxied, proxy, name):
    proxy.replies_to_hold = [name]
    command, run = (find("1"), proxied.read) if name == "find" else (insert("1"), proxied.write)
    started = time.monotonic()
    with pytest.raises(NetworkTimeout):
        run(command)
    assert 0.4 < time.monotonic() - started < 1.4
    assert proxy.commands.count(name) == 1


def test_the_driver_can_use_the_same_connections(proxied, proxy, channel, database):
    for number in range(3):
        channel.write(insert(str(number)))
        assert database.Thing.count_documents({}) == number + 1
    proxied.read(find("1"))
    proxy.replies_to_hold = ["count"]
    with pytest.raises(NetworkTimeout):
        proxied._client[database.name].command("count", "Thing")


def test_threads_share_a_channel(channel, database):
    channel.write(insert("1", n=0))
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(channel.write, [increment("1")] * 100))
    assert all(reply["n"] == 1 for reply in replies)
    assert database.Thing.find_one()["n"] == 100
