"""Every operation of every contract over HTTP, on a running server and a real database."""

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
#: An attribute of each kind that a client may change, and two values of it.
TEXT = {
    "Resource": "description",
    "Alarm": "alarmDetails",
    "Customer": "statusReason",
    "ProductOrder": "description",
}


#: Attributes that the worker changes at any moment.
MOVING = {"state", "status", "lastUpdate", "completionDate", "errorLog", "customerBill"}
MOVING |= {"percentComplete", "message"}


def changeable(collection):
    """Name of an attribute of text that a client may change."""
    return TEXT.get(collection.kind, "description")


def leaves(value, path=""):
    """Yield dotted path and value of every scalar of a resource."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


def spread(items, most):
    """At most so many of some items, from all of their length."""
    step = max(1, len(items) // most)
    return items[::step]


def text(value):
    """A value as it is written in a query."""
    return json.dumps(value) if isinstance(value, bool) else str(value)


def ids(answer):
    """The ids of the resources in an answer."""
    return [one["id"] for one in answer.json()]


def links(answer):
    """The links to other pages by their relation."""
    return {name: link["url"] for name, link in answer.links.items()}


@CREATES
@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
def test_what_is_created_is_answered_found_and_listed(api, collection, full):
    body = collection.body(api, full=full)
    created = collection.create(api, body)
    collection.check("create", created)
    resource = created.json()
    assert created.headers["location"] == resource["href"]
    assert resource["href"].endswith(f"/{resource['id']}")
    assert created.headers["etag"] == '"1"'
    found = api.get(resource["href"])
    assert found.status_code == 200
    collection.check("retrieve", found)
    listed = api.get(collection.path)
    assert listed.status_code == 200
    collection.check("list", listed)
    if collection.kind not in BACKGROUND_TASKS and "Alarm" not in collection.kind:
        assert found.json() == resource
        assert found.headers["etag"] == '"1"'
        assert resource in listed.json()


@CREATES
def test_nothing_that_was_sent_is_lost(api, collection):
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
    answer = api.get(collection.path)
    assert (answer.status_code, answer.json()) == (200, [])
    assert (answer.headers["x-total-count"], answer.headers["x-result-count"]) == ("0", "0")


@LISTS
def test_what_is_not_there_is_404_with_the_body_of_errors(api, collection):
    answer = api.get(f"{collection.path}/no-such-id")
    assert answer.status_code == 404
    collection.check("retrieve", answer)
    assert answer.json()["status"] == "404"


@CREATES
def test_fields_gives_what_was_asked_for(api, collection):
    resource = collection.create(api, full=True).json()
    always = {"id", "href", "@type"} if collection.v5 else {"id", "href"}
    name = next(n for n, v in resource.items() if n not in {"id", "href", "@type"})
    one = api.get(resource["href"], params={"fields": name})
    assert one.status_code == 200
    assert set(one.json()) == always | {name}
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
    wrong = []
    with ThreadPoolExecutor(2) as pool:
        cases = [one for one in dict(leaves(resource)).items() if one[0] not in MOVING]
        cases = spread(cases, 50)
        queries = [{path: text(value), "id": resource["id"]} for path, value in cases]
        for query, answer in zip(
            queries, pool.map(lambda q: api.get(collection.path, params=q), queries), strict=True
        ):
            found = [one["id"] for one in answer.json()] if answer.status_code == 200 else answer
            if found != [resource["id"]]:
                wrong.append((query, found, getattr(found, "text", "")))
    assert wrong == []


@CREATES
def test_a_filter_leaves_out_what_does_not_match(api, collection):
    first, second = (collection.create(api).json() for _ in range(2))
    answer = api.get(collection.path, params={"id": first["id"]})
    assert [one["id"] for one in answer.json()] == [first["id"]]
    assert answer.headers["x-total-count"] == "1"
    answer = api.get(collection.path, params={"id.ne": first["id"]})
    assert [one["id"] for one in answer.json()] == [second["id"]]
    answer = api.get(collection.path, params={"filter": f"$[?(@.id=='{second['id']}')]"})
    assert [one["id"] for one in answer.json()] == [second["id"]]


@LISTS
def test_a_filter_on_an_unknown_attribute_is_400_and_names_it(api, collection):
    answer = api.get(collection.path, params={"noSuchAttribute": "x"})
    assert answer.status_code == 400
    collection.check("list", answer)
    assert "noSuchAttribute" in answer.json()["message"]


@CREATES
def test_pages_go_from_the_first_to_the_last(api, collection):
    made = [collection.create(api).json()["id"] for _ in range(5)]
    first = api.get(collection.path, params={"limit": "2"})
    assert first.status_code == 206
    collection.check("list", first)
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
    assert [one["id"] for page in (first, second, last) for one in page.json()] == made
    past = api.get(collection.path, params={"offset": "5", "limit": "2"})
    assert (past.status_code, past.json()) == (200, [])
    assert past.headers["x-total-count"] == "5"
    assert api.get(collection.path, params={"limit": "5"}).status_code == 200


@CREATES
def test_cursors_go_through_the_list_in_any_order(api, collection):
    made = [collection.create(api).json()["id"] for _ in range(4)]
    for sort, wanted in (("", made), ("-id", made[::-1]), ("@type,-id", made[::-1])):
        seen, url = [], f"{collection.path}?limit=3&after=&sort={sort}"
        while url:
            page = api.get(url)
            assert page.status_code in {200, 206}, page.text
            seen += [one["id"] for one in page.json()]
            url = links(page).get("next")
        assert seen == wanted


@CHANGES
def test_the_three_kinds_of_patches_do_the_same(api, collection):
    name = changeable(collection)
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
        made = collection.create(api, body).json()
        answer = api.patch(made["href"], content=json.dumps(patch), headers={"Content-Type": media})
        assert answer.status_code == 200, f"{media}: {answer.text}"
        collection.check("patch", answer)
        assert answer.headers["etag"] != '"1"'
        assert answer.json()[name] == "changed"
        assert api.get(made["href"]).json() == answer.json()
        apart = {"id", "href", "lastUpdate", "alarmChangedTime", "creationDate"}
        apart |= {"orderDate", "alarmReportingTime", "effectiveDate", "serviceDate", "startDate"}
        apart |= {"checkServiceQualificationDate", "effectiveQualificationDate"}
        results.append({k: v for k, v in answer.json().items() if k not in apart})
    assert all(one == results[0] for one in results)


@CHANGES
def test_null_removes_an_attribute(api, collection):
    name = changeable(collection)
    made = collection.create(api, **{name: "here"}).json()
    answer = api.patch(made["href"], json={name: None})
    assert answer.status_code == 200, answer.text
    assert name not in answer.json()
    assert name not in api.get(made["href"]).json()


@CHANGES
@pytest.mark.parametrize("name", ["id", "href"])
def test_id_and_href_cannot_be_changed(api, collection, name):
    made = collection.create(api).json()
    answer = api.patch(made["href"], json={name: "mine"})
    assert answer.status_code == 400
    collection.check("patch", answer)
    assert api.get(made["href"]).json()["id"] == made["id"]
    assert api.patch(made["href"], json={name: made[name]}).status_code == 200


@CHANGES
def test_a_change_made_from_an_old_version_is_refused(api, collection):
    made = collection.create(api).json()
    name = changeable(collection)
    tag = api.get(made["href"]).headers["etag"]
    assert api.get(made["href"], headers={"If-None-Match": tag}).status_code == 304
    change = {name: "once"}
    first = api.patch(made["href"], json=change, headers={"If-Match": tag})
    assert first.status_code == 200, first.text
    late = api.patch(made["href"], json={name: "twice"}, headers={"If-Match": tag})
    assert late.status_code == 412
    collection.check("patch", late)
    again = api.get(made["href"], headers={"If-None-Match": tag})
    assert again.status_code == 200
    assert again.json()[name] == "once"


@CREATES
def test_the_same_idempotency_key_gives_the_first_answer_again(api, collection):
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
    collection.check("create", other)


@CREATES
def test_the_same_key_at_the_same_moment_makes_one_resource(api, collection):
    body = collection.body(api)
    key = {"Idempotency-Key": f"key-{collection}"}
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: api.post(collection.path, json=body, headers=key), range(6))
        )
    assert {answer.status_code for answer in answers} == {201}, answers[0].text
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert api.get(collection.path).headers["x-total-count"] == "1"


@DELETES
def test_what_was_deleted_is_gone(api, collection):
    made = collection.create(api).json()
    stale = api.delete(made["href"], headers={"If-Match": '"77"'})
    assert stale.status_code == 412
    answer = api.delete(made["href"])
    assert answer.status_code == 204, answer.text
    collection.check("delete", answer)
    assert api.get(made["href"]).status_code == 404
    assert api.delete(made["href"]).status_code == 404
    assert api.get(collection.path).headers["x-total-count"] == "0"


@LISTS
def test_a_method_that_the_contract_does_not_have_is_405_with_allow(api, collection):
    methods = {
        "list": "GET", "create": "POST", "retrieve": "GET", "patch": "PATCH",
        "replace": "PUT", "delete": "DELETE",
    }  # fmt: skip
    below = {"retrieve", "patch", "replace", "delete"}
    for path, actions in ((collection.path, {"list", "create"}), (f"{collection.path}/1", below)):
        allowed = {methods[a] for a in actions if a in collection.operations} | {"HEAD"}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - allowed:
            answer = api.request(method, path, json={})
            assert answer.status_code == 405, f"{method} {path}"
            assert set(answer.headers["allow"].split(", ")) == allowed
            assert answer.json()["@type"] == "Error"


@LISTS
def test_head_is_get_without_the_body(api, collection):
    answer = api.head(collection.path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-total-count"] == "0"
    assert answer.headers["content-length"] == "2"


@CREATES
def test_a_body_of_another_media_type_is_415(api, collection):
    for media in ("text/plain", "application/xml", "multipart/form-data", "application/jsonx"):
        answer = api.post(collection.path, content=b"{}", headers={"Content-Type": media})
        assert answer.status_code == 415, media
        collection.check("create", answer)
    body = json.dumps(collection.body(api)).encode()
    good = {"Content-Type": "application/json;charset=utf-8"}
    assert api.post(collection.path, content=body, headers=good).status_code == 201


@LISTS
def test_a_client_that_accepts_no_json_is_told_so(api, collection):
    answer = api.get(collection.path, headers={"Accept": "text/csv"})
    assert answer.status_code == 406
    collection.check("list", answer)
    for accepted in ("*/*", "application/*", "text/html, */*;q=0.1", "application/json;q=0.9", ""):
        assert api.get(collection.path, headers={"Accept": accepted}).status_code == 200


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_a_subscription_is_made_read_and_ended(api, contract):
    operations = {one.action: one for one in contract.operations if one.resource == "hub"}
    hub = f"{contract.base_path}/hub"
    made = api.post(hub, json={"callback": "http://127.0.0.1:9/told", "@type": "Hub"})
    assert made.status_code == 201, made.text
    check_response(contract, operations["subscribe"], made)
    assert made.headers["location"].endswith(f"/hub/{made.json()['id']}")
    twice = api.post(hub, json={"callback": "http://127.0.0.1:9/told", "@type": "Hub"})
    assert twice.status_code == 409
    if "subscription" in operations:
        read = api.get(f"{hub}/{made.json()['id']}")
        assert read.status_code == 200
        check_response(contract, operations["subscription"], read)
    ended = api.delete(f"{hub}/{made.json()['id']}")
    assert ended.status_code == 204
    assert api.delete(f"{hub}/{made.json()['id']}").status_code == 404


LISTENERS = [
    (contract, one) for contract in CONTRACTS for one in contract.operations
    if one.action == "listen"
]  # fmt: skip


@pytest.mark.parametrize(
    ("contract", "operation"), LISTENERS, ids=lambda v: getattr(v, "operation_id", None)
)
def test_a_listener_keeps_an_event_once(api, contract, operation):
    body = {"eventId": "e-1", "eventType": operation.event, "eventTime": TIME}
    body |= {"event": {}, "@type": operation.event}
    path = contract.base_path + operation.path
    for _ in range(2):
        answer = api.post(path, json=body)
        assert answer.status_code in {201, 204}, answer.text
        check_response(contract, operation, answer)
    nameless = api.post(path, json={"eventType": operation.event, "@type": operation.event})
    assert nameless.status_code == 400


PAIRS = [
    (one, other)
    for one in collections_with("create")
    for other in COLLECTIONS
    if one.kind == other.kind and one.contract.number == other.contract.number
    if one.contract.version != other.contract.version
    if one.resource not in {"physicalResource", "logicalResource"}
    if other.resource not in {"physicalResource", "logicalResource"}
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=str)
@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
def test_what_one_version_wrote_the_other_reads(api, one, other, full):
    made = one.create(api, full=full).json()
    read = api.get(f"{other.path}/{made['id']}")
    assert read.status_code == 200
    other.check("retrieve", read, types_only=True)
    listed = api.get(other.path, params={"id": made["id"]})
    assert listed.status_code == 200
    other.check("list", listed, types_only=True)
    assert [one["id"] for one in listed.json()] == [made["id"]]
    stable = {name: v for name, v in read.json().items() if name not in MOVING}
    for name, value in spread(list(stable.items()), 8):
        part = api.get(f"{other.path}/{made['id']}", params={"fields": name})
        assert part.json()[name] == value
        part = api.get(other.path, params={"fields": name, "id": made["id"]})
        assert part.json()[0][name] == value
    back = api.get(f"{one.path}/{made['id']}")
    assert back.json().keys() >= made.keys()


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/tmf-api", "/tmf-api/x/v4/y", "/%00"])
def test_an_unknown_path_has_the_body_of_errors(api, path):
    answer = api.get(f"/tmf-api/productCatalogManagement/v4/category/..%2f{path}")
    assert answer.status_code == 404
    assert answer.json()["@type"] == "Error"


def test_a_v5_patch_may_name_the_types_that_v4_left_out(api):
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
    answer = api.patch(url, content=json.dumps(patch), headers=media)
    assert answer.status_code == 200, answer.text
    assert api.get(offering["href"]).json()["category"] == [{"id": "1", "name": "c"}]
