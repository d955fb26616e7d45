"""Leases on the database server's clock, and their fencing tokens."""

from datetime import UTC, datetime, timedelta

from tmf_apis.store.leases import acquire, create_if_absent, release


def expire(database, id):
    past = datetime.now(UTC) - timedelta(hours=1)
    database.leases.update_one({"_id": id}, {"$set": {"lease.until": past}})


def test_the_fencing_token_rises_with_each_new_holder(database):
    create_if_absent(database.leases, "x")
    first = acquire(database.leases, "x", "a", 600)
    assert acquire(database.leases, "x", "b", 600) is None
    assert acquire(database.leases, "x", "a", 600).fencing_token == first.fencing_token
    expire(database, "x")
    second = acquire(database.leases, "x", "b", 600)
    assert second.fencing_token == first.fencing_token + 1
    release(database.leases, "x", "a")
    assert acquire(database.leases, "x", "a", 600) is None
    release(database.leases, "x", "b")
    assert acquire(database.leases, "x", "a", 600).fencing_token == first.fencing_token + 2


def test_a_lease_is_valid_until_its_end(database):
    create_if_absent(database.leases, "x")
    lease = acquire(database.leases, "x", "a", 600)
    assert lease.is_valid_for(300)
    assert not lease.is_valid_for(601)
