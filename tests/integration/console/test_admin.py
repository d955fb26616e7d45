"""Administration over HTTP: deliveries, subscriptions, the inbox and extension types."""

import contextlib
import json
import threading
import uuid
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.support.extension_types import FRUIT
from tests.support.server import ALL_SCOPES
from tests.support.waiting import wait_until
from tmf_apis.rest.contracts.extension_registry import ExtensionRegistry
from tmf_apis.security.identity import Identity

CATALOG = "/tmf-api/productCatalogManagement/v5"
ADMIN = (*ALL_SCOPES, "admin")
#: Longest wait for a delivery, in seconds.
TIMEOUT = 60.0


@contextlib.contextmanager
def subscriber(status):
    """Run a subscriber that answers ``status[0]``; yield its URL and the events it received."""
    events = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            events.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/events", events
        http.shutdown()
        thread.join()


#: Wait until a function returns a true value, and return it.
eventually = partial(wait_until, timeout=TIMEOUT, pause=0.1)


@pytest.fixture
def admin(authenticated_server, tenant):
    """A client of an administrator of this test's own tenant."""
    token = authenticated_server.token(tenant=tenant, scopes=ADMIN)
    with authenticated_server.client(token) as client:
        yield client


@pytest.fixture
def operator_admin(authenticated_server):
    """A client of an administrator of the default tenant."""
    with authenticated_server.client(authenticated_server.token(scopes=ADMIN)) as client:
        yield client


@pytest.fixture
def fruit(operator_admin):
    """The name of an extension type that only this test uses."""
    name = f"Fruit{uuid.uuid4().hex[:8]}"
    assert operator_admin.put(f"/admin/schemas/{name}", json=FRUIT).status_code == 201
    yield name
    operator_admin.delete(f"/admin/schemas/{name}")


PATHS = [
    ("GET", "/admin/deliveries"),
    ("GET", "/admin/deliveries/x"),
    ("POST", "/admin/deliveries/x/replay"),
    ("GET", "/admin/subscriptions"),
    ("POST", "/admin/subscriptions/x/replay"),
    ("POST", "/admin/subscriptions/x/enable"),
    ("GET", "/admin/notifications"),
    ("GET", "/admin/schemas"),
    ("GET", "/admin/schemas/X"),
    ("PUT", "/admin/schemas/X"),
    ("DELETE", "/admin/schemas/X"),
]


class TestAccess:
    """The clients that may use the administration."""

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_a_request_without_a_token_is_401(self, authenticated_server, method, path):
        response = httpx.request(method, authenticated_server.url + path)
        assert (response.status_code, response.json()["code"]) == (401, "40")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_a_token_without_the_scope_is_403(self, api, method, path):
        response = api.request(method, path)
        assert (response.status_code, response.json()["code"]) == (403, "50")
        assert "admin" in response.json()["message"]

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_a_token_of_a_party_is_403(self, authenticated_server, tenant, method, path):
        token = authenticated_server.token(tenant=tenant, scopes=ADMIN, parties=["p1"])
        with authenticated_server.client(token) as client:
            assert client.request(method, path).status_code == 403

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://elsewhere.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    def test_cross_site_requests_are_refused_while_authentication_is_off(self, server, headers):
        with server.client() as client:
            response = client.post("/admin/deliveries/x/replay", headers=headers)
            assert response.status_code == 403
            path = f"{CATALOG}/category"
            body = {"@type": "Category", "name": "a"}
            assert client.post(path, json=body, headers=headers).status_code == 403
            same = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
            assert client.post("/admin/deliveries/x/replay", headers=same).status_code == 404

    def test_other_host_names_are_refused_while_authentication_is_off(self, server):
        with server.client() as client:
            for path in ("/admin/deliveries", f"{CATALOG}/category"):
                response = client.get(path, headers={"Host": "rebound.example"})
                assert (response.status_code, response.json()["code"]) == (403, "50")
                assert client.get(path, params={"limit": 1}).status_code in (200, 206)


class TestDeliveries:
    """Deliveries of events to subscribers."""

    def test_a_delivery_has_its_attempts_and_can_be_replayed(self, admin):
        with subscriber([204]) as (url, events):
            hub = admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url})
            assert hub.status_code == 201
            created = admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": "a"})
            assert created.status_code == 201
            deliveries = eventually(lambda: admin.get("/admin/deliveries?state=delivered").json())
            assert len(deliveries) == 1
            delivery = deliveries[0]
            assert delivery["subscription"] == hub.json()["id"]
            assert delivery["type"] == "CategoryCreateEvent"
            assert delivery["resource"] == f"Category:{created.json()['id']}"
            assert [entry["status"] for entry in delivery["log"]] == [204]
            detail = admin.get(f"/admin/deliveries/{delivery['id']}")
            assert detail.json()["body"]["eventId"] == events[0]["eventId"]
            again = admin.post(f"/admin/deliveries/{delivery['id']}/replay")
            assert (again.status_code, again.json()) == (202, {"replayed": 1})
            eventually(lambda: len(events) == 2)
            assert events[0]["eventId"] == events[1]["eventId"]

    def test_a_disabled_subscription_can_be_enabled_and_replayed(self, admin):
        status = [410]
        with subscriber(status) as (url, events):
            hub = admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url}).json()
            admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": "a"})
            parked = eventually(lambda: admin.get("/admin/deliveries?state=parked").json())
            assert parked[0]["reason"]
            subscriptions = admin.get("/admin/subscriptions").json()
            assert [(item["id"], item["state"]) for item in subscriptions] == [
                (hub["id"], "disabled")
            ]
            assert subscriptions[0]["deliveries"] == {"pending": 0, "delivered": 0, "parked": 1}
            path = f"/admin/subscriptions/{hub['id']}"
            assert admin.post(f"{path}/replay").status_code == 409
            status[0] = 204
            assert admin.post(f"{path}/enable").status_code == 204
            assert admin.post(f"{path}/replay").json() == {"replayed": 1}
            eventually(lambda: len(events) == 2)

    def test_pages_have_totals_and_links(self, admin):
        with subscriber([204]) as (url, _):
            admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url})
            for name in "abc":
                admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": name})
            eventually(lambda: len(admin.get("/admin/deliveries").json()) == 3)
        page = admin.get("/admin/deliveries?limit=2")
        assert (page.status_code, len(page.json())) == (206, 2)
        assert page.headers["X-Total-Count"] == "3"
        assert len(admin.get(page.links["next"]["url"]).json()) == 1

    def test_a_tenant_sees_only_its_own_deliveries(self, admin, authenticated_server):
        with subscriber([204]) as (url, _):
            hub = admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url}).json()
            admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": "a"})
            delivery = eventually(lambda: admin.get("/admin/deliveries?state=delivered").json())[0]
        token = authenticated_server.token(tenant="another", scopes=ADMIN)
        with authenticated_server.client(token) as other:
            assert other.get("/admin/deliveries").json() == []
            assert other.get("/admin/subscriptions").json() == []
            assert other.get(f"/admin/deliveries/{delivery['id']}").status_code == 404
            assert other.post(f"/admin/deliveries/{delivery['id']}/replay").status_code == 404
            assert other.post(f"/admin/subscriptions/{hub['id']}/replay").status_code == 404
            assert other.post(f"/admin/subscriptions/{hub['id']}/enable").status_code == 404

    @pytest.mark.parametrize(
        "query",
        [
            "state=lost",
            "limit=-1",
            "limit=x",
            "offset=x",
            "unknown=1",
            "state=parked&state=parked",
            "resource=%00",
            f"subscription={'x' * 600}",
            "resource=%ff",
            "state[$ne]=parked",
        ],
    )
    def test_an_invalid_parameter_is_refused(self, admin, query):
        response = admin.get(f"/admin/deliveries?{query}")
        assert (response.status_code, response.json()["code"]) == (400, "22")

    @pytest.mark.parametrize("path", ["deliveries", "subscriptions", "notifications"])
    @pytest.mark.parametrize("offset", ["100001", "9" * 30])
    def test_an_offset_past_the_end_is_an_empty_list(self, admin, path, offset):
        page = admin.get(f"/admin/{path}?offset={offset}&limit=9999")
        assert (page.status_code, page.json()) == (200, [])

    def test_a_parameter_value_is_never_a_mongodb_operator(self, admin):
        assert admin.get('/admin/deliveries?subscription={"$ne":null}').json() == []


def test_the_inbox_lists_a_received_event_once(admin):
    event = {
        "@type": "CategoryCreateEvent",
        "eventId": uuid.uuid4().hex,
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventType": "CategoryCreateEvent",
        "event": {"category": {"@type": "Category", "id": "1", "name": "a"}},
    }
    for _ in range(2):
        received = admin.post(f"{CATALOG}/listener/categoryCreateEvent", json=event)
        assert received.status_code == 204, received.text
    response = admin.get("/admin/notifications?api=TMF620&eventType=CategoryCreateEvent")
    assert response.status_code == 200
    assert [item["body"]["event"] for item in response.json()] == [event["event"]]
    assert response.json()[0]["subject"] == "tester"
    assert admin.get("/admin/notifications?api=TMF622").json() == []


class TestSchemas:
    """Extension types of the operator."""

    def test_a_registered_schema_is_returned_unchanged(self, operator_admin, fruit):
        assert operator_admin.get(f"/admin/schemas/{fruit}").json() == FRUIT
        listed = {item["type"]: item for item in operator_admin.get("/admin/schemas").json()}
        assert listed[fruit]["baseType"] == "ProductOffering"
        assert operator_admin.put(f"/admin/schemas/{fruit}", json=FRUIT).status_code == 200

    @pytest.mark.parametrize("version", ["v4", "v5"])
    def test_bodies_are_validated_against_base_type_and_extension(self, api, fruit, version):
        path = f"/tmf-api/productCatalogManagement/{version}/productOffering"
        apple = {
            "@type": fruit,
            "name": "apple",
            "lifecycleStatus": "Active",
            "lastUpdate": "2026-01-01T00:00:00Z",
            "colour": "red",
            "box": {"width": 2},
        }
        created = api.post(path, json=apple)
        assert created.status_code == 201, created.text
        for wrong, pointer in (
            ({"colour": "blue"}, "/colour"),
            ({"box": {"width": "x"}}, "/box/width"),
            ({"name": 3}, "/name"),
        ):
            response = api.post(path, json={**apple, **wrong})
            assert response.status_code == 400
            assert response.json()["message"].startswith(pointer)
        changed = api.patch(f"{path}/{created.json()['id']}", json={"colour": "blue"})
        assert changed.status_code == 400

    @pytest.mark.parametrize("version", ["v4", "v5"])
    def test_extension_attributes_are_filtered_by_their_types(self, api, fruit, version):
        path = f"/tmf-api/productCatalogManagement/{version}/productOffering"
        apple = {"@type": fruit, "lifecycleStatus": "Active", "lastUpdate": "2026-01-01T00:00:00Z"}
        more = {"weight": 9.5, "picked": "2026-01-01T02:00:00+02:00", "box": {"width": 2}}
        assert (
            api.post(path, json={**apple, "name": "a", "colour": "red", **more}).status_code == 201
        )
        assert api.post(path, json={**apple, "name": "b", "colour": "green"}).status_code == 201
        for query in ("colour=red", "weight.lt=10", "picked=2026-01-01T00:00:00Z", "box.width=2"):
            response = api.get(f"{path}?{query}")
            assert response.status_code == 200, response.text
            assert [item["name"] for item in response.json()] == ["a"]
        assert api.get(f"{path}?weight=heavy").status_code == 400

    def test_an_extension_applies_only_to_its_base_type(self, api, fruit):
        response = api.post(f"{CATALOG}/category", json={"@type": fruit, "name": "a"})
        assert response.status_code == 400

    def test_a_deleted_type_is_unknown(self, operator_admin, api, fruit):
        assert operator_admin.delete(f"/admin/schemas/{fruit}").status_code == 204
        assert operator_admin.delete(f"/admin/schemas/{fruit}").status_code == 404
        assert operator_admin.get(f"/admin/schemas/{fruit}").status_code == 404
        assert api.get(f"{CATALOG}/productOffering?colour=red").status_code == 400

    def test_only_the_default_tenant_changes_types(self, admin, fruit):
        assert admin.get(f"/admin/schemas/{fruit}").status_code == 200
        assert admin.put(f"/admin/schemas/{fruit}", json=FRUIT).status_code == 403
        assert admin.delete(f"/admin/schemas/{fruit}").status_code == 403

    def test_a_registered_type_reaches_other_processes(self, database):
        written, read = [], []
        writer, reader = (
            ExtensionRegistry(database, written.append),
            ExtensionRegistry(database, read.append),
        )
        reader.refresh()
        reader.start()
        try:
            writer.put("Fruit", FRUIT, Identity("me", "acme"))
            assert written[-1].keys() == {"Fruit"}
            eventually(lambda: read and read[-1].keys() == {"Fruit"})
            writer.delete("Fruit", Identity("me", "acme"))
            eventually(lambda: read[-1] == {})
        finally:
            reader.stop()

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"[]", 400),
            (b"{", 400),
            (b'{"x-baseType": "ProductOffering", "properties": NaN}', 400),
            (b"[" * 100_000, 413),
            (b"[" * 60_000, 400),
            (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400),
            (b'{"x-baseType": "ProductOffering"} \xff', 400),
        ],
    )
    def test_a_hostile_schema_is_refused(self, operator_admin, body, status):
        response = operator_admin.put("/admin/schemas/Bad", content=body)
        assert response.status_code == status
        assert response.json()["@type"] == "Error"
        assert operator_admin.get("/admin/schemas/Bad").status_code == 404

    def test_a_schema_of_another_media_type_is_refused(self, operator_admin):
        headers = {"Content-Type": "text/xml"}
        response = operator_admin.put("/admin/schemas/Bad", content=b"<a/>", headers=headers)
        assert response.status_code == 415
