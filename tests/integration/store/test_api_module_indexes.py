"""The indexes of the API modules serve their queries."""

import pytest

from tmf_apis import api_modules
from tmf_apis.inventory.model import Resource
from tmf_apis.store.indexes import ensure_indexes, index_models
from tmf_apis.store.model import StoredResource

COUNT = 600
MODELS = sorted(
    (
        model
        for model in StoredResource.__subclasses__()
        if model.__module__.startswith(api_modules.__package__)
        and model.__module__.endswith(".model")
    ),
    key=lambda model: model.__name__,
)


def paths(model):
    """Return the paths of the stored form that a model has a full index for."""
    indexes = [index.document for index in index_models(model)]
    keys = [list(index["key"]) for index in indexes if "partialFilterExpression" not in index]
    return [key[1].removeprefix("body.") for key in keys if len(key) == 3 and "body." in key[1]]


def put(body, path, value):
    *outer, last = path.split(".")
    for name in outer:
        body = body.setdefault(name, {})
    body[last] = value


def make_document(number, names):
    body = {}
    for name in names:
        put(body, name, f"value {number % 50}")
    tenant = f"t{number % 3}"
    return {"_id": f"{tenant}:{number:06}", "tenant": tenant, "id": f"{number:06}", "body": body}


def stages(plan):
    yield plan
    for inner in (plan.get("inputStage"), plan.get("queryPlan")):
        if inner:
            yield from stages(inner)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_index_is_used_by_its_query(model, database):
    ensure_indexes(database, [model])
    names = paths(model)
    collection = database[model.__name__]
    collection.insert_many(make_document(number, names) for number in range(COUNT))
    assert names
    for name in names:
        query = {"tenant": "t1", f"body.{name}": "value 7"}
        plan = collection.find(query).sort("_id").explain()["queryPlanner"]["winningPlan"]
        scans = [stage for stage in stages(plan) if stage["stage"] == "IXSCAN"]
        assert [list(scan["keyPattern"]) for scan in scans] == [["tenant", f"body.{name}", "_id"]]
        assert "SORT" not in {stage["stage"] for stage in stages(plan)}


def test_elements_are_found_by_an_index_that_excludes_other_resources(database):
    ensure_indexes(database, [Resource])
    path = "body.resourceCharacteristic.name"
    database.Resource.insert_many(
        {**document, "body": {"category": "accessPort", "resourceCharacteristic": [{"name": name}]}}
        for number in range(COUNT)
        for document in [make_document(number, ())]
        for name in ["managementAddress" if number % 50 == 0 else "portName"]
    )
    query = {"$and": [{"tenant": "t1"}, {path: "managementAddress"}]}
    explained = database.Resource.find(query).sort("_id").limit(100).explain()
    plan = stages(explained["queryPlanner"]["winningPlan"])
    (scan,) = (stage for stage in plan if stage["stage"] == "IXSCAN")
    assert list(scan["keyPattern"]) == ["tenant", path, "_id"]
    assert explained["executionStats"]["totalKeysExamined"] == 4


def test_a_model_declares_the_collection_of_its_kind():
    assert {model._get_collection_name() for model in MODELS} == {m.__name__ for m in MODELS}
