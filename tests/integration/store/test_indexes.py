"""Every index is there for one query, and that query uses it."""

import time

import pytest

from tmf_apis.store.indexes import COMMON_INDEXES, PENDING_EVENTS, body_index, ensure_indexes
from tmf_apis.store.model import StoredResource, document_class


class Shelf(StoredResource):
    """A kind with an index of its own."""

    meta = {  # noqa: RUF012 - mongoengine's way
        "collection": "Shelf",
        "indexes": [body_index("place.name") | {"name": "place"}],
    }


def a_document(number):
    document = {
        "_id": f"t{number % 3}:{number:06}",
        "tenant": f"t{number % 3}",
        "id": f"{number:06}",
        "rev": 1,
        "parties": [f"p{number % 50}", f"p{number % 7}"],
        "body": {"place": {"name": f"place {number % 100}"}},
    }
    if number % 100 == 0:
        document["events"] = [{"id": f"e{number}", "due": 0}]
    if number % 10 == 0:
        document["idem"] = {"key": f"k{number}", "hash": ""}
    return document


@pytest.fixture
def shelves(database):
    ensure_indexes(database, [Shelf])
    database.Shelf.insert_many(map(a_document, range(3000)))
    return database.Shelf


def stages(plan):
    """Every stage of a query plan, inner ones after outer ones."""
    yield plan
    for inner in [plan.get("inputStage"), plan.get("queryPlan"), *plan.get("inputStages", [])]:
        if inner:
            yield from stages(inner)


@pytest.mark.parametrize(
    ("query", "sort", "index"),
    [
        ({"tenant": "t1"}, "_id", "tenant"),
        ({"tenant": "t1", "parties": "p4"}, "_id", "parties"),
        ({"tenant": "t1", "parties": {"$in": ["p4", "p9"]}}, "_id", "parties"),
        (dict(PENDING_EVENTS), "events.0.due", "pending"),
        (dict(PENDING_EVENTS), None, "pending"),
        ({"tenant": "t1", "idem.key": "k10"}, None, "idempotency"),
        ({"tenant": "t1", "body.place.name": "place 7"}, "_id", "place"),
    ],
)
def test_a_query_uses_the_index_that_is_there_for_it(shelves, query, sort, index):
    cursor = shelves.find(query)
    plan = (cursor.sort(sort, 1) if sort else cursor).explain()["queryPlanner"]["winningPlan"]
    used = [stage for stage in stages(plan) if stage["stage"] == "IXSCAN"]
    assert {stage["indexName"] for stage in used} == {index}
    assert "SORT" not in {stage["stage"] for stage in stages(plan)}


def test_a_page_by_cursor_reads_no_more_than_the_page(shelves):
    after = {"tenant": "t1", "_id": {"$gt": "t1:000700"}}
    ran = shelves.find(after).sort("_id", 1).limit(20).explain()["executionStats"]
    assert ran["nReturned"] == 20
    assert ran["totalDocsExamined"] == 20


def test_the_relay_reads_only_the_documents_that_wait(shelves):
    ran = shelves.find(PENDING_EVENTS).explain()["executionStats"]
    assert ran["totalDocsExamined"] == ran["nReturned"] == 30


def test_every_index_of_every_kind_is_made(database):
    ensure_indexes(database, [document_class("Alarm")])
    names = {model.document["name"] for model in COMMON_INDEXES}
    assert set(database.Alarm.index_information()) == names | {"_id_"}


def test_one_key_makes_one_resource_a_tenant(shelves):
    with pytest.raises(Exception, match="E11000"):
        shelves.insert_one({"_id": "t1:x", "tenant": "t1", "idem": {"key": "k10"}})
    shelves.insert_one({"_id": "t2:x", "tenant": "t2", "idem": {"key": "k999"}})


def test_a_second_start_reads_once_and_makes_nothing(database):
    kinds = [document_class(f"Kind{number}") for number in range(20)]
    ensure_indexes(database, kinds)
    began = time.perf_counter()
    ensure_indexes(database, kinds)
    assert time.perf_counter() - began < 0.2


def test_an_index_that_is_declared_otherwise_is_made_anew(database):
    database.Alarm.create_index([("tenant", 1), ("old", 1)], name="tenant")
    ensure_indexes(database, [document_class("Alarm")])
    assert database.Alarm.index_information()["tenant"]["key"] == [("tenant", 1), ("_id", 1)]
