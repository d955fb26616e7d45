"""Rules of the inventories of products and services."""

import pytest

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository, request_context
from tmf_apis import products, services
from tmf_apis.errors import Conflict, Forbidden, IllegalTransition, InvalidBody
from tmf_apis.products import rules as product_rules
from tmf_apis.services import rules as service_rules
from tmf_apis.settings import Settings

PORTS = [{"id": "port", "@referredType": "Resource"}]

POLICIES = {**products.api_module(Settings()).policies, **services.api_module(Settings()).policies}


@pytest.fixture
def repository():
    return MemoryRepository(POLICIES)


def create_product(repository, id="p", **more):
    return repository.create("Product", {"id": id, "name": id, **more}, system=False)


def create_service(repository, id="s", **more):
    return repository.create("Service", {"id": id, "name": id, **more}, system=False)


def change(repository, kind, id, **values):
    return repository.change(kind, id, lambda old: {**old, **values}, system=False)


def move(repository, kind, id, attribute, *states):
    for state in states:
        resource = change(repository, kind, id, **{attribute: state})
    return resource


def test_the_states_are_exactly_those_of_the_contracts():
    assert product_rules.LIFECYCLE.states == enum_values("TMF637-v4", "ProductStatusType")
    assert service_rules.LIFECYCLE.states == enum_values("TMF638-v4", "ServiceStateType")


def test_a_product_goes_from_created_to_terminated(repository):
    product = create_product(repository)
    assert (product["status"], product["isBundle"]) == ("created", False)
    assert "startDate" not in product
    states = ("pendingActive", "active", "suspended", "active", "pendingTerminate", "terminated")
    ended = move(repository, "Product", "p", "status", *states)
    assert ended["startDate"] <= ended["terminationDate"]
    with pytest.raises(IllegalTransition, match="none, the state is final"):
        change(repository, "Product", "p", status="active")


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
def test_a_transition_outside_the_lifecycle_of_a_product_is_refused(repository, states, forbidden):
    create_product(repository)
    move(repository, "Product", "p", "status", *states)
    with pytest.raises(IllegalTransition):
        change(repository, "Product", "p", status=forbidden)


def test_a_new_product_cannot_be_terminated(repository):
    with pytest.raises(IllegalTransition, match="terminated"):
        create_product(repository, status="terminated")
    assert (
        repository.create("Product", {"id": "old", "status": "terminated"})["status"]
        == "terminated"
    )


def test_a_product_cannot_end_before_it_starts(repository):
    dates = {"startDate": "2026-02-01T00:00:00.000Z", "terminationDate": "2026-01-01T00:00:00.000Z"}
    with pytest.raises(InvalidBody, match="terminationDate"):
        create_product(repository, **dates)


def test_a_product_or_service_cannot_be_related_to_itself(repository):
    with pytest.raises(InvalidBody, match="/product/0"):
        create_product(repository, product=[{"id": "p"}])
    relationship = {"relationshipType": "reliesOn", "product": {"id": "p"}, "service": {"id": "s"}}
    with pytest.raises(InvalidBody, match="/productRelationship/0"):
        create_product(repository, productRelationship=[relationship])
    with pytest.raises(InvalidBody, match="/serviceRelationship/0"):
        create_service(repository, serviceRelationship=[relationship])


def test_a_provisioned_product_has_to_end_by_an_order_before_deletion(repository):
    create_product(repository, status="active", realizingResource=PORTS)
    with pytest.raises(Conflict, match=r"TMF622 productOrder with action delete and product\.id p"):
        repository.delete("Product", "p", system=False)
    change(repository, "Product", "p", status="terminated")
    repository.delete("Product", "p", system=False)


def test_a_product_that_is_not_provisioned_can_be_deleted(repository):
    create_product(repository, status="active")
    repository.delete("Product", "p", system=False)


def test_a_service_goes_from_feasibility_to_termination(repository):
    service = create_service(repository)
    assert (service["state"], service["hasStarted"]) == ("feasibilityChecked", False)
    states = ("designed", "reserved", "inactive", "active", "inactive", "active")
    running = move(repository, "Service", "s", "state", *states)
    assert running["hasStarted"] is True
    assert "endDate" not in running
    ended = change(repository, "Service", "s", state="terminated")
    assert ended["startDate"] <= ended["endDate"]
    with pytest.raises(IllegalTransition):
        change(repository, "Service", "s", state="active")


def test_an_active_service_cannot_be_designed_again(repository):
    create_service(repository, state="active")
    with pytest.raises(IllegalTransition, match="inactive, terminated"):
        change(repository, "Service", "s", state="designed")


def test_a_provisioned_service_has_to_end_by_an_order_before_deletion(repository):
    create_service(repository, state="active", supportingResource=PORTS)
    with pytest.raises(Conflict, match="order its end first"):
        repository.delete("Service", "s", system=False)
    change(repository, "Service", "s", state="terminated")
    repository.delete("Service", "s", system=False)


def test_a_service_that_others_need_cannot_be_deleted(repository):
    create_service(repository, "rfs")
    create_service(repository, "cfs", supportingService=[{"id": "rfs"}])
    with pytest.raises(Conflict, match=r"needed by cfs \(cfs\)"):
        repository.delete("Service", "rfs", system=False)
    create_product(repository, realizingService=[{"id": "cfs"}])
    with pytest.raises(Conflict, match=r"needed by p \(p\)"):
        repository.delete("Service", "cfs", system=False)
    change(repository, "Product", "p", status="cancelled")
    repository.delete("Service", "cfs", system=False)
    repository.delete("Service", "rfs", system=False)


def test_a_service_cannot_support_itself(repository):
    create_service(repository, "a")
    create_service(repository, "b", supportingService=[{"id": "a"}])
    create_service(repository, "c", supportingService=[{"id": "b"}])
    with pytest.raises(Conflict, match="support itself"):
        change(repository, "Service", "a", supportingService=[{"id": "c"}])
    with pytest.raises(Conflict, match="support itself"):
        change(repository, "Service", "a", supportingService=[{"id": "a"}])


@pytest.mark.parametrize(
    ("rules", "resource", "attribute", "value"),
    [
        (product_rules, {"status": "active", "realizingResource": PORTS}, "status", "terminated"),
        (service_rules, {"state": "active", "supportingResource": PORTS}, "state", "inactive"),
        (service_rules, {"state": "active", "supportingResource": PORTS}, "supportingResource", []),
    ],
)
def test_a_party_has_to_order_changes_of_provisioned_resources(rules, resource, attribute, value):
    old = {"id": "1", **resource}
    party = request_context(parties=frozenset({"42"}))
    with pytest.raises(Forbidden, match="order"):
        rules.on_change(old, {**old, attribute: value}, party)
    assert rules.on_change(old, {**old, "description": "mine"}, party)["description"] == "mine"
    assert rules.on_change(old, {**old, attribute: value}, request_context())[attribute] == value


def test_references_are_checked_if_the_setting_enables_it():
    repository = MemoryRepository(POLICIES, flags={"check_references": True})
    with pytest.raises(InvalidBody, match="/serviceSpecification/id: there is no ServiceSpec"):
        create_service(repository, serviceSpecification={"id": "x"})
    create_service(repository, "s")
    with pytest.raises(InvalidBody, match="/realizingService/1/id: there is no Service x"):
        create_product(repository, realizingService=[{"id": "s"}, {"id": "x"}])
    assert create_product(repository, realizingService=[{"id": "s"}])["id"] == "p"
