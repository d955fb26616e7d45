"""Ownership: tenants and parties cannot see, change or infer the data of others."""

import json
from contextlib import ExitStack

import pytest

from tests.support.contract_collections import CONTRACTS, collections_with
from tests.support.server import ALL_SCOPES as SCOPES

CATALOG = "/tmf-api/productCatalogManagement/v5"
ORDER = "/tmf-api/productOrderingManagement/v5/productOrder"
BULK = {"Content-Type": "application/json-patch+json"}
CATALOGUES = {"TMF620", "TMF633", "TMF634"}
#: Collections in which a party may own resources.
OWNED = [
    c
    for c in collections_with("create")
    if c.contract.number not in {*CATALOGUES, "TMF678", "NETWORK"}
]
CATALOGUE = [c for c in collections_with("create", "patch") if c.contract.number in CATALOGUES]
DELETABLE = [c for c in OWNED if {"patch", "delete"} <= set(c.operations)]


@pytest.fixture
def clients(authenticated_server, tenant):
    """A function that returns clients of the test's tenant or of another tenant."""
    with ExitStack() as stack:

        def create_client(*, other="", **claims):
            token = authenticated_server.token(tenant=tenant + other, **claims)
            return stack.enter_context(authenticated_server.client(token))

        yield create_client


@pytest.fixture
def operator(clients):
    """A client of the operator itself."""
    return clients(subject="operator")


@pytest.fixture
def alice(clients):
    """A client of a party."""
    return clients(subject="alice", parties=["alice"])


@pytest.fixture
def bob(clients):
    """A client of another party of the same tenant."""
    return clients(subject="bob", parties=["bob"])


@pytest.fixture
def stranger(clients):
    """A client of the operator of another tenant."""
    return clients(other="x", subject="operator")


def order(party=""):
    """Return the body of an order, related to a party if one is given."""
    related = {
        "@type": "RelatedPartyRefOrPartyRoleRef",
        "role": "customer",
        "partyOrPartyRole": {"@type": "PartyRef", "id": party, "@referredType": "Organization"},
    }
    item = {"@type": "ProductOrderItem", "id": "1", "action": "add"}
    created = {
        "@type": "ProductOrder",
        "description": f"secret of {party}",
        "productOrderItem": [item],
    }
    return {**created, "relatedParty": [related]} if party else created


def create_for_alice(collection, alice, operator):
    """Create a resource of the party alice; the operator creates what parties cannot."""
    body = collection.body(alice)
    if collection.kind == "Customer":
        body["engagedParty"]["id"] = "alice"
    if collection.kind == "ServiceOrder":
        del body["serviceOrderItem"][0]["service"]["id"]
    if collection.kind == "Service":
        body["relatedParty"] = [{"id": "alice", "@referredType": "Individual"}]
        return collection.create(operator, body)
    return collection.create(alice, body)


def text_attribute(collection):
    """Return the name of a text attribute that a client may change."""
    return "alarmDetails" if collection.kind == "Alarm" else "description"


@pytest.mark.parametrize("collection", OWNED, ids=str)
@pytest.mark.parametrize("other", ["bob", "stranger"])
def test_resources_of_others_are_invisible(request, alice, operator, collection, other):
    foreign = request.getfixturevalue(other)
    created = create_for_alice(collection, alice, operator).json()
    id, url = created["id"], f"{collection.path}/{created['id']}"
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
def test_resources_of_others_cannot_be_changed(request, alice, operator, collection, other):
    foreign = request.getfixturevalue(other)
    created = create_for_alice(collection, alice, operator).json()
    url = f"{collection.path}/{created['id']}"
    change = {text_attribute(collection): "stolen"}
    for headers in ({}, {"If-Match": "*"}, {"If-Match": '"1"'}, {"If-Match": '"9"'}):
        assert foreign.patch(url, json=change, headers=headers).status_code == 404
        assert foreign.delete(url, headers=headers).status_code == 404
    body = [
        {"op": "replace", "path": f"/{created['id']}/{text_attribute(collection)}", "value": "x"},
        {"op": "test", "path": f"/{created['id']}/id", "value": created["id"]},
        {"op": "remove", "path": f"/{created['id']}"},
    ]
    response = foreign.patch(collection.path, content=json.dumps(body), headers=BULK)
    assert [item["status"] for item in response.json()] == [404, 404, 404]
    after = alice.get(url)
    assert (after.json(), after.headers["etag"]) == (created, '"1"')


@pytest.mark.parametrize("collection", collections_with("create", "patch", "delete"), ids=str)
def test_a_missing_scope_is_403_and_no_token_401(authenticated_server, tenant, collection):
    number = collection.contract.number.lower()
    with authenticated_server.client() as nobody:
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/1"), ("PATCH", "/1"),
                             ("DELETE", "/1")):  # fmt: skip
            response = nobody.request(method, collection.path + path, json={})
            assert response.status_code == 401, method
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.json()["@type"] == "Error"
    verbs = {"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"}
    for method, verb in verbs.items():
        rest = [scope for scope in SCOPES if scope != f"{number}:{verb}"]
        token = authenticated_server.token(tenant=tenant, scopes=rest)
        with authenticated_server.client(token) as client:
            path = collection.path if method in {"GET", "POST"} else f"{collection.path}/1"
            response = client.request(method, path, json={"name": "x"})
            assert response.status_code == 403, method
            assert f"{number}:{verb}" in response.json()["message"]


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Basic YTpi", "Bearer a.b.c", "Bearer é", "bearer  x y", "Bearer null"],
)
def test_an_invalid_token_is_401(authenticated_server, header):
    with authenticated_server.client() as client:
        response = client.get(ORDER, headers={"Authorization": header.encode()})
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_an_expired_token_is_401(authenticated_server):
    with authenticated_server.client(authenticated_server.token(hours=-1)) as client:
        assert client.get(ORDER).status_code == 401


def test_the_operator_sees_the_whole_tenant_and_a_party_its_own_orders_only(operator, alice, bob):
    operator.post(ORDER, json=order("alice"))
    operator.post(ORDER, json=order("bob"))
    operator.post(ORDER, json=order())
    assert operator.get(ORDER).headers["x-total-count"] == "3"
    assert [item["description"] for item in alice.get(ORDER).json()] == ["secret of alice"]
    assert bob.get(ORDER).headers["x-total-count"] == "1"


def test_what_a_client_of_two_parties_makes_for_one_of_them_is_hidden_from_the_other(
    alice, bob, clients
):
    reseller = clients(subject="reseller", parties=["alice", "bob"])
    url = reseller.post(ORDER, json=order("bob")).json()["href"]
    assert [c.get(url).status_code for c in (alice, bob, reseller)] == [404, 200, 200]
    assert reseller.patch(url, json={"description": "new"}).status_code == 200
    assert alice.get(ORDER).json() == []
    url = reseller.post(ORDER, json=order()).json()["href"]
    assert [c.get(url).status_code for c in (alice, bob, reseller)] == [200, 200, 200]


def test_a_party_removed_from_a_resource_no_longer_sees_it(operator, alice):
    created = operator.post(ORDER, json=order("alice")).json()
    assert alice.get(created["href"]).status_code == 200
    assert operator.patch(created["href"], json={"relatedParty": None}).status_code == 200
    assert alice.get(created["href"]).status_code == 404


def test_filters_do_not_reveal_resources_of_others(operator, alice, bob):
    operator.post(ORDER, json=order("bob"))
    for query in ({"description": "secret of bob"}, {"description.regex": "secret"},
                  {"relatedParty.partyOrPartyRole.id": "bob"},
                  {"filter": "$[?(@.description=='secret of bob')]"}):  # fmt: skip
        response = alice.get(ORDER, params=query)
        assert (response.status_code, response.headers["x-total-count"]) == (200, "0")
        assert bob.get(ORDER, params=query).headers["x-total-count"] == "1"


def test_a_cursor_of_another_client_reveals_nothing(operator, alice):
    for party in ("alice", "bob", "alice", "bob", "alice"):
        operator.post(ORDER, json=order(party))
    pages = operator.get(ORDER, params={"limit": "2", "after": ""})
    response = alice.get(pages.links["next"]["url"])
    assert {item["description"] for item in response.json()} == {"secret of alice"}
    assert response.headers["x-total-count"] == "3"


def test_idempotency_keys_are_scoped_to_the_client(operator, alice, bob, clients):
    key = {"Idempotency-Key": "the same"}
    body = order()
    responses = [client.post(ORDER, json=body, headers=key) for client in (operator, alice, bob)]
    responses.append(
        clients(subject="alice", parties=["carol"]).post(ORDER, json=body, headers=key)
    )
    responses.append(clients(other="x", subject="alice").post(ORDER, json=body, headers=key))
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 5


def test_the_id_of_a_resource_of_others_in_a_body_is_ignored(alice, bob):
    created = alice.post(ORDER, json=order()).json()
    mine = bob.post(ORDER, json={**order(), "id": created["id"]})
    assert mine.status_code == 201
    assert mine.json()["id"] != created["id"]


def test_a_party_cannot_share_its_resources_with_everybody(alice, bob):
    shared = alice.post(ORDER, json=order("*"))
    assert shared.status_code in {201, 403}
    assert bob.get(ORDER).json() == []


@pytest.mark.parametrize("collection", CATALOGUE, ids=str)
def test_the_catalogue_is_read_by_every_party_and_written_by_the_operator(
    operator, alice, stranger, collection
):
    created = collection.create(operator).json()
    url = f"{collection.path}/{created['id']}"
    assert alice.get(url).json() == created
    assert alice.get(collection.path).headers["x-total-count"] == "1"
    assert stranger.get(url).status_code == 404
    assert alice.patch(url, json={"description": "x"}).status_code == 403
    assert alice.delete(url).status_code == 403
    body = collection.body(operator)
    assert alice.post(collection.path, json=body).status_code == 403
    assert operator.get(url).json() == created
    assert operator.get(collection.path).headers["x-total-count"] == "1"


@pytest.mark.parametrize("resource", ["importJob", "exportJob"])
def test_jobs_and_monitors_of_others_are_invisible(operator, alice, stranger, resource):
    kind = resource[0].upper() + resource[1:]
    body = {"@type": kind, "url": "http://127.0.0.1:9/x.json"}
    response = operator.post(
        f"{CATALOG}/{resource}", json=body, headers={"Prefer": "respond-async"}
    )
    assert response.status_code == 202
    assert operator.get(response.headers["location"]).status_code == 200
    for foreign in (alice, stranger):
        assert foreign.get(response.headers["location"]).status_code == 404
        assert foreign.get(f"{CATALOG}/{resource}").json() == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_subscriptions_of_others_are_invisible(alice, bob, operator, stranger, contract):
    hub = f"{contract.base_path}/hub"
    body = {"callback": "http://127.0.0.1:9/alice", "@type": "Hub"}
    created = alice.post(hub, json=body)
    assert created.status_code == 201, created.text
    url = f"{hub}/{created.json()['id']}"
    read = any(operation.action == "subscription" for operation in contract.operations)
    for foreign in (bob, stranger):
        assert foreign.delete(url).status_code == 404
        if read:
            assert foreign.get(url).status_code == 404
        assert foreign.post(hub, json=body).status_code == 201
    assert alice.delete(url).status_code == 204


def test_hubs_and_listeners_need_their_scopes(authenticated_server, tenant):
    rest = [scope for scope in SCOPES if not scope.endswith((":subscribe", ":notify"))]
    with authenticated_server.client(
        authenticated_server.token(tenant=tenant, scopes=rest)
    ) as client:
        for contract in CONTRACTS:
            body = {"callback": "http://127.0.0.1:9/x", "@type": "Hub"}
            assert client.post(f"{contract.base_path}/hub", json=body).status_code == 403
        listener = f"{CATALOG}/listener/categoryCreateEvent"
        assert client.post(listener, json={"eventId": "1"}).status_code == 403


def test_a_task_cannot_act_on_resources_that_its_creator_cannot_see(alice, bob):
    created = alice.post(ORDER, json=order()).json()
    cancel = ORDER.replace("productOrder", "cancelProductOrder")
    reference = {"@type": "ProductOrderRef", "id": created["id"]}
    response = bob.post(cancel, json={"@type": "CancelProductOrder", "productOrder": reference})
    assert response.status_code == 404
    assert alice.get(created["href"]).json() == created
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


def test_errors_do_not_reveal_data_of_others(alice, bob):
    created = alice.post(ORDER, json=order("alice")).json()
    for response in (
        bob.get(created["href"]),
        bob.patch(created["href"], json={"id": "x"}),
        bob.patch(created["href"], json={"state": "nonsense"}),
        bob.patch(created["href"], content="{", headers={"Content-Type": "application/json"}),
        bob.delete(created["href"]),
    ):
        assert response.status_code in {400, 404}
        assert "secret" not in response.text
