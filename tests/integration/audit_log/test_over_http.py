"""The audit log of a running server: every verb of every contract, refusals, and its readers."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson
import pytest

from tests.support.contract_collections import collections_with
from tests.support.server import ALL_SCOPES
from tests.support.waiting import wait_until

ADMIN = (*ALL_SCOPES, "admin")
LOG = "/admin/audit-log"
CATALOG = "/tmf-api/productCatalogManagement/v5"
CUSTOMERS = "/tmf-api/customerManagement/v5/customer"
MERGE = {"Content-Type": "application/merge-patch+json"}
#: Wait until a function returns a true value, and return it.
eventually = partial(wait_until, timeout=60.0, pause=0.1)


@pytest.fixture
def admin(authenticated_server, tenant):
    """An administrator of this test's own tenant."""
    token = authenticated_server.token(tenant=tenant, scopes=ADMIN, subject="root")
    with authenticated_server.client(token) as client:
        yield client


@pytest.fixture
def client_of(authenticated_server, tenant):
    """A function that returns clients of the test's tenant."""

    def create(**claims):
        return authenticated_server.client(authenticated_server.token(tenant=tenant, **claims))

    return create


def entries(admin, **criteria):
    response = admin.get(LOG, params={"limit": 1000, **criteria})
    assert response.status_code in {200, 206}, response.text
    return response.json()


def revisions(admin, kind, id):
    return sorted(e["revision"] for e in entries(admin, kind=kind, resource=id, outcome="done"))


def etag(response):
    return int(response.headers["etag"].strip('"'))


@pytest.mark.parametrize("collection", collections_with("create"), ids=str)
def test_each_revision_has_exactly_one_entry(api, admin, collection):
    created = collection.create(api, collection.body(api))
    resource = created.json()
    path = resource["href"]
    if "patch" in collection.operations:
        for text in ("one", "two"):
            api.patch(path, json={"description": text, "alarmDetails": text}, headers=MERGE)
    current = api.get(path)
    last = etag(current) if current.status_code == 200 else 0
    if "delete" in collection.operations and api.delete(path).status_code == 204:
        last += 1

    def has_all():
        stored = api.get(path)
        highest = max(last, etag(stored) if stored.status_code == 200 else 0)
        found_revisions = revisions(admin, collection.kind, resource["id"])
        return found_revisions == list(range(1, max(highest, len(found_revisions)) + 1))

    eventually(has_all)
    (creation,) = entries(admin, kind=collection.kind, resource=resource["id"], operation="create")
    assert creation["subject"] == "tester"
    assert creation["address"] == "127.0.0.1"
    assert creation["requestId"] == created.headers["x-request-id"]
    assert creation["tenant"] not in {"", "default"}
    assert "@type" in creation["attributes"]


def test_entries_are_sealed_in_order(api, admin):
    for name in "abc":
        api.post(f"{CATALOG}/category", json={"@type": "Category", "name": name})

    def sealed_entries():
        rows = entries(admin)
        return len(rows) == 3 and all("sequence" in row for row in rows) and rows

    rows = eventually(sealed_entries)
    assert [row["sequence"] for row in rows] == [3, 2, 1]
    checkpoint = admin.get(f"{LOG}/checkpoint").json()
    assert (checkpoint["sequence"], checkpoint["tenant"]) == (3, rows[0]["tenant"])
    assert admin.get(f"{LOG}/{rows[0]['id']}").json() == rows[0]


def test_bulk_patches_have_an_entry_for_each_resource(api, admin):
    new = {"@type": "Category", "name": "A"}
    patch = [{"op": "add", "path": "/-", "value": new} for _ in range(3)]
    headers = {"Content-Type": "application/json-patch+json", "X-Request-Id": "bulk-1"}
    response = api.patch(f"{CATALOG}/category", content=orjson.dumps(patch), headers=headers)
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "bulk-1"
    eventually(lambda: len(entries(admin, requestId="bulk-1", operation="create")) == 3)


def test_the_trace_id_of_a_client_is_the_request_id(api):
    trace = uuid.uuid4().hex
    headers = {"traceparent": f"00-{trace}-{'1' * 16}-01"}
    assert api.get(f"{CATALOG}/category", headers=headers).headers["x-request-id"] == trace


@pytest.mark.parametrize("id", ["a b", "x" * 129, "é", "a\tb", ""])
def test_a_request_id_that_is_not_well_formed_is_replaced(api, id):
    headers = [("X-Request-Id", id.encode())]
    answer = api.get(f"{CATALOG}/category", headers=headers)
    assert len(answer.headers["x-request-id"]) == 16


@pytest.mark.parametrize("path", ["/health/live", "/nothing", f"{CATALOG}/nothing", "/admin/x"])
def test_every_response_has_a_request_id(authenticated_server, path):
    with authenticated_server.client() as anybody:
        assert anybody.get(path, headers={"X-Request-Id": "r1"}).headers["x-request-id"] == "r1"


class TestRefusals:
    def test_a_missing_scope_is_recorded(self, admin, client_of):
        with client_of(scopes=["tmf620:read"], subject="reader") as reader:
            body = {"@type": "Category", "name": "A"}
            answer = reader.post(f"{CATALOG}/category", json=body)
        assert answer.status_code == 403
        (entry,) = eventually(lambda: entries(admin, subject="reader"))
        assert (entry["outcome"], entry["status"], entry["kind"]) == ("refused", 403, "Category")
        assert entry["operation"] == "TMF620 v5 createCategory"
        assert entry["requestId"] == answer.headers["x-request-id"]

    def test_a_resource_of_another_party_is_recorded(self, api, admin, client_of):
        id = api.post(CUSTOMERS, json=customer("a")).json()["id"]
        with client_of(subject="bob", parties=["b"]) as bob:
            assert bob.get(f"{CUSTOMERS}/{id}").status_code == 404
        (entry,) = eventually(lambda: entries(admin, subject="bob", outcome="refused"))
        assert (entry["status"], entry["resource"], entry["parties"]) == (404, id, ["b"])

    def test_an_invented_id_is_not_recorded(self, admin, client_of):
        with client_of(subject="bob", parties=["b"]) as bob:
            assert bob.get(f"{CUSTOMERS}/Jane-Doe").status_code == 404
        (entry,) = eventually(lambda: entries(admin, subject="bob", outcome="refused"))
        assert "resource" not in entry

    def test_a_missing_resource_is_no_refusal_for_staff(self, api, admin, client_of):
        assert api.get(f"{CUSTOMERS}/{uuid.uuid4()}").status_code == 404
        with client_of(scopes=[], subject="last") as last:
            assert last.get(CUSTOMERS).status_code == 403
        eventually(lambda: entries(admin, subject="last"))
        assert entries(admin, subject="tester", outcome="refused") == []

    def test_refused_writes_are_recorded(self, api, admin):
        path = api.post(CUSTOMERS, json=customer("a")).json()["href"]
        stale = {**MERGE, "If-Match": '"7"'}
        assert api.patch(path, json={"name": "B"}, headers=stale).status_code == 412
        (entry,) = eventually(lambda: entries(admin, outcome="refused"))
        assert (entry["status"], entry["resource"]) == (412, path.rpartition("/")[2])

    def test_repetitions_are_counted(self, admin, client_of):
        with client_of(scopes=[], subject="noisy") as noisy, ThreadPoolExecutor(4) as executor:
            list(executor.map(lambda _: noisy.get(CUSTOMERS), range(200)))
        eventually(lambda: entries(admin, subject="noisy"))
        assert len(entries(admin, subject="noisy")) <= 2

    def test_an_invalid_token_is_recorded_for_the_default_tenant(self, authenticated_server):
        with authenticated_server.client("forged") as forger:
            answer = forger.get(CUSTOMERS)
        assert answer.status_code == 401
        with authenticated_server.client(authenticated_server.token(scopes=ADMIN)) as admin:
            rows = eventually(
                lambda: [e for e in entries(admin, outcome="refused") if e["status"] == 401]
            )
        assert rows[0]["subject"] == ""

    def test_refused_administration_is_recorded(self, api, admin):
        assert api.get("/admin/deliveries").status_code == 403
        (entry,) = eventually(lambda: entries(admin, outcome="refused"))
        assert entry["operation"] == "GET /admin/deliveries"


def customer(party):
    return {
        "@type": "Customer",
        "name": "Jane Q. Doe",
        "engagedParty": {"@type": "PartyRef", "id": party, "@referredType": "Individual"},
        "relatedParty": [
            {
                "@type": "RelatedPartyRefOrPartyRoleRef",
                "role": "customer",
                "partyOrPartyRole": {
                    "@type": "PartyRef",
                    "id": party,
                    "@referredType": "Individual",
                },
            }
        ],
        "contactMedium": [
            {
                "@type": "EmailContactMedium",
                "contactType": "home",
                "emailAddress": "jane@example.com",
            }
        ],
    }


def test_no_value_of_an_attribute_is_in_the_log(api, admin):
    path = api.post(CUSTOMERS, json=customer("a")).json()["href"]
    api.patch(path, json={"name": "Jane Q. Doe II"}, headers=MERGE)
    api.patch(path, json={"name": "Jane"}, headers={**MERGE, "If-Match": '"9"'})
    api.delete(path)
    eventually(lambda: len(entries(admin)) == 4)
    exported = admin.get(f"{LOG}/export").text
    assert "Jane" not in exported
    assert "example.com" not in exported


class TestAdministration:
    def test_subscriptions_have_entries(self, api, admin):
        body = {"@type": "Hub", "callback": "http://127.0.0.1:9/x"}
        hub = api.post(f"{CATALOG}/hub", json=body)
        assert hub.status_code == 201
        assert api.post(f"{CATALOG}/hub", json=body).status_code == 409
        assert api.delete(hub.headers["location"]).status_code == 204
        assert api.delete(hub.headers["location"]).status_code == 404
        id = hub.json()["id"]
        rows = entries(admin, kind="Hub", resource=id)
        assert [row["operation"] for row in rows] == ["unsubscribe", "subscribe"]
        assert len(entries(admin, kind="Hub", outcome="done")) == 2

    def test_received_notifications_have_entries_once(self, api, admin):
        event = {"@type": "ProductOrderCreateEvent", "eventId": "e1", "event": {}}
        path = "/tmf-api/productOrderingManagement/v5/listener/productOrderCreateEvent"
        for _ in range(2):
            assert api.post(path, json=event).status_code in {201, 204}
        (entry,) = entries(admin, kind="Notification")
        assert (entry["operation"], entry["subject"]) == ("notify", "tester")

    def test_an_extension_type_has_entries(self, authenticated_server):
        name = f"Fruit{uuid.uuid4().hex[:8]}"
        schema = {"x-baseType": "ProductOffering", "properties": {"colour": {"type": "string"}}}
        with authenticated_server.client(authenticated_server.token(scopes=ADMIN)) as admin:
            assert admin.put(f"/admin/schemas/{name}", json=schema).status_code == 201
            assert admin.delete(f"/admin/schemas/{name}").status_code == 204
            rows = entries(admin, resource=name)
        assert [row["operation"] for row in rows] == ["delete", "define"]


class TestReaders:
    def test_the_scope_is_needed(self, api, client_of):
        for path in (LOG, f"{LOG}/export", f"{LOG}/checkpoint", f"{LOG}/x"):
            assert api.get(path).status_code == 403
            with client_of(scopes=ADMIN, parties=["a"]) as party:
                assert party.get(path).status_code == 403

    def test_an_administrator_sees_its_own_tenant_only(self, authenticated_server, api, admin):
        api.post(f"{CATALOG}/category", json={"@type": "Category", "name": "A"})
        (entry,) = eventually(lambda: entries(admin))
        token = authenticated_server.token(tenant=f"{entry['tenant']}x", scopes=ADMIN)
        with authenticated_server.client(token) as stranger:
            assert entries(stranger) == []
            assert stranger.get(f"{LOG}/{entry['id']}").status_code == 404
            assert stranger.get(f"{LOG}/checkpoint").json()["sequence"] == 0
            assert entry["id"] not in stranger.get(f"{LOG}/export").text

    def test_filters_select_entries(self, api, admin):
        first = api.post(f"{CATALOG}/category", json={"@type": "Category", "name": "A"}).json()
        assert api.post(CUSTOMERS, json=customer("a")).status_code == 201
        rows = eventually(lambda: len(entries(admin)) == 2 and entries(admin))
        assert [r["resource"] for r in entries(admin, kind="Category")] == [first["id"]]
        assert len(entries(admin, subject="tester")) == 2
        assert entries(admin, subject="nobody") == []
        newest = rows[0]["time"]
        assert len(entries(admin, **{"from": newest})) == 1
        assert len(entries(admin, to=newest)) == 1
        page = admin.get(LOG, params={"limit": 1})
        assert (page.headers["x-total-count"], len(page.json())) == ("2", 1)
        assert "next" in page.links

    @pytest.mark.parametrize("query", ["from=yesterday", "from=2026-01-01T00:00:00", "colour=red"])
    def test_an_invalid_filter_is_refused(self, admin, query):
        assert admin.get(f"{LOG}?{query}").status_code == 400

    def test_an_export_has_all_entries_and_is_recorded(self, api, admin):
        for number in range(20):
            name = f"c{number}"
            api.post(f"{CATALOG}/category", json={"@type": "Category", "name": name})
        eventually(lambda: len(entries(admin)) == 20)
        response = admin.get(f"{LOG}/export", params={"kind": "Category"})
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = [orjson.loads(line) for line in response.content.splitlines()]
        assert len(lines) == 20
        assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
        (entry,) = entries(admin, operation="export")
        assert (entry["subject"], entry["kind"]) == ("root", "AuditLog")

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_nothing_changes_the_log(self, admin, method):
        assert admin.request(method, LOG).status_code == 405
        assert admin.request(method, f"{LOG}/x").status_code == 405
