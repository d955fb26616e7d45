"""A resource that one item of an order gives up goes to the item that relies on it."""

import pytest

from tests.support.fulfilment_harness import MEGABIT, order_item, port_state
from tmf_apis.fulfilment import dry_run
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.inventory.ports import service_of


def relies_on(id):
    return {
        "productOrderItemRelationship": [
            {
                "@type": "OrderItemRelationship",
                "relationshipType": "reliesOn",
                "productOrderItem": {"@type": "ProductOrderItemRef", "itemId": id},
                "id": id,
            }
        ]
    }


def add(operator, offering, port):
    return f"{operator.complete_order(order_item(offering=offering, port=port))}-1"


@pytest.mark.parametrize(("first", "second"), [("1", "2"), ("2", "1")])
def test_a_deleted_product_hands_its_port_over(operator, fibre_offering, first, second):
    old = add(operator, fibre_offering, "gw sub1")
    fast = operator.create_offering(500, 100)
    items = [
        order_item("delete", id=first, product=old),
        order_item(id=second, offering=fast, port="gw sub1", **relies_on(first)),
    ]
    body = {"id": "dry", "@type": "ProductOrder", "productOrderItem": items}
    plan = dry_run.fulfilment_plan(
        OrderDesigner(), "ProductOrder", operator.repository, operator.repository, body
    )
    assert plan["feasible"], plan["missing"]
    key = operator.place_order(*items)
    order = operator.run_order(key)
    assert order["state"] == "completed", order.get("productOrderErrorMessage")
    new = f"{key.order}-{second}"
    assert port_state(operator.gw, "sub1") == (new, 500 * MEGABIT, 100 * MEGABIT)
    assert service_of(operator.find_port("gw", "sub1")) == new
    assert operator.repository.get("Product", old)["status"] == "terminated"
    operator.assert_consistent()


def test_a_product_that_moves_hands_its_port_over(operator, fibre_offering):
    old = add(operator, fibre_offering, "gw sub1")
    key = operator.place_order(
        order_item("modify", id="1", product=old, port="gw sub2"),
        order_item(id="2", offering=fibre_offering, port="gw sub1", **relies_on("1")),
    )
    assert operator.run_order(key)["state"] == "completed"
    tags = [port_state(operator.gw, name)[0] for name in ("sub1", "sub2")]
    assert tags == [f"{key.order}-2", old]
    operator.assert_consistent()


def test_nothing_is_touched_if_the_next_item_cannot_get_the_port(operator, fibre_offering):
    old = add(operator, fibre_offering, "gw sub1")
    gateway = operator.repository.find("Resource", {"name": "gw"})[0]["id"]
    operator.create_resource("uplink", "gw uplink", on=gateway, bandwidth=50)
    before = operator.gw.set_count
    order = operator.run_order(
        operator.place_order(
            order_item("delete", id="1", product=old),
            order_item(id="2", offering=fibre_offering, port="gw sub1", **relies_on("1")),
        )
    )
    assert order["state"] == "failed"
    assert operator.gw.set_count == before
    assert port_state(operator.gw, "sub1")[0] == old
    assert operator.repository.get("Product", old)["status"] == "active"
    operator.assert_consistent()


def test_without_a_relationship_the_port_is_not_free(operator, fibre_offering):
    old = add(operator, fibre_offering, "gw sub1")
    order = operator.run_order(
        operator.place_order(
            order_item(id="1", offering=fibre_offering, port="gw sub1"),
            order_item("delete", id="2", product=old),
        )
    )
    assert [item["state"] for item in order["productOrderItem"]] == ["failed", "completed"]
    operator.assert_consistent()


def test_a_cancelled_handover_leaves_the_port_with_its_service(operator, fibre_offering):
    old = add(operator, fibre_offering, "gw sub1")
    operator.configure(fulfilment_patience=60.0)
    operator.gw.fault_injection.silent = True
    key = operator.place_order(
        order_item("delete", id="1", product=old),
        order_item(id="2", offering=fibre_offering, port="gw sub1", **relies_on("1")),
    )
    operator.accept(key)
    operator.advance(key)
    request = operator.request_cancellation(key)
    operator.gw.fault_injection.silent = False
    operator.advance(key)
    operator.run_order(key)
    operator.resolve_cancellation(key, request)
    assert operator.get_order(key)["state"] == "cancelled"
    assert port_state(operator.gw, "sub1")[0] == old
    operator.assert_consistent()
