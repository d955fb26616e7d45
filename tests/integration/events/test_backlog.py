"""The backlog: correct numbers, read from indexes."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient

from tests.support.waiting import wait_until
from tmf_apis.events import backlog
from tmf_apis.events.backlog import BacklogMonitor
from tmf_apis.events.delivery_admin import count_pipeline
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.store import indexes
from tmf_apis.store.model import document_class

KINDS = ("Category", "Customer")


@pytest.fixture
def busy_database(database):
    """A database with pending events and deliveries."""
    indexes.ensure_indexes(database, [document_class(kind) for kind in KINDS])
    DeliveryQueue(
        database, delivered_retention=timedelta(1), parked_retention=timedelta(1)
    ).prepare()
    now = datetime.now(UTC)
    database["Category"].insert_one({"_id": "1", "events": [{"due": now}, {"due": now}]})
    database["Customer"].insert_many([{"_id": "2", "events": []}, {"_id": "3"}])
    database["Subscription"].insert_many(
        [{"_id": "s", "state": "active"}, {"_id": "t", "state": "disabled", "same": "x"}]
    )
    states = {"a": "pending", "b": "pending", "c": "delivered", "d": "parked"}
    database["deliveries"].insert_many(
        {"_id": id, "subscription": "s", "state": state, "created": now - timedelta(hours=hours)}
        for hours, (id, state) in enumerate(states.items(), start=1)
    )
    return database


def test_the_backlog_is_counted(busy_database):
    snapshot = backlog.read_backlog(busy_database, KINDS)
    assert snapshot.is_available
    assert snapshot.pending_events == 2
    assert snapshot.deliveries == {"pending": 2, "delivered": 1, "parked": 1}
    assert snapshot.subscriptions == {"active": 1, "disabled": 1}
    assert 2 * 3600 <= snapshot.oldest_age < 3 * 3600


def test_deliveries_are_counted_from_an_index_alone(busy_database):
    command = {"aggregate": "deliveries", "pipeline": count_pipeline(["s"]), "cursor": {}}
    plan = str(busy_database.command({"explain": command, "verbosity": "queryPlanner"}))
    assert "IXSCAN" in plan
    assert "FETCH" not in plan


def test_the_backlog_of_an_unreachable_database_is_unavailable():
    with MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=100) as client:
        monitor = BacklogMonitor(client["none"], KINDS)
        wait_until(lambda: not monitor.snapshot().is_available and monitor._refreshed_at)


def test_a_snapshot_is_cached(busy_database, monkeypatch):
    monkeypatch.setattr(backlog, "CACHE_TTL", 600.0)
    monitor = BacklogMonitor(busy_database, KINDS)
    first = wait_until(lambda: (snapshot := monitor.snapshot()).is_available and snapshot)
    busy_database["Category"].delete_many({})
    assert monitor.snapshot() is first
