"""Staff choose the ids of catalogue entries, so that an offer is written before it is posted."""

import uuid

import pytest

from tests.support.contract_collections import collections_with

CATALOGUES = {"TMF620", "TMF633", "TMF634"}
CREATABLE = collections_with("create")
ENTRIES = [each for each in CREATABLE if each.contract.number in CATALOGUES and
           not each.kind.endswith("Job")]  # fmt: skip
OTHERS = [each for each in CREATABLE if each not in ENTRIES]


def with_id(collection, api, **members):
    return {**collection.body(api), "id": f"own-{uuid.uuid4().hex[:8]}/1", **members}


@pytest.mark.parametrize("collection", ENTRIES, ids=str)
def test_staff_choose_the_id_of_a_catalogue_entry_once(api, collection):
    body = with_id(collection, api)
    created = collection.create(api, body)
    assert created.json()["id"] == body["id"]
    assert api.get(created.json()["href"]).json()["id"] == body["id"]
    again = api.post(collection.path, json=body)
    assert again.status_code == 409, again.text


@pytest.mark.parametrize("collection", ENTRIES, ids=str)
def test_an_entry_that_was_read_is_copied_under_a_new_id(api, collection):
    body = with_id(collection, api, href="http://x/1")
    assert collection.create(api, body).json()["id"] != body["id"]


@pytest.mark.parametrize("collection", OTHERS, ids=str)
def test_the_id_of_any_other_resource_is_the_servers(api, collection):
    body = with_id(collection, api)
    assert collection.create(api, body).json()["id"] != body["id"]


@pytest.mark.parametrize("id", ["", ".", "a\n", 7, None, ["a"], "x" * 257])
def test_an_id_that_cannot_be_read_at_a_url_is_refused(api, id):
    path = "/tmf-api/resourceCatalog/v4/resourceSpecification"
    answer = api.post(path, json={"@type": "ResourceSpecification", "name": "port", "id": id})
    assert answer.status_code == (201 if id is None else 400), answer.text


def test_a_party_cannot_choose_ids(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, parties=["ada"])
    with authenticated_server.client(token) as party:
        for collection in ENTRIES:
            body = {"name": "x", "id": "own", "lifecycleStatus": "Active"}
            assert party.post(collection.path, json=body).status_code in {400, 403}
