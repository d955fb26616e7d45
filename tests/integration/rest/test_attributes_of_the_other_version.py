"""Attributes that only the other version has: under their name in both versions, or refused."""

import copy
import json

import pytest

from tests.support.contract_collections import COLLECTIONS
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.rest.views import alarms, billing, catalog, customer, inventory, ordering
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.structural_transforms import FirstItem, Unwrap, Wrap
from tmf_apis.rest.views.transforms import NestedViews, Rename
from tmf_apis.settings import Settings

TABLES = [module.VIEWS for module in (alarms, billing, catalog, customer, inventory, ordering)]
VIEWS = {kind: table for table in TABLES for kind in table if kind in KIND_NAMES}
CREATES = [c for c in COLLECTIONS if "create" in c.operations and c.kind in VIEWS]
RESOURCES = "/tmf-api/resourceInventoryManagement/v4/resource"
CATEGORIES = "/tmf-api/productCatalogManagement/v4/category"
ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
PARTY = {"id": "p-1", "role": "buyer", "@referredType": "Individual"}
ITEM = {"id": "1", "action": "add", "productOffering": {"id": "x"}}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def other_version(path):
    return path.replace("/v4/", "/v5/") if "/v4/" in path else path.replace("/v5/", "/v4/")


def foreign_paths(step, version):
    """Return the paths that a step leads to the names of the other version, in one object."""
    if isinstance(step, Rename):
        pairs = [(name, step.mapping[name]) for name in step.mapping]
        half = len(pairs) // 2
        return [(new if version == "v4" else old,) for old, new in pairs[:half]]
    if isinstance(step, Wrap):
        inside = [(step.container, inner) for inner in step.members.values()]
        outside = [(name,) for name in step.members]
        is_inside = (version == "v4") != isinstance(step, Unwrap)
        return inside if is_inside else outside
    if isinstance(step, FirstItem) and version == "v5":
        return [(step.remainder,)]
    return []


def cases(view, node, value, where, steps=()):
    """Yield, for each foreign attribute of a body, the steps to its object and its path in it."""
    if isinstance(value, list):
        value, steps = value[0] if value else None, (*steps, 0)
    views, version = where
    if not isinstance(value, dict) or node is None or len(steps) > 8:
        return
    names = {}
    for step in views[view]:
        names |= step.mapping if isinstance(step, Rename) else {}
        paths = (path for path in foreign_paths(step, version) if path[0] not in node.names)
        yield from ((steps, path) for path in paths)
    nested = [step.views for step in views[view] if isinstance(step, NestedViews)]
    for name, inner in (pair for table in nested for pair in table.items()):
        own = name if version == "v4" else names.get(name, name)
        if own in value:
            yield from cases(inner, node.child(own), value[own], where, (*steps, own))


def with_member(body, steps, path):
    body = copy.deepcopy(body)
    target = body
    for step in steps:
        target = target[step]
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = "foreign"
    return body


@pytest.mark.parametrize("collection", CREATES, ids=str)
def test_an_attribute_of_the_other_version_is_refused_where_it_would_be_another_one(
    api, collection
):
    node = ListQueryCompiler(collection.contract, Settings()).body_node(
        collection.operations["create"]
    )
    body, version = collection.body(api, full=True), collection.contract.version
    for steps, path in cases(collection.kind, node, body, (VIEWS[collection.kind], version)):
        response = api.post(collection.path, json=with_member(body, steps, path))
        pointer = "".join(f"/{step}" for step in (*steps, path[0]))
        assert response.status_code == 400, (pointer, path, response.text)
        assert f"{pointer}: an attribute of version" in response.json()["message"], (pointer, path)


@pytest.mark.parametrize(
    ("path", "body", "instead"),
    [
        (
            RESOURCES,
            {"resourceRelationship": [{"relationshipType": "x", "resource": {"id": "7"}}]},
            "/resource: an attribute of version 5; version 4 has resourceRelationship.id instead",
        ),
        (
            RESOURCES,
            {
                "resourceRelationship": [
                    {"relationshipType": "x", "id": "8", "resource": {"id": "7"}}
                ]
            },
            "/resourceRelationship/0/resource: an attribute of version 5",
        ),
        (CATEGORIES, {"parent": {"id": "1"}, "parentId": "2"}, "version 4 has parentId instead"),
        (CATEGORIES, {"parent": {}, "parentId": "2"}, "/parent: an attribute of version 5"),
        (
            ORDERS,
            {"productOrderItem": [ITEM], "creationDate": "2026-01-02T03:04:05Z"},
            "/creationDate: an attribute of version 5; version 4 has orderDate instead",
        ),
        (
            ORDERS,
            {
                "productOrderItem": [ITEM],
                "relatedParty": [{**PARTY, "partyOrPartyRole": {"id": "2"}}],
            },
            "version 4 has relatedParty.id instead",
        ),
        (
            ORDERS,
            {"productOrderItem": [ITEM], "externalIdDetail": {"id": "2"}},
            "/externalIdDetail: an attribute of version 5",
        ),
        (
            "/tmf-api/customerManagement/v5/customer",
            {
                "@type": "Customer",
                "engagedParty": {"@type": "PartyRef", "id": "1", "@referredType": "Individual"},
                "contactMedium": [{"@type": "EmailContactMedium", "mediumType": "phone"}],
            },
            "an attribute of version 4; version 5 has contactMedium.@type instead",
        ),
        (
            other_version(RESOURCES),
            {
                "@type": "LogicalResource",
                "place": [{"@type": "RelatedPlaceRef", "role": "x"}],
                "furtherPlace": [{"role": "y"}],
            },
            "/furtherPlace: an attribute of version 4; version 5 has place instead",
        ),
    ],
)
def test_the_refusal_names_the_attribute_of_the_version_of_the_client(api, path, body, instead):
    response = api.post(path, json={"name": "x", **body})
    assert response.status_code == 400, response.text
    assert instead in response.json()["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CATEGORIES, {"parentId": "7", "parent": {"colour": "red"}}),
        (CATEGORIES, {"parent": {"colour": "red"}}),
        (
            ORDERS,
            {
                "productOrderItem": [ITEM],
                "relatedParty": [{**PARTY, "partyOrPartyRole": {"colour": "red"}}],
            },
        ),
        (
            RESOURCES,
            {"resourceRelationship": [{"relationshipType": "x", "resource": {"name": "n"}}]},
        ),
        (
            "/tmf-api/customerManagement/v5/customer",
            {
                "@type": "Customer",
                "engagedParty": {"@type": "PartyRef", "id": "1", "@referredType": "Individual"},
                "contactMedium": [
                    {"@type": "EmailContactMedium", "mediumType": "email", "emailAddress": "a@b.de"}
                ],
            },
        ),
    ],
)
def test_an_attribute_of_the_other_version_that_is_the_same_in_both_is_stored(api, path, body):
    created = api.post(path, json={"name": "x", **body})
    assert created.status_code == 201, created.text
    own = api.get(f"{path}/{created.json()['id']}").json()
    other = api.get(f"{other_version(path)}/{created.json()['id']}").json()
    changed = {"productOrderItem"}  # the server gives items a state
    assert {n: own[n] for n in body if n not in changed} == {
        n: v for n, v in body.items() if n not in changed
    }
    for text in ("red", "email", '"n"'):
        assert (text in json.dumps(own)) == (text in json.dumps(other))


@pytest.mark.parametrize("method", ["merge", "json"])
def test_a_change_is_refused_like_a_create_and_an_echo_is_not(api, method):
    created = api.post(CATEGORIES, json={"name": "x", "parentId": "2", "parent": {"colour": "red"}})
    path = f"{CATEGORIES}/{created.json()['id']}"
    before = api.get(path).json()

    def change(parent):
        if method == "merge":
            return api.patch(path, json={"parent": parent, "description": "x"})
        operation = {"op": "replace", "path": "/parent", "value": parent}
        return api.patch(path, content=json.dumps([operation]), headers=JSON_PATCH)

    refused = change({"id": "1"})
    assert refused.status_code == 400
    assert "/parent: an attribute of version 5" in refused.json()["message"]
    assert api.get(path).json() == before
    echoed = change(before["parent"])
    assert echoed.status_code == 200, echoed.text
    assert echoed.json()["parent"] == {"colour": "red"}
    assert api.get(other_version(path)).json()["parent"]["id"] == "2"
