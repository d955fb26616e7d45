"""Each common index serves a query, and that query uses it."""

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from tmf_apis.store.indexes import COMMON_INDEXES, PENDING_EVENTS, body_index, ensure_indexes
from tmf_apis.store.model import StoredResource, document_class


class Cabinet(StoredResource):
    """A kind with an index of its own."""

    meta = {  # noqa: RUF012 - as mongoengine requires
        "collection": "Cabinet",
        "indexes": [body_index("place.name") | {"name": "place"}],
    }


def make_document(number):
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
def cabinets(database):
    ensure_indexes(database, [Cabinet])
    database.Cabinet.insert_many(map(make_document, range(3000)))
    return database.Cabinet


def stages(plan):
    """Yield the stages of a query plan, from the outermost to the innermost."""
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
def test_a_query_uses_its_index(cabinets, query, sort, index):
    cursor = cabinets.find(query)
    plan = (cursor.sort(sort, 1) if sort else cursor).explain()["queryPlanner"]["winningPlan"]
    scans = [stage for stage in stages(plan) if stage["stage"] == "IXSCAN"]
    assert {stage["indexName"] for stage in scans} == {index}
    assert "SORT" not in {stage["stage"] for stage in stages(plan)}


def test_a_page_by_cursor_reads_only_its_own_documents(cabinets):
    after = {"tenant": "t1", "_id": {"$gt": "t1:000700"}}
    statistics = cabinets.find(after).sort("_id", 1).limit(20).explain()["executionStats"]
    assert statistics["nReturned"] == 20
    assert statistics["totalDocsExamined"] == 20


def test_the_relay_reads_only_documents_with_pending_events(cabinets):
    statistics = cabinets.find(PENDING_EVENTS).explain()["executionStats"]
    assert statistics["totalDocsExamined"] == statistics["nReturned"] == 30


def test_all_common_indexes_are_created(database):
    ensure_indexes(database, [document_class("Alarm")])
    names = {model.document["name"] for model in COMMON_INDEXES}
    assert set(database.Alarm.index_information()) == names | {"_id_"}


def test_an_idempotency_key_is_unique_within_a_tenant(cabinets):
    with pytest.raises(Exception, match="E11000"):
        cabinets.insert_one({"_id": "t1:x", "tenant": "t1", "idem": {"key": "k10"}})
    cabinets.insert_one({"_id": "t2:x", "tenant": "t2", "idem": {"key": "k999"}})


class CommandRecorder(CommandListener):
    def __init__(self):
        self.names = []

    def started(self, event):
        self.names.append(event.command_name)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def test_a_second_start_reads_one_document_only(database, mongodb_uri):
    kinds = [document_class(f"Kind{number}") for number in range(20)]
    ensure_indexes(database, kinds)
    recorder = CommandRecorder()
    with MongoClient(mongodb_uri, event_listeners=[recorder]) as client:
        ensure_indexes(client[database.name], kinds)
        assert recorder.names == ["find"]


def test_an_index_with_other_keys_is_replaced(database):
    database.Alarm.create_index([("tenant", 1), ("old", 1)], name="tenant")
    ensure_indexes(database, [document_class("Alarm")])
    assert database.Alarm.index_information()["tenant"]["key"] == [("tenant", 1), ("_id", 1)]
