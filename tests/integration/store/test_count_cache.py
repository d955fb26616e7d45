"""Exact totals: with concurrent writers, immediately after own writes, and after a crash."""

import threading
import time
import uuid

import pytest

from tests.support.waiting import wait_until
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.indexes import ensure_indexes
from tmf_apis.store.model import DELETED_TENANT, document_class

ALL = {"tenant": "t"}


def insert(database, key, **members):
    database.Alarm.insert_one({"_id": key, "tenant": key.partition(":")[0], "rev": 1, **members})


def remove(database, key):
    change = {"$set": {"tenant": DELETED_TENANT, "rev": 2}}
    assert database.Alarm.update_one({"_id": key}, change).modified_count == 1


def wait_for_stream(database, counts):
    """Wait until the change stream has reported every earlier write."""
    version = counts._versions.get("Marker", 0)
    database.Marker.insert_one({"_id": f"marker:{uuid.uuid4()}", "tenant": "marker"})
    wait_until(lambda: counts._versions.get("Marker", 0) > version)


def is_settled(counts, kind="Alarm", tenant="t"):
    counts.total(kind, {"tenant": tenant})
    total = counts._tenant_totals.get((kind, tenant))
    return total is not None and total.is_settled


def forbid_counting(counts, monkeypatch):
    def fail(*_):
        raise AssertionError("the total was counted")

    monkeypatch.setattr(counts, "_count", fail)
    monkeypatch.setattr(counts, "_snapshot_count", fail)


@pytest.fixture
def start_cache(database):
    """Function that starts a cache which reads the change stream."""
    ensure_indexes(database, [document_class("Alarm")])
    caches = []

    def start_cache():
        counts = CountCache(database)
        counts.start()
        caches.append(counts)
        wait_until(lambda: counts.is_caching)
        return counts

    yield start_cache
    for counts in caches:
        counts.stop()


def test_without_the_stream_each_total_is_counted(database):
    counts = CountCache(database)
    insert(database, "t:1")
    assert counts.total("Alarm", ALL) == 1
    assert counts.total("Alarm", {"tenant": "t", "rev": 2}) == 0


def test_a_cached_total_is_not_counted_again(database, start_cache, monkeypatch):
    counts = start_cache()
    insert(database, "t:1")
    counts.record_insert("Alarm", "t:1", "t")
    wait_until(lambda: is_settled(counts))
    forbid_counting(counts, monkeypatch)
    insert(database, "t:2")
    counts.record_insert("Alarm", "t:2", "t")
    assert counts.total("Alarm", ALL) == 2
    remove(database, "t:1")
    counts.record_delete("Alarm", "t:1", "t")
    assert counts.total("Alarm", ALL) == 1
    database.Alarm.delete_one({"_id": "t:1"})
    wait_for_stream(database, counts)
    assert counts.total("Alarm", ALL) == 1
    assert not counts._write_tracker._pending_writes


def test_writes_of_another_process_are_counted_soon(database, start_cache, monkeypatch):
    counts = start_cache()
    insert(database, "t:1")
    wait_until(lambda: is_settled(counts))
    forbid_counting(counts, monkeypatch)
    insert(database, "t:2")
    insert(database, "other:1")
    wait_until(lambda: counts.total("Alarm", ALL) == 2)
    remove(database, "t:1")
    wait_until(lambda: counts.total("Alarm", ALL) == 1)


def test_a_document_that_is_deleted_directly_is_noticed(database, start_cache):
    counts = start_cache()
    insert(database, "t:1")
    wait_until(lambda: is_settled(counts))
    database.Alarm.delete_one({"_id": "t:1"})
    wait_until(lambda: counts.total("Alarm", ALL) == 0)


def test_a_filtered_total_is_cached_until_its_kind_is_written(database, start_cache, monkeypatch):
    counts = start_cache()
    insert(database, "t:1", body={"state": "raised"})
    query = {"tenant": "t", "body.state": "raised"}
    wait_for_stream(database, counts)
    assert counts.total("Alarm", query) == 1
    with monkeypatch.context() as patch:
        forbid_counting(counts, patch)
        assert counts.total("Alarm", query) == 1
    change = {"$set": {"body.state": "cleared", "rev": 2}}
    database.Alarm.update_one({"_id": "t:1"}, change)
    counts.record_update("Alarm")
    assert counts.total("Alarm", query) == 0
    change = {"$set": {"body.state": "raised", "rev": 3}}
    database.Alarm.update_one({"_id": "t:1"}, change)  # as another process does
    wait_until(lambda: counts.total("Alarm", query) == 1)


def test_removing_events_from_the_outbox_keeps_cached_totals(database, start_cache):
    counts = start_cache()
    insert(database, "t:1", events=[{"id": "1"}])
    query = {"tenant": "t", "rev": 1}
    wait_for_stream(database, counts)
    assert counts.total("Alarm", query) == 1
    database.Alarm.update_one({"_id": "t:1"}, {"$unset": {"events": ""}})
    wait_for_stream(database, counts)
    assert counts._filtered_totals["Alarm"]


def test_the_total_of_a_dropped_collection_is_zero(database, start_cache):
    counts = start_cache()
    insert(database, "t:1")
    wait_until(lambda: is_settled(counts))
    database.drop_collection("Alarm")
    wait_until(lambda: counts.total("Alarm", ALL) == 0)


class Writer(threading.Thread):
    """Inserts and removes documents of its own tenant and checks the total after each write."""

    def __init__(self, database, counts, number, end):
        super().__init__()
        self.database, self.counts, self.end = database, counts, end
        self.tenant = f"own{number}"
        self.prefix = f"{self.tenant}:"
        self.wrong_totals = []
        self.own_count = self.shared_count = 0

    def run(self):
        step = 0
        while time.monotonic() < self.end:
            step += 1
            insert(self.database, key := f"{self.prefix}{step}")
            self.counts.record_insert("Alarm", key, self.tenant)
            self.own_count += 1
            self.check()
            insert(self.database, key := f"t:{self.tenant}-{step}")
            self.counts.record_insert("Alarm", key, "t")
            self.shared_count += 1
            if step % 3 == 0:
                remove(self.database, key)
                self.counts.record_delete("Alarm", key, "t")
                self.shared_count -= 1
                remove(self.database, own_key := f"{self.prefix}{step}")
                self.counts.record_delete("Alarm", own_key, self.tenant)
                self.own_count -= 1
                self.check()
                self.database.Alarm.delete_one({"_id": own_key})

    def check(self):
        """Compare the total of the own tenant, to which nobody else writes."""
        if (total := self.counts.total("Alarm", {"tenant": self.tenant})) != self.own_count:
            self.wrong_totals.append((self.own_count, total))


def test_totals_are_exact_while_many_write_through_two_processes(database, start_cache):
    end = time.monotonic() + 4
    caches = start_cache(), start_cache()  # like the caches of two processes
    writers = [Writer(database, caches[n % 2], n, end) for n in range(6)]
    for writer in writers:
        writer.start()
    while time.monotonic() < end:
        caches[0].total("Alarm", ALL)
        time.sleep(0.005)
    for writer in writers:
        writer.join()
    assert [writer.wrong_totals for writer in writers] == [[]] * len(writers)
    expected = database.Alarm.count_documents(ALL)
    assert expected == sum(writer.shared_count for writer in writers)
    for counts in caches:
        wait_until(lambda counts=counts: counts.total("Alarm", ALL) == expected)
        wait_until(lambda counts=counts: is_settled(counts))
        assert not counts._write_tracker._pending_writes


def test_totals_are_exact_again_after_the_database_was_killed(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", mongodb_timeout=20.0)
    server = EmbeddedMongod(settings)
    server.start()
    database = connect(settings, server.uri)
    counts = CountCache(database)
    counts.start()
    try:
        wait_until(lambda: counts.is_caching)
        insert(database, "t:1")
        counts.record_insert("Alarm", "t:1", "t")
        wait_until(lambda: is_settled(counts))
        server.child._process.kill()
        wait_until(lambda: not server.child.is_running)
        wait_until(lambda: not counts.is_caching)
        server.supervise()
        insert(database, "t:2")
        counts.record_insert("Alarm", "t:2", "t")
        assert counts.total("Alarm", ALL) == 2
        wait_until(lambda: is_settled(counts))
        insert(database, "t:3")
        wait_until(lambda: counts.total("Alarm", ALL) == 3)
    finally:
        counts.stop()
        database.client.close()
        server.stop()
