"""The attribute ``@type`` of a body, whatever JSON value it has."""

import pytest

from tests.support.contract_collections import COLLECTIONS

MERGE = "application/merge-patch+json"
NOT_NAMES = [{"a": 1}, ["Category"], [], {}, 1, True]
CREATABLE = [c for c in COLLECTIONS if "create" in c.operations]


@pytest.mark.parametrize("collection", CREATABLE, ids=str)
def test_a_type_that_is_not_a_text_is_refused_with_its_pointer(api, collection):
    for value in NOT_NAMES:
        for name in ("@type", "@baseType"):
            refused = api.post(collection.path, json={"name": "x", name: value})
            assert refused.status_code == 400, (name, value, refused.text)
            assert f"/{name}" in refused.json()["message"], value


def test_a_changed_type_that_is_not_a_text_is_refused_with_its_pointer(api):
    for collection in COLLECTIONS:
        if collection.resource != "category" or "patch" not in collection.operations:
            continue
        category = collection.create(api).json()
        for value in NOT_NAMES:
            for name in ("@type", "@baseType"):
                step = {"op": "add", "path": f"/{name}", "value": value}
                headers = {"Content-Type": "application/json-patch+json"}
                answers = [
                    api.patch(
                        category["href"], json={name: value}, headers={"Content-Type": MERGE}
                    ),
                    api.patch(category["href"], json=[step], headers=headers),
                ]
                for refused in answers:
                    assert refused.status_code == 400, (name, value, refused.text)
                    assert f"/{name}" in refused.json()["message"], value


@pytest.mark.parametrize("collection", ["logicalResource", "physicalResource"])
def test_a_resource_of_a_type_of_its_own_stays_in_the_collection_that_made_it(api, collection):
    inventory = "/tmf-api/resourceInventoryManagement"
    base = collection[0].upper() + collection[1:]
    path = f"{inventory}/v4/{collection}"
    created = api.post(path, json={"name": "r", "@type": "Router"}).json()
    assert (created["@type"], created["@baseType"]) == ("Router", base)
    assert created["href"].endswith(f"{path}/{created['id']}")
    assert api.get(created["href"]).json() == created
    assert [row["id"] for row in api.get(path).json()] == [created["id"]]
    in_v5 = api.get(f"{inventory}/v5/resource/{created['id']}").json()
    assert (in_v5["@type"], in_v5["@baseType"]) == ("Router", base)
    other = {"logicalResource": "physicalResource"}.get(collection, "logicalResource")
    assert api.get(f"{inventory}/v4/{other}/{created['id']}").status_code == 404
    own = api.post(path, json={"name": "r", "@type": "Router", "@baseType": "Resource"}).json()
    assert own["@baseType"] == "Resource"
    plain = api.post(path, json={"name": "r"}).json()
    assert (plain["@type"], "@baseType" in plain) == (base, False)
