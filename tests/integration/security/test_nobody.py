"""A token with an empty claim ``party`` is nobody: it sees the public and creates nothing."""

import json

import pytest

from tests.support.contract_collections import CONTRACTS, collections_with

BULK = {"Content-Type": "application/json-patch+json"}
CREATABLE = collections_with("create")
LISTENERS = [
    (contract, operation)
    for contract in CONTRACTS
    for operation in contract.operations
    if operation.action == "listen"
]
WITH_HUB = [c for c in CONTRACTS if any(o.action == "subscribe" for o in c.operations)]
CATALOGUES = {"TMF620", "TMF633", "TMF634"}


@pytest.fixture
def nobody(authenticated_server, tenant):
    """A client whose token has an empty claim ``party``."""
    token = authenticated_server.token(tenant=tenant, parties=[], subject="nobody")
    with authenticated_server.client(token) as client:
        yield client


@pytest.mark.parametrize("collection", CREATABLE, ids=str)
def test_nobody_creates_nothing(api, nobody, collection):
    body = collection.body(api)
    before = api.get(collection.path).headers["x-total-count"]
    created = nobody.post(collection.path, json=body)
    assert created.status_code == 403, created.text
    if "patch" in collection.operations:
        add = [{"op": "add", "path": "/-", "value": body}]
        response = nobody.patch(collection.path, content=json.dumps(add), headers=BULK)
        assert [item["status"] for item in response.json()] == [403]
    assert api.get(collection.path).headers["x-total-count"] == before


@pytest.mark.parametrize("collection", collections_with("create", "patch", "delete"), ids=str)
def test_nobody_sees_the_public_only_and_changes_nothing(api, nobody, collection):
    created = collection.create(api).json()
    url = f"{collection.path}/{created['id']}"
    is_public = collection.contract.number in CATALOGUES or collection.kind == "BillCycle"
    assert nobody.get(url).status_code == (200 if is_public else 404)
    listed = nobody.get(collection.path).json()
    assert [item["id"] for item in listed] == ([created["id"]] if is_public else [])
    refusal = 403 if is_public else 404
    assert nobody.patch(url, json={"description": "x"}).status_code == refusal
    assert nobody.delete(url).status_code == refusal


@pytest.mark.parametrize("contract", WITH_HUB, ids=lambda c: f"{c.number}-{c.version}")
def test_nobody_subscribes_to_nothing(nobody, contract):
    hub = f"{contract.base_path}/hub"
    assert (
        nobody.post(hub, json={"callback": "http://127.0.0.1:9/x", "@type": "Hub"}).status_code
        == 403
    )


@pytest.mark.parametrize(
    ("contract", "operation"), LISTENERS[:3], ids=lambda v: getattr(v, "operation_id", None)
)
def test_nobody_sends_no_events(nobody, contract, operation):
    event = {"eventId": "1", "eventType": operation.event_type, "event": {}}
    path = contract.base_path + operation.path
    body = {**event, "@type": operation.event_type, "eventTime": "2026-01-01T00:00:00Z"}
    assert nobody.post(path, json=body).status_code == 403


def test_nobody_has_no_administration(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, parties=[], scopes=["admin"])
    with authenticated_server.client(token) as client:
        assert client.get("/admin/schemas").status_code == 403
