"""The chain: every sort of tampering is found, and nothing that happens in operation is."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.audit_harness import append, sealed
from tests.support.crash_injector import ProcessKilled, inject_crashes
from tmf_apis.audit_log import sealing
from tmf_apis.audit_log.blocks import ChainHead, block_hash, next_block
from tmf_apis.audit_log.entries import new_entry
from tmf_apis.audit_log.retention import drop_before
from tmf_apis.audit_log.sealing import Sealer
from tmf_apis.audit_log.signing import PublicKeys, load_or_create_key
from tmf_apis.audit_log.verification import Verifier

TENANT = "acme"


@pytest.fixture
def log(harness, monkeypatch):
    """An audit log whose blocks have ten entries at most."""
    monkeypatch.setattr(sealing, "BLOCK_SIZE", 10)
    return harness.log


@pytest.fixture
def key(tmp_path):
    return load_or_create_key(tmp_path / "key.pem")


def problem(log, checkpoint=None, **options):
    return Verifier(log, **options).verify(TENANT, checkpoint).problem


def entry_at(log, sequence):
    return log.entries.find_one({"tenant": TENANT, "sequence": sequence})


def head(log, tenant=TENANT):
    return log.head(tenant, log.last_block(tenant))


def test_sealed_entries_are_verified(log):
    sealed(log)
    report = Verifier(log).verify(TENANT)
    assert (report.problem, report.entries, report.pending) == ("", 35, 0)
    assert report.head == head(log)
    assert (report.head.number, report.head.last) == (4, 35)


def test_entries_keep_their_order_of_time(log):
    sealed(log)
    rows = list(log.entries.find().sort("sequence", 1))
    assert [row["sequence"] for row in rows] == list(range(1, 36))
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_an_empty_log_is_valid(log):
    assert problem(log) == ""


def test_entries_that_are_not_sealed_yet_are_counted(log):
    sealed(log)
    append(log, 3)
    report = Verifier(log).verify(TENANT)
    assert (report.problem, report.entries, report.pending) == ("", 35, 3)


def test_each_tenant_has_its_own_chain(log):
    append(log, 5, "a")
    append(log, 7, "b")
    Sealer(log, "s").seal()
    assert (head(log, "a").last, head(log, "b").last) == (5, 7)
    assert {Verifier(log).verify(tenant).problem for tenant in ("a", "b")} == {""}


@pytest.mark.parametrize("change", [{"subject": "eve"}, {"revision": 99}, {"address": "::1"}])
def test_an_altered_entry_is_found(log, change):
    sealed(log)
    log.entries.update_one({"sequence": 17}, {"$set": change})
    assert problem(log) == f"entry 17 ({entry_at(log, 17)['_id']}) was altered"


def test_a_removed_member_of_an_entry_is_found(log):
    sealed(log)
    log.entries.update_one({"sequence": 3}, {"$unset": {"revision": ""}})
    assert "entry 3 " in problem(log)


@pytest.mark.parametrize("sequence", [1, 10, 11, 20, 35])
def test_a_removed_entry_is_found(log, sequence):
    sealed(log)
    log.entries.delete_one({"sequence": sequence})
    assert problem(log) == f"entry {sequence} is missing"


@pytest.mark.parametrize("sequence", [0, 5, 5.5, 10.5, 36, -3])
def test_an_inserted_entry_is_found(log, sequence):
    sealed(log)
    forged = new_entry(TENANT, "change", {"subject": "eve"}, sequence=sequence)
    del forged["pending"]
    log.entries.insert_one(forged)
    assert "entry" in problem(log)


def test_an_entry_inserted_without_a_sequence_is_found(log):
    sealed(log)
    forged = new_entry(TENANT, "change", {"subject": "eve"})
    del forged["pending"]
    log.entries.insert_one(forged)
    assert problem(log) == f"entry {forged['_id']} was inserted without a sequence"


def test_exchanged_entries_are_found(log):
    sealed(log)
    first, second = entry_at(log, 4), entry_at(log, 5)
    log.entries.update_one({"_id": first["_id"]}, {"$set": {"sequence": 5}})
    log.entries.update_one({"_id": second["_id"]}, {"$set": {"sequence": 4}})
    assert problem(log) == f"entry 4 ({second['_id']}) was altered"


def test_a_removed_block_is_found(log):
    sealed(log)
    log.blocks.delete_one({"number": 2})
    assert problem(log) == "block 2 is missing"


def test_an_altered_block_is_found(log):
    sealed(log)
    log.blocks.update_one({"number": 2}, {"$set": {"time": datetime(2020, 1, 1, tzinfo=UTC)}})
    assert problem(log) == "block 2 was altered"


def test_altered_digests_are_found(log):
    sealed(log)
    log.blocks.update_one({"number": 2}, {"$set": {"digests": b"x" * 320}})
    assert problem(log) == "the digests of block 2 were altered"


def forge_chain(log, key=None):
    """Compute the chain anew after an alteration, as somebody with the database can."""
    log.entries.update_one({"sequence": 17}, {"$set": {"subject": "eve"}})
    end = ChainHead(TENANT)
    for block in list(log.blocks.find().sort("number", 1)):
        entries = list(
            log.entries.find({"sequence": {"$gte": block["first"], "$lte": block["last"]}}).sort(
                "sequence", 1
            )
        )
        new = next_block(end, entries, key) | {"time": block["time"]}
        new["hash"] = block_hash(new)
        del new["ids"]
        if "signature" in block and key is None:
            new |= {"key": block["key"], "signature": block["signature"]}
        log.blocks.replace_one({"_id": block["_id"]}, new)
        end = ChainHead.of(TENANT, new)


def test_a_chain_that_was_computed_anew_differs_from_a_checkpoint(log):
    sealed(log)
    checkpoint = ChainHead.from_checkpoint(head(log).checkpoint())
    assert problem(log, checkpoint) == ""
    forge_chain(log)
    assert problem(log) == ""
    assert problem(log, checkpoint) == "block 4 differs from the checkpoint"


def test_a_chain_that_was_computed_anew_without_the_key_is_found(log, key):
    sealed(log, key=key)
    assert problem(log, keys=PublicKeys([key.public])) == ""
    forge_chain(log)
    assert problem(log, keys=PublicKeys([key.public])) == "the signature of block 2 is wrong"


def test_a_chain_signed_with_another_key_is_found(log, key, tmp_path):
    sealed(log, key=key)
    other = load_or_create_key(tmp_path / "other.pem")
    assert "unknown key" in problem(log, keys=PublicKeys([other.public]))


def test_an_unsigned_block_is_found(log, key):
    sealed(log, key=key)
    log.blocks.update_one({"number": 3}, {"$unset": {"signature": ""}})
    assert problem(log, keys=PublicKeys([key.public])) == "block 3 is not signed"


def test_a_chain_whose_end_was_removed_differs_from_a_checkpoint(log):
    sealed(log)
    checkpoint = head(log)
    log.blocks.delete_one({"number": 4})
    log.entries.delete_many({"sequence": {"$gt": 30}})
    assert problem(log, checkpoint) == "the chain ends with entry 30; the checkpoint has entry 35"


def test_a_chain_whose_last_block_alone_was_removed_is_found(log):
    sealed(log)
    log.blocks.delete_one({"number": 4})
    assert problem(log) == "entry 31 is in no block"


def test_a_chain_that_grew_agrees_with_an_earlier_checkpoint(log):
    sealer = sealed(log)
    checkpoint = head(log)
    append(log, 25)
    sealer.seal()
    assert problem(log, checkpoint) == ""


@pytest.mark.parametrize("crash_after", range(1, 13))
def test_a_crash_of_a_sealer_leaves_a_valid_chain(log, harness, crash_after):
    append(log, 25)
    with inject_crashes() as injector:
        injector.arm(crash_after)
        with suppress(ProcessKilled):
            Sealer(log, "first").seal()
    assert problem(log) == ""
    harness.end_leases()
    Sealer(log, "second").seal()
    report = Verifier(log).verify(TENANT)
    assert (report.problem, report.entries, report.pending) == ("", 25, 0)


def test_sealers_at_once_make_one_chain_even_without_the_lease(log):
    append(log, 300)
    sealers = [Sealer(log, str(number)) for number in range(4)]

    def seal_all(sealer):
        while log.has_pending():
            sealer.seal_batch()

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(seal_all, sealers))
    report = Verifier(log).verify(TENANT)
    assert (report.problem, report.entries) == ("", 300)


def drop_all(log):
    return drop_before(log, datetime.now(UTC) + timedelta(seconds=1), "tmf-apis")


def test_the_rest_is_verified_after_the_oldest_part_was_dropped(log):
    sealer = sealed(log)
    log.blocks.update_many({}, {"$currentDate": {"sealed": True}})
    (time,) = [log.blocks.find_one({"number": 2})["time"] + timedelta(milliseconds=1)]
    old = {block["number"]: block["time"] for block in log.blocks.find()}
    count = drop_before(log, time, "tmf-apis")
    assert count == 10 * sum(1 for instant in old.values() if instant < time) - (
        5 if old[4] < time else 0
    )
    sealer.seal()
    report = Verifier(log).verify(TENANT)
    assert report.problem == ""
    assert report.head.last == 36
    assert log.entries.find_one({"operation": "drop"})["subject"] == "tmf-apis"


def test_a_chain_goes_on_after_all_of_it_was_dropped(log):
    sealer = sealed(log)
    assert drop_all(log) == 35
    append(log, 4)
    sealer.seal()
    report = Verifier(log).verify(TENANT)
    assert (report.problem, report.entries, report.head.last) == ("", 5, 40)


def test_entries_that_were_dropped_before_their_time_are_found(log):
    sealed(log)
    drop_all(log)
    assert problem(log, retention=timedelta(days=1)).endswith("were dropped before their time")


def test_an_altered_anchor_is_found(log):
    sealed(log)
    drop_all(log)
    log.chains.update_one({"_id": TENANT}, {"$set": {"anchor.last": 34}})
    assert problem(log) == "the anchor of the dropped part was altered"


@pytest.mark.parametrize("crash_after", range(1, 5))
def test_a_crash_while_entries_are_dropped_leaves_a_valid_chain(log, crash_after):
    sealed(log)
    with inject_crashes() as injector:
        injector.arm(crash_after)
        with suppress(ProcessKilled):
            drop_all(log)
    assert problem(log) == ""
    drop_all(log)
    Sealer(log, "second").seal()
    assert problem(log) == ""
    assert log.entries.count_documents({"sequence": {"$lte": 35}}) == 0
