"""Query parameters that have one value, on every operation of every contract."""

import uuid

import pytest

from tests.support.contract_collections import COLLECTIONS, CONTRACTS
from tmf_apis.rest.contracts.documents import resolve_reference
from tmf_apis.rest.query.parameters import SINGLE_VALUED

#: A valid value of each parameter; the second of two is the same, so only the repetition is wrong.
VALUES = {
    "after": "",
    "before": "",
    "depth": "0",
    "dryRun": "false",
    "filter": "$[?(@.id=='1')]",
    "limit": "1",
    "offset": "0",
    "sort": "id",
}
CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
METHODS = {
    "list": ("GET", ""),
    "create": ("POST", ""),
    "retrieve": ("GET", "/1"),
    "patch": ("PATCH", "/1"),
    "replace": ("PUT", "/1"),
    "delete": ("DELETE", "/1"),
}


def declared_parameters(contract, operation):
    """Return the query parameters that a contract declares for an operation."""
    path = contract.document["paths"][operation.path]
    nodes = [*path.get("parameters", ()), *path[operation.method].get("parameters", ())]
    resolved = (resolve_reference(contract.document, node) for node in nodes)
    return {p["name"]: p["schema"] for p in resolved if p["in"] == "query"}


def test_every_parameter_of_a_contract_has_one_value_or_is_a_list():
    names = {
        name
        for contract in CONTRACTS
        for operation in contract.operations
        for name, schema in declared_parameters(contract, operation).items()
        if schema["type"] != "array"
    }
    # The served documents add ``depth``, see ``served_document``.
    assert names == SINGLE_VALUED - {"depth"} | {"fields"}
    assert VALUES.keys() == SINGLE_VALUED


@pytest.mark.parametrize("collection", COLLECTIONS, ids=str)
def test_a_parameter_with_one_value_cannot_be_repeated(api, collection):
    for action in collection.operations:
        method, id = METHODS[action]
        for name, value in VALUES.items():
            response = api.request(
                method, collection.path + id, params=[(name, value), (name, value)]
            )
            assert response.status_code == 400, f"{method} {name}: {response.text}"
            assert response.json()["message"].startswith(f"{name} occurs more than once")


@pytest.mark.parametrize(
    "query", ["limit=1&limit=2", "limit=1&%6cimit=2", "sort=name&limit=1&sort=-name"]
)
@pytest.mark.parametrize("path", ["hub", "hub/1", "monitor/ImportJob-1", "category"])
def test_every_path_of_an_api_refuses_repeated_parameters(api, path, query):
    response = api.get(f"/tmf-api/productCatalogManagement/v5/{path}?{query}")
    assert response.status_code in {400, 405}, response.text


@pytest.mark.parametrize("text", ["limit=1&limit=2", "filter=$&filter=$", "sort=id&sort=id"])
def test_the_query_of_a_hub_or_job_refuses_repeated_parameters(api, text):
    hub = {"callback": "http://127.0.0.1:9/x", "query": text, "@type": "Hub"}
    response = api.post("/tmf-api/productCatalogManagement/v5/hub", json=hub)
    assert response.status_code == 400, response.text


def test_administration_refuses_repeated_parameters(authenticated_server):
    token = authenticated_server.token(scopes=["admin"])
    with authenticated_server.client(token) as admin:
        for name in ("limit", "offset", "state"):
            response = admin.get("/admin/deliveries", params=[(name, "1"), (name, "1")])
            assert response.status_code == 400, response.text


def test_repeated_filters_and_fields_are_alternatives_and_a_list(api):
    names = [f"n-{uuid.uuid4().hex}" for _ in range(2)]
    for name in names:
        body = {"@type": "Category", "name": name, "description": "d", "version": "1"}
        assert api.post(CATEGORY, json=body).status_code == 201
    parameters = [("name", name) for name in names]
    parameters += [("fields", "name"), ("fields", "version")]
    categories = api.get(CATEGORY, params=parameters).json()
    assert sorted(category["name"] for category in categories) == sorted(names)
    assert all("version" in category and "description" not in category for category in categories)


@pytest.mark.parametrize("value", ["maybe", "", "TRUE", "1", "true,false"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "GET"])
def test_a_malformed_dry_run_is_refused_and_nothing_is_written(api, method, value):
    body = {"@type": "Category", "name": "c"}
    category = api.post(CATEGORY, json=body).json()
    url = CATEGORY if method == "POST" else category["href"]
    change = None if method in {"GET", "DELETE"} else {"@type": "Category", "name": "new"}
    response = api.request(method, url, params={"dryRun": value}, json=change)
    assert response.status_code == 400, response.text
    assert api.get(category["href"]).json() == category
    assert api.get(CATEGORY).headers["x-total-count"] == "1"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_dry_run_of_a_write_without_dry_run_is_refused_and_not_carried_out(api, method):
    category = api.post(CATEGORY, json={"@type": "Category", "name": "c"}).json()
    change = {"@type": "Category", "name": "new"} if method == "PATCH" else None
    response = api.request(method, category["href"], params={"dryRun": "true"}, json=change)
    assert response.status_code == 400, response.text
    assert api.get(category["href"]).json() == category
