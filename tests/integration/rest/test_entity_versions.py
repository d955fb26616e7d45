"""Versions of catalogue entities: each notation selects the version it names."""

import pytest

from tests.support.contract_collections import COLLECTIONS
from tmf_apis.catalog.rules import PARENT_ATTRIBUTES

MERGE = {"Content-Type": "application/merge-patch+json"}


def has_version(collection):
    schemas = collection.contract.document["components"]["schemas"]
    waiting, names = [collection.schema], set()
    while waiting:
        schema = schemas[waiting.pop()]
        for part in (schema, *schema.get("allOf", ())):
            names |= set(part.get("properties", ()))
            if "$ref" in part:
                waiting.append(part["$ref"].rpartition("/")[2])
    return "version" in names


VERSIONED = [c for c in COLLECTIONS if has_version(c)]
#: A category is corrected in place: its tree has one node for it.
ARCHIVED = [c for c in VERSIONED if c.kind not in PARENT_ATTRIBUTES]


def change(api, collection, url, **members):
    typed = {"@type": collection.schema} if collection.is_v5 else {}
    return api.patch(url, json={**typed, **members}, headers=MERGE)


def entity(api, collection):
    created = collection.create(api, version="1.0", lifecycleStatus="In study").json()
    for status in ("In design", "In test", "Active"):
        response = change(api, collection, created["href"], lifecycleStatus=status)
        assert response.status_code == 200, response.text
    return created


def with_two_versions(api, collection):
    created = entity(api, collection)
    response = change(api, collection, created["href"], version="2.0")
    assert response.status_code == 200, response.text
    return created


def test_all_catalogues_have_versioned_entities():
    assert {c.contract.number for c in VERSIONED} == {"TMF620", "TMF633", "TMF634"}
    assert len(ARCHIVED) == 14


@pytest.mark.parametrize("collection", VERSIONED, ids=str)
def test_the_current_version_is_read_by_its_number(api, collection):
    created = collection.create(api, version="1.7").json()
    expected = api.get(created["href"]).json()
    suffix = f"{collection.path}/{created['id']}"
    for ending in ("?version=1.7", ":(version=1.7)", "%3A%28version=1.7%29"):
        url = suffix + ending
        assert api.get(url).json() == expected, url
        assert api.head(url).status_code == 200
    for url in (f"{suffix}?version=9", f"{suffix}:(version=9)"):
        missing = api.get(url)
        assert missing.status_code == 404
        assert missing.json()["message"].endswith("; versions: 1.7")
    assert api.get(f"{collection.path}/unknown?version=1.7").status_code == 404


@pytest.mark.parametrize("collection", ARCHIVED, ids=str)
def test_an_earlier_version_is_read_by_its_number(api, collection):
    created = with_two_versions(api, collection)
    url = f"{collection.path}/{created['id']}"
    for number, status in (("1.0", "Retired"), ("2.0", "Active")):
        answers = [
            api.get(f"{url}?version={number}"),
            api.get(f"{url}:(version={number})"),
            api.get(collection.path, params={"id": created["id"], "version": number}),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        first, second, [third] = (answer.json() for answer in answers)
        assert first == second == third
        assert (first["version"], first["lifecycleStatus"]) == (number, status)
        selected = api.get(f"{url}?version={number}&fields=version").json()
        assert selected["version"] == number
        assert "lifecycleStatus" not in selected
        assert api.get(first["href"]).json() == first
    assert api.get(url).json()["version"] == "2.0"
    assert api.get(f"{collection.path}?id={created['id']}&version=3").json() == []
    assert "versions: 2.0, 1.0" in api.get(f"{url}?version=3").json()["message"]
    assert api.get(f"{url}:(version=1.0)?version=1.0").json()["version"] == "1.0"
    for ending in ("?version=1.0&version=2.0", ":(version=1.0)?version=2.0"):
        for answer in (api.get(url + ending), api.delete(url + ending)):
            assert (answer.status_code, "it can name one" in answer.text) == (400, True)


def test_a_change_and_a_deletion_affect_the_version_that_they_name(api):
    collection = next(c for c in ARCHIVED if c.kind == "ProductOffering" and c.is_v5)
    created = with_two_versions(api, collection)
    url = f"{collection.path}/{created['id']}"
    for suffix, number in (("?version=1.0", "1.0"), (":(version=2.0)", "2.0")):
        changed = change(api, collection, url + suffix, description=number)
        assert (changed.status_code, changed.json()["version"]) == (200, number), changed.text
    assert change(api, collection, f"{url}?version=7", description="x").status_code == 404
    assert api.delete(f"{url}?version=7").status_code == 404
    assert api.delete(f"{url}?version=1.0").status_code == 204
    assert api.get(f"{url}?version=1.0").status_code == 404
    assert api.get(url).json()["description"] == "2.0"
    assert api.delete(f"{url}:(version=2.0)").status_code == 204
    assert api.get(url).status_code == 404


def test_a_kind_without_versions_ignores_the_parameter_with_a_warning(api):
    collection = next(c for c in COLLECTIONS if c.kind == "Customer" and c.is_v5)
    created = collection.create(api).json()
    url = f"{collection.path}/{created['id']}?version=1"
    ignored = api.get(url)
    assert ignored.json() == created
    assert "'version' has no effect" in ignored.headers["warning"]
    assert api.delete(url, headers={"Prefer": "handling=strict"}).status_code == 400
    assert api.get(collection.path, params={"id": created["id"]}).json() == [created]
