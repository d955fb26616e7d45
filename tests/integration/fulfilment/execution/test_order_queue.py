"""Orders for one product run in the order of their arrival; what can never run is rejected."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.fulfilment_harness import MEGABIT, order_item, port_state
from tests.support.repositories import profiled_operations
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.rest.pipeline.repository import RepositoryFactory


def add(operator, offering, port="gw sub1"):
    return f"{operator.complete_order(order_item(offering=offering, port=port))}-1"


def modify(operator, product, **more):
    return operator.place_order(order_item("modify", product=product, **more))


def run_in_order(operator, keys):
    """Take orders up in the given order, and whenever another one wakes them, until all end."""
    pending = list(keys)
    for _ in range(50):
        if not pending:
            return
        key = pending.pop(0)
        result = operator.accept(key)
        woken = [*result.orders_to_wake]
        for number in range(result.batches):
            while (progress := operator.advance(key, number)).incomplete:
                pass
            woken += progress.orders_to_wake
        pending += [other for other in woken if other not in pending]
    raise AssertionError(pending)


def alerts(operator, key):
    return [
        alert["jeopardyType"]
        for alert in operator.get_order(key).get("productOrderJeopardyAlert", ())
    ]


@pytest.mark.parametrize("order_of_events", list(itertools.permutations(range(3))))
def test_upgrade_suspend_and_resume_run_in_the_order_in_which_they_were_placed(
    operator, fibre_offering, order_of_events
):
    product = add(operator, fibre_offering)
    keys = [
        modify(operator, product, offering=operator.create_offering(500, 100)),
        modify(operator, product, value={"status": "suspended"}),
        modify(operator, product, value={"status": "active"}),
    ]
    run_in_order(operator, [keys[number] for number in order_of_events])
    orders = [operator.get_order(key) for key in keys]
    assert [order["state"] for order in orders] == ["completed"] * 3
    dates = [order["completionDate"] for order in orders]
    assert dates == sorted(dates)
    assert operator.repository.get("Product", product)["status"] == "active"
    assert operator.gw.port("sub1").enabled
    assert port_state(operator.gw, "sub1")[1] == 500 * MEGABIT
    assert [alerts(operator, key) for key in keys] == [[]] * 3
    assert not list(operator.database["fulfilment_claims"].find())
    operator.assert_consistent()


def test_orders_for_several_products_run_in_the_order_of_arrival_without_deadlock(
    operator, fibre_offering
):
    first, second = add(operator, fibre_offering), add(operator, fibre_offering, "gw sub2")

    def switch(id, product, status):
        return order_item("modify", id=id, product=product, value={"status": status})

    keys = [
        operator.place_order(switch("1", first, "suspended"), switch("2", second, "suspended")),
        operator.place_order(switch("1", second, "active")),
        operator.place_order(switch("1", second, "suspended"), switch("2", first, "active")),
    ]
    run_in_order(operator, reversed(keys))
    assert {operator.get_order(key)["state"] for key in keys} == {"completed"}
    statuses = [operator.repository.get("Product", id)["status"] for id in (first, second)]
    assert statuses == ["active", "suspended"]
    operator.assert_consistent()


def test_an_order_for_later_does_not_hold_up_others(operator, fibre_offering):
    product = add(operator, fibre_offering)
    start = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    later = operator.place_order(order_item("delete", product=product), requestedStartDate=start)
    now = modify(operator, product, value={"status": "suspended"})
    assert operator.run_order(now)["state"] == "completed"
    assert operator.get_order(later)["state"] == "acknowledged"


def test_an_order_does_not_wait_for_one_that_is_not_fulfilled_here(operator, fibre_offering):
    product = add(operator, fibre_offering)
    dismissed = modify(operator, product, value={"status": "suspended"})
    operator.fulfilment.journal.enqueue(dismissed)
    operator.fulfilment.journal.finish(dismissed)
    second = operator.place_order(order_item("delete", product=product))
    assert operator.run_order(second)["state"] == "completed"


def test_an_order_does_not_wait_for_the_order_of_a_party_that_does_not_own_the_product(
    operator, fibre_offering
):
    first = operator.run_order(
        operator.place_order(order_item(offering=fibre_offering, port="gw sub1"), parties=["c-2"])
    )
    product = first["productOrderItem"][0]["product"]["id"]
    foreign = operator.place_order(order_item("delete", product=product), parties=["c-2"])
    owner = [{"id": "c-1", "role": "customer"}]
    operator.change_resource("Product", product, relatedParty=owner)
    for service in operator.repository.find("Service", {}):
        operator.change_resource("Service", service["id"], relatedParty=owner)
    own = modify(operator, product, value={"status": "suspended"})
    assert operator.run_order(own)["state"] == "completed"
    assert operator.run_order(foreign)["state"] == "rejected"
    assert operator.repository.get("Product", product)["status"] == "suspended"


def test_a_change_waits_until_the_order_that_provides_the_product_has_ended(
    operator, fibre_offering
):
    first = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(first)
    suspend = modify(operator, f"{first.order}-1", value={"status": "suspended"})
    result = operator.accept(suspend)
    assert result.blocked
    assert alerts(operator, suspend) == ["waitingForOrder"]
    assert operator.advance(first).orders_to_wake == (suspend,)
    assert operator.run_order(suspend)["state"] == "completed"
    assert alerts(operator, suspend) == []
    operator.assert_consistent()


class RecordingWorkflowClient:
    """Records the signals that are sent."""

    def __init__(self):
        self.signals = []

    def start(self, *_):
        raise AssertionError

    def signal(self, id, *_):
        self.signals.append(id)
        return True


@pytest.mark.parametrize("end", ["cancelled", "deleted"])
def test_an_order_that_ends_while_it_waits_lets_the_next_one_run(operator, fibre_offering, end):
    product = add(operator, fibre_offering)
    first = modify(operator, product, value={"status": "suspended"})
    second = operator.place_order(order_item("delete", product=product))
    assert operator.accept(second).blocked
    if end == "cancelled":
        operator.request_cancellation(first)
    else:
        operator.repository.delete("ProductOrder", first.order)
    workflows = RecordingWorkflowClient()
    handler = OrderEventHandler(
        RepositoryFactory(operator.engine.writer, "test"), operator.fulfilment.journal, workflows
    )
    event = {"tenant": first.tenant, "resource": first.order, "kind": first.kind}
    change = {"what": "Delete", "body": {}}
    if end == "cancelled":
        change = {"what": "StateChange", "body": operator.get_order(first)}
    handler.handle_order({**event, **change})
    assert workflows.signals == [first.qualified_id]
    assert operator.accept(first).orders_to_wake == (second,)
    assert operator.run_order(second)["state"] == "completed"
    operator.assert_consistent()


def test_earlier_orders_are_found_by_an_index(operator, fibre_offering):
    product = add(operator, fibre_offering)
    for _ in range(60):
        operator.place_order(order_item(offering=fibre_offering))
    key = modify(operator, product, value={"status": "suspended"})
    with profiled_operations(operator.database) as operations:
        operator.accept(key)
        reads = [each for each in operations(op="query") if each["ns"].endswith(".ProductOrder")]
    assert sum(each["docsExamined"] for each in reads) < 20


def rejected(operator, *items, **more):
    """Place and run an order that must be rejected; return its reasons."""
    order = operator.run_order(operator.place_order(*items, **more))
    assert order["state"] == "rejected"
    assert {item["state"] for item in order["productOrderItem"]} == {"rejected"}
    messages = [each["message"] for each in order["productOrderErrorMessage"]]
    assert all(message in order["note"][0]["text"] for message in messages)
    operator.assert_consistent()
    return messages


@pytest.mark.parametrize("action", ["modify", "delete"])
def test_an_order_for_a_product_that_has_ended_or_does_not_exist_is_rejected(
    operator, fibre_offering, action
):
    product = add(operator, fibre_offering)
    operator.complete_order(order_item("delete", product=product))
    more = {"offering": fibre_offering} if action == "modify" else {}
    (reason,) = rejected(operator, order_item(action, product=product, **more))
    assert reason == f"product {product} has ended: it is terminated"
    assert rejected(operator, order_item(action, product="7")) == ["there is no product 7"]


def test_an_order_behind_a_delete_of_its_product_is_rejected_without_a_stale_alert(
    operator, fibre_offering
):
    product = add(operator, fibre_offering)
    delete = operator.place_order(order_item("delete", product=product))
    suspend = modify(operator, product, value={"status": "suspended"})
    assert operator.accept(suspend).blocked
    assert alerts(operator, suspend) == ["waitingForOrder"]
    assert operator.run_order(delete)["state"] == "completed"
    assert operator.run_order(suspend)["state"] == "rejected"
    assert alerts(operator, suspend) == []


@pytest.mark.parametrize("status", ["Retired", "Obsolete"])
def test_an_order_for_an_unknown_or_withdrawn_offering_is_rejected(
    operator, fibre_offering, status
):
    product = add(operator, fibre_offering)
    other = operator.create_offering(500, 100)
    for id in (fibre_offering, other):
        for step in ("Retired", "Obsolete")[: 1 + (status == "Obsolete")]:
            operator.change_resource("ProductOffering", id, lifecycleStatus=step)
    assert rejected(operator, order_item(offering="no-such")) == [
        "the catalogue has no offering no-such"
    ]
    for item in (order_item(offering=other), order_item("modify", offering=other, product=product)):
        assert rejected(operator, item) == [f"offering {other} is {status}"]
    keep = order_item("modify", offering=fibre_offering, product=product)
    operator.complete_order(keep)  # who has it keeps it
    operator.complete_order(order_item("delete", product=product, offering=fibre_offering))


def test_an_item_that_can_never_run_fails_beside_one_that_can(operator, fibre_offering):
    order = operator.run_order(
        operator.place_order(
            order_item(offering=fibre_offering, port="gw sub1"),
            order_item("delete", id="2", product="7"),
        )
    )
    assert order["state"] == "partial"
    assert [item["state"] for item in order["productOrderItem"]] == ["completed", "failed"]


def test_an_order_of_another_system_stays_acknowledged(operator):
    for item in (
        {"id": "1", "action": "add", "product": {"name": "a chair"}},
        order_item(offering="theirs"),
        order_item("delete", product="theirs"),
    ):
        order = operator.run_order(operator.place_order(item))
        assert order["state"] == "acknowledged"


SERVICE_ORDER = {"kind": "ServiceOrder"}


@pytest.mark.parametrize("case", ["unknown service", "ended service", "unknown specification"])
def test_a_service_order_that_can_never_run_is_rejected(operator, case):
    def service_item(action, **service):
        return {"id": "1", "action": action, "service": service}

    broadband = {"serviceSpecification": {"id": "standard-broadband"}}
    speeds = {"downstreamSpeed": 100, "upstreamSpeed": 40}
    chosen = [{"name": name, "value": value} for name, value in speeds.items()]
    key = operator.place_order(
        service_item("add", **broadband, serviceCharacteristic=chosen), **SERVICE_ORDER
    )
    order = operator.run_order(key)
    assert order["state"] == "completed"
    service = order["serviceOrderItem"][0]["service"]["id"]
    operator.run_order(operator.place_order(service_item("delete", id=service), **SERVICE_ORDER))
    item, reason = {
        "unknown service": (service_item("delete", id="7"), "there is no service 7"),
        "ended service": (
            service_item("modify", id=service, state="active"),
            f"service {service} has ended: it is terminated",
        ),
        "unknown specification": (
            service_item("add", serviceSpecification={"id": "no-such"}),
            "the catalogue has no service specification no-such",
        ),
    }[case]
    order = operator.run_order(operator.place_order(item, **SERVICE_ORDER))
    assert (order["state"], order["errorMessage"]["message"]) == ("rejected", f"item 1: {reason}")
