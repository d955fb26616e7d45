"""The indexes of these rooms serve the queries that they are for."""

import pytest

from tmf_apis.catalog import CATALOG_DEFINITIONS
from tmf_apis.catalog import api_module as catalogue
from tmf_apis.inventory import api_module as inventory
from tmf_apis.ordering import api_module as ordering
from tmf_apis.ordering import service_api_module as service_ordering
from tmf_apis.products import api_module as products
from tmf_apis.qualification import api_module as qualification
from tmf_apis.services import api_module as services
from tmf_apis.settings import Settings
from tmf_apis.store.indexes import ensure_indexes, index_models

COUNT = 600
CATALOGUES = [catalogue(Settings(), definition=family) for family in CATALOG_DEFINITIONS]
ROOMS = (
    *CATALOGUES,
    *(room(Settings()) for room in (ordering, service_ordering, products, services, qualification)),
)
MODELS = [model for room in ROOMS for model in room.models]


def paths(model):
    """The paths of the stored form that a model has an index for."""
    keys = [list(index.document["key"]) for index in index_models(model)]
    return [key[1].removeprefix("body.") for key in keys if len(key) == 3 and "body." in key[1]]


def put(body, path, value):
    *outer, last = path.split(".")
    for name in outer:
        body = body.setdefault(name, {})
    body[last] = value


def a_document(number, names):
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
def test_every_index_is_used_by_the_query_that_it_is_for(model, database):
    ensure_indexes(database, [model])
    names = paths(model)
    collection = database[model.__name__]
    collection.insert_many(a_document(number, names) for number in range(COUNT))
    assert names
    for name in names:
        query = {"tenant": "t1", f"body.{name}": "value 7"}
        plan = collection.find(query).sort("_id").explain()["queryPlanner"]["winningPlan"]
        found = [stage for stage in stages(plan) if stage["stage"] == "IXSCAN"]
        assert [list(stage["keyPattern"]) for stage in found] == [["tenant", f"body.{name}", "_id"]]
        assert "SORT" not in {stage["stage"] for stage in stages(plan)}


def test_elements_are_found_by_an_index_that_has_nothing_else(database):
    (model,) = inventory(Settings()).models
    ensure_indexes(database, [model])
    named = "body.resourceCharacteristic.name"
    database.Resource.insert_many(
        {**one, "body": {"category": "accessPort", "resourceCharacteristic": [{"name": name}]}}
        for number in range(COUNT)
        for one in [a_document(number, ())]
        for name in ["managementAddress" if number % 50 == 0 else "portName"]
    )
    query = {"$and": [{"tenant": "t1"}, {named: "managementAddress"}]}
    found = database.Resource.find(query).sort("_id").limit(100).explain()
    plan = list(stages(found["queryPlanner"]["winningPlan"]))
    (scan,) = (one for one in plan if one["stage"] == "IXSCAN")
    assert list(scan["keyPattern"]) == ["tenant", named, "_id"]
    assert found["executionStats"]["totalKeysExamined"] == 4


def test_every_kind_of_the_rooms_has_a_collection_of_its_name():
    kinds = {kind for room in ROOMS for kind in room.policies}
    assert {model._get_collection_name() for model in MODELS} == kinds
