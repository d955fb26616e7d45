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
