"""Values of any type over HTTP: every name in them is data, in every way to write and read."""

import json
from contextlib import closing

import pytest

from tests.support.callback_listener import CallbackListener
from tests.support.contract_collections import COLLECTIONS
from tests.support.waiting import wait_until

MERGE, PATCH = "application/merge-patch+json", "application/json-patch+json"
QUERY = "application/json-patch-query+json"
VALUE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:x",
    "properties": {"a": {"$ref": "#/$defs/b", "description": "x"}, "$gt": "", "": [{"$set": {}}]},
    "a.b": {"": 1, ".": 2, "$": 3},
    "__proto__": {"constructor": 1},
    "_id": 5,
    "$oid": "507f1f77bcf86cd799439011",
    "$date": 0,
    "list": [1, "a", True, {"$numberDecimal": "1.5"}, [[{"$where": "sleep(1)"}]]],
}
#: Collections with characteristics, and the attribute that has them.
CHARACTERISTICS = {
    "TMF637-v4-product": "productCharacteristic",
    "TMF638-v4-service": "serviceCharacteristic",
    "TMF639-v4-physicalResource": "resourceCharacteristic",
    "TMF639-v5-resource": "resourceCharacteristic",
    "TMF629-v5-customer": "characteristic",
    "TMF629-v4-customer": "characteristic",
}
HOLDERS = {str(c): c for c in COLLECTIONS if str(c) in CHARACTERISTICS}


def characteristic(collection, value):
    typed = {"@type": "ObjectCharacteristic"} if collection.is_v5 else {}
    return [{"name": "schema", "value": value, "valueType": "object", **typed}]


def patch(api, url, value, media_type):
    return api.patch(url, content=json.dumps(value), headers={"Content-Type": media_type})


def test_all_holders_exist():
    assert HOLDERS.keys() == CHARACTERISTICS.keys()


@pytest.mark.parametrize("name", CHARACTERISTICS)
def test_every_name_in_a_value_is_written_and_read_as_it_is(api, name):
    collection, attribute = HOLDERS[name], CHARACTERISTICS[name]
    typed = {"@type": collection.body(api)["@type"]} if collection.is_v5 else {}

    def value_of(answer):
        assert answer.is_success, answer.text
        resource = answer.json()
        resource = resource[0] if isinstance(resource, list) else resource
        return next(c["value"] for c in resource[attribute] if c["name"] == "schema")

    created = collection.create(api, **{attribute: characteristic(collection, VALUE)})
    url = created.json()["href"]
    assert value_of(created) == VALUE
    for read in (url, f"{url}?fields={attribute}", f"{collection.path}?fields={attribute}"):
        assert value_of(api.get(read)) == VALUE
    new = {**VALUE, "$ref": ["$other"]}
    del new["$id"]
    merged = patch(api, url, {**typed, attribute: characteristic(collection, new)}, MERGE)
    assert value_of(merged) == new
    index = [c["name"] for c in api.get(url).json()[attribute]].index("schema")
    pointer = f"/{attribute}/{index}/value"
    steps = [
        {"op": "test", "path": f"{pointer}/properties/a/$ref", "value": "#/$defs/b"},
        {"op": "replace", "path": f"{pointer}/properties/a/$ref", "value": {"$gt": ""}},
        {"op": "add", "path": f"{pointer}/a.b/$where", "value": "1"},
        {"op": "remove", "path": f"{pointer}/$schema"},
    ]
    new["properties"] = {**new["properties"], "a": {"$ref": {"$gt": ""}, "description": "x"}}
    new["a.b"] = {**new["a.b"], "$where": "1"}
    del new["$schema"]
    assert value_of(patch(api, url, steps, PATCH)) == new
    assert value_of(api.get(url)) == new
    query = {"op": "replace", "path": f"$.{attribute}[?(@.name=='schema')].value", "value": VALUE}
    assert value_of(patch(api, url, [query], QUERY)) == VALUE
    outside = [{"op": "add", "path": "/$where", "value": "1"}]
    assert patch(api, url, outside, PATCH).status_code == 400
    wrong = [{"op": "add", "path": f"{pointer}/x", "value": {"$ref": "a", "$id": 1}}]
    assert patch(api, url, wrong, PATCH).status_code == 400
    assert api.delete(url).status_code == 204


def test_an_event_has_the_names_of_a_value(api):
    collection, attribute = HOLDERS["TMF637-v4-product"], "productCharacteristic"
    with closing(CallbackListener()) as listener:
        hub = {"callback": listener.url}
        assert api.post(f"{collection.contract.base_path}/hub", json=hub).status_code == 201
        collection.create(api, **{attribute: characteristic(collection, VALUE)})
        [event] = wait_until(lambda: listener.received)
    [sent] = event["event"]["product"][attribute]
    assert sent["value"] == VALUE


@pytest.mark.parametrize("query", ["$where=1", "name.$gt=1", "filter=$[?(@.$where=='1')]"])
def test_a_query_has_no_operators_of_the_database(api, query):
    assert api.get(f"{HOLDERS['TMF637-v4-product'].path}?{query}").status_code == 400
