"""The law of the inventories of products and services."""

import pytest

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository, request_context
from tmf_apis import products, services
from tmf_apis.errors import Conflict, Forbidden, IllegalTransition, InvalidBody
from tmf_apis.products import rules as product_rules
from tmf_apis.services import rules as service_rules
from tmf_apis.settings import Settings

ON = [{"id": "port", "@referredType": "Resource"}]


LAWS = {**products.api_module(Settings()).policies, **services.api_module(Settings()).policies}


@pytest.fixture
def desk():
    return MemoryRepository(LAWS)


def a_product(desk, id="p", **more):
    return desk.create("Product", {"id": id, "name": id, **more}, system=False)


def a_service(desk, id="s", **more):
    return desk.create("Service", {"id": id, "name": id, **more}, system=False)


def set_to(desk, kind, id, **values):
    return desk.change(kind, id, lambda old: {**old, **values}, system=False)


def walk(desk, kind, id, attribute, *states):
    for state in states:
        found = set_to(desk, kind, id, **{attribute: state})
    return found


def test_the_states_are_exactly_those_of_the_contracts():
    assert product_rules.LIFECYCLE.states == enum_values("TMF637-v4", "ProductStatusType")
    assert service_rules.LIFECYCLE.states == enum_values("TMF638-v4", "ServiceStateType")


def test_a_product_lives_from_created_to_terminated(desk):
    made = a_product(desk)
    assert (made["status"], made["isBundle"]) == ("created", False)
    assert "startDate" not in made
    states = ("pendingActive", "active", "suspended", "active", "pendingTerminate", "terminated")
    gone = walk(desk, "Product", "p", "status", *states)
    assert gone["startDate"] <= gone["terminationDate"]
    with pytest.raises(IllegalTransition, match="none, the state is final"):
        set_to(desk, "Product", "p", status="active")


@pytest.mark.parametrize(
    ("states", "forbidden"),
    [
        (("active",), "cancelled"),
        (("active",), "aborted"),
        (("pendingActive", "aborted"), "active"),
        (("cancelled",), "created"),
        (("active", "terminated"), "suspended"),
    ],
)
def test_a_product_does_not_go_where_its_life_does_not_lead(desk, states, forbidden):
    a_product(desk)
    walk(desk, "Product", "p", "status", *states)
    with pytest.raises(IllegalTransition):
        set_to(desk, "Product", "p", status=forbidden)


def test_a_product_does_not_begin_at_its_end(desk):
    with pytest.raises(IllegalTransition, match="terminated"):
        a_product(desk, status="terminated")
    assert desk.create("Product", {"id": "old", "status": "terminated"})["status"] == "terminated"


def test_a_product_does_not_end_before_it_starts(desk):
    dates = {"startDate": "2026-02-01T00:00:00.000Z", "terminationDate": "2026-01-01T00:00:00.000Z"}
    with pytest.raises(InvalidBody, match="terminationDate"):
        a_product(desk, **dates)


def test_nothing_is_a_part_of_itself_or_related_to_itself(desk):
    with pytest.raises(InvalidBody, match="/product/0"):
        a_product(desk, product=[{"id": "p"}])
    itself = {"relationshipType": "reliesOn", "product": {"id": "p"}, "service": {"id": "s"}}
    with pytest.raises(InvalidBody, match="/productRelationship/0"):
        a_product(desk, productRelationship=[itself])
    with pytest.raises(InvalidBody, match="/serviceRelationship/0"):
        a_service(desk, serviceRelationship=[itself])


def test_a_product_on_the_network_is_ended_by_an_order_before_it_is_deleted(desk):
    a_product(desk, status="active", realizingResource=ON)
    with pytest.raises(Conflict, match=r"TMF622 productOrder with action delete and product\.id p"):
        desk.delete("Product", "p", system=False)
    set_to(desk, "Product", "p", status="terminated")
    desk.delete("Product", "p", system=False)


def test_a_record_of_a_product_is_deleted_like_any_other(desk):
    a_product(desk, status="active")
    desk.delete("Product", "p", system=False)


def test_a_service_lives_from_feasibility_to_termination(desk):
    made = a_service(desk)
    assert (made["state"], made["hasStarted"]) == ("feasibilityChecked", False)
    states = ("designed", "reserved", "inactive", "active", "inactive", "active")
    running = walk(desk, "Service", "s", "state", *states)
    assert running["hasStarted"] is True
    assert "endDate" not in running
    gone = set_to(desk, "Service", "s", state="terminated")
    assert gone["startDate"] <= gone["endDate"]
    with pytest.raises(IllegalTransition):
        set_to(desk, "Service", "s", state="active")


def test_an_active_service_is_not_designed_again(desk):
    a_service(desk, state="active")
    with pytest.raises(IllegalTransition, match="inactive, terminated"):
        set_to(desk, "Service", "s", state="designed")


def test_a_service_on_the_network_is_ended_by_an_order_before_it_is_deleted(desk):
    a_service(desk, state="active", supportingResource=ON)
    with pytest.raises(Conflict, match="order its end first"):
        desk.delete("Service", "s", system=False)
    set_to(desk, "Service", "s", state="terminated")
    desk.delete("Service", "s", system=False)


def test_what_others_rest_on_is_not_deleted(desk):
    a_service(desk, "rfs")
    a_service(desk, "cfs", supportingService=[{"id": "rfs"}])
    with pytest.raises(Conflict, match=r"needed by cfs \(cfs\)"):
        desk.delete("Service", "rfs", system=False)
    a_product(desk, realizingService=[{"id": "cfs"}])
    with pytest.raises(Conflict, match=r"needed by p \(p\)"):
        desk.delete("Service", "cfs", system=False)
    set_to(desk, "Product", "p", status="cancelled")
    desk.delete("Service", "cfs", system=False)
    desk.delete("Service", "rfs", system=False)


def test_a_service_does_not_rest_on_itself(desk):
    a_service(desk, "a")
    a_service(desk, "b", supportingService=[{"id": "a"}])
    a_service(desk, "c", supportingService=[{"id": "b"}])
    with pytest.raises(Conflict, match="rest on itself"):
        set_to(desk, "Service", "a", supportingService=[{"id": "c"}])
    with pytest.raises(Conflict, match="rest on itself"):
        set_to(desk, "Service", "a", supportingService=[{"id": "a"}])


@pytest.mark.parametrize(
    ("rules", "resource", "attribute", "value"),
    [
        (product_rules, {"status": "active", "realizingResource": ON}, "status", "terminated"),
        (service_rules, {"state": "active", "supportingResource": ON}, "state", "inactive"),
        (service_rules, {"state": "active", "supportingResource": ON}, "supportingResource", []),
    ],
)
def test_a_partner_orders_changes_of_what_was_provisioned(rules, resource, attribute, value):
    old = {"id": "1", **resource}
    partner = request_context(parties=frozenset({"42"}))
    with pytest.raises(Forbidden, match="order"):
        rules.on_change(old, {**old, attribute: value}, partner)
    assert rules.on_change(old, {**old, "description": "mine"}, partner)["description"] == "mine"
    assert rules.on_change(old, {**old, attribute: value}, request_context())[attribute] == value


def test_references_are_looked_up_where_the_operator_wants_it():
    desk = MemoryRepository(LAWS, flags={"check_references": True})
    with pytest.raises(InvalidBody, match="/serviceSpecification/id: there is no ServiceSpec"):
        a_service(desk, serviceSpecification={"id": "x"})
    a_service(desk, "s")
    with pytest.raises(InvalidBody, match="/realizingService/1/id: there is no Service x"):
        a_product(desk, realizingService=[{"id": "s"}, {"id": "x"}])
    assert a_product(desk, realizingService=[{"id": "s"}])["id"] == "p"
