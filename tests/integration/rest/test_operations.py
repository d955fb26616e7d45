"""Every operation of every contract over HTTP, with a running server and a real database."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.body_factory import TIME
from tests.support.contract_collections import (
    BACKGROUND_TASKS,
    COLLECTIONS,
    CONTRACTS,
    check_response,
    collection_of,
    collections_with,
)

CREATES = pytest.mark.parametrize("collection", collections_with("create"), ids=str)
CHANGES = pytest.mark.parametrize("collection", collections_with("create", "patch"), ids=str)
DELETES = pytest.mark.parametrize("collection", collections_with("create", "delete"), ids=str)
LISTS = pytest.mark.parametrize("collection", COLLECTIONS, ids=str)
#: A text attribute of each kind that a client may change, if it is not ``description``.
TEXT_ATTRIBUTES = {
    "Alarm": "alarmDetails",
    "Customer": "statusReason",
}
#: Attributes that the worker may change at any moment.
VOLATILE = {"state", "status", "lastUpdate", "completionDate", "errorLog", "customerBill"}
VOLATILE |= {"percentComplete", "message"}


def text_attribute(collection):
    """Return the name of a text attribute that a client may change."""
    return TEXT_ATTRIBUTES.get(collection.kind, "description")


def leaves(value, path=""):
    """Yield the dotted path and the value of every scalar in a resource."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


def sample(items, size):
    """Return about ``size`` items from the whole length of a list."""
    step = max(1, len(items) // size)
    return items[::step]


def query_text(value):
    """Return a value as text for a query parameter."""
    return json.dumps(value) if isinstance(value, bool) else str(value)


def ids(response):
    """Return the ids of the resources in a response."""
    return [item["id"] for item in response.json()]


def links(response):
    """Return the URLs of the other pages by relation."""
    return {name: link["url"] for name, link in response.links.items()}


@CREATES
@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
def test_a_created_resource_is_returned_retrieved_and_listed(api, collection, full):
    body = collection.body(api, full=full)
    created = collection.create(api, body)
    collection.check_response("create", created)
    resource = created.json()
    assert created.headers["location"] == resource["href"]
    assert resource["href"].endswith(f"/{resource['id']}")
    assert created.headers["etag"] == '"1"'
    read = api.get(resource["href"])
    assert read.status_code == 200
    collection.check_response("retrieve", read)
    listed = api.get(collection.path)
    assert listed.status_code == 200
    collection.check_response("list", listed)
    if collection.kind not in BACKGROUND_TASKS and "Alarm" not in collection.kind:
        assert read.json() == resource
        assert read.headers["etag"] == '"1"'
        assert resource in listed.json()


@CREATES
def test_all_attributes_of_a_body_are_kept(api, collection):
    body = collection.body(api, full=True) | {"unknownToUs": {"deep": [1, True, "x"]}}
    resource = collection.create(api, body).json()
    owned = {"creationDate", "status", "completionDate", "errorLog", "state", "ackState"}
    owned |= {"customerBill", "failure", "productOrderItem", "serviceOrderItem", "message"}
    owned |= {"serviceQualificationItem"}
    for name in body.keys() - owned - {"lastUpdate", "version", "path"}:
        if "Alarm" not in collection.kind:
            assert resource[name] == body[name], name


@LISTS
def test_an_empty_collection_is_an_empty_list(api, collection):
    response = api.get(collection.path)
    assert (response.status_code, response.json()) == (200, [])
    assert (response.headers["x-total-count"], response.headers["x-result-count"]) == ("0", "0")


@LISTS
def test_a_missing_resource_is_404_with_an_error_body(api, collection):
    response = api.get(f"{collection.path}/no-such-id")
    assert response.status_code == 404
    collection.check_response("retrieve", response)
    assert response.json()["status"] == "404"


@CREATES
def test_fields_selects_attributes(api, collection):
    resource = collection.create(api, full=True).json()
    always = {"id", "href", "@type"} if collection.is_v5 else {"id", "href"}
    name = next(n for n, v in resource.items() if n not in {"id", "href", "@type"})
    single = api.get(resource["href"], params={"fields": name})
    assert single.status_code == 200
    assert set(single.json()) == always | {name}
    listed = api.get(collection.path, params={"fields": name, "id": resource["id"]})
    assert [set(item) for item in listed.json()] == [always | {name}]
    none = api.get(resource["href"], params={"fields": "none"})
    assert set(none.json()) == always
    deep = [path for path, _ in leaves(resource) if path.count(".") == 1]
    if deep:
        part = api.get(resource["href"], params={"fields": deep[0]}).json()
        assert set(part) == always | {deep[0].split(".")[0]}


@CREATES
def test_every_value_sent_back_as_a_filter_finds_its_resource(api, collection):
    collection.create(api)
    sent = collection.create(api, full=True).json()
    resource = api.get(sent["href"]).json()
    mismatches = []
    with ThreadPoolExecutor(2) as pool:
        cases = [item for item in dict(leaves(resource)).items() if item[0] not in VOLATILE]
        cases = sample(cases, 50)
        queries = [{path: query_text(value), "id": resource["id"]} for path, value in cases]
        for query, response in zip(
            queries, pool.map(lambda q: api.get(collection.path, params=q), queries), strict=True
        ):
            result = (
                [item["id"] for item in response.json()]
                if response.status_code == 200
                else response
            )
            if result != [resource["id"]]:
                mismatches.append((query, result, getattr(result, "text", "")))
    assert mismatches == []


@CREATES
def test_a_filter_excludes_other_resources(api, collection):
    first, second = (collection.create(api).json() for _ in range(2))
    response = api.get(collection.path, params={"id": first["id"]})
    assert [item["id"] for item in response.json()] == [first["id"]]
    assert response.headers["x-total-count"] == "1"
    response = api.get(collection.path, params={"id.ne": first["id"]})
    assert [item["id"] for item in response.json()] == [second["id"]]
    response = api.get(collection.path, params={"filter": f"$[?(@.id=='{second['id']}')]"})
    assert [item["id"] for item in response.json()] == [second["id"]]


@LISTS
def test_a_filter_on_an_unknown_attribute_is_400_and_names_it(api, collection):
    response = api.get(collection.path, params={"noSuchAttribute": "x"})
    assert response.status_code == 400
    collection.check_response("list", response)
    assert "noSuchAttribute" in response.json()["message"]


@CREATES
def test_page_links_lead_from_the_first_to_the_last_page(api, collection):
    created = [collection.create(api).json()["id"] for _ in range(5)]
    first = api.get(collection.path, params={"limit": "2"})
    assert first.status_code == 206
    collection.check_response("list", first)
    assert first.headers["x-total-count"] == "5"
    assert first.headers["x-result-count"] == "2"
    assert set(links(first)) == {"first", "next", "last"}
    second = api.get(links(first)["next"])
    assert second.status_code == 206
    assert set(links(second)) == {"first", "prev", "next", "last"}
    assert ids(api.get(links(second)["prev"])) == ids(first)
    last = api.get(links(first)["last"])
    assert ids(last) == ids(api.get(links(second)["next"]))
    assert set(links(last)) == {"first", "prev", "last"}
    assert [item["id"] for page in (first, second, last) for item in page.json()] == created
    past = api.get(collection.path, params={"offset": "5", "limit": "2"})
    assert (past.status_code, past.json()) == (200, [])
    assert past.headers["x-total-count"] == "5"
    assert api.get(collection.path, params={"limit": "5"}).status_code == 200


@CREATES
def test_cursors_traverse_a_collection_in_any_sort_order(api, collection):
    created = [collection.create(api).json()["id"] for _ in range(4)]
    for sort, expected in (("", created), ("-id", created[::-1]), ("@type,-id", created[::-1])):
        seen, url = [], f"{collection.path}?limit=3&after=&sort={sort}"
        while url:
            page = api.get(url)
            assert page.status_code in {200, 206}, page.text
            seen += [item["id"] for item in page.json()]
            url = links(page).get("next")
        assert seen == expected


@CHANGES
def test_all_patch_media_types_have_the_same_effect(api, collection):
    name = text_attribute(collection)
    body = collection.body(api, full=True)
    patches = {
        "application/json": {name: "changed"},
        "application/merge-patch+json": {name: "changed"},
        "application/json-patch+json": [{"op": "add", "path": f"/{name}", "value": "changed"}],
        "application/json-patch-query+json": [
            {"op": "add", "path": f"$.{name}", "value": "changed"}
        ],
    }
    results = []
    for media, patch in patches.items():
        created = collection.create(api, body).json()
        response = api.patch(
            created["href"], content=json.dumps(patch), headers={"Content-Type": media}
        )
        assert response.status_code == 200, f"{media}: {response.text}"
        collection.check_response("patch", response)
        assert response.headers["etag"] != '"1"'
        assert response.json()[name] == "changed"
        assert api.get(created["href"]).json() == response.json()
        generated = {"id", "href", "lastUpdate", "alarmChangedTime", "creationDate", "orderDate"}
        generated |= {"alarmReportingTime", "effectiveDate", "serviceDate", "startDate"}
        generated |= {"checkServiceQualificationDate", "effectiveQualificationDate"}
        results.append({k: v for k, v in response.json().items() if k not in generated})
    assert all(item == results[0] for item in results)


@CHANGES
def test_null_removes_an_attribute(api, collection):
    name = text_attribute(collection)
    created = collection.create(api, **{name: "here"}).json()
    response = api.patch(created["href"], json={name: None})
    assert response.status_code == 200, response.text
    assert name not in response.json()
    assert name not in api.get(created["href"]).json()


@CHANGES
@pytest.mark.parametrize("name", ["id", "href"])
def test_id_and_href_cannot_be_changed(api, collection, name):
    created = collection.create(api).json()
    response = api.patch(created["href"], json={name: "mine"})
    assert response.status_code == 400
    collection.check_response("patch", response)
    assert api.get(created["href"]).json()["id"] == created["id"]
    assert api.patch(created["href"], json={name: created[name]}).status_code == 200


@CHANGES
def test_a_change_based_on_an_old_version_is_refused(api, collection):
    created = collection.create(api).json()
    name = text_attribute(collection)
    tag = api.get(created["href"]).headers["etag"]
    assert api.get(created["href"], headers={"If-None-Match": tag}).status_code == 304
    change = {name: "once"}
    first = api.patch(created["href"], json=change, headers={"If-Match": tag})
    assert first.status_code == 200, first.text
    late = api.patch(created["href"], json={name: "twice"}, headers={"If-Match": tag})
    assert late.status_code == 412
    collection.check_response("patch", late)
    again = api.get(created["href"], headers={"If-None-Match": tag})
    assert again.status_code == 200
    assert again.json()[name] == "once"


@CREATES
def test_a_repeated_idempotency_key_returns_the_first_response(api, collection):
    body = collection.body(api)
    key = {"Idempotency-Key": f"key-{collection}"}
    first = api.post(collection.path, json=body, headers=key)
    assert first.status_code == 201, first.text
    again = api.post(collection.path, json=body, headers=key)
    assert again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert api.get(collection.path).headers["x-total-count"] == "1"
    other = api.post(collection.path, json={**body, "x": 1}, headers=key)
    assert other.status_code == 422
    collection.check_response("create", other)


@CREATES
def test_concurrent_requests_with_one_idempotency_key_create_one_resource(api, collection):
    body = collection.body(api)
    key = {"Idempotency-Key": f"key-{collection}"}
    with ThreadPoolExecutor(6) as pool:
        responses = list(
            pool.map(lambda _: api.post(collection.path, json=body, headers=key), range(6))
        )
    assert {response.status_code for response in responses} == {201}, responses[0].text
    assert len({response.json()["id"] for response in responses}) == 1
    assert api.get(collection.path).headers["x-total-count"] == "1"


@DELETES
def test_a_deleted_resource_is_not_found(api, collection):
    created = collection.create(api).json()
    stale = api.delete(created["href"], headers={"If-Match": '"77"'})
    assert stale.status_code == 412
    response = api.delete(created["href"])
    assert response.status_code == 204, response.text
    collection.check_response("delete", response)
    assert api.get(created["href"]).status_code == 404
    assert api.delete(created["href"]).status_code == 404
    assert api.get(collection.path).headers["x-total-count"] == "0"


@LISTS
def test_a_method_that_the_contract_does_not_have_is_405_with_allow(api, collection):
    methods = {
        "list": "GET", "create": "POST", "retrieve": "GET", "patch": "PATCH",
        "replace": "PUT", "delete": "DELETE",
    }  # fmt: skip
    below = {"retrieve", "patch", "replace", "delete"}
    for path, actions in ((collection.path, {"list", "create"}), (f"{collection.path}/1", below)):
        allowed = {methods[a] for a in actions if a in collection.operations}
        allowed |= {"HEAD", "OPTIONS"}
        if path == collection.path and {"create", "patch", "delete"} & collection.operations.keys():
            allowed.add("PATCH")
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - allowed:
            response = api.request(method, path, json={})
            assert response.status_code == 405, f"{method} {path}"
            assert set(response.headers["allow"].split(", ")) == allowed
            assert response.json()["@type"] == "Error"


@LISTS
def test_head_is_get_without_the_body(api, collection):
    response = api.head(collection.path)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["x-total-count"] == "0"
    assert response.headers["content-length"] == "2"


@CREATES
def test_a_body_of_another_media_type_is_415(api, collection):
    for media in ("text/plain", "application/xml", "multipart/form-data", "application/jsonx"):
        response = api.post(collection.path, content=b"{}", headers={"Content-Type": media})
        assert response.status_code == 415, media
        collection.check_response("create", response)
    body = json.dumps(collection.body(api)).encode()
    good = {"Content-Type": "application/json;charset=utf-8"}
    assert api.post(collection.path, content=body, headers=good).status_code == 201


@LISTS
def test_a_client_that_does_not_accept_json_gets_406(api, collection):
    response = api.get(collection.path, headers={"Accept": "text/csv"})
    assert response.status_code == 406
    collection.check_response("list", response)
    for accepted in ("*/*", "application/*", "text/html, */*;q=0.1", "application/json;q=0.9", ""):
        assert api.get(collection.path, headers={"Accept": accepted}).status_code == 200


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_a_subscription_is_created_read_and_deleted(api, contract):
    operations = {
        operation.action: operation
        for operation in contract.operations
        if operation.resource == "hub"
    }
    hub = f"{contract.base_path}/hub"
    created = api.post(hub, json={"callback": "http://127.0.0.1:9/listener", "@type": "Hub"})
    assert created.status_code == 201, created.text
    check_response(contract, operations["subscribe"], created)
    assert created.headers["location"].endswith(f"/hub/{created.json()['id']}")
    twice = api.post(hub, json={"callback": "http://127.0.0.1:9/listener", "@type": "Hub"})
    assert twice.status_code == 409
    if "subscription" in operations:
        read = api.get(f"{hub}/{created.json()['id']}")
        assert read.status_code == 200
        check_response(contract, operations["subscription"], read)
    ended = api.delete(f"{hub}/{created.json()['id']}")
    assert ended.status_code == 204
    assert api.delete(f"{hub}/{created.json()['id']}").status_code == 404


LISTENERS = [
    (contract, operation) for contract in CONTRACTS for operation in contract.operations
    if operation.action == "listen"
]  # fmt: skip


@pytest.mark.parametrize(
    ("contract", "operation"), LISTENERS, ids=lambda v: getattr(v, "operation_id", None)
)
def test_a_listener_stores_an_event_once(api, contract, operation):
    body = {"eventId": "e-1", "eventType": operation.event_type, "eventTime": TIME}
    body |= {"event": {}, "@type": operation.event_type}
    path = contract.base_path + operation.path
    for _ in range(2):
        response = api.post(path, json=body)
        assert response.status_code in {201, 204}, response.text
        check_response(contract, operation, response)
    nameless = api.post(
        path, json={"eventType": operation.event_type, "@type": operation.event_type}
    )
    assert nameless.status_code == 400


PAIRS = [
    (collection, other)
    for collection in collections_with("create")
    for other in COLLECTIONS
    if collection.kind == other.kind and collection.contract.number == other.contract.number
    if collection.contract.version != other.contract.version
    if collection.resource not in {"physicalResource", "logicalResource"}
    if other.resource not in {"physicalResource", "logicalResource"}
]


@pytest.mark.parametrize(("writer", "reader"), PAIRS, ids=str)
@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
def test_a_resource_of_one_version_is_readable_in_the_other(api, writer, reader, full):
    created = writer.create(api, full=full).json()
    read = api.get(f"{reader.path}/{created['id']}")
    assert read.status_code == 200
    reader.check_response("retrieve", read, types_only=True)
    listed = api.get(reader.path, params={"id": created["id"]})
    assert listed.status_code == 200
    reader.check_response("list", listed, types_only=True)
    assert [item["id"] for item in listed.json()] == [created["id"]]
    stable = {name: v for name, v in read.json().items() if name not in VOLATILE}
    for name, value in sample(list(stable.items()), 8):
        part = api.get(f"{reader.path}/{created['id']}", params={"fields": name})
        assert part.json()[name] == value
        part = api.get(reader.path, params={"fields": name, "id": created["id"]})
        assert part.json()[0][name] == value
    back = api.get(f"{writer.path}/{created['id']}")
    assert back.json().keys() >= created.keys()


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/tmf-api", "/tmf-api/x/v4/y", "/%00"])
def test_an_unknown_path_is_404_with_an_error_body(api, path):
    response = api.get(f"/tmf-api/productCatalogManagement/v4/category/..%2f{path}")
    assert response.status_code == 404
    assert response.json()["@type"] == "Error"


def test_a_v5_patch_may_refer_to_types_that_v4_omitted(api):
    old = next(c for c in CONTRACTS if (c.number, c.version) == ("TMF620", "v4"))
    new = next(c for c in CONTRACTS if (c.number, c.version) == ("TMF620", "v5"))
    offering = (
        collection_of(old, "productOffering")
        .create(api, category=[{"id": "1", "name": "c"}])
        .json()
    )
    url = f"{collection_of(new, 'productOffering').path}/{offering['id']}"
    assert api.get(url).json()["category"] == [{"@type": "CategoryRef", "id": "1", "name": "c"}]
    patch = [
        {"op": "test", "path": "/category/0/@type", "value": "CategoryRef"},
        {"op": "replace", "path": "/name", "value": "other"},
    ]
    media = {"Content-Type": "application/json-patch+json"}
    response = api.patch(url, content=json.dumps(patch), headers=media)
    assert response.status_code == 200, response.text
    assert api.get(offering["href"]).json()["category"] == [{"id": "1", "name": "c"}]
