"""Service orders have the law of product orders under other names."""

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

LAWS = service_api_module(Settings()).policies


@pytest.fixture
def desk():
    return MemoryRepository(LAWS)


def an_item(id=None, action="add", **more):
    service = {"serviceSpecification": {"id": "access"}}
    service |= {"id": "s1"} if action != "add" else {}
    return {"action": action, "service": service, **({"id": id} if id else {}), **more}


def an_order(desk, *items, **more):
    order = {"id": "o", "serviceOrderItem": list(items or [an_item()]), **more}
    return desk.create("ServiceOrder", order, system=False)


def work(desk, **states):
    def edit(order):
        items = [
            {**item, "state": states.get(f"i{item['id']}", item["state"])}
            for item in order["serviceOrderItem"]
        ]
        return {**order, "serviceOrderItem": items}

    return desk.change("ServiceOrder", "o", edit)


def cancel(desk):
    task = {"id": "t", "serviceOrder": {"id": "o"}, "cancellationReason": "moved"}
    return desk.create("CancelServiceOrder", task, system=False)


def test_the_states_are_exactly_those_of_the_contract():
    assert SERVICE_ORDER_LIFECYCLE.states == enum_values("TMF641-v4", "ServiceOrderStateType")
    assert ITEM_LIFECYCLE.states == enum_values("TMF641-v4", "ServiceOrderItemStateType")
    assert CANCEL_SERVICE_TASK_LIFECYCLE.states == enum_values("TMF641-v4", "TaskStateType")


def test_a_new_order_is_acknowledged_numbered_and_dated(desk):
    made = an_order(
        desk, an_item(), an_item("1"), an_item(), state="completed", note=[{"text": "x"}]
    )
    assert made["state"] == "acknowledged"
    assert [item["id"] for item in made["serviceOrderItem"]] == ["2", "1", "3"]
    assert {item["state"] for item in made["serviceOrderItem"]} == {"acknowledged"}
    assert made["orderDate"]
    assert made["note"][0]["author"] == "tester"


def test_the_state_of_an_order_follows_from_its_items(desk):
    an_order(desk, an_item("1"), an_item("2"))
    begun = work(desk, i1="inProgress")
    assert (begun["state"], "startDate" in begun) == ("inProgress", True)
    assert work(desk, i1="completed")["state"] == "inProgress"
    ended = work(desk, i2="failed")
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
def test_an_order_that_is_not_whole_is_refused(desk, items, words):
    order = {"id": "o", "serviceOrderItem": items}
    with pytest.raises(InvalidBody, match=words):
        desk.create("ServiceOrder", order, system=False)


def test_an_order_that_waits_is_cancelled_at_once(desk):
    an_order(desk)
    task = cancel(desk)
    assert (task["state"], "effectiveCancellationDate" in task) == ("done", True)
    order = desk.get("ServiceOrder", "o")
    assert (order["state"], order["cancellationReason"]) == ("cancelled", "moved")
    assert order["serviceOrderItem"][0]["state"] == "cancelled"


def test_an_order_that_is_worked_on_is_assessed_first(desk):
    an_order(desk)
    work(desk, i1="inProgress")
    task = cancel(desk)
    assert task["state"] == "inProgress"
    assert desk.get("ServiceOrder", "o")["state"] == "assessingCancellation"
    for _ in range(2):
        LAWS["CancelServiceOrder"].run_in_background(desk, task)
    assert desk.get("ServiceOrder", "o")["state"] == "cancelled"
    assert desk.get("CancelServiceOrder", "t")["state"] == "done"


def test_past_the_point_of_no_return_nothing_is_cancelled(desk):
    an_order(desk)
    milestone = [{"id": "1", "name": "pointOfNoReturn", "status": "Completed"}]
    desk.change("ServiceOrder", "o", lambda order: {**order, "milestone": milestone})
    with pytest.raises(Conflict, match="point of no return"):
        cancel(desk)


def test_what_is_finished_stays_finished(desk):
    an_order(desk)
    work(desk, i1="inProgress")
    work(desk, i1="completed")
    with pytest.raises(IllegalTransition):
        cancel(desk)
    with pytest.raises(Conflict, match="/priority: the order is completed"):
        desk.change("ServiceOrder", "o", lambda order: {**order, "priority": "1"}, system=False)
    desk.delete("ServiceOrder", "o", system=False)


def test_an_order_that_is_worked_on_is_neither_deleted_nor_rewritten(desk):
    an_order(desk)
    work(desk, i1="inProgress")
    with pytest.raises(Conflict, match="cancelServiceOrder"):
        desk.delete("ServiceOrder", "o", system=False)
    with pytest.raises(Conflict, match="needs a new order"):
        desk.change(
            "ServiceOrder",
            "o",
            lambda order: {
                **order,
                "serviceOrderItem": [{**order["serviceOrderItem"][0], "quantity": 2}],
            },
            system=False,
        )


def test_a_milestone_and_an_alert_are_events():
    old = {"state": "inProgress"}
    new = {**old, "milestone": [{"name": "m"}], "jeopardyAlert": [{"name": "late"}]}
    origin = {"tenant": "t", "id": "1", "rev": 2, "parties": [], "now": MemoryRepository(LAWS).now}
    law = LAWS["ServiceOrder"]
    events = change_events(
        "ServiceOrder",
        old,
        new,
        state_attributes=law.state_event_attributes,
        extra_events=law.extra_events(old, new),
        **origin,
    )
    assert [one["what"] for one in events] == ["AttributeValueChange", "Milestone", "JeopardyAlert"]


def test_an_order_belongs_to_the_parties_of_its_services_too():
    item = an_item()
    item["service"]["relatedParty"] = [{"id": "43"}]
    order = {"relatedParty": [{"id": "42"}], "serviceOrderItem": [item]}
    assert sorted(parties(order)) == ["42", "43"]
