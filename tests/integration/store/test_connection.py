"""The connection to MongoDB: checks at startup and error translation."""

import mongoengine
import pytest

from tmf_apis.errors import Stale, TooLarge, Unavailable
from tmf_apis.settings import Settings
from tmf_apis.store import embedded_mongod
from tmf_apis.store.connection import connect, ping, translate_errors
from tmf_apis.store.process import CannotStart, ChildProcess


def test_a_server_that_is_not_a_replica_set_is_refused(tmp_path):
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


def test_mongoengine_uses_the_last_connection(mongodb_uri):
    first = connect(Settings(mongodb_database="one"), mongodb_uri)
    second = connect(Settings(mongodb_database="two"), mongodb_uri)
    assert mongoengine.get_db().name == "two"
    assert mongoengine.get_connection() is second.client
    assert ping(first, 1.0)
    first.client.close()
    second.client.close()
    assert not ping(second, 0.1)


def test_a_query_that_exceeds_its_time_limit_is_unavailable(database):
    database.things.insert_many([{"_id": number} for number in range(1000)])
    numbers = {"$reduce": {"input": {"$range": [0, 10**6]}, "initialValue": 0, "in": "$$this"}}
    slow = database.things.find({"$expr": {"$gt": [numbers, -1]}}, max_time_ms=50)
    with pytest.raises(Unavailable, match="took too long"), translate_errors():
        list(slow)


def test_a_document_larger_than_16_mb_is_too_large(database):
    with pytest.raises(TooLarge), translate_errors():
        database.things.insert_one({"text": "x" * 17_000_000})


def test_conflicting_transactions_are_stale(database):
    database.things.insert_one({"_id": 1})
    change = {"$inc": {"n": 1}}
    start = database.client.start_session
    with start() as first, start() as second, first.start_transaction():
        database.things.update_one({"_id": 1}, change, session=first)
        with pytest.raises(Stale), translate_errors(), second.start_transaction():
            database.things.update_one({"_id": 1}, change, session=second)
