"""Many changes of a collection in one request, and monitors of work that outlasts its request."""

import json
import time

import pytest

from tests.support.contract_collections import collections_with

BULK = {"Content-Type": "application/json-patch+json"}
CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
JOB = "/tmf-api/productCatalogManagement/v5/importJob"


def bulk(client, path, *operations, **headers):
    return client.patch(path, content=json.dumps(operations), headers={**BULK, **headers})


@pytest.mark.parametrize("collection", collections_with("create", "patch", "delete"), ids=str)
def test_a_collection_is_changed_by_one_patch(api, collection):
    body = collection.body(api)
    made = [collection.create(api, body).json()["id"] for _ in range(2)]
    name = "alarmDetails" if collection.kind == "Alarm" else "description"
    answer = bulk(
        api, collection.path,
        {"op": "add", "path": "/-", "value": body},
        {"op": "add", "path": f"/{made[0]}/{name}", "value": "one"},
        {"op": "replace", "path": f"/{made[0]}/{name}", "value": "two"},
        {"op": "remove", "path": f"/{made[1]}"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert [one["status"] for one in answer.json()] == [201, 200, 200, 204]
    new = api.get(answer.json()[0]["href"])
    assert new.status_code == 200
    assert api.get(f"{collection.path}/{made[0]}").json()[name] == "two"
    assert api.get(f"{collection.path}/{made[1]}").status_code == 404
    assert api.get(collection.path).headers["x-total-count"] == "2"


def test_one_operation_that_fails_leaves_the_others_done(api):
    answer = bulk(
        api, CATEGORY,
        {"op": "add", "path": "/", "value": {"@type": "Category", "name": "a"}},
        {"op": "add", "path": "/-", "value": {"@type": "Category"}},
        {"op": "remove", "path": "/no-such-id"},
        {"op": "replace", "path": "/x", "value": {"name": "whole"}},
        {"op": "copy", "path": "/x/y", "from": "/z/y"},
        {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "b"}},
    )  # fmt: skip
    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()] == [201, 400, 404, 400, 400, 201]
    assert [one["name"] for one in api.get(CATEGORY).json()] == ["a", "b"]
    for one in answer.json()[1:5]:
        assert one["error"]["@type"] == "Error"


def test_a_patch_of_more_than_a_hundred_operations_is_refused_whole(api):
    one = {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "a"}}
    assert bulk(api, CATEGORY, *[one] * 101).status_code == 400
    assert api.get(CATEGORY).json() == []
    assert bulk(api, CATEGORY, *[one] * 100).status_code == 200


@pytest.mark.parametrize("body", ["{}", "[1]", '[{"op":"add"}]', '[{"op":"x","path":"/-"}]', "x"])
def test_what_is_no_patch_of_a_collection_is_refused_whole(api, body):
    answer = api.patch(CATEGORY, content=body, headers=BULK)
    assert answer.status_code == 400
    assert answer.json()["@type"] == "Error"


@pytest.mark.parametrize("media", ["application/json", "application/merge-patch+json", "x/y"])
def test_a_collection_takes_json_patches_only(api, media):
    answer = api.patch(CATEGORY, content="[]", headers={"Content-Type": media})
    assert answer.status_code == 405
    assert "PATCH" not in answer.headers["allow"]


def test_a_repeated_bulk_with_a_key_makes_nothing_twice(api):
    one = {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "a"}}
    first = bulk(api, CATEGORY, one, one, **{"Idempotency-Key": "k"})
    again = bulk(api, CATEGORY, one, one, **{"Idempotency-Key": "k"})
    assert first.status_code == 200
    assert first.json() == again.json()
    assert len(api.get(CATEGORY).json()) == 2


def test_each_operation_needs_its_own_scope(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, scopes=("tmf620:read", "tmf620:create"))
    with authenticated_server.client(token) as client:
        made = client.post(CATEGORY, json={"@type": "Category", "name": "a"}).json()["id"]
        answer = bulk(
            client, CATEGORY,
            {"op": "add", "path": "/-", "value": {"@type": "Category", "name": "b"}},
            {"op": "remove", "path": f"/{made}"},
            {"op": "replace", "path": f"/{made}/name", "value": "c"},
        )  # fmt: skip
        assert [one["status"] for one in answer.json()] == [201, 403, 403]


TASKS = [
    one
    for one in collections_with("create")
    if one.kind in {"ImportJob", "ExportJob", "CancelProductOrder"} or "Alarms" in one.resource
]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_client_that_does_not_wait_gets_a_monitor(api, task):
    body = task.body(api, full=task.kind != "CancelProductOrder" and "Alarm" not in task.kind)
    answer = api.post(task.path, json=body, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    task.check("create", answer)
    assert answer.headers["preference-applied"] == "respond-async"
    monitor = api.get(answer.headers["location"])
    assert monitor.status_code == 200
    shown = monitor.json()
    assert shown["href"] == answer.headers["location"]
    assert shown["state"] in {"InProgress", "Completed", "Failed"}
    source = api.get(shown["sourceHref"])
    assert source.status_code == 200
    if shown["state"] != "InProgress":
        assert shown["response"]["body"]["id"] == source.json()["id"]


def test_a_monitor_says_when_the_work_is_done(api):
    answer = api.post(
        JOB,
        json={"@type": "ImportJob", "url": "http://127.0.0.1:9/nothing.json"},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202
    deadline = time.monotonic() + 60
    state = "InProgress"
    while state == "InProgress" and time.monotonic() < deadline:
        time.sleep(0.2)
        state = api.get(answer.headers["location"]).json()["state"]
    assert state == "Failed"


def test_work_that_ends_with_the_request_is_answered_at_once(api):
    body = {"@type": "Category", "name": "a"}
    assert api.post(CATEGORY, json=body, headers={"Prefer": "respond-async"}).status_code == 201


@pytest.mark.parametrize(
    "id", ["ImportJob-1", "Category-1", "x", "ImportJob-", "-", "ProductOrder-1"]
)
def test_a_monitor_of_nothing_is_404(api, id):
    answer = api.get(f"/tmf-api/productCatalogManagement/v5/monitor/{id}")
    assert answer.status_code == 404
    assert answer.json()["@type"] == "Error"
