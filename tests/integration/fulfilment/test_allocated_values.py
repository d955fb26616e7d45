"""Values of pools: who has them after any sequence of orders, and where that is written."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from tests.support.catalog import characteristic, product_specification, resource, service
from tests.support.fulfilment_harness import order_item
from tmf_apis.inventory.characteristics import values_by_name
from tmf_apis.inventory.ports import service_of

SITE = "site-1"
PLACES = {"place": SITE}


def at(site):
    """Return a reference to a site."""
    return {"@type": "PlaceRef", "id": site}


def line(id, *resources, down=100):
    """Return the specifications of a line with a speed and some resources."""
    speed = characteristic("downstream", source=(id, "speed"), type="integer")
    speed["characteristicValueSpecification"] = [{"unitOfMeasure": "bit/s"}]
    return (
        [service(f"{id}-line", speed, resources=[f"{id}-{name}" for name in resources])],
        [
            resource(f"{id}-{name}", category, contained_in=f"{id}-gateway" if on else None)
            for name, (category, on) in _RESOURCES.items()
            if name in resources
        ]
        + [resource(f"{id}-gateway", "accessGateway")],
        product_specification(id, services=[f"{id}-line"], speed=[down, down * 2]),
    )


_RESOURCES = {"port": ("accessPort", True), "vlan": ("vlan", False)}


def create_lines(operator):
    """Create offerings of a line with a VLAN from a pool, and of one without; return their ids."""
    with_vlan = operator.create_offering_of("VLAN line", *line("tagged", "port", "vlan"))
    without = operator.create_offering_of("Plain line", *line("plain", "port"))
    return with_vlan, without


@pytest.fixture
def operator(fulfilment_harness):
    """An operator with a gateway of four ports at a site, and a pool of two VLANs."""
    fulfilment_harness.use_new_tenant()
    fulfilment_harness.configure()
    fulfilment_harness.gw = fulfilment_harness.add_gateway("gw", place=at(SITE))
    fulfilment_harness.create_resource("pool", "vlans", poolOf="vlan", range="3001-3002")
    yield fulfilment_harness
    fulfilment_harness.stop_gateways()


def add(operator, offering, **more):
    return f"{operator.complete_order(order_item(offering=offering, **more))}-1"


def modify(operator, product, **more):
    return operator.complete_order(order_item("modify", product=product, **more))


def delete(operator, product):
    operator.complete_order(order_item("delete", product=product))


def characteristics(operator, kind, id):
    attribute = f"{kind.lower()}Characteristic"
    return values_by_name(operator.repository.get(kind, id)[attribute])


def values_in_use(operator, category="vlan"):
    """Return the values in use by the service that has them."""
    return {
        resource["name"]: service_of(resource)
        for resource in operator.resources_of(category)
        if service_of(resource)
    }


def ordered(**values):
    return {
        "productCharacteristic": [
            {"@type": "StringCharacteristic", "name": name, "value": value}
            for name, value in values.items()
        ]
    }


@pytest.mark.parametrize(
    "named", [{}, PLACES, {"port": "gw sub1"}, {"value": ordered(vlan="3002")}]
)
def test_a_value_comes_back_to_its_pool_whatever_the_order_named(operator, named):
    offering, _ = create_lines(operator)
    for _ in range(4):
        product = add(operator, offering, **named)
        assert set(values_in_use(operator).values()) == {product}
        operator.assert_consistent()
        delete(operator, product)
        assert values_in_use(operator) == {}
    operator.assert_consistent()


def test_a_pool_of_another_site_or_element_gives_no_value(operator):
    operator.repository.delete("Resource", operator.resources_of("pool")[0]["id"])
    far = operator.add_gateway("far")
    far_id = operator.repository.find("Resource", {"name": "far"})[0]["id"]
    operator.create_resource("pool", "far vlans", on=far_id, poolOf="vlan", range="1-2")
    operator.create_resource("pool", "other site", place="site-2", poolOf="vlan", range="7-8")
    offering, _ = create_lines(operator)
    product = add(operator, offering, port="far sub1")
    (value,) = values_in_use(operator)
    assert value in {"1", "2"}
    delete(operator, product)
    order = operator.run_order(operator.place_order(order_item(offering=offering, place=SITE)))
    assert order["state"] == "failed"
    assert "no vlan is free" in order["productOrderErrorMessage"][0]["message"]
    assert far.set_count
    operator.assert_consistent()


def test_a_value_comes_back_when_the_product_has_no_use_for_it_any_more(operator):
    tagged, plain = create_lines(operator)
    product = add(operator, tagged, **PLACES)
    assert characteristics(operator, "Product", product)["vlan"] in {3001, 3002}
    modify(operator, product, offering=plain)
    assert values_in_use(operator) == {}
    for kind, id in (("Product", product), ("Service", product)):
        assert "vlan" not in characteristics(operator, kind, id)
    operator.assert_consistent()
    modify(operator, product, offering=tagged)
    assert set(values_in_use(operator).values()) == {product}
    operator.assert_consistent()


def test_another_specification_keeps_port_place_and_service(operator):
    operator.add_gateway("far", place=at("site-2"), ports=50)
    tagged, plain = create_lines(operator)
    product = add(operator, tagged, **PLACES)
    port = characteristics(operator, "Product", product)["accessPort"]
    modify(operator, product, offering=plain)
    after = operator.repository.get("Product", product)
    assert characteristics(operator, "Product", product) == {
        "accessPort": port,
        "speed": 100,
    }
    assert (after["productOffering"]["name"], after["place"][0]["id"]) == ("Plain line", SITE)
    assert after["realizingService"] == [{"id": product, "@referredType": "Service"}]
    assert operator.find_port(*port.split())["id"] == after["realizingResource"][0]["id"]
    operator.assert_consistent()


def test_a_service_of_another_kind_is_provided_at_the_place_of_the_product(operator):
    operator.add_gateway("far", place=at("site-2"), ports=50)
    _, plain = create_lines(operator)
    services, resources, product_spec = line("wide", "port")
    resources[0]["category"] = "switchPort"  # another kind of port
    wide = operator.create_offering_of("Wide line", services, resources, product_spec)
    for gateway, name in (("gw", "sub4"), ("far", "sub4"), ("far", "sub5"), ("far", "sub6")):
        operator.change_resource(
            "Resource", operator.find_port(gateway, name)["id"], category="switchPort"
        )
    product = add(operator, plain, **PLACES)
    modify(operator, product, offering=wide)
    assert characteristics(operator, "Product", product)["switchPort"] == "gw sub4"
    operator.assert_consistent()


@pytest.mark.parametrize("status", ["active", "suspended"])
def test_a_move_keeps_the_value_and_the_status(operator, status):
    offering, _ = create_lines(operator)
    product = add(operator, offering, port="gw sub1")
    if status == "suspended":
        modify(operator, product, value={"status": "suspended"})
    before = values_in_use(operator)
    other = add(operator, offering, port="gw sub3")
    both = values_in_use(operator)
    modify(operator, product, port="gw sub2")
    assert values_in_use(operator) == both == {**before, **values_in_use(operator)}
    assert operator.gw.port("sub2").tag == product
    assert operator.gw.port("sub2").enabled == (status == "active")
    assert operator.repository.get("Product", product)["status"] == status
    assert characteristics(operator, "Product", product)["accessPort"] == "gw sub2"
    operator.assert_consistent()
    delete(operator, product)
    assert set(values_in_use(operator).values()) == {other}
    operator.assert_consistent()


def test_a_move_that_fails_leaves_everything_as_it_was(operator):
    offering, _ = create_lines(operator)
    product = add(operator, offering, port="gw sub1")
    before = values_in_use(operator), characteristics(operator, "Product", product)
    far = operator.add_gateway("far", place=at("site-2"))
    far.fault_injection.rejected_sets[mib.SVC_DOWN_KBPS] = WRONG_VALUE
    order = operator.run_order(
        operator.place_order(order_item("modify", product=product, port="far sub1"))
    )
    assert order["state"] == "failed"
    assert (values_in_use(operator), characteristics(operator, "Product", product)) == before
    operator.assert_consistent()


def test_to_name_ones_own_value_is_no_conflict_and_another_value_is_exchanged(operator):
    offering, _ = create_lines(operator)
    product = add(operator, offering, value=ordered(vlan="3001"))
    modify(operator, product, value=ordered(vlan="3001"))
    modify(operator, product, value=ordered(vlan="3001", accessPort="gw sub4"))
    assert values_in_use(operator) == {"3001": product}
    assert operator.gw.port("sub4").tag == product
    modify(operator, product, value=ordered(vlan="3002"))
    assert values_in_use(operator) == {"3002": product}
    assert characteristics(operator, "Product", product)["vlan"] == 3002
    operator.assert_consistent()
    other = add(operator, offering, value=ordered(vlan="3001"))
    order = operator.run_order(
        operator.place_order(order_item("modify", product=product, value=ordered(vlan="3001")))
    )
    assert order["state"] == "failed"
    assert values_in_use(operator) == {"3001": other, "3002": product}
    assert characteristics(operator, "Product", product)["vlan"] == 3002
    operator.assert_consistent()


def test_the_name_of_the_offering_survives_suspend_and_resume(operator):
    offering, _ = create_lines(operator)
    product = add(operator, offering)
    before = operator.repository.get("Product", product)
    for status in ("suspended", "active"):
        modify(operator, product, value={"status": status})
        after = operator.repository.get("Product", product)
        for attribute in ("name", "productOffering", "productSpecification", "realizingResource"):
            assert after[attribute] == before[attribute]
        operator.assert_consistent()


class History:
    """Products of one tenant, by number, with the offering of each."""

    def __init__(self, operator):
        self.operator = operator
        self.tagged, self.plain = create_lines(operator)
        self.products = {}

    @property
    def with_vlan(self):
        """Ids of the products that have a value of the pool."""
        return {id for id, offering in self.products.values() if offering == self.tagged}

    def do(self, action, number, where):
        """Do one step; a step that makes no sense for the product is left out."""
        if number in self.products:
            id, _ = self.products[number]
            if action == "delete":
                self.operator.complete_order(order_item("delete", product=id, **where))
                del self.products[number]
            elif action in {"plain", "tagged", "suspend", "move"}:
                self._modify(action, number, id)
        elif action == "cancel":
            self._cancel(where)
        elif action in {"add", "fail"}:
            self._add(number, where, fails=action == "fail")

    def _add(self, number, where, *, fails):
        operator = self.operator
        if fails:
            operator.gw.fault_injection.rejected_sets[mib.SVC_DOWN_KBPS] = WRONG_VALUE
        key = operator.place_order(order_item(offering=self.tagged, **where))
        state = operator.run_order(key)["state"]
        operator.gw.fault_injection.rejected_sets.clear()
        is_possible = len(self.with_vlan) < 2 and not fails
        assert state == ("completed" if is_possible else "failed")
        if is_possible:
            self.products[number] = (f"{key.order}-1", self.tagged)

    def _cancel(self, where):
        operator = self.operator
        key = operator.place_order(order_item(offering=self.tagged, **where))
        operator.accept(key)
        request = operator.request_cancellation(key)
        operator.advance(key)
        operator.resolve_cancellation(key, request)
        assert operator.get_order(key)["state"] == "cancelled"

    def _modify(self, action, number, id):
        offering = {"plain": self.plain, "tagged": self.tagged}.get(action)
        change = {"suspend": {"value": {"status": "suspended"}}, "move": {"port": "gw sub4"}}
        more = {"offering": offering} if offering else change[action]
        key = self.operator.place_order(order_item("modify", product=id, **more))
        if self.operator.run_order(key)["state"] == "completed" and offering:
            self.products[number] = (id, offering)


#: What an order does next: an action, and the number of the product that it does it to.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "fail", "cancel", "delete", "move", "plain", "tagged", "suspend"]),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=6,
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS)
def test_after_any_orders_the_values_of_active_products_are_allocated_and_no_others(
    operator, steps
):
    operator.stop_gateways()
    operator.use_new_tenant()
    operator.gw = operator.add_gateway("gw", place=at(SITE))
    operator.create_resource("pool", "vlans", poolOf="vlan", range="3001-3002")
    history = History(operator)
    for action, number, names_place in steps:
        history.do(action, number, PLACES if names_place else {})
        operator.assert_consistent()
        assert set(values_in_use(operator).values()) == history.with_vlan
        assert len(values_in_use(operator)) == len(history.with_vlan)
