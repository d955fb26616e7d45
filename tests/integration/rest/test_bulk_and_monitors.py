"""Bulk changes of a collection, and monitors of tasks that continue after their request."""

import json
import re

import pytest

from tests.support.contract_collections import collections_with
from tests.support.waiting import wait_until

BULK = {"Content-Type": "application/json-patch+json"}
CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
JOB = "/tmf-api/productCatalogManagement/v5/importJob"


def bulk(client, path, *operations, **headers):
    return client.patch(path, content=json.dumps(operations), headers={**BULK, **headers})


@pytest.mark.parametrize("collection", collections_with("create", "patch", "delete"), ids=str)
def test_a_collection_is_changed_by_one_patch(api, collection):
    body = collection.body(api)
    created = [collection.create(api, body).json()["id"] for _ in range(2)]
    name = "alarmDetails" if collection.kind == "Alarm" else "description"
    response = bulk(
        api, collection.path,
        {"op": "add", "path": "/-", "value": body},
        {"op": "add", "path": f"/{created[0]}/{name}", "value": "one"},
        {"op": "replace", "path": f"/{created[0]}/{name}", "value": "two"},
        {"op": "remove", "path": f"/{created[1]}"},
    )  # fmt: skip
    assert response.status_code == 200, response.text
    assert [item["status"] for item in response.json()] == [201, 200, 200, 204]
    new = api.get(response.json()[0]["href"])
    assert new.status_code == 200
    assert api.get(f"{collection.path}/{created[0]}").json()[name] == "two"
    assert api.get(f"{collection.path}/{created[1]}").status_code == 404
    assert api.get(collection.path).headers["x-total-count"] == "2"


def test_a_failing_operation_does_not_undo_the_others(api):
    response = bulk(
        api, CATEGORY,
        {"op": "add", "path": "/", "value": {"@type": "Category", "name": "a"}},
        {"op": "add", "path": "/-", "value": {"@type": "Category"}},
        {"op": "remove", "path": "/no-such-id"},
        {"op": "replace", "path": "/x", "value": {"name": "whole"}},
        {"op": "copy", "path": "/x/y", "from": "/z/y"},
        {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "b"}},
    )  # fmt: skip
    assert response.status_code == 207
    assert [item["status"] for item in response.json()] == [201, 400, 404, 400, 400, 201]
    assert [item["name"] for item in api.get(CATEGORY).json()] == ["a", "b"]
    for outcome in response.json()[1:5]:
        assert outcome["error"]["@type"] == "Error"


def test_a_collection_is_changed_by_a_patch_with_conditions(api):
    terms = [{"name": name} for name in ("x", "y/z")]
    path = "/tmf-api/productCatalogManagement/v4/productOffering"
    id = api.post(path, json={"name": "a", "productOfferingTerm": terms}).json()["id"]
    response = bulk(
        api, path,
        {"op": "add", "path": f"/{id}/productOfferingTerm?name=y%2Fz/description", "value": "d"},
        {"op": "replace", "path": f"/{id}/lifecycleStatus?lifecycleStatus=no", "value": "Active"},
        {"op": "copy", "from": f"/{id}/name", "path": f"/{id}/description"},
        {"op": "move", "from": "/other/name", "path": f"/{id}/description"},
        {"op": "remove", "path": "/?name=a"},
        {"op": "remove", "path": f"/{id}/productOfferingTerm?name"},
        **{"Content-Type": "application/json-patch-query+json"},
    )  # fmt: skip
    outcomes = response.json()
    assert [item["status"] for item in outcomes] == [200, 400, 200, 400, 501, 400], outcomes
    for number in (1, 3, 4, 5):
        message = outcomes[number]["error"]["message"]
        assert re.search("filter|parameter", message) is None
    changed = api.get(f"{path}/{id}").json()
    assert [term.get("description") for term in changed["productOfferingTerm"]] == [None, "d"]
    assert changed["description"] == "a"


def test_a_patch_of_more_than_100_operations_is_refused_as_a_whole(api):
    operation = {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "a"}}
    assert bulk(api, CATEGORY, *[operation] * 101).status_code == 400
    assert api.get(CATEGORY).json() == []
    assert bulk(api, CATEGORY, *[operation] * 100).status_code == 200


@pytest.mark.parametrize("body", ["{}", "[1]", '[{"op":"add"}]', '[{"op":"x","path":"/-"}]', "x"])
def test_an_invalid_collection_patch_is_refused_as_a_whole(api, body):
    response = api.patch(CATEGORY, content=body, headers=BULK)
    assert response.status_code == 400
    assert response.json()["@type"] == "Error"


@pytest.mark.parametrize("media", ["application/json", "application/merge-patch+json", "x/y"])
def test_a_collection_accepts_only_json_patches(api, media):
    response = api.patch(CATEGORY, content="[]", headers={"Content-Type": media})
    assert response.status_code == 415
    assert "application/json-patch-query+json" in response.headers["accept-patch"]


def test_repeating_a_bulk_request_with_its_idempotency_key_creates_nothing_twice(api):
    operation = {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "a"}}
    first = bulk(api, CATEGORY, operation, operation, **{"Idempotency-Key": "k"})
    again = bulk(api, CATEGORY, operation, operation, **{"Idempotency-Key": "k"})
    assert first.status_code == 200
    assert first.json() == again.json()
    assert len(api.get(CATEGORY).json()) == 2


def test_each_operation_needs_its_own_scope(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, scopes=("tmf620:read", "tmf620:create"))
    with authenticated_server.client(token) as client:
        created = client.post(CATEGORY, json={"@type": "Category", "name": "a"}).json()["id"]
        response = bulk(
            client, CATEGORY,
            {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "b"}},
            {"op": "remove", "path": f"/{created}"},
            {"op": "replace", "path": f"/{created}/name", "value": "c"},
        )  # fmt: skip
        assert [item["status"] for item in response.json()] == [201, 403, 403]


TASKS = [
    collection
    for collection in collections_with("create")
    if collection.kind in {"ImportJob", "ExportJob", "CancelProductOrder"}
    or "Alarms" in collection.resource
]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_client_that_does_not_wait_gets_a_monitor(api, task):
    body = task.body(api, full=task.kind != "CancelProductOrder" and "Alarm" not in task.kind)
    response = api.post(task.path, json=body, headers={"Prefer": "respond-async"})
    assert response.status_code == 202, response.text
    task.check_response("create", response)
    assert response.headers["preference-applied"] == "respond-async"
    monitor = api.get(response.headers["location"])
    assert monitor.status_code == 200
    body = monitor.json()
    assert body["href"] == response.headers["location"]
    assert body["state"] in {"InProgress", "Completed", "Failed"}
    source = api.get(body["sourceHref"])
    assert source.status_code == 200
    if body["state"] != "InProgress":
        assert body["response"]["body"]["id"] == source.json()["id"]


def test_a_monitor_shows_the_final_state_of_a_task(api):
    response = api.post(
        JOB,
        json={"@type": "ImportJob", "url": "http://127.0.0.1:9/nothing.json"},
        headers={"Prefer": "respond-async"},
    )
    assert response.status_code == 202
    url = response.headers["location"]
    wait_until(lambda: api.get(url).json()["state"] != "InProgress", timeout=60, pause=0.2)
    assert api.get(url).json()["state"] == "Failed"


def test_a_create_without_background_task_ignores_respond_async(api):
    body = {"@type": "Category", "name": "a"}
    assert api.post(CATEGORY, json=body, headers={"Prefer": "respond-async"}).status_code == 201


@pytest.mark.parametrize(
    "id", ["ImportJob-1", "Category-1", "x", "ImportJob-", "-", "ProductOrder-1"]
)
def test_an_unknown_monitor_is_404(api, id):
    response = api.get(f"/tmf-api/productCatalogManagement/v5/monitor/{id}")
    assert response.status_code == 404
    assert response.json()["@type"] == "Error"
