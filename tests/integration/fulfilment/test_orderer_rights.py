"""Orders of parties: what they name is read and written with the rights of the party."""

import json

import pytest

from tests.support.fulfilment_harness import MEGABIT, is_missing, order_item, port_state
from tmf_apis.fulfilment import dry_run, feasibility
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.inventory.ports import service_of
from tmf_apis.ordering.order_schema import ORDER_SCHEMAS
from tmf_apis.security.identity import Identity

ADA, BOB = ["ada"], ["bob"]
FALLOUT = {"fulfilment_patience": 0.1, "fulfilment_fallout": ("unreachable", "undo")}


def related(id, *, v4=False):
    """Return a related party in the form of a product order, or of v4."""
    if v4:
        return {"id": id, "role": "customer", "@referredType": "Party"}
    party = {"@type": "PartyRef", "id": id}
    return {"@type": "RelatedPartyOrPartyRole", "role": "customer", "partyOrPartyRole": party}


def service_item(action="add", *, service="", **more):
    value = {"id": service} if service else {}
    if action == "add":
        speeds = {"downstreamSpeed": 100, "upstreamSpeed": 40}
        value["serviceSpecification"] = {"id": "standard-broadband"}
        value["serviceCharacteristic"] = [
            {"name": name, "value": value} for name, value in speeds.items()
        ]
    return {"id": "1", "action": action, "service": {**value, **more}}


def party_repository(operator, parties):
    return operator.repositories._repository_for(
        Identity("client", operator.tenant, frozenset(parties))
    )


def place(operator, *items, kind="ProductOrder", parties=None, **more):
    """Place an order that the guard of the write pipeline has not checked; return its key."""
    if parties is None:
        return operator.place_order(*items, kind=kind, **more)
    attribute = ORDER_SCHEMAS[kind].item_schema.items_attribute
    order = {"@type": kind, attribute: list(items), "state": "acknowledged", **more}
    id = party_repository(operator, parties).create(kind, order)["id"]
    return OrderKey(operator.tenant, id, kind)


def run(operator, item, *, kind="ProductOrder", parties=None, **more):
    return operator.run_order(place(operator, item, kind=kind, parties=parties, **more))


def product_of(order):
    return order["productOrderItem"][0]["product"]["id"]


def reason_of(order):
    errors = order.get("productOrderErrorMessage") or order["errorMessage"]
    return (errors[0] if isinstance(errors, list) else errors)["message"]


def owners(operator, kind, id):
    """Return the parties that can see a resource."""
    return operator.database[kind].find_one({"_id": f"{operator.tenant}:{id}"})["parties"]


def snapshot(operator):
    """Return all products, services and resources of the tenant."""
    return {
        kind: {
            document["id"]: (document["body"], document["parties"])
            for document in operator.database[kind].find({"tenant": operator.tenant})
        }
        for kind in ("Product", "Service", "Resource")
    }


@pytest.fixture
def ada_product(operator, fibre_offering):
    """The id of a product of ada, in operation on port gw sub1."""
    item = order_item(offering=fibre_offering, port="gw sub1")
    order = run(operator, item, parties=ADA)
    assert order["state"] == "completed", order
    return product_of(order)


@pytest.fixture
def ada_service(operator):
    """The id of a service of ada that a service order has provided."""
    order = run(operator, service_item(), kind="ServiceOrder", parties=ADA)
    assert order["state"] == "completed", order
    return order["serviceOrderItem"][0]["service"]["id"]


def foreign_references(product, service, fibre):
    """Yield name, kind and items of orders that name a product or a service in every way."""
    suspended = {"status": "suspended"}
    speed = {"productCharacteristic": [{"name": "downstreamSpeed", "value": 7}]}
    relationship = {"relationshipType": "reliesOn", "product": {"id": product, "@type": "Product"}}
    for id, what in ((product, "product"), (service, "service")):
        yield f"delete {what}", "ProductOrder", order_item("delete", product=id)
        yield f"suspend {what}", "ProductOrder", order_item("modify", product=id, value=suspended)
        modify = order_item("modify", offering=fibre, product=id, value=speed)
        yield f"modify {what}", "ProductOrder", modify
        yield f"add {what}", "ProductOrder", order_item(offering=fibre, product=id)
        child = order_item(id="2", offering=fibre)
        for action in ("modify", "noChange", "delete", "add"):
            parent = order_item(action, offering=fibre, product=id, productOrderItem=[child])
            yield f"{action} of a bundle in {what}", "ProductOrder", parent
    yield (
        "rely on",
        "ProductOrder",
        order_item(offering=fibre, value={"productRelationship": [relationship]}),
    )
    for action in ("delete", "modify"):
        item = service_item(action, service=service, state="inactive")
        yield f"{action} service", "ServiceOrder", item
    relationship = {"relationshipType": "reliesOn", "service": {"id": service}}
    yield "relate service", "ServiceOrder", service_item(serviceRelationship=[relationship])


NAMES = [name for name, *_ in foreign_references("p", "s", "o")]


@pytest.mark.parametrize("name", NAMES)
def test_an_order_cannot_reach_what_belongs_to_another_party(
    operator, fibre_offering, ada_product, ada_service, name
):
    def order_of(product, service):
        references = foreign_references(product, service, fibre_offering)
        kind, item = next((kind, item) for each, kind, item in references if each == name)
        return run(operator, item, kind=kind, parties=BOB)

    before, ports = snapshot(operator), port_state(operator.gw, "sub1")
    foreign = order_of(ada_product, ada_service)
    missing = order_of("no-product", "no-service")
    assert foreign["state"] == missing["state"]
    assert foreign["state"] == ("failed" if name.startswith("add") else "rejected")
    for id, other in ((ada_product, "no-product"), (ada_service, "no-service")):
        if id in reason_of(foreign):
            assert reason_of(foreign).replace(id, other) == reason_of(missing)
    after = snapshot(operator)
    assert {k: {id: after[k][id] for id in before[k]} for k in before} == before
    assert port_state(operator.gw, "sub1") == ports
    assert not [id for id, (_, parties) in after["Product"].items() if parties == BOB]


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_does_not_show_what_belongs_to_another_party(
    operator, fibre_offering, ada_product, ada_service, name
):
    def plan(product, service):
        references = foreign_references(product, service, fibre_offering)
        kind, item = next((kind, item) for each, kind, item in references if each == name)
        items = ORDER_SCHEMAS[kind].item_schema.items_attribute
        order = {"id": "dry", "@type": kind, items: [item]}
        client = party_repository(operator, BOB)
        made = dry_run.fulfilment_plan(OrderDesigner(), kind, operator.repository, client, order)
        return json.dumps(made).replace(product, "P").replace(service, "S")

    foreign = plan(ada_product, ada_service)
    assert foreign == plan("no-product", "no-service")
    assert not json.loads(foreign)["feasible"]
    assert "sub1" not in foreign


def test_the_orderer_can_change_and_end_its_own(operator, fibre_offering, ada_product, ada_service):
    suspend = order_item("modify", product=ada_product, value={"status": "suspended"})
    assert run(operator, suspend, parties=ADA)["state"] == "completed"
    assert operator.repository.get("Product", ada_product)["status"] == "suspended"
    assert run(operator, order_item("delete", product=ada_product), parties=ADA)["state"] == (
        "completed"
    )
    assert operator.repository.get("Product", ada_product)["status"] == "terminated"
    end = service_item("delete", service=ada_service)
    assert run(operator, end, kind="ServiceOrder", parties=ADA)["state"] == "completed"
    assert {service["state"] for service in operator.repository.find("Service", {})} == {
        "terminated"
    }
    operator.assert_consistent()


def test_the_staff_can_change_what_belongs_to_a_party(operator, ada_product, ada_service):
    assert run(operator, order_item("delete", product=ada_product))["state"] == "completed"
    end = service_item("delete", service=ada_service)
    assert run(operator, end, kind="ServiceOrder")["state"] == "completed"
    operator.assert_consistent()


def test_an_order_of_the_staff_for_a_customer_makes_it_the_customers(operator, fibre_offering):
    item = order_item(offering=fibre_offering, port="gw sub1")
    product = product_of(run(operator, item, relatedParty=[related("ada")]))
    assert owners(operator, "Product", product) == ADA
    order = run(operator, order_item("delete", product=product), parties=ADA)
    assert order["state"] == "completed", order
    operator.assert_consistent()


@pytest.mark.parametrize("kind", ["ProductOrder", "ServiceOrder"])
@pytest.mark.parametrize("named", [[], BOB, [*ADA, *BOB]])
def test_what_an_order_creates_belongs_to_the_orderer_only(operator, fibre_offering, kind, named):
    is_service_order = kind == "ServiceOrder"
    parties = [related(id, v4=is_service_order) for id in named]
    item = service_item() if is_service_order else order_item(offering=fibre_offering)
    subject = item.setdefault("service" if is_service_order else "product", {"@type": "Product"})
    subject["relatedParty"] = parties
    order = run(operator, item, kind=kind, parties=ADA, relatedParty=parties)
    assert order["state"] == "completed", order
    created = snapshot(operator)
    results = [*created["Service"].values(), *created["Product"].values()]
    assert results
    assert {tuple(parties) for _, parties in results} == {("ada",)}


def test_an_order_does_not_give_a_product_away(operator, ada_product):
    suspend = order_item("modify", product=ada_product, value={"status": "suspended"})
    order = run(operator, suspend, parties=ADA, relatedParty=[related("bob")])
    assert order["state"] == "completed", order
    assert owners(operator, "Product", ada_product) == ADA


def test_a_product_that_changes_hands_is_not_changed_by_an_earlier_order(
    operator, fibre_offering, ada_product
):
    before = port_state(operator.gw, "sub1")
    key = place(operator, order_item("delete", product=ada_product), parties=ADA)
    operator.accept(key)
    operator.change_resource("Product", ada_product, relatedParty=[related("bob", v4=True)])
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert reason_of(order) == f"there is no product {ada_product}"
    assert port_state(operator.gw, "sub1") == before
    product = operator.repository.get("Product", ada_product)
    assert (product["status"], owners(operator, "Product", ada_product)) == ("active", BOB)
    assert run(operator, order_item("delete", product=ada_product), parties=ADA)["state"] == (
        "failed"
    )
    assert run(operator, order_item("delete", product=ada_product), parties=BOB)["state"] == (
        "completed"
    )


def test_a_product_that_changes_hands_at_its_element_is_set_up_again(
    operator, fibre_offering, ada_product
):
    before = port_state(operator.gw, "sub1")
    key = place(operator, order_item("delete", product=ada_product), parties=ADA)
    operator.accept(key)
    execute = operator.runner._provisioner.execute

    async def execute_and_sell(entry):
        await execute(entry)
        operator.change_resource("Product", ada_product, relatedParty=[related("bob", v4=True)])

    operator.runner._provisioner.execute = execute_and_sell
    order = operator.run_order(key)
    assert order["state"] == "failed", order
    assert port_state(operator.gw, "sub1") == before
    assert operator.repository.get("Product", ada_product)["status"] == "active"
    operator.assert_consistent()


@pytest.mark.parametrize("account", ["acc-ada", "no-account"])
def test_an_order_cannot_name_the_billing_account_of_another(operator, fibre_offering, account):
    operator.repository.create("Customer", {
        "name": "Ada", "engagedParty": {"id": "ada"}, "account": [{"id": "acc-ada", "name": "a"}],
    })  # fmt: skip
    billing = {"billingAccount": {"@type": "BillingAccountRef", "id": account}}
    for more in ({"order": billing}, {"item": billing}):
        item = order_item(offering=fibre_offering, **more.get("item", {}))
        order = run(operator, item, parties=BOB, **more.get("order", {}))
        assert reason_of(order) == f"there is no billing account {account}"
    if account == "acc-ada":
        order = run(operator, order_item(offering=fibre_offering), parties=ADA, **billing)
        assert order["state"] == "completed", order
        assert operator.repository.get("Product", product_of(order))["billingAccount"]["id"] == (
            account
        )


def create_as(operator, parties, kind, resource):
    """Create a resource that belongs to parties, as earlier releases let them do."""
    return party_repository(operator, parties).create(kind, resource)["id"]


def test_a_party_cannot_add_to_the_operators_network(operator, fibre_offering):
    gateway = operator.repository.find("Resource", {"name": "gw"})[0]["id"]
    containment = {
        "@type": "ResourceRelationship",
        "relationshipType": "isContainedIn",
        "resource": {"@type": "ResourceRef", "id": gateway},
    }
    port_name = {"@type": "StringCharacteristic", "name": "portName", "value": "sub2"}
    create_as(operator, BOB, "Resource", {
        "@type": "PhysicalResource", "category": "accessPort", "name": "mine",
        "resourceRelationship": [containment], "resourceCharacteristic": [port_name],
    })  # fmt: skip
    for parties in (BOB, None):
        item = order_item(offering=fibre_offering, port="mine")
        order = run(operator, item, parties=parties)
        assert order["state"] == "failed", order
        assert "there is no accessPort called mine" in reason_of(order)
    assert port_state(operator.gw, "sub2")[1] == 0


def test_a_party_cannot_claim_a_service_by_a_resource_of_its_own(operator, ada_product):
    mine = create_as(operator, BOB, "Product", {"name": "mine", "status": "active"})
    (port,) = operator.repository.find("Resource", {"externalIdentifier.id": ada_product})
    service = service_of(port)
    marks = [
        {"@type": "ExternalIdentifier", "externalIdentifierType": type_, "id": id,
         "owner": "tmf-apis"}
        for type_, id in (("product", mine), ("service", service))
    ]  # fmt: skip
    create_as(operator, BOB, "Resource", {"name": "fake", "externalIdentifier": marks})
    run(operator, order_item("delete", product=mine), parties=BOB)
    assert operator.repository.get("Service", service)["state"] == "active"
    assert port_state(operator.gw, "sub1")[1] == 100 * MEGABIT


def test_a_product_of_ones_own_that_names_a_foreign_service_does_not_end_it(
    operator, ada_product, ada_service
):
    mine = create_as(operator, BOB, "Product", {
        "name": "mine", "status": "active", "realizingService": [{"id": ada_service}],
    })  # fmt: skip
    before = snapshot(operator)
    for item in (
        order_item("modify", product=mine, value={"status": "suspended"}),
        order_item("delete", product=mine),
    ):
        run(operator, item, parties=BOB)
    assert snapshot(operator)["Service"] == before["Service"]


def test_a_port_of_another_customer_is_not_given_away(operator, fibre_offering):
    port = operator.find_port("gw", "sub3")["id"]
    party = {"@type": "RelatedPartyRefOrPartyRoleRef", "role": "customer",
             "partyOrPartyRole": {"@type": "PartyRef", "id": "ada"}}  # fmt: skip
    operator.change_resource("Resource", port, relatedParty=[party])
    foreign, missing = (
        run(operator, order_item(offering=fibre_offering, port=name), parties=BOB)
        for name in ("gw sub3", "gw sub99")
    )
    assert reason_of(foreign) == reason_of(missing).replace("gw sub99", "gw sub3")
    own = run(operator, order_item(offering=fibre_offering, port="gw sub3"), parties=ADA)
    assert own["state"] == "completed", own


def details(operator):
    return ("gw", operator.gw.target.address, "snmp", "community")


@pytest.mark.parametrize("settings", [{"fulfilment_patience": 0.1}, FALLOUT])
def test_an_order_that_a_party_can_read_tells_nothing_about_the_element(
    operator, fibre_offering, settings, caplog
):
    operator.configure(**settings)
    operator.gw.fault_injection.silent = True
    keys = [
        place(operator, order_item(offering=fibre_offering), parties=ADA),
        place(operator, order_item(offering=fibre_offering), relatedParty=[related("ada")]),
    ]
    for key in keys:
        order = operator.run_order(key)
        texts = json.dumps(
            [order.get(name) for name in
             ("productOrderErrorMessage", "productOrderJeopardyAlert", "note")]
        )  # fmt: skip
        assert "network" in texts
        assert not [detail for detail in details(operator) if detail in texts], texts
    assert any(getattr(record, "element", "") == "gw" for record in caplog.records)
    client = party_repository(operator, ADA)
    assert client.find("FalloutTask", {}) == []


def test_a_cancelled_order_of_a_party_tells_nothing_about_the_element(operator, fibre_offering):
    operator.gw.fault_injection.silent = True
    key = place(operator, order_item(offering=fibre_offering), parties=ADA)
    operator.accept(key)
    task = operator.request_cancellation(key)
    operator.run_order(key)
    operator.resolve_cancellation(key, task)
    order = operator.get_order(key)
    assert order["state"] == "cancelled"
    assert "Undone: all work" in json.dumps(order["note"])
    assert "gw" not in json.dumps(order["note"])


def test_a_qualification_of_a_party_uses_the_operators_own_network_only(operator, fibre_offering):
    for number in range(1, 5):
        operator.repository.delete("Resource", operator.find_port("gw", f"sub{number}")["id"])
    gateway = operator.repository.find("Resource", {"name": "gw"})[0]["id"]
    create_as(operator, BOB, "Resource", {
        "@type": "PhysicalResource", "category": "accessPort", "name": "mine",
        "resourceRelationship": [{
            "@type": "ResourceRelationship", "relationshipType": "isContainedIn",
            "resource": {"@type": "ResourceRef", "id": gateway}}],
    })  # fmt: skip
    service = service_item()["service"]
    assert feasibility.obstacles(OfferCache(), operator.repository, service) == [
        "no access port is free"
    ]


def test_a_missing_product_is_not_created_by_an_order_of_a_party(operator, fibre_offering):
    for action in ("modify", "delete"):
        run(operator, order_item(action, product="p-1"), parties=BOB)
    run(operator, order_item(offering=fibre_offering, product="p-1"), parties=BOB)
    assert is_missing(operator, "Product", "p-1")


def test_an_order_does_not_hold_up_the_orders_of_others(operator, fibre_offering, ada_product):
    operator.gw.fault_injection.silent = True
    items = [order_item("delete", product=ada_product), order_item(id="2", offering=fibre_offering)]
    key = place(operator, *items, parties=BOB)
    operator.accept(key)
    operator.advance(key)
    assert operator.get_order(key)["state"] == "inProgress"
    operator.gw.fault_injection.silent = False
    suspend = order_item("modify", product=ada_product, value={"status": "suspended"})
    order = run(operator, suspend, parties=ADA)
    assert order["state"] == "completed", order
