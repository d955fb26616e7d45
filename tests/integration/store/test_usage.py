"""Counters that processes share through the database, and the recount of stored bytes."""

from datetime import UTC, datetime, timedelta

import pytest

from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.resources import ResourceStore
from tmf_apis.store.usage import COLLECTION, UsageCounters, body_size, bytes_key


@pytest.fixture
def counters(database):
    return UsageCounters(database)


@pytest.fixture
def store(database):
    return ResourceStore(database, CountCache(database), query_time=1000)


def document(id, **body):
    return {"_id": f"t:{id}", "id": id, "tenant": "t", "rev": 1, "body": body, "events": []}


def test_a_counter_includes_the_additions_of_its_process_at_once(counters):
    counters.add("a", 3)
    counters.add("a", 4)
    assert counters.value("a") == 7


def test_a_counter_survives_a_restart_and_is_shared(counters, database):
    counters.add("a", 3)
    counters.flush()
    other = UsageCounters(database)
    other.add("a", 10)
    assert other.value("a") == 13
    other.flush()
    assert UsageCounters(database).value("a") == 13


def test_a_counter_of_another_process_is_read_again_after_some_seconds(database):
    now = [0.0]
    first, second = UsageCounters(database, lambda: now[0]), UsageCounters(database)
    assert first.value("a") == 0
    second.add("a", 5)
    second.flush()
    assert first.value("a") == 0
    now[0] = 6.0
    assert first.value("a") == 5


def test_additions_are_kept_while_the_database_does_not_answer(counters, monkeypatch):
    counters.add("a", 2)
    with monkeypatch.context() as patch:
        patch.setattr(counters._collection, "bulk_write", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            counters.flush()
    counters.flush()
    assert UsageCounters(counters._database).value("a") == 2


def test_a_counter_that_expires_is_deleted_by_the_database(counters, database):
    counters.start([])
    expires = datetime.now(UTC) + timedelta(days=2)
    counters.add("orders", 1, expires=expires)
    counters.stop()
    stored = database[COLLECTION].find_one({"_id": "orders"})
    assert abs(stored["expires"].replace(tzinfo=UTC) - expires) < timedelta(seconds=1)
    assert "expires_1" in database[COLLECTION].index_information()


def test_each_write_of_a_resource_changes_the_stored_bytes(store):
    old = document("1", name="x" * 100)
    store.insert("Thing", old)
    assert store.usage.value(bytes_key("t")) == body_size(old["body"])
    new = {"name": "x" * 500}
    assert store.replace("Thing", old, {"body": new, "text": {}}, [])
    assert store.usage.value(bytes_key("t")) == body_size(new)
    assert not store.replace("Thing", old, {"body": {"name": "stale"}, "text": {}}, [])
    assert store.usage.value(bytes_key("t")) == body_size(new)


def test_stored_bytes_of_an_earlier_release_are_counted_at_the_start(counters, database):
    database["Thing"].insert_many(
        [document("1", name="x" * 1000), {**document("2", name="y" * 50), "tenant": "u"}]
    )
    assert counters.recount_if_due(["Thing", "Other"])
    assert 1000 < counters.value(bytes_key("t")) < 1050
    assert 50 < counters.value(bytes_key("u")) < 100


def test_one_process_recounts_once_a_day(counters, database):
    assert counters.recount_if_due([])
    assert not UsageCounters(database).recount_if_due([])
    database[COLLECTION].update_one(
        {"_id": "recount"}, {"$set": {"at": datetime.now(UTC) - timedelta(days=2)}}
    )
    assert UsageCounters(database).recount_if_due([])
