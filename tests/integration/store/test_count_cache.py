"""Totals are exact: under concurrent writers, for one's own writes at once, and after a crash."""

import threading
import time

import pytest

from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.indexes import ensure_indexes
from tmf_apis.store.model import DELETED_TENANT, document_class

ALL = {"tenant": "t"}


def insert(database, key, **more):
    database.Alarm.insert_one({"_id": key, "tenant": key.partition(":")[0], "rev": 1, **more})


def remove(database, key):
    changed = {"$set": {"tenant": DELETED_TENANT, "rev": 2}}
    assert database.Alarm.update_one({"_id": key}, changed).modified_count == 1


def eventually(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def is_settled(counts, kind="Alarm", tenant="t"):
    counts.total(kind, {"tenant": tenant})
    plain = counts._tenant_totals.get((kind, tenant))
    return plain is not None and plain.is_settled


def forbid_counting(counts, monkeypatch):
    def refuse(*_):
        raise AssertionError("it was counted")

    monkeypatch.setattr(counts, "_increment_revision", refuse)
    monkeypatch.setattr(counts, "_snapshot_count", refuse)


@pytest.fixture
def follow(database):
    """Make counters that follow the change stream; stopped at the end."""
    ensure_indexes(database, [document_class("Alarm")])
    made = []

    def make():
        counts = CountCache(database)
        counts.start()
        made.append(counts)
        assert eventually(lambda: counts.is_caching)
        return counts

    yield make
    for counts in made:
        counts.stop()


def test_without_the_stream_every_total_is_counted(database):
    counts = CountCache(database)
    insert(database, "t:1")
    assert counts.total("Alarm", ALL) == 1
    assert counts.total("Alarm", {"tenant": "t", "rev": 2}) == 0


def test_a_total_that_is_kept_is_not_counted_again(database, follow, monkeypatch):
    counts = follow()
    insert(database, "t:1")
    counts.record_insert("Alarm", "t:1", "t")
    assert eventually(lambda: is_settled(counts))
    forbid_counting(counts, monkeypatch)
    insert(database, "t:2")
    counts.record_insert("Alarm", "t:2", "t")
    assert counts.total("Alarm", ALL) == 2
    remove(database, "t:1")
    counts.record_delete("Alarm", "t:1", "t")
    assert counts.total("Alarm", ALL) == 1
    database.Alarm.delete_one({"_id": "t:1"})
    time.sleep(0.6)
    assert counts.total("Alarm", ALL) == 1
    assert not counts._write_tracker._pending_writes


def test_what_another_process_writes_is_counted_soon(database, follow, monkeypatch):
    counts = follow()
    insert(database, "t:1")
    assert eventually(lambda: is_settled(counts))
    forbid_counting(counts, monkeypatch)
    insert(database, "t:2")
    insert(database, "other:1")
    assert eventually(lambda: counts.total("Alarm", ALL) == 2)
    remove(database, "t:1")
    assert eventually(lambda: counts.total("Alarm", ALL) == 1)


def test_a_document_removed_without_leaving_its_tenant_first_is_noticed(database, follow):
    counts = follow()
    insert(database, "t:1")
    assert eventually(lambda: is_settled(counts))
    database.Alarm.delete_one({"_id": "t:1"})
    assert eventually(lambda: counts.total("Alarm", ALL) == 0)


def test_a_filtered_total_is_kept_until_its_kind_is_written(database, follow, monkeypatch):
    counts = follow()
    insert(database, "t:1", body={"state": "raised"})
    query = {"tenant": "t", "body.state": "raised"}
    assert eventually(lambda: counts.total("Alarm", query) and counts._filtered_totals.get("Alarm"))
    time.sleep(0.6)
    assert counts.total("Alarm", query) == 1
    with monkeypatch.context() as patch:
        forbid_counting(counts, patch)
        assert counts.total("Alarm", query) == 1
    change = {"$set": {"body.state": "cleared", "rev": 2}}
    database.Alarm.update_one({"_id": "t:1"}, change)
    counts.record_update("Alarm")
    assert counts.total("Alarm", query) == 0
    change = {"$set": {"body.state": "raised", "rev": 3}}
    database.Alarm.update_one({"_id": "t:1"}, change)  # as another process would
    assert eventually(lambda: counts.total("Alarm", query) == 1)


def test_taking_events_off_the_outbox_outdates_nothing(database, follow):
    counts = follow()
    insert(database, "t:1", events=[{"id": "1"}])
    query = {"tenant": "t", "rev": 1}
    time.sleep(0.6)
    assert counts.total("Alarm", query) == 1
    database.Alarm.update_one({"_id": "t:1"}, {"$unset": {"events": ""}})
    time.sleep(0.6)
    assert counts._filtered_totals["Alarm"]


def test_a_dropped_collection_counts_nothing(database, follow):
    counts = follow()
    insert(database, "t:1")
    assert eventually(lambda: is_settled(counts))
    database.drop_collection("Alarm")
    assert eventually(lambda: counts.total("Alarm", ALL) == 0)


class Writer(threading.Thread):
    """Inserts and removes documents of its own; after each write its total must be right."""

    def __init__(self, database, counts, number, end):
        super().__init__()
        self.database, self.counts, self.end = database, counts, end
        self.tenant = f"own{number}"
        self.prefix = f"{self.tenant}:"
        self.wrong = []
        self.mine = self.shared = 0

    def run(self):
        step = 0
        while time.monotonic() < self.end:
            step += 1
            insert(self.database, key := f"{self.prefix}{step}")
            self.counts.record_insert("Alarm", key, self.tenant)
            self.mine += 1
            self.check()
            insert(self.database, key := f"t:{self.tenant}-{step}")
            self.counts.record_insert("Alarm", key, "t")
            self.shared += 1
            if step % 3 == 0:
                remove(self.database, key)
                self.counts.deleted("Alarm", key, "t")
                self.shared -= 1
                remove(self.database, gone := f"{self.prefix}{step}")
                self.counts.deleted("Alarm", gone, self.tenant)
                self.mine -= 1
                self.check()
                self.database.Alarm.delete_one({"_id": gone})

    def check(self):
        """Nobody else writes to this tenant: the total is known exactly at every moment."""
        if (total := self.counts.total("Alarm", {"tenant": self.tenant})) != self.mine:
            self.wrong.append((self.mine, total))


def test_totals_are_exact_while_many_write_through_two_processes(database, follow):
    end = time.monotonic() + 4
    here, there = follow(), follow()  # two processes, as far as counting is concerned
    writers = [Writer(database, (here, there)[n % 2], n, end) for n in range(6)]
    for writer in writers:
        writer.start()
    while time.monotonic() < end:
        here.total("Alarm", ALL)
        time.sleep(0.005)
    for writer in writers:
        writer.join()
    assert [writer.wrong for writer in writers] == [[]] * len(writers)
    truth = database.Alarm.count_documents(ALL)
    assert truth == sum(writer.shared for writer in writers)
    for counts in (here, there):
        assert eventually(lambda counts=counts: counts.total("Alarm", ALL) == truth)
        assert eventually(lambda counts=counts: is_settled(counts))
        assert not counts._write_tracker._pending_writes


def test_totals_are_exact_again_after_the_database_was_killed(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", mongodb_timeout=20.0)
    server = EmbeddedMongod(settings)
    server.start()
    database = connect(settings, server.uri)
    counts = CountCache(database)
    counts.start()
    try:
        assert eventually(lambda: counts.is_caching)
        insert(database, "t:1")
        counts.record_insert("Alarm", "t:1", "t")
        assert eventually(lambda: is_settled(counts))
        server.child._process.kill()
        assert eventually(lambda: not server.child.is_running)
        assert eventually(lambda: not counts.is_caching)
        server.supervise()
        insert(database, "t:2")
        counts.record_insert("Alarm", "t:2", "t")
        assert counts.total("Alarm", ALL) == 2
        assert eventually(lambda: is_settled(counts), 30)
        insert(database, "t:3")
        assert eventually(lambda: counts.total("Alarm", ALL) == 3)
    finally:
        counts.stop()
        database.client.close()
        server.stop()
