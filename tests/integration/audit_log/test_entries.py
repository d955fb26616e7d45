"""Each write has exactly one entry, which is a part of the write itself."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.support.audit_harness import STAFF, request_from
from tests.support.crash_injector import ProcessKilled, inject_crashes
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.security.identity import Identity

PARTY = Identity("bob", "acme", frozenset({"42"}))
PERSONAL = "Jane Q. Doe, 1 Elm Street"


def revisions(entries):
    """Return the revisions of each resource that the entries are about, sorted."""
    by_resource = {}
    for entry in entries:
        by_resource.setdefault(entry["resource"], []).append(entry["revision"])
    return {resource: sorted(revs) for resource, revs in by_resource.items()}


def test_an_entry_says_who_changed_what_from_where(harness):
    with request_from(STAFF):
        id = harness.create("ProductOffering", name="A", lifecycleStatus="In design")
        harness.change("ProductOffering", id, description="x", lifecycleStatus="In test")
        harness.delete("ProductOffering", id)
    harness.drain()
    created, changed, deleted = harness.entries()
    for entry in (created, changed, deleted):
        assert entry["subject"] == "ann"
        assert entry["tenant"] == "acme"
        assert entry["address"] == "192.0.2.7"
        assert entry["requestId"] == "req-1"
        assert (entry["kind"], entry["resource"]) == ("ProductOffering", id)
        assert entry["outcome"] == "done"
    assert [e["operation"] for e in (created, changed, deleted)] == ["create", "change", "delete"]
    assert [e["revision"] for e in (created, changed, deleted)] == [1, 2, 3]
    assert created["newState"] == "In design"
    assert {"name", "lifecycleStatus"} <= set(created["attributes"])
    assert (changed["oldState"], changed["newState"]) == ("In design", "In test")
    assert {"description", "lifecycleStatus"} <= set(changed["attributes"])
    assert deleted["oldState"] == "In test"


def test_a_write_of_the_server_for_a_client_names_both(harness):
    with request_from(PARTY):
        server = harness.repository(Identity("tmf-apis", "acme"))
        server.create("Customer", {"@type": "Customer", "name": "A"})
    harness.drain()
    (entry,) = harness.entries()
    assert (entry["subject"], entry["parties"], entry["actor"]) == ("bob", ["42"], "tmf-apis")


def test_a_change_that_no_subscriber_hears_of_has_an_entry(harness):
    id = harness.create("Service", name="A", state="active")
    seen = []
    harness.listeners["Service"] = [seen.append]
    harness.drain()
    harness.change("Service", id, lastModified="2026-01-01T00:00:00.000Z")
    seen.clear()
    harness.drain()
    assert revisions(harness.entries()) == {id: [1, 2]}
    assert seen == []
    document = harness.engine.database["Service"].find_one({"id": id})
    assert "events" not in document


def test_entries_contain_no_value_of_an_attribute(harness):
    id = harness.create("Customer", name=PERSONAL, status=PERSONAL, contactMedium=[{"x": PERSONAL}])
    harness.change("Customer", id, name=f"{PERSONAL} II", **{PERSONAL: PERSONAL})
    harness.delete("Customer", id)
    harness.drain()
    assert revisions(harness.entries()) == {id: [1, 2, 3]}
    assert "Jane" not in str(harness.entries())
    assert "(other)" in harness.entries(revision=2)[0]["attributes"]


def test_many_resources_written_at_once_have_one_entry_each(harness):
    repository = harness.repository()
    ids = [str(number) for number in range(50)]
    resources = [{"@type": "Service", "id": id, "name": id, "state": "active"} for id in ids]
    repository.create_many("Service", resources)
    repository.change_many("Service", {id: lambda old: {**old, "name": "n"} for id in ids})
    harness.drain()
    assert revisions(harness.entries()) == {id: [1, 2] for id in ids}


def test_a_resource_that_is_created_again_with_its_id_has_all_entries(harness):
    for _ in range(2):
        harness.repository().create("Service", {"@type": "Service", "id": "s", "state": "active"})
        harness.drain()
        harness.repository().delete("Service", "s")
        harness.drain()
    assert revisions(harness.entries()) == {"s": [1, 1, 2, 2]}


def test_an_entry_does_not_wait_for_a_listener_that_fails(harness):
    def fail(_):
        raise RuntimeError

    harness.listeners["Customer"] = [fail]
    id = harness.create("Customer", name="A")
    harness.drain()
    harness.drain()
    assert revisions(harness.entries()) == {id: [1]}


def write_all(harness):
    """Write in every way; return the number of revisions of each resource."""
    first = harness.create("ProductOffering", name="A")
    harness.change("ProductOffering", first, name="B")
    second = harness.create("ProductOffering", name="C")
    harness.delete("ProductOffering", second)
    return {first: [1, 2], second: [1, 2]}


@pytest.mark.parametrize("crash_after", range(1, 9))
def test_no_change_lacks_its_entry_after_a_crash_of_the_relay(harness, crash_after):
    expected = write_all(harness)
    relay = harness.relay("first")
    with inject_crashes() as injector:
        injector.arm(crash_after)
        with suppress(ProcessKilled):
            relay.drain("ProductOffering")
    harness.end_leases()
    harness.drain("second")
    assert revisions(harness.entries()) == expected
    assert list(harness.engine.database["ProductOffering"].find({"tenant": "~gone"})) == []


@pytest.mark.parametrize("crash_after", range(1, 5))
def test_a_crash_of_the_writer_leaves_as_many_entries_as_revisions(harness, crash_after):
    with inject_crashes() as injector:
        injector.arm(crash_after)
        with suppress(ProcessKilled):
            write_all(harness)
    stored = {
        document["id"]: list(range(1, document["rev"] + 1))
        for document in harness.engine.database["ProductOffering"].find()
    }
    harness.drain()
    assert stored
    assert revisions(harness.entries()) == stored


def test_pending_events_of_an_earlier_release_cause_no_entry(harness):
    id = harness.create("Customer", name="A")
    harness.engine.database["Customer"].update_one({}, {"$unset": {"events.0.audit": ""}})
    harness.drain()
    assert harness.entries() == []
    harness.change("Customer", id, name="B")
    harness.drain()
    assert revisions(harness.entries()) == {id: [2]}


def test_work_for_a_resource_is_attributed_to_its_creator(harness):
    with request_from(PARTY):
        order = harness.create("ImportJob", PARTY, url="file:x", contentType="application/json")
    harness.drain()
    repositories = RepositoryFactory(harness.engine.writer, "tmf-apis")
    repository = repositories.working_for("ImportJob", order).for_tenant("acme")
    with ThreadPoolExecutor(1) as executor:  # threads do not inherit the origin
        resource = {"@type": "Service", "id": "s", "state": "active"}
        executor.submit(repository.create, "Service", resource).result()
    harness.drain()
    (entry,) = harness.entries(kind="Service")
    assert (entry["subject"], entry["parties"]) == ("bob", ["42"])
    assert (entry["actor"], entry["cause"]) == ("tmf-apis", f"ImportJob:{order}")
    assert "address" not in entry
