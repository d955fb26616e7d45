"""Whose data: tenants and parties on every verb, and what they can learn of each other: nothing."""

import json
from contextlib import ExitStack

import pytest

from tests.support.contract_collections import CONTRACTS, collections_with
from tests.support.server import ALL_SCOPES as SCOPES

CATALOG = "/tmf-api/productCatalogManagement/v5"
ORDER = "/tmf-api/productOrderingManagement/v5/productOrder"
BULK = {"Content-Type": "application/json-patch+json"}
CATALOGUES = {"TMF620", "TMF633", "TMF634"}
#: Collections in which a party may have something.
OWNED = [
    c
    for c in collections_with("create")
    if c.contract.number not in {*CATALOGUES, "TMF678", "NETWORK"}
]
CATALOGUE = [c for c in collections_with("create", "patch") if c.contract.number in CATALOGUES]
DELETABLE = [c for c in OWNED if {"patch", "delete"} <= set(c.operations)]


@pytest.fixture
def clients(authenticated_server, tenant):
    """Makes clients of the test's tenant, or another one."""
    with ExitStack() as stack:

        def make(*, other="", **claims):
            token = authenticated_server.token(tenant=tenant + other, **claims)
            return stack.enter_context(authenticated_server.client(token))

        yield make


@pytest.fixture
def staff(clients):
    """The operator's own."""
    return clients(subject="staff")


@pytest.fixture
def alice(clients):
    """One partner."""
    return clients(subject="alice", parties=["alice"])


@pytest.fixture
def bob(clients):
    """Another one of the same tenant."""
    return clients(subject="bob", parties=["bob"])


@pytest.fixture
def stranger(clients):
    """Staff of another tenant."""
    return clients(other="x", subject="staff")


def order(party=""):
    """The body of an order, related to a party."""
    related = {
        "@type": "RelatedPartyRefOrPartyRoleRef",
        "role": "customer",
        "partyOrPartyRole": {"@type": "PartyRef", "id": party, "@referredType": "Organization"},
    }
    item = {"@type": "ProductOrderItem", "id": "1", "action": "add"}
    made = {
        "@type": "ProductOrder",
        "description": f"secret of {party}",
        "productOrderItem": [item],
    }
    return {**made, "relatedParty": [related]} if party else made


def name_of(collection):
    """An attribute of text."""
    return "alarmDetails" if collection.kind == "Alarm" else "description"


@pytest.mark.parametrize("collection", OWNED, ids=str)
@pytest.mark.parametrize("other", ["bob", "stranger"])
def test_what_is_not_ones_own_is_not_there(request, alice, collection, other):
    foreign = request.getfixturevalue(other)
    made = collection.create(alice).json()
    id, url = made["id"], f"{collection.path}/{made['id']}"
    assert alice.get(url).status_code == 200
    nothing = foreign.get(f"{collection.path}/{'0' * len(id)}")
    seen = foreign.get(url)
    assert seen.status_code == nothing.status_code == 404
    assert seen.text.replace(id, "") == nothing.text.replace("0" * len(id), "")
    assert "etag" not in seen.headers
    assert foreign.head(url).status_code == 404
    assert foreign.get(url, headers={"If-None-Match": '"1"'}).status_code == 404
    for query in ({}, {"id": id}, {"id.ne": "x"}, {"fields": "none"}, {"sort": "-id"},
                  {"limit": "1"}, {"after": ""}, {"before": ""}, {"offset": "0"},
                  {"filter": f"$[?(@.id=='{id}')]"}):  # fmt: skip
        listed = foreign.get(collection.path, params=query)
        assert (listed.status_code, listed.json()) == (200, []), query
        assert listed.headers["x-total-count"] == "0"
        assert "link" not in listed.headers
    assert len(alice.get(collection.path).json()) == 1


@pytest.mark.parametrize("collection", DELETABLE, ids=str)
@pytest.mark.parametrize("other", ["bob", "stranger"])
def test_what_is_not_ones_own_cannot_be_changed(request, alice, collection, other):
    foreign = request.getfixturevalue(other)
    made = collection.create(alice).json()
    url = f"{collection.path}/{made['id']}"
    change = {name_of(collection): "stolen"}
    for headers in ({}, {"If-Match": "*"}, {"If-Match": '"1"'}, {"If-Match": '"9"'}):
        assert foreign.patch(url, json=change, headers=headers).status_code == 404
        assert foreign.delete(url, headers=headers).status_code == 404
    body = [
        {"op": "replace", "path": f"/{made['id']}/{name_of(collection)}", "value": "x"},
        {"op": "test", "path": f"/{made['id']}/id", "value": made["id"]},
        {"op": "remove", "path": f"/{made['id']}"},
    ]
    answer = foreign.patch(collection.path, content=json.dumps(body), headers=BULK)
    assert [one["status"] for one in answer.json()] == [404, 404, 404]
    after = alice.get(url)
    assert (after.json(), after.headers["etag"]) == (made, '"1"')


@pytest.mark.parametrize("collection", collections_with("create", "patch", "delete"), ids=str)
def test_a_missing_scope_is_403_and_no_token_401(authenticated_server, tenant, collection):
    number = collection.contract.number.lower()
    with authenticated_server.client() as nobody:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/1"), ("PATCH", "/1"),
                             ("DELETE", "/1")):  # fmt: skip
            answer = nobody.request(method, collection.path + path, json={})
            assert answer.status_code == 401, method
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["@type"] == "Error"
    verbs = {"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"}
    for method, verb in verbs.items():
        rest = [scope for scope in SCOPES if scope != f"{number}:{verb}"]
        token = authenticated_server.token(tenant=tenant, scopes=rest)
        with authenticated_server.client(token) as client:
            path = collection.path if method in {"GET", "POST"} else f"{collection.path}/1"
            answer = client.request(method, path, json={"name": "x"})
            assert answer.status_code == 403, method
            assert f"{number}:{verb}" in answer.json()["message"]


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Basic YTpi", "Bearer a.b.c", "Bearer é", "bearer  x y", "Bearer null"],
)
def test_what_is_no_token_is_401(authenticated_server, header):
    with authenticated_server.client() as client:
        answer = client.get(ORDER, headers={"Authorization": header.encode()})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_that_has_run_out_is_401(authenticated_server):
    with authenticated_server.client(authenticated_server.token(hours=-1)) as client:
        assert client.get(ORDER).status_code == 401


def test_staff_see_all_of_their_tenant_and_a_party_what_names_it(staff, alice, bob):
    staff.post(ORDER, json=order("alice"))
    staff.post(ORDER, json=order("bob"))
    staff.post(ORDER, json=order())
    assert staff.get(ORDER).headers["x-total-count"] == "3"
    assert [one["description"] for one in alice.get(ORDER).json()] == ["secret of alice"]
    assert bob.get(ORDER).headers["x-total-count"] == "1"


def test_a_party_that_is_taken_out_sees_it_no_more(staff, alice):
    made = staff.post(ORDER, json=order("alice")).json()
    assert alice.get(made["href"]).status_code == 200
    assert staff.patch(made["href"], json={"relatedParty": None}).status_code == 200
    assert alice.get(made["href"]).status_code == 404


def test_nobody_can_tell_by_a_filter_what_another_has(staff, alice, bob):
    staff.post(ORDER, json=order("bob"))
    for query in ({"description": "secret of bob"}, {"description.regex": "secret"},
                  {"relatedParty.partyOrPartyRole.id": "bob"},
                  {"filter": "$[?(@.description=='secret of bob')]"}):  # fmt: skip
        answer = alice.get(ORDER, params=query)
        assert (answer.status_code, answer.headers["x-total-count"]) == (200, "0")
        assert bob.get(ORDER, params=query).headers["x-total-count"] == "1"


def test_a_cursor_made_of_anothers_resource_shows_nothing_of_it(staff, alice):
    for party in ("alice", "bob", "alice", "bob", "alice"):
        staff.post(ORDER, json=order(party))
    pages = staff.get(ORDER, params={"limit": "2", "after": ""})
    answer = alice.get(pages.links["next"]["url"])
    assert {one["description"] for one in answer.json()} == {"secret of alice"}
    assert answer.headers["x-total-count"] == "3"


def test_the_same_idempotency_key_of_another_is_another(staff, alice, bob, clients):
    key = {"Idempotency-Key": "the same"}
    body = order()
    answers = [one.post(ORDER, json=body, headers=key) for one in (staff, alice, bob)]
    answers.append(clients(subject="alice", parties=["carol"]).post(ORDER, json=body, headers=key))
    answers.append(clients(other="x", subject="alice").post(ORDER, json=body, headers=key))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 5


def test_an_id_of_anothers_in_a_body_is_neither_taken_nor_told_of(alice, bob):
    made = alice.post(ORDER, json=order()).json()
    mine = bob.post(ORDER, json={**order(), "id": made["id"]})
    assert mine.status_code == 201
    assert mine.json()["id"] != made["id"]


def test_a_party_cannot_give_itself_the_catalogue_nor_everybody_its_own(alice, bob):
    shared = alice.post(ORDER, json=order("*"))
    assert shared.status_code in {201, 403}
    assert bob.get(ORDER).json() == []


@pytest.mark.parametrize("collection", CATALOGUE, ids=str)
def test_the_catalogue_is_read_by_every_party_and_written_by_staff(
    staff, alice, stranger, collection
):
    made = collection.create(staff).json()
    url = f"{collection.path}/{made['id']}"
    assert alice.get(url).json() == made
    assert alice.get(collection.path).headers["x-total-count"] == "1"
    assert stranger.get(url).status_code == 404
    assert alice.patch(url, json={"description": "x"}).status_code == 403
    assert alice.delete(url).status_code == 403
    body = collection.body(staff)
    assert alice.post(collection.path, json=body).status_code == 403
    assert staff.get(url).json() == made
    assert staff.get(collection.path).headers["x-total-count"] == "1"


@pytest.mark.parametrize("resource", ["importJob", "exportJob"])
def test_jobs_and_their_monitors_are_not_for_others(staff, alice, stranger, resource):
    kind = resource[0].upper() + resource[1:]
    body = {"@type": kind, "url": "http://127.0.0.1:9/x.json"}
    answer = staff.post(f"{CATALOG}/{resource}", json=body, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert staff.get(answer.headers["location"]).status_code == 200
    for foreign in (alice, stranger):
        assert foreign.get(answer.headers["location"]).status_code == 404
        assert foreign.get(f"{CATALOG}/{resource}").json() == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_subscriptions_of_others_are_not_there(alice, bob, staff, stranger, contract):
    hub = f"{contract.base_path}/hub"
    body = {"callback": "http://127.0.0.1:9/alice", "@type": "Hub"}
    made = alice.post(hub, json=body)
    assert made.status_code == 201, made.text
    url = f"{hub}/{made.json()['id']}"
    read = any(one.action == "subscription" for one in contract.operations)
    for foreign in (bob, stranger):
        assert foreign.delete(url).status_code == 404
        if read:
            assert foreign.get(url).status_code == 404
        assert foreign.post(hub, json=body).status_code == 201
    assert alice.delete(url).status_code == 204


def test_hubs_and_listeners_need_their_scopes(authenticated_server, tenant):
    rest = [scope for scope in SCOPES if not scope.endswith((":subscribe", ":notify"))]
    with authenticated_server.client(authenticated_server.token(tenant=tenant, scopes=rest)) as one:
        for contract in CONTRACTS:
            body = {"callback": "http://127.0.0.1:9/x", "@type": "Hub"}
            assert one.post(f"{contract.base_path}/hub", json=body).status_code == 403
        listener = f"{CATALOG}/listener/categoryCreateEvent"
        assert one.post(listener, json={"eventId": "1"}).status_code == 403


def test_a_task_cannot_work_on_what_its_maker_cannot_see(alice, bob):
    made = alice.post(ORDER, json=order()).json()
    cancel = ORDER.replace("productOrder", "cancelProductOrder")
    reference = {"@type": "ProductOrderRef", "id": made["id"]}
    answer = bob.post(cancel, json={"@type": "CancelProductOrder", "productOrder": reference})
    assert answer.status_code == 404
    assert alice.get(made["href"]).json() == made
    alarm = "/tmf-api/alarmManagement/v5/alarm"
    body = {
        "@type": "Alarm", "alarmType": "communicationsAlarm", "perceivedSeverity": "critical",
        "probableCause": "lossOfSignal", "sourceSystemId": "s", "state": "raised",
        "alarmRaisedTime": "2026-01-02T03:04:05Z", "alarmedObject": {"@type": "AlarmedObject",
        "id": "1"},
    }  # fmt: skip
    raised = alice.post(alarm, json=body)
    assert raised.status_code == 201, raised.text
    url = raised.json()["href"]
    before = alice.get(url).json()
    for pattern in ({"id": raised.json()["id"]}, {"sourceSystemId": "s"}):
        task = {"@type": "ClearAlarm", "clearSystemId": "x", "clearUserId": "x",
                "alarmClearedTime": "2026-01-02T03:04:06Z",
                "alarmPattern": [{"@type": "Alarm", **pattern}]}  # fmt: skip
        done = bob.post("/tmf-api/alarmManagement/v5/clearAlarm", json=task)
        assert done.status_code in {201, 404}
        assert raised.json()["id"] not in json.dumps(done.json().get("clearedAlarm", []))
    assert alice.get(url).json() == before


def test_errors_do_not_tell_of_what_others_have(alice, bob):
    made = alice.post(ORDER, json=order("alice")).json()
    for answer in (
        bob.get(made["href"]),
        bob.patch(made["href"], json={"id": "x"}),
        bob.patch(made["href"], json={"state": "nonsense"}),
        bob.patch(made["href"], content="{", headers={"Content-Type": "application/json"}),
        bob.delete(made["href"]),
    ):
        assert answer.status_code in {400, 404}
        assert "secret" not in answer.text
