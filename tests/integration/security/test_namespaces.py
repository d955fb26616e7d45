"""Names that clients choose: one client's name never changes what another client gets for it."""

import pytest

from tests.support.contract_collections import CONTRACTS, collections_with
from tmf_apis.events.inbox import COLLECTION, Inbox
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client
from tmf_apis.store.embedded_mongod import EmbeddedMongod

ORDER = "/tmf-api/productOrderingManagement/v5/productOrder"
TIME = "2026-01-01T00:00:00Z"
LISTENERS = [
    (contract, operation)
    for contract in CONTRACTS
    for operation in contract.operations
    if operation.action == "listen"
]
#: Clients that differ in one part of their identity each.
CLIENTS = (
    {},
    {"subject": "other"},
    {"parties": ["a"]},
    {"parties": ["a"], "subject": "other"},
    {"parties": ["a", "b"]},
    {"parties": ["a,b"]},
)


@pytest.fixture
def clients(authenticated_server, tenant):
    """Clients of one tenant, and one of another tenant."""
    tokens = [authenticated_server.token(tenant=tenant, **claims) for claims in CLIENTS]
    tokens.append(authenticated_server.token(tenant=f"{tenant}x"))
    opened = [authenticated_server.client(token) for token in tokens]
    yield opened
    for client in opened:
        client.close()


@pytest.fixture
def admin(authenticated_server, tenant):
    """An administrator of the tenant."""
    token = authenticated_server.token(tenant=tenant, scopes=["admin"])
    with authenticated_server.client(token) as client:
        yield client


@pytest.mark.parametrize(
    ("contract", "operation"), LISTENERS[::5], ids=lambda v: getattr(v, "operation_id", None)
)
def test_each_client_has_its_own_event_ids(admin, clients, contract, operation):
    event = {"eventId": "squatted", "eventTime": TIME, "event": {}, "@type": operation.event_type}
    for number, client in enumerate(clients[::-1]):
        body = {**event, "eventType": operation.event_type, "title": f"of client {number}"}
        for _ in range(2):
            response = client.post(contract.base_path + operation.path, json=body)
            assert response.status_code in {201, 204}, response.text
    received = admin.get("/admin/notifications", params={"api": contract.number}).json()
    titles = [notification["body"]["title"] for notification in received]
    assert sorted(titles) == [f"of client {number}" for number in range(1, len(clients))]


def test_each_client_has_its_own_idempotency_keys(clients):
    item = {"@type": "ProductOrderItem", "id": "1", "action": "add"}
    ids = []
    for number, client in enumerate(clients):
        body = {
            "@type": "ProductOrder",
            "productOrderItem": [item],
            "description": f"of client {number}",
        }
        for _ in range(2):
            response = client.post(ORDER, json=body, headers={"Idempotency-Key": "squatted"})
            assert response.status_code == 201, response.text
            assert response.json()["description"] == f"of client {number}"
            ids.append(response.json()["id"])
    assert len(set(ids)) == len(clients)


def test_one_event_id_is_a_name_for_each_type_of_event(database):
    inbox, sender = Inbox(database), Identity("x", "acme")
    inbox.prepare()
    event = {"api": "TMF622", "version": "v5", "eventId": "1", "body": {}}
    for type in ("A", "B", "A"):
        inbox.add(sender, {**event, "eventType": type})
    inbox.add(sender, {**event, "eventType": "A", "api": "TMF620"})
    assert database[COLLECTION].count_documents({}) == 3


def test_events_of_an_earlier_release_are_still_recognised(database):
    rows = database[COLLECTION]
    rows.create_index([("tenant", 1), ("eventId", 1)], unique=True)
    event = {"api": "TMF622", "version": "v5", "eventType": "A", "eventId": "1", "body": {}}
    rows.insert_one({**event, "tenant": "acme", "subject": "x", "parties": []})
    rows.insert_one({**event, "tenant": "acme", "subject": "y", "parties": ["p"], "eventId": "2"})
    inbox = Inbox(database)
    inbox.prepare()
    inbox.prepare()
    inbox.add(Identity("x", "acme"), event)
    inbox.add(Identity("y", "acme", frozenset({"p"})), {**event, "eventId": "2"})
    assert rows.count_documents({}) == 2
    inbox.add(Identity("z", "acme"), event)
    inbox.add(Identity("y", "acme"), {**event, "eventId": "2"})
    assert rows.count_documents({}) == 4


#: Unique indexes, by collection ("*": every kind) and name. Each begins with the tenant or a hash
#: of it, and with the client wherever the client chooses the value.
UNIQUE_INDEXES = {
    ("*", "idempotency"),  # hash of tenant, subject, parties, path and operation
    ("Notification", "event"),  # tenant, subject and parties, API, type of the event
    ("Subscription", "same_1"),  # hash of tenant, subject, parties, API, callback and query
    ("personal_keys", "active"),  # tenant and customer; the server makes the keys
    ("audit_log_blocks", "number"),  # tenant; the server chooses the numbers
}


def test_no_unique_index_has_names_of_several_clients(authenticated_server, api):
    """A value that one client stores first could not be used by the others."""
    assert api.get(ORDER).status_code == 200
    settings = Settings(data_dir=authenticated_server.folder)
    with mongo_client(settings, EmbeddedMongod(settings).uri) as client:
        database = client[settings.mongodb_database]
        unique = {
            ("*" if index == "idempotency" else name, index)
            for name in database.list_collection_names()
            for index, definition in database[name].index_information().items()
            if definition.get("unique")
        }
    assert {index for _, index in unique} <= {index for _, index in UNIQUE_INDEXES}
    assert unique - UNIQUE_INDEXES == set()


@pytest.mark.parametrize("collection", collections_with("create"), ids=str)
def test_the_id_of_a_resource_of_others_changes_nothing(api, clients, collection):
    """Neither a conflict nor anything else tells that an id is in use."""
    existing = collection.create(api).json()["id"]
    answers = []
    for id in (existing, "0" * len(existing)):
        response = clients[2].post(collection.path, json={**collection.body(api), "id": id})
        answers.append(response.status_code)
        assert response.json().get("id") != id, response.text
        assert id not in response.json().get("message", "")
    assert answers[0] == answers[1]


def test_a_monitor_is_read_by_the_client_of_its_task(clients):
    jobs = "/tmf-api/productCatalogManagement/v4/exportJob"
    created = clients[2].post(jobs, json={"url": "file:out"}, headers={"Prefer": "respond-async"})
    assert created.status_code == 202, created.text
    monitor = created.headers["location"]
    statuses = [client.get(monitor).status_code for client in clients]
    assert statuses == [200, 200, 200, 200, 200, 404, 404]
