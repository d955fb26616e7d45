"""Aggregated entries, transactions and the spool."""

import pytest

from tests.support.audit_harness import STAFF
from tmf_apis.audit_log import recorder
from tmf_apis.audit_log.recorder import RefusalRecorder
from tmf_apis.audit_log.spool import SPOOL_FILE, move_spool, spool_token
from tmf_apis.errors import NotFound
from tmf_apis.security.request_origin import RequestOrigin


@pytest.fixture
def activity(harness, monkeypatch):
    monkeypatch.setattr(recorder, "FLUSH_INTERVAL", 3600.0)  # the tests flush
    activity = RefusalRecorder(harness.log, "default")
    yield activity
    activity.close()


def refuse(activity, identity=STAFF, status=403, operation="op", address="192.0.2.7"):
    origin = RequestOrigin(address=address, request_id="r")
    activity.count_refusal(origin, identity, operation, status, kind="Customer", resource="7")


def test_the_first_of_equal_refusals_is_stored_and_the_others_are_counted(harness, activity):
    refuse(activity)
    activity.flush()
    for _ in range(500):
        refuse(activity)
    activity.flush()
    assert len(harness.entries()) == 1
    activity.close()
    first, others = harness.entries()
    assert (first["requestId"], "count" in first) == ("r", False)
    assert (others["count"], "requestId" in others) == (500, False)
    assert others["until"] >= others["time"] or others["until"] >= first["time"]


def test_different_refusals_have_entries_of_their_own(harness, activity):
    refuse(activity, status=403)
    refuse(activity, status=404)
    refuse(activity, operation="other")
    refuse(activity, address="192.0.2.8")
    activity.flush()
    assert len(harness.entries()) == 4


def test_a_flood_of_different_refusals_has_a_limited_number_of_entries(harness, activity):
    for number in range(recorder.MAX_KEYS + 500):
        refuse(activity, identity=None, status=401, address=f"2001:db8::{number:x}")
    activity.flush()
    rows = harness.entries()
    assert len(rows) == recorder.MAX_KEYS + 1
    (overflow,) = [row for row in rows if "address" not in row]
    assert (overflow["count"], overflow["status"], overflow["tenant"]) == (500, 401, "default")


def test_a_change_and_its_entry_are_one_transaction(harness):
    collection = harness.engine.database["Thing"]
    harness.log.record_with(
        STAFF, "define", lambda session: collection.insert_one({"_id": 1}, session=session)
    )

    def fail(session):
        collection.insert_one({"_id": 2}, session=session)
        raise NotFound

    with pytest.raises(NotFound):
        harness.log.record_with(STAFF, "define", fail)
    assert [row["_id"] for row in collection.find()] == [1]
    assert len(harness.entries()) == 1


def test_issued_tokens_reach_the_log_through_the_spool(harness, tmp_path):
    for subject in ("a", "b"):
        spool_token(tmp_path, "acme", subject, ["42"], 1.0)
    file = tmp_path / SPOOL_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    assert move_spool(file, harness.log) == 2
    assert move_spool(file, harness.log) == 0
    file.write_bytes(content + b'{"damaged')  # as after a crash between the two steps
    move_spool(file, harness.log)
    rows = harness.entries(operation="issue")
    assert [row["resource"] for row in rows] == ["a", "b"]
    assert rows[0]["tokenParties"] == ["42"]
    assert rows[0]["account"]
    assert len(harness.entries(operation="damagedSpool")) == 1
