"""Service orders follow the rules of product orders under other attribute names."""

import pytest

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.events.outbox import change_events
from tmf_apis.ordering import service_api_module
from tmf_apis.ordering.service_orders import parties
from tmf_apis.ordering.states import (
    CANCEL_SERVICE_TASK_LIFECYCLE,
    ITEM_LIFECYCLE,
    SERVICE_ORDER_LIFECYCLE,
)
from tmf_apis.settings import Settings

POLICIES = service_api_module(Settings()).policies


@pytest.fixture
def repository():
    return MemoryRepository(POLICIES)


def an_item(id=None, action="add", **more):
    service = {"serviceSpecification": {"id": "access"}}
    service |= {"id": "s1"} if action != "add" else {}
    return {"action": action, "service": service, **({"id": id} if id else {}), **more}


def an_order(repository, *items, **more):
    order = {"id": "o", "serviceOrderItem": list(items or [an_item()]), **more}
    return repository.create("ServiceOrder", order, system=False)


def set_item_states(repository, **states):
    def edit(order):
        items = [
            {**item, "state": states.get(f"i{item['id']}", item["state"])}
            for item in order["serviceOrderItem"]
        ]
        return {**order, "serviceOrderItem": items}

    return repository.change("ServiceOrder", "o", edit)


def cancel(repository):
    task = {"id": "t", "serviceOrder": {"id": "o"}, "cancellationReason": "moved"}
    return repository.create("CancelServiceOrder", task, system=False)


def test_the_lifecycles_have_exactly_the_states_of_the_contract():
    assert SERVICE_ORDER_LIFECYCLE.states == enum_values("TMF641-v4", "ServiceOrderStateType")
    assert ITEM_LIFECYCLE.states == enum_values("TMF641-v4", "ServiceOrderItemStateType")
    assert CANCEL_SERVICE_TASK_LIFECYCLE.states == enum_values("TMF641-v4", "TaskStateType")


def test_a_new_order_is_acknowledged_numbered_and_dated(repository):
    order = an_order(
        repository, an_item(), an_item("1"), an_item(), state="completed", note=[{"text": "x"}]
    )
    assert order["state"] == "acknowledged"
    assert [item["id"] for item in order["serviceOrderItem"]] == ["2", "1", "3"]
    assert {item["state"] for item in order["serviceOrderItem"]} == {"acknowledged"}
    assert order["orderDate"]
    assert order["note"][0]["author"] == "tester"


def test_the_state_of_an_order_follows_from_its_items(repository):
    an_order(repository, an_item("1"), an_item("2"))
    begun = set_item_states(repository, i1="inProgress")
    assert (begun["state"], "startDate" in begun) == ("inProgress", True)
    assert set_item_states(repository, i1="completed")["state"] == "inProgress"
    ended = set_item_states(repository, i2="failed")
    assert (ended["state"], "completionDate" in ended) == ("partial", True)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "/serviceOrderItem: an order has at least one item"),
        ([an_item(quantity=0)], "/serviceOrderItem/0/quantity: 0 is under 1"),
        ([an_item("1"), an_item("1")], "/serviceOrderItem/1/id: another item"),
        ([an_item(action="delete", service={})], "/serviceOrderItem/0/service/id: expected"),
        (
            [
                an_item(
                    "1",
                    serviceOrderItemRelationship=[
                        {"relationshipType": "reliesOn", "orderItem": {"itemId": "9"}}
                    ],
                )
            ],
            "/serviceOrderItemRelationship/0/orderItem/itemId: this order has no item 9",
        ),
    ],
)
def test_an_invalid_order_is_refused(repository, items, words):
    order = {"id": "o", "serviceOrderItem": items}
    with pytest.raises(InvalidBody, match=words):
        repository.create("ServiceOrder", order, system=False)


def test_an_order_is_cancelled_at_once_before_work_begins(repository):
    an_order(repository)
    task = cancel(repository)
    assert (task["state"], "effectiveCancellationDate" in task) == ("done", True)
    order = repository.get("ServiceOrder", "o")
    assert (order["state"], order["cancellationReason"]) == ("cancelled", "moved")
    assert order["serviceOrderItem"][0]["state"] == "cancelled"


def test_the_cancellation_of_an_order_in_progress_is_assessed_first(repository):
    an_order(repository)
    set_item_states(repository, i1="inProgress")
    task = cancel(repository)
    assert task["state"] == "inProgress"
    assert repository.get("ServiceOrder", "o")["state"] == "assessingCancellation"
    for _ in range(2):
        POLICIES["CancelServiceOrder"].run_in_background(repository, task)
    assert repository.get("ServiceOrder", "o")["state"] == "cancelled"
    assert repository.get("CancelServiceOrder", "t")["state"] == "done"


def test_an_order_past_the_point_of_no_return_is_not_cancelled(repository):
    an_order(repository)
    milestone = [{"id": "1", "name": "pointOfNoReturn", "status": "Completed"}]
    repository.change("ServiceOrder", "o", lambda order: {**order, "milestone": milestone})
    with pytest.raises(Conflict, match="point of no return"):
        cancel(repository)


def test_a_finished_order_is_neither_cancelled_nor_changed(repository):
    an_order(repository)
    set_item_states(repository, i1="inProgress")
    set_item_states(repository, i1="completed")
    with pytest.raises(IllegalTransition):
        cancel(repository)
    with pytest.raises(Conflict, match="/priority: the order is completed"):
        repository.change(
            "ServiceOrder", "o", lambda order: {**order, "priority": "1"}, system=False
        )
    repository.delete("ServiceOrder", "o", system=False)


def test_an_order_in_progress_is_neither_deleted_nor_rewritten(repository):
    an_order(repository)
    set_item_states(repository, i1="inProgress")
    with pytest.raises(Conflict, match="cancelServiceOrder"):
        repository.delete("ServiceOrder", "o", system=False)
    with pytest.raises(Conflict, match="needs a new order"):
        repository.change(
            "ServiceOrder",
            "o",
            lambda order: {
                **order,
                "serviceOrderItem": [{**order["serviceOrderItem"][0], "quantity": 2}],
            },
            system=False,
        )


def test_a_milestone_and_an_alert_cause_events():
    old = {"state": "inProgress"}
    new = {**old, "milestone": [{"name": "m"}], "jeopardyAlert": [{"name": "late"}]}
    origin = {
        "tenant": "t",
        "id": "1",
        "rev": 2,
        "parties": [],
        "now": MemoryRepository(POLICIES).now,
    }
    policy = POLICIES["ServiceOrder"]
    events = change_events(
        "ServiceOrder",
        old,
        new,
        state_attributes=policy.state_event_attributes,
        extra_events=policy.extra_events(old, new),
        **origin,
    )
    assert [event["what"] for event in events] == [
        "AttributeValueChange",
        "Milestone",
        "JeopardyAlert",
    ]


def test_an_order_belongs_to_the_parties_of_its_services_too():
    item = an_item()
    item["service"]["relatedParty"] = [{"id": "43"}]
    order = {"relatedParty": [{"id": "42"}], "serviceOrderItem": [item]}
    assert sorted(parties(order)) == ["42", "43"]
