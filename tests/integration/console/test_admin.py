"""Administration over HTTP: deliveries, subscriptions, the inbox, extension types."""

import contextlib
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.support.server import ALL_SCOPES, ROOT
from tmf_apis.errors import Conflict, InvalidBody, TooLarge
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.contracts.extension_registry import ExtensionRegistry
from tmf_apis.rest.contracts.extensions import dereferenced_schema, validated_schema

CONTRACTS = load_contracts(ROOT / "openapi")
CATALOG = "/tmf-api/productCatalogManagement/v5"
ADMIN = (*ALL_SCOPES, "admin")
SOON = 60.0
FRUIT = {
    "x-baseType": "ProductOffering",
    "required": ["colour"],
    "properties": {
        "colour": {"type": "string", "enum": ["red", "green"]},
        "weight": {"type": "number"},
        "picked": {"type": "string", "format": "date-time"},
        "box": {"$ref": "#/$defs/Box"},
    },
    "$defs": {"Box": {"type": "object", "properties": {"width": {"type": "integer"}}}},
}


@contextlib.contextmanager
def receiver(status):
    """A subscriber that answers with the status in a list; yields its URL and what it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/events", got
        http.shutdown()
        thread.join()


def eventually(question):
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        if found := question():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {SOON} s")


@pytest.fixture
def admin(authenticated_server, tenant):
    """An administrator of a tenant of this test alone."""
    token = authenticated_server.token(tenant=tenant, scopes=ADMIN)
    with authenticated_server.client(token) as client:
        yield client


@pytest.fixture
def keeper(authenticated_server):
    """An administrator of the server's own tenant."""
    with authenticated_server.client(authenticated_server.token(scopes=ADMIN)) as client:
        yield client


@pytest.fixture
def fruit(keeper):
    """An extension type of this test alone."""
    name = f"Fruit{uuid.uuid4().hex[:8]}"
    assert keeper.put(f"/admin/schemas/{name}", json=FRUIT).status_code == 201
    yield name
    keeper.delete(f"/admin/schemas/{name}")


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


class TestDoor:
    """Who may come in."""

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_nobody_without_a_token(self, authenticated_server, method, path):
        answer = httpx.request(method, authenticated_server.url + path)
        assert (answer.status_code, answer.json()["code"]) == (401, "40")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_nobody_without_the_scope(self, api, method, path):
        answer = api.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "50")
        assert "admin" in answer.json()["message"]

    @pytest.mark.parametrize(("method", "path"), PATHS)
    def test_nobody_who_acts_for_a_party(self, authenticated_server, tenant, method, path):
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
    def test_no_page_of_another_site(self, server, headers):
        with server.client() as client:
            answer = client.post("/admin/deliveries/x/replay", headers=headers)
            assert answer.status_code == 403
            path = f"{CATALOG}/category"
            body = {"@type": "Category", "name": "a"}
            assert client.post(path, json=body, headers=headers).status_code == 403
            same = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
            assert client.post("/admin/deliveries/x/replay", headers=same).status_code == 404

    def test_no_other_name_of_this_machine_without_authentication(self, server):
        with server.client() as client:
            for path in ("/admin/deliveries", f"{CATALOG}/category"):
                answer = client.get(path, headers={"Host": "rebound.example"})
                assert (answer.status_code, answer.json()["code"]) == (403, "50")
                assert client.get(path, params={"limit": 1}).status_code in (200, 206)


class TestDeliveries:
    """What becomes of events."""

    def test_attempts_are_shown_and_a_delivery_can_be_sent_again(self, admin):
        with receiver([204]) as (url, got):
            hub = admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url})
            assert hub.status_code == 201
            made = admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": "a"})
            assert made.status_code == 201
            found = eventually(lambda: admin.get("/admin/deliveries?state=delivered").json())
            assert len(found) == 1
            one = found[0]
            assert one["subscription"] == hub.json()["id"]
            assert one["type"] == "CategoryCreateEvent"
            assert one["resource"] == f"Category:{made.json()['id']}"
            assert [entry["status"] for entry in one["log"]] == [204]
            whole = admin.get(f"/admin/deliveries/{one['id']}")
            assert whole.json()["body"]["eventId"] == got[0]["eventId"]
            again = admin.post(f"/admin/deliveries/{one['id']}/replay")
            assert (again.status_code, again.json()) == (202, {"replayed": 1})
            eventually(lambda: len(got) == 2)
            assert got[0]["eventId"] == got[1]["eventId"]

    def test_a_subscriber_that_is_gone_is_shown_and_can_be_served_again(self, admin):
        status = [410]
        with receiver(status) as (url, got):
            hub = admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url}).json()
            admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": "a"})
            parked = eventually(lambda: admin.get("/admin/deliveries?state=parked").json())
            assert parked[0]["reason"]
            shown = admin.get("/admin/subscriptions").json()
            assert [(one["id"], one["state"]) for one in shown] == [(hub["id"], "disabled")]
            assert shown[0]["deliveries"] == {"pending": 0, "delivered": 0, "parked": 1}
            path = f"/admin/subscriptions/{hub['id']}"
            assert admin.post(f"{path}/replay").status_code == 409
            status[0] = 204
            assert admin.post(f"{path}/enable").status_code == 204
            assert admin.post(f"{path}/replay").json() == {"replayed": 1}
            eventually(lambda: len(got) == 2)

    def test_pages_have_totals_and_links(self, admin):
        with receiver([204]) as (url, _):
            admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url})
            for name in "abc":
                admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": name})
            eventually(lambda: len(admin.get("/admin/deliveries").json()) == 3)
        page = admin.get("/admin/deliveries?limit=2")
        assert (page.status_code, len(page.json())) == (206, 2)
        assert page.headers["X-Total-Count"] == "3"
        assert len(admin.get(page.links["next"]["url"]).json()) == 1

    def test_a_tenant_sees_its_own_alone(self, admin, authenticated_server):
        with receiver([204]) as (url, _):
            hub = admin.post(f"{CATALOG}/hub", json={"@type": "Hub", "callback": url}).json()
            admin.post(f"{CATALOG}/category", json={"@type": "Category", "name": "a"})
            one = eventually(lambda: admin.get("/admin/deliveries?state=delivered").json())[0]
        token = authenticated_server.token(tenant="another", scopes=ADMIN)
        with authenticated_server.client(token) as other:
            assert other.get("/admin/deliveries").json() == []
            assert other.get("/admin/subscriptions").json() == []
            assert other.get(f"/admin/deliveries/{one['id']}").status_code == 404
            assert other.post(f"/admin/deliveries/{one['id']}/replay").status_code == 404
            assert other.post(f"/admin/subscriptions/{hub['id']}/replay").status_code == 404
            assert other.post(f"/admin/subscriptions/{hub['id']}/enable").status_code == 404

    @pytest.mark.parametrize(
        "query",
        [
            "state=lost",
            "limit=-1",
            "limit=x",
            "offset=1000000000",
            "unknown=1",
            "state=parked&state=parked",
            "resource=%00",
            f"subscription={'x' * 600}",
            "resource=%ff",
            "state[$ne]=parked",
        ],
    )
    def test_a_parameter_that_is_none_is_refused(self, admin, query):
        answer = admin.get(f"/admin/deliveries?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "22")

    def test_a_value_is_never_an_operator(self, admin):
        assert admin.get('/admin/deliveries?subscription={"$ne":null}').json() == []


def test_the_inbox_shows_what_other_systems_told(admin):
    event = {
        "@type": "CategoryCreateEvent",
        "eventId": uuid.uuid4().hex,
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventType": "CategoryCreateEvent",
        "event": {"category": {"@type": "Category", "id": "1", "name": "a"}},
    }
    for _ in range(2):
        told = admin.post(f"{CATALOG}/listener/categoryCreateEvent", json=event)
        assert told.status_code == 204, told.text
    answer = admin.get("/admin/notifications?api=TMF620&eventType=CategoryCreateEvent")
    assert answer.status_code == 200
    assert [one["body"]["event"] for one in answer.json()] == [event["event"]]
    assert answer.json()[0]["subject"] == "tester"
    assert admin.get("/admin/notifications?api=TMF622").json() == []


class TestSchemas:
    """Types of the operator's own."""

    def test_a_type_is_kept_as_it_was_sent(self, keeper, fruit):
        assert keeper.get(f"/admin/schemas/{fruit}").json() == FRUIT
        listed = {one["type"]: one for one in keeper.get("/admin/schemas").json()}
        assert listed[fruit]["baseType"] == "ProductOffering"
        assert keeper.put(f"/admin/schemas/{fruit}", json=FRUIT).status_code == 200

    @pytest.mark.parametrize("version", ["v4", "v5"])
    def test_bodies_of_the_type_are_held_to_base_and_extension(self, api, fruit, version):
        path = f"/tmf-api/productCatalogManagement/{version}/productOffering"
        apple = {
            "@type": fruit,
            "name": "apple",
            "lifecycleStatus": "Active",
            "lastUpdate": "2026-01-01T00:00:00Z",
            "colour": "red",
            "box": {"width": 2},
        }
        made = api.post(path, json=apple)
        assert made.status_code == 201, made.text
        for wrong, place in (
            ({"colour": "blue"}, "/colour"),
            ({"box": {"width": "x"}}, "/box/width"),
            ({"name": 3}, "/name"),
        ):
            answer = api.post(path, json={**apple, **wrong})
            assert answer.status_code == 400
            assert answer.json()["message"].startswith(place)
        changed = api.patch(f"{path}/{made.json()['id']}", json={"colour": "blue"})
        assert changed.status_code == 400

    @pytest.mark.parametrize("version", ["v4", "v5"])
    def test_its_attributes_can_be_filtered_by_their_types(self, api, fruit, version):
        path = f"/tmf-api/productCatalogManagement/{version}/productOffering"
        apple = {"@type": fruit, "lifecycleStatus": "Active", "lastUpdate": "2026-01-01T00:00:00Z"}
        more = {"weight": 9.5, "picked": "2026-01-01T02:00:00+02:00", "box": {"width": 2}}
        assert (
            api.post(path, json={**apple, "name": "a", "colour": "red", **more}).status_code == 201
        )
        assert api.post(path, json={**apple, "name": "b", "colour": "green"}).status_code == 201
        for query in ("colour=red", "weight.lt=10", "picked=2026-01-01T00:00:00Z", "box.width=2"):
            answer = api.get(f"{path}?{query}")
            assert answer.status_code == 200, answer.text
            assert [one["name"] for one in answer.json()] == ["a"]
        assert api.get(f"{path}?weight=heavy").status_code == 400

    def test_the_type_is_for_its_base_alone(self, api, fruit):
        answer = api.post(f"{CATALOG}/category", json={"@type": fruit, "name": "a"})
        assert answer.status_code == 400

    def test_a_type_that_is_dropped_is_unknown_again(self, keeper, api, fruit):
        assert keeper.delete(f"/admin/schemas/{fruit}").status_code == 204
        assert keeper.delete(f"/admin/schemas/{fruit}").status_code == 404
        assert keeper.get(f"/admin/schemas/{fruit}").status_code == 404
        assert api.get(f"{CATALOG}/productOffering?colour=red").status_code == 400

    def test_only_the_servers_own_tenant_changes_types(self, admin, fruit):
        assert admin.get(f"/admin/schemas/{fruit}").status_code == 200
        assert admin.put(f"/admin/schemas/{fruit}", json=FRUIT).status_code == 403
        assert admin.delete(f"/admin/schemas/{fruit}").status_code == 403

    def test_another_process_learns_of_a_type(self, database):
        here, there = [], []
        writer, reader = (
            ExtensionRegistry(database, here.append),
            ExtensionRegistry(database, there.append),
        )
        reader.refresh()
        reader.start()
        try:
            writer.put("Fruit", FRUIT, "me")
            assert here[-1].keys() == {"Fruit"}
            eventually(lambda: there and there[-1].keys() == {"Fruit"})
            writer.delete("Fruit")
            eventually(lambda: there[-1] == {})
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
    def test_a_hostile_body_is_refused(self, keeper, body, status):
        answer = keeper.put("/admin/schemas/Bad", content=body)
        assert answer.status_code == status
        assert answer.json()["@type"] == "Error"
        assert keeper.get("/admin/schemas/Bad").status_code == 404

    def test_a_body_that_is_no_json_by_its_type_is_refused(self, keeper):
        headers = {"Content-Type": "text/xml"}
        answer = keeper.put("/admin/schemas/Bad", content=b"<a/>", headers=headers)
        assert answer.status_code == 415


def refusal(schema, name="Fruit", error=InvalidBody):
    with pytest.raises(error) as caught:
        validated_schema(name, json.dumps(schema).encode(), CONTRACTS)
    return caught.value.message


def with_properties(**properties):
    return {"x-baseType": "ProductOffering", "properties": properties}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x-baseType": "Nonsense"}, "/x-baseType"),
        ({"x-baseType": 3}, "/x-baseType"),
        ({"type": "array"}, "/type"),
        ({"properties": {"a": {"type": "colour"}}}, "not a JSON Schema"),
        ({"properties": {"a": {"type": "string", "pattern": "(a"}}}, "not a JSON Schema"),
        ({"properties": {"a": {"type": "string", "pattern": "(a)\\1"}}}, "not a JSON Schema"),
        ({"properties": {"a": {"$ref": "https://elsewhere.example/x.json"}}}, "$ref"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "$ref"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "$ref"),
        ({"properties": {"a": {"$id": "https://elsewhere.example"}}}, "$id"),
        ({"properties": {"a": {"$dynamicRef": "#x"}}}, "$dynamicRef"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
        ({"additionalProperties": False}, "/additionalProperties"),
        ({"properties": 3}, "/properties"),
        ({"$defs": 3}, "/$defs"),
    ],
)
def test_what_an_extension_cannot_have_is_refused(change, said):
    assert said in refusal({**FRUIT, **change})


def test_a_schema_that_leads_back_to_itself_is_refused():
    schema = {**with_properties(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert "leads back" in refusal(schema)


def test_a_schema_that_grows_when_it_is_unfolded_is_refused():
    definitions = {"D0": {"type": "string"}}
    for level in range(1, 16):
        inner = {"$ref": f"#/$defs/D{level - 1}"}
        definitions[f"D{level}"] = {"type": "object", "properties": {"a": inner, "b": inner}}
    schema = {**with_properties(a={"$ref": "#/$defs/D15"}), "$defs": definitions}
    assert "parts" in refusal(schema)


def test_a_member_that_is_there_twice_is_refused():
    with pytest.raises(InvalidBody, match="twice"):
        validated_schema(
            "Fruit",
            b'{"x-baseType": "ProductOffering", "properties": {}, "properties": {}}',
            CONTRACTS,
        )


def test_a_name_of_a_contract_is_taken():
    assert "TMF620" in refusal(FRUIT, "Category", Conflict)


@pytest.mark.parametrize("name", ["fruit", "Fru it", "F" * 65, "F$", "Früchte", "A.b"])
def test_a_name_that_is_none_is_refused(name):
    assert "cannot name a type" in refusal(FRUIT, name)


def test_a_schema_that_is_too_large_is_refused():
    refusal(with_properties(**{f"a{n}": {"title": "x" * 40} for n in range(2000)}), error=TooLarge)


def test_references_are_replaced_by_what_they_lead_to():
    assert dereferenced_schema(FRUIT)["properties"]["box"] == FRUIT["$defs"]["Box"]
    assert "$defs" not in dereferenced_schema(FRUIT)
