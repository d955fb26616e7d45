"""Bundles: every part is a product, which is changed and ended by itself and with the whole."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.catalog import characteristic, product_specification, resource, service
from tests.support.fulfilment_harness import CATALOG_DEFAULTS, order_item
from tmf_apis.inventory.characteristics import values_by_name
from tmf_apis.inventory.ports import holder_of, service_of

ACCESSES, ROUTER = (1, 2), 3
PARTS = (*ACCESSES, ROUTER)
#: The bundle itself, among the targets of an order.
WHOLE = 0


def create_catalogue(operator):
    """Create a bundle of two accesses, each with a pool value, and a router; return its id."""
    rates = [
        characteristic(name, source=("access", name), type="integer")
        for name in ("downstream", "upstream")
    ]
    line = service("line", *rates, resources=["port", "number"])
    resources = [
        resource("port", "accessPort", contained_in="gateway"),
        resource("gateway", "accessGateway"),
        resource("number", "msisdn"),
    ]
    access = product_specification("access", services=["line"], downstream=[100, 1000], upstream=10)
    offerings = {"access": operator.create_offering_of("access", [line], resources, access)}
    router = product_specification("router", colour=["black", "white"])
    offerings["router"] = operator.create_offering_of("router", [], [], router)
    parts = ["access", "access", "router"]
    body = {
        "name": "bundle",
        "isBundle": True,
        "bundledProductOffering": [{"id": offerings[part], "name": part} for part in parts],
        **CATALOG_DEFAULTS,
    }
    offerings["bundle"] = operator.repository.create("ProductOffering", body)["id"]
    values = {"poolOf": "msisdn", "range": "4917000001-4917000002"}
    pool = [{"name": name, "value": value} for name, value in values.items()]
    operator.repository.create(
        "Resource", {"name": "numbers", "category": "pool", "resourceCharacteristic": pool}
    )
    return offerings


def one_item(offerings):
    return order_item(offering=offerings["bundle"], id="b")


def nested_items(offerings):
    parts = ["access", "access", "router"]
    nested = [order_item(offering=offerings[part], id=f"p{n}") for n, part in enumerate(parts, 1)]
    return {**one_item(offerings), "productOrderItem": nested}


def part_ids(order, items):
    nested = items.get("productOrderItem")
    return {n: f"{order}-p{n}" if nested else f"{order}-b-{n}" for n in PARTS}


def product_state(operator, id):
    product = operator.repository.get("Product", id)
    values = values_by_name(product.get("productCharacteristic"))
    return product["status"], values.get("downstream"), values.get("colour")


def complete(operator, item):
    order = operator.run_order(operator.place_order(item))
    assert order["state"] == "completed", order.get("productOrderErrorMessage")
    return order


class Model:
    """The states that the products should have."""

    def __init__(self):
        self.status = dict.fromkeys((WHOLE, *PARTS), "active")
        self.speed = dict.fromkeys(ACCESSES, 100)
        self.colour = "black"

    def targets(self, target):
        """Return the products in operation that an order for a target changes."""
        ids = (WHOLE, *PARTS) if target == WHOLE else (target,)
        return [id for id in ids if self.status[id] != "terminated"]

    def apply(self, target, action):
        for id in self.targets(target):
            if action in {"suspended", "active", "terminated"}:
                self.status[id] = action
            elif id in ACCESSES:
                self.speed[id] = action
            elif id == ROUTER:
                self.colour = "white"

    def state(self, id):
        speed = self.speed.get(id)
        return self.status[id], speed, self.colour if id == ROUTER else None


def item_for(product, target, action):
    """Return the item that makes a change: a speed also changes the colour of a router."""
    if action == "terminated":
        return order_item("delete", product=product)
    if action in {"suspended", "active"}:
        return order_item("modify", product=product, value={"status": action})
    values = {"downstream": action} if target != ROUTER else {}
    values |= {"colour": "white"} if target in {WHOLE, ROUTER} else {}
    characteristics = [
        {"@type": "Characteristic", "name": name, "valueType": "object", "value": value}
        for name, value in values.items()
    ]
    return order_item("modify", product=product, value={"productCharacteristic": characteristics})


def assert_nothing_is_active(operator):
    repository = operator.repository
    assert {each["status"] for each in repository.find("Product", {})} == {"terminated"}
    assert {each["state"] for each in repository.find("Service", {})} == {"terminated"}
    in_use = [each["name"] for each in repository.find("Resource", {}) if service_of(each)]
    held = [each["name"] for each in repository.find("Resource", {}) if holder_of(each)]
    assert (in_use, held) == ([], []), "neither ports nor pool values"
    assert {port.tag for port in operator.gw.ports.values() if port.access} == {""}


@pytest.mark.parametrize("items", [one_item, nested_items])
def test_a_bundle_ends_with_all_its_parts_and_can_be_ordered_again(operator, items):
    offerings = create_catalogue(operator)
    for _ in range(2):  # the pool has two values only
        bought = items(offerings)
        order = complete(operator, bought)
        ids = part_ids(order["id"], bought)
        states = {n: product_state(operator, id) for n, id in ids.items()}
        assert states[1] == states[2] == ("active", 100, None)
        assert states[ROUTER][0] == "active"
        for id in ids.values():
            (relationship,) = operator.repository.get("Product", id)["productRelationship"]
            assert relationship["product"]["id"] == f"{order['id']}-b"
        operator.assert_consistent()
        complete(operator, order_item("delete", product=f"{order['id']}-b"))
        assert_nothing_is_active(operator)
        operator.assert_consistent()


CHANGES = st.lists(
    st.tuples(
        st.sampled_from([WHOLE, *PARTS]),
        st.sampled_from(["suspended", "active", 1000, 100, "terminated"]),
    ),
    max_size=5,
)


@settings(
    max_examples=8, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.sampled_from([one_item, nested_items]), CHANGES)
def test_parts_change_and_end_by_themselves_and_with_the_whole(operator, items, changes):
    operator.stop_gateways()
    operator.use_new_tenant()
    operator.gw = operator.add_gateway("gw")
    try:
        offerings, model = create_catalogue(operator), Model()
        bought = items(offerings)
        if nested := bought.get("productOrderItem"):
            nested[-1]["product"] = item_for("", ROUTER, "")["product"]
            nested[-1]["product"]["productCharacteristic"][0]["value"] = "black"
        else:
            bought["product"] = {"productCharacteristic": [
                {"@type": "Characteristic", "name": "colour", "valueType": "string",
                 "value": "black"}]}  # fmt: skip
        order = complete(operator, bought)["id"]
        ids = {WHOLE: f"{order}-b", **part_ids(order, bought)}
        for target, action in [*changes, (WHOLE, "terminated")]:
            if not model.targets(target) or model.status[target] == "terminated":
                continue
            complete(operator, item_for(ids[target], target, action))
            model.apply(target, action)
            states = {n: product_state(operator, ids[n]) for n in PARTS}
            assert states == {n: model.state(n) for n in PARTS}, (target, action)
            assert product_state(operator, ids[WHOLE])[0] == model.status[WHOLE]
            operator.assert_consistent()
        assert_nothing_is_active(operator)
    finally:
        operator.stop_gateways()
