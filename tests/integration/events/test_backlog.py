"""The figures of what waits: right, from indexes, and never slow."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient

from tmf_apis.events import backlog
from tmf_apis.events.backlog import REFRESH_WAIT, BacklogMonitor
from tmf_apis.events.delivery_admin import count_pipeline
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.metrics import Metrics
from tmf_apis.store import indexes
from tmf_apis.store.model import document_class

KINDS = ("Category", "Customer")


@pytest.fixture
def busy(database):
    """A database in which something waits."""
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
        {"_id": id, "subscription": "s", "state": state, "created": now - timedelta(minutes=place)}
        for place, (id, state) in enumerate(states.items(), start=1)
    )
    return database


def test_what_waits_is_counted(busy):
    found = backlog.read_backlog(busy, KINDS)
    assert found.is_available
    assert found.pending_events == 2
    assert found.deliveries == {"pending": 2, "delivered": 1, "parked": 1}
    assert found.subscriptions == {"active": 1, "disabled": 1}
    assert 119 < found.oldest_age < 150


def test_deliveries_are_counted_from_an_index_alone(busy):
    command = {"aggregate": "deliveries", "pipeline": count_pipeline(["s"]), "cursor": {}}
    plan = str(busy.command({"explain": command, "verbosity": "queryPlanner"}))
    assert "IXSCAN" in plan
    assert "FETCH" not in plan


def test_a_database_that_is_down_slows_nobody():
    with MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=3000) as client:
        metrics = Metrics()
        metrics.register_backlog(BacklogMonitor(client["none"], KINDS))
        started = time.monotonic()
        text = metrics.exposition().decode()
        assert time.monotonic() - started < REFRESH_WAIT + 0.5
        assert "tmf_backlog_known 0.0" in text
        assert "tmf_pending_events" not in text


def test_figures_are_kept_for_a_moment(busy):
    one = BacklogMonitor(busy, KINDS)
    while not (first := one.snapshot()).is_available:
        time.sleep(0.01)
    busy["Category"].delete_many({})
    assert one.snapshot() is first
