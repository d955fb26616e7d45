"""Attributes that the operator decides: a party cannot set them, in any kind that has them."""

from contextlib import ExitStack

import pytest

from tests.support.body_factory import BodyFactory
from tests.support.contract_collections import collections_with
from tests.support.policies import policy_of
from tests.support.reference_bodies import reference_schema
from tmf_apis.rest.pipeline.party_guard import is_read_only
from tmf_apis.rest.pipeline.party_rules import ANY_ATTRIBUTE, Setter

CUSTOMERS = "/tmf-api/customerManagement/v5/customer"
ORDERS = "/tmf-api/productOrderingManagement/v5/productOrder"
ALARMS = "/tmf-api/alarmManagement/v5/alarm"
CLEAR_ALARMS = "/tmf-api/alarmManagement/v5/clearAlarm"
PRODUCTS = "/tmf-api/productInventory/v4/product"
CREATABLE = collections_with("create")
READ_ONLY = [c for c in CREATABLE if is_read_only(policy_of(c.kind))]
WRITABLE = [c for c in CREATABLE if c not in READ_ONLY and policy_of(c.kind).party_rules.setters]


@pytest.fixture
def clients(authenticated_server, tenant):
    """Clients of the operator and of two parties: staff, alice, bob."""
    with ExitStack() as stack:

        def client(name, parties):
            token = authenticated_server.token(tenant=tenant, subject=name, parties=parties)
            return stack.enter_context(authenticated_server.client(token))

        yield {
            "staff": client("staff", None),
            "alice": client("alice", ["alice"]),
            "bob": client("bob", ["bob"]),
        }


def decided_attributes(collection):
    """Yield name and a valid value of the first-level attributes that the operator decides."""
    root = reference_schema(collection).root
    factory = BodyFactory(collection.contract)
    policy = policy_of(collection.kind)
    for path, setter in policy.party_rules.setters.items():
        is_state = policy.lifecycle and path == policy.lifecycle.attribute
        if setter is Setter.OPERATOR and path in root.names and not is_state:
            schema = root._shape.properties[path][0][1]
            value = factory._value(path, schema, full=False, depth=9)
            if path not in policy.server_owned and value not in (None, [], {}):
                yield path, value


@pytest.mark.parametrize("collection", WRITABLE, ids=str)
def test_a_party_sets_no_attribute_that_the_operator_decides(clients, collection):
    body = collection.body(clients["alice"])
    for name, value in decided_attributes(collection):
        response = clients["alice"].post(collection.path, json={**body, name: value})
        assert response.status_code == 403, response.text
        assert "only the operator sets this attribute" in response.json()["message"]


@pytest.mark.parametrize("collection", READ_ONLY, ids=str)
def test_a_party_creates_no_resource_that_only_the_operator_has(clients, collection):
    body = collection.body(clients["staff"])
    response = clients["alice"].post(collection.path, json=body)
    assert response.status_code == 403, response.text
    assert "only the operator can create" in response.json()["message"]


def test_every_decided_attribute_exists_in_a_contract():
    names = {}
    for collection in collections_with("list"):
        names.setdefault(collection.kind, set()).update(reference_schema(collection).root.names)
    stored = {"creationDate", "lastUpdate"}
    for kind, known in names.items():
        for path in policy_of(kind).party_rules.setters:
            first = path.split(".")[0]
            assert first in known | stored | {ANY_ATTRIBUTE}, f"{kind} has no {first}"


def customer_of(clients, party, **changes):
    """Return the URL of a customer that staff has created for a party."""
    body = {
        "@type": "Customer",
        "name": "Ada",
        "engagedParty": {"@type": "PartyRef", "id": party, "@referredType": "Individual"},
        **changes,
    }
    response = clients["staff"].post(CUSTOMERS, json=body)
    assert response.status_code == 201, response.text
    return response.json()["href"]


def test_a_customer_does_not_rate_or_activate_itself(clients):
    profile = {"@type": "CreditProfile", "creditScore": 3, "validFor": {}}
    url = customer_of(clients, "alice", status="Suspended")
    for change in (
        {"status": "Active"},
        {"creditProfile": [{**profile, "creditScore": 900}]},
        {"account": [{"@type": "AccountRef", "id": "acc-bob"}]},
        {"engagedParty": {"@type": "PartyRef", "id": "bob", "@referredType": "Individual"}},
    ):
        response = clients["alice"].patch(url, json=change)
        assert response.status_code == 403, response.text
        assert f"/{next(iter(change))}" in response.json()["message"]
    assert clients["alice"].patch(url, json={"name": "Ada L."}).status_code == 200
    assert clients["alice"].patch(url, json={"status": "Suspended"}).status_code == 200
    assert clients["alice"].delete(url).status_code == 403
    assert clients["staff"].patch(url, json={"status": "Active"}).status_code == 200


def order_item(**members):
    """Return an order with one item."""
    item = {"@type": "ProductOrderItem", "id": "1", "action": "add", **members}
    return {"@type": "ProductOrder", "productOrderItem": [item]}


def test_a_party_orders_at_no_price_of_its_own_and_ends_no_order(clients):
    price = {"@type": "OrderPrice", "priceType": "recurring", "price": {"@type": "Price"}}
    alice = clients["alice"]
    response = alice.post(ORDERS, json=order_item(itemPrice=[price]))
    assert response.status_code == 403
    assert "/productOrderItem/1/itemPrice" in response.json()["message"]
    url = alice.post(ORDERS, json=order_item()).json()["href"]
    for change in (
        {"completionDate": "2020-01-01T00:00:00.000Z"},
        {"state": "inProgress"},
        {"state": "rejected"},
    ):
        assert alice.patch(url, json=change).status_code == 403
    assert alice.patch(url, json={"state": "held"}).status_code == 200
    assert alice.patch(url, json={"state": "cancelled"}).status_code == 200


def test_an_order_names_an_account_that_the_operator_has_given_to_the_party(clients):
    account = {"@type": "AccountRef", "id": "acc-1", "@referredType": "BillingAccount"}
    customer_of(clients, "bob", account=[account])
    reference = {"@type": "BillingAccountRef", "id": "acc-1"}
    body = {**order_item(), "billingAccount": reference}
    assert clients["bob"].post(ORDERS, json=body).status_code == 201
    foreign = clients["alice"].post(ORDERS, json=body)
    missing = clients["alice"].post(
        ORDERS, json={**body, "billingAccount": {**reference, "id": "acc-2"}}
    )
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text.replace("acc-1", "") == missing.text.replace("acc-2", "")


def test_an_alarm_is_described_by_its_creator_and_acknowledged_by_its_owners(clients):
    body = {
        "@type": "Alarm", "alarmType": "communicationsAlarm", "perceivedSeverity": "critical",
        "probableCause": "lossOfSignal", "sourceSystemId": "s", "state": "raised",
        "alarmRaisedTime": "2026-01-02T03:04:05Z",
        "alarmedObject": {"@type": "AlarmedObjectRef", "id": "1"},
        "relatedParty": [{"@type": "RelatedPartyRefOrPartyRoleRef", "role": "customer",
                          "partyOrPartyRole": {"@type": "PartyRef", "id": "alice"}}],
    }  # fmt: skip
    of_network = clients["staff"].post(ALARMS, json=body).json()
    alice = clients["alice"]
    cleared = {"state": "cleared"}
    assert alice.patch(of_network["href"], json=cleared).status_code == 403
    assert alice.patch(of_network["href"], json={"ackState": "acknowledged"}).status_code == 200
    task = {"@type": "ClearAlarm", "clearSystemId": "x", "clearUserId": "x",
            "alarmClearedTime": "2026-01-02T03:04:06Z",
            "alarmPattern": [{"@type": "Alarm", "id": of_network["id"]}]}  # fmt: skip
    done = alice.post(CLEAR_ALARMS, json=task)
    assert done.json().get("clearedAlarm", []) == []
    assert clients["staff"].get(of_network["href"]).json()["state"] == "raised"
    own = alice.post(ALARMS, json={**body, "sourceSystemId": "t"}).json()
    assert alice.patch(own["href"], json=cleared).status_code == 200


def test_a_party_gives_its_resources_to_nobody_else(clients):
    alice = clients["alice"]
    for role, status in (("customer", 403), ("Buyer", 403), (None, 403), ("installer", 201)):
        party = {"id": "bob", "@referredType": "Individual", **({"role": role} if role else {})}
        response = alice.post(
            PRODUCTS, json={"name": "x", "status": "created", "relatedParty": [party]}
        )
        assert response.status_code == status, response.text
    assert clients["bob"].get(PRODUCTS).json() == []


def test_an_installer_neither_sees_nor_changes_a_product(clients):
    party = {"id": "bob", "role": "installer", "@referredType": "Individual"}
    product = (
        clients["staff"]
        .post(PRODUCTS, json={"name": "x", "status": "created", "relatedParty": [party]})
        .json()
    )
    assert clients["bob"].get(product["href"]).status_code == 404
    assert clients["bob"].patch(product["href"], json={"name": "y"}).status_code == 404


def test_a_party_takes_a_resource_from_nobody(clients):
    parties = [
        {"id": name, "role": "customer", "@referredType": "Individual"} for name in ("alice", "bob")
    ]
    product = (
        clients["staff"]
        .post(PRODUCTS, json={"name": "x", "status": "created", "relatedParty": parties})
        .json()
    )
    alice = clients["alice"]
    for change in (None, parties[:1], parties[1:], [{**parties[1], "role": "installer"}]):
        response = alice.patch(product["href"], json={"relatedParty": change})
        assert response.status_code == 403, response.text
    reordered = {"relatedParty": parties[::-1]}
    assert alice.patch(product["href"], json=reordered).status_code == 200


def test_a_replacement_by_a_party_keeps_what_the_operator_decides(clients):
    path = "/tmf-api/resourceInventoryManagement/v4/logicalResource"
    party = {"id": "alice", "role": "customer", "@referredType": "Individual"}
    body = {"@type": "LogicalResource", "name": "line", "relatedParty": [party]}
    new = clients["alice"].post(path, json=body).json()
    clients["staff"].patch(new["href"], json={"administrativeState": "locked"})
    replaced = clients["alice"].put(new["href"], json={**body, "name": "my line"})
    assert replaced.status_code == 200, replaced.text
    assert replaced.json()["administrativeState"] == "locked"
    opened = clients["alice"].put(new["href"], json={**body, "administrativeState": "unlocked"})
    assert opened.status_code == 403


def test_a_relationship_changes_no_resource_of_others(clients):
    path = "/tmf-api/resourceInventoryManagement/v5/resource"
    party = {
        "@type": "RelatedPartyRefOrPartyRoleRef",
        "role": "customer",
        "partyOrPartyRole": {"@type": "PartyRef", "id": "alice", "@referredType": "Individual"},
    }

    def create(name, client, **members):
        response = client.post(path, json={"@type": "LogicalResource", "name": name, **members})
        assert response.status_code == 201, response.text
        return response.json()

    def contained_in(other):
        reference = {"@type": "ResourceRef", "id": other["id"]}
        relationship = {"@type": "ResourceRelationship", "relationshipType": "isContainedIn"}
        return [{**relationship, "resource": reference}]

    staff, alice = clients["staff"], clients["alice"]
    card = create("card", staff)
    port = create("port", staff, relatedParty=[party], resourceRelationship=contained_in(card))
    before = staff.get(card["href"])
    assert before.json()["resourceRelationship"][0]["resource"]["id"] == port["id"]
    own = create("own", alice)
    inner = create("inner", alice, resourceRelationship=contained_in(own))
    assert alice.get(own["href"]).json()["resourceRelationship"][0]["resource"]["id"] == inner["id"]
    assert alice.patch(inner["href"], json={"resourceRelationship": []}).status_code == 200
    assert "resourceRelationship" not in alice.get(own["href"]).json()
    assert alice.patch(port["href"], json={"resourceRelationship": None}).status_code == 403
    for client, status in ((alice, 403), (clients["bob"], 404)):
        body = {"@type": "LogicalResource", "resourceRelationship": contained_in(port)}
        assert client.post(path, json=body).status_code == status
    body = {"resourceRelationship": contained_in(card)}
    assert staff.patch(own["href"], json=body).status_code == 200
    card_before = staff.get(card["href"]).json()
    assert alice.patch(own["href"], json={"resourceRelationship": None}).status_code == 200
    assert staff.get(card["href"]).json() == card_before
    assert staff.patch(own["href"], json={"name": "x"}).status_code == 200
    assert staff.get(port["href"]).json() == port
