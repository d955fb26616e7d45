"""The limit of pending deliveries of one subscription."""

from datetime import UTC, datetime, timedelta

import pytest

from tmf_apis.events.delivery_queue import DeliveryQueue

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def queue(database):
    queue = DeliveryQueue(
        database, delivered_retention=timedelta(days=1), parked_retention=timedelta(days=30)
    )
    queue.prepare()
    queue.enqueue(
        [
            {
                "_id": f"{subscription}:{number}", "subscription": subscription, "tenant": "t",
                "event": str(number), "resource": "Thing:1", "seq": number, "state": "pending",
                "due": START, "tries": 0, "payload": b"{}",
                "created": START + timedelta(seconds=number),
            }
            for subscription in ("slow", "other")
            for number in range(20)
        ]
    )  # fmt: skip
    return queue


def pending(queue, subscription):
    query = {"subscription": subscription, "state": "pending"}
    return sorted(row["seq"] for row in queue.collection.find(query))


def test_the_oldest_deliveries_over_the_limit_are_parked(queue):
    assert queue.park_excess("slow", 5) == 15
    assert pending(queue, "slow") == [15, 16, 17, 18, 19]
    assert pending(queue, "other") == list(range(20))
    parked = queue.collection.find_one({"_id": "slow:14"})
    assert parked["state"] == "parked"
    assert parked["reason"] == "more than 5 events were pending"
    assert parked["expires"] > START


def test_a_backlog_within_the_limit_stays(queue):
    assert queue.park_excess("slow", 20) == 0
    assert pending(queue, "slow") == list(range(20))
