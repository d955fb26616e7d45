"""The launch check reports everything that is wrong with the catalogue data of an offering."""

import logging
from functools import partial

import pytest

from tests.support.catalog import (
    BIT_PER_SECOND,
    MBIT_PER_SECOND,
    catalog,
    characteristic,
    item,
    offering,
    product_specification,
    resource,
    service,
)
from tests.support.memory_repository import MemoryRepository
from tmf_apis.errors import Conflict
from tmf_apis.fulfilment import launch_check
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.design.order_planner import order_design
from tmf_apis.fulfilment.values import OrderKey

INTERNET = service(
    "internet",
    characteristic("speed", values=MBIT_PER_SECOND, source=("access", "speed")),
    parts=["line"],
)
LINE = service(
    "line",
    characteristic("downstream", values=BIT_PER_SECOND, source=("internet", "speed")),
    resources=["port"],
)
PORT = resource("port", "accessPort", contained_in="gateway")
ELEMENT = resource("gateway", "accessGateway")
PRODUCT = product_specification("access", services=["internet"], speed=[100, 200])


def repository_with(services=(INTERNET, LINE), resources=(PORT, ELEMENT), product=PRODUCT):
    repository = MemoryRepository({})
    repository.resources = {
        "ProductSpecification": {product["id"]: product} if product else {},
        "ServiceSpecification": {service["id"]: service for service in services},
        "ResourceSpecification": {resource["id"]: resource for resource in resources},
    }
    return repository


def obstacles(services=(INTERNET, LINE), resources=(PORT, ELEMENT), product=PRODUCT, **more):
    return launch_check.obstacles(repository_with(services, resources, product), offering(**more))


def test_consistent_catalogue_data_has_no_obstacles():
    assert obstacles() == []


def test_an_offering_without_known_specifications_has_no_obstacles():
    assert obstacles(product=None) == []
    assert obstacles(specification="") == []
    assert obstacles(services=()) == []
    assert obstacles(product=product_specification("access", colour="red")) == []


def test_a_missing_specification_is_named_with_the_one_that_refers_to_it():
    (reason,) = obstacles(services=[INTERNET])
    assert "internet names service specification line, which does not exist" in reason
    assert "names resource specification port, which does not exist" in obstacles(resources=())[0]
    assert "is on gateway, which does not exist" in obstacles(resources=[PORT])[0]


def test_all_obstacles_are_reported_at_once():
    internet = service("internet", parts=["line", "mail", "voice"])
    assert len(obstacles(services=[internet, LINE])) >= 2


def test_a_specification_that_consists_of_itself_is_refused():
    line = service("line", parts=["internet"], resources=["port"])
    (reason,) = obstacles(services=[INTERNET, line])
    assert "consists of itself: internet -> line -> internet" in reason


def test_characteristics_that_map_in_a_cycle_are_refused():
    line = service(
        "line",
        characteristic("a", source=("line", "b")),
        characteristic("b", source=("line", "a")),
        resources=["port"],
    )
    assert any(
        "map in a cycle: a -> b -> a" in reason for reason in obstacles(services=[INTERNET, line])
    )


def test_a_resource_that_maps_from_a_value_derived_from_it_is_refused():
    line = service("line", characteristic("vlan", source=("port", "vlan")), resources=["port"])
    port = resource("port", "accessPort", characteristic("vlan", source=("line", "vlan")))
    assert any(
        "cycle" in reason for reason in obstacles(services=[INTERNET, line], resources=[port])
    )


def test_services_that_require_each_other_are_refused():
    a, b = (service(n, requires=[o], resources=["port"]) for n, o in (("a", "b"), ("b", "a")))
    (reason,) = obstacles(services=[service("internet", parts=["a", "b"]), a, b])
    assert "require each other in a cycle" in reason


def test_units_of_another_dimension_are_refused():
    line = service("line", characteristic("downstream", values=[{"unitOfMeasure": "GByte"}],
                   source=("internet", "speed")), resources=["port"])  # fmt: skip
    (reason,) = obstacles(services=[INTERNET, line])
    assert "downstream maps from speed" in reason
    assert "Mbit/s cannot be converted into GByte" in reason


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (("internet", "colour"), "which specification internet does not have"),
        (("elsewhere", "speed"), "specification elsewhere, which is not above it"),
        (("", "colour"), "colour, which is nowhere above it"),
    ],
)
def test_a_mapping_from_a_missing_characteristic_is_refused(source, reason):
    line = service("line", characteristic("downstream", source=source), resources=["port"])
    assert reason in obstacles(services=[INTERNET, line])[0]


def test_a_value_without_an_entry_in_the_value_map_is_refused():
    speed = characteristic("speed", source=("access", "speed", {"100": 5}))
    reasons = obstacles(services=[service("internet", speed, parts=["line"]), LINE])
    assert "the valueMap of speed has no 200; it has 100" in reasons[0]


def test_a_value_that_a_service_does_not_allow_is_refused():
    speed = characteristic("speed", values=[{"value": 100, "unitOfMeasure": "Mbit/s"}],
                           source=("access", "speed"))  # fmt: skip
    services = [service("internet", speed, parts=["line"]), LINE]
    assert "has no speed 200; allowed: 100 Mbit/s" in obstacles(services=services)[0]
    assert obstacles(services=services, value_use={"speed": 100}) == []


def test_contradictory_quantities_of_parts_are_refused():
    part = {"id": "line", "relationshipType": "consistsOf", "minimumQuantity": 3,
            "defaultQuantity": 1, "maximumQuantity": 2}  # fmt: skip
    services = [service("internet", INTERNET["specCharacteristic"][0], parts=[part]), LINE]
    assert "range from 3 to 2" in obstacles(services=services)[0]


def test_a_resource_without_a_category_is_refused():
    assert "has no category" in obstacles(resources=[resource("port", "")])[0]


def test_a_service_without_parts_and_resources_is_refused():
    assert "has neither services" in obstacles(services=[service("internet")])[0]


def test_only_launches_are_checked_and_a_setting_turns_the_error_into_a_warning(caplog):
    caplog.set_level(logging.WARNING, launch_check.__name__)
    repository = repository_with(services=[INTERNET])
    check = partial(launch_check.check_launch, repository, strict=True)
    designed = {**offering(), "lifecycleStatus": "In design"}
    launched = {**offering(), "lifecycleStatus": "Launched"}
    check(None, designed)
    with pytest.raises(Conflict, match=r"cannot be fulfilled: .*line, which does not exist"):
        check(designed, launched)
    check(launched, {**launched, "description": "new"})
    check(launched, None)
    launch_check.check_launch(repository, designed, launched, strict=False)
    assert "cannot be fulfilled" in caplog.text


# ---- the worked examples of docs/fulfilment.md


def planned(services, resources, product, order_item):
    order = {"id": "o-1", "productOrderItem": [order_item]}
    entries = catalog([offering(specification=product["id"])], [product], services, resources)
    return order_design(OrderKey("default", "o-1"), order, entries, OfferCache())


def test_a_mobile_line_requires_a_sim_card_and_a_number():
    mobile = service("mobile", characteristic("barred", source=("sim-only", "barred"),
                     type="boolean"), parts=["subscriber"])  # fmt: skip
    subscriber = service(
        "subscriber",
        characteristic("msisdn", source=("number", "msisdn")),
        characteristic("circuitSwitched", values=[True], type="boolean"),
        characteristic("enabled", source=("mobile", "barred", {"true": False, "false": True}),
                       type="boolean"),
        resources=["card", "number"],
    )  # fmt: skip
    resources = [
        resource("card", "simCard", contained_in="register"),
        resource("number", "msisdn"),
        resource("register", "hlr"),
    ]
    product = product_specification("sim-only", services=["mobile"], barred=[False, True])
    design = planned([mobile, subscriber], resources, product, item(simCard="8949001"))
    (task,) = design.tasks
    assert task.settings == {"circuitSwitched": True, "enabled": True}
    assert task.derived_settings == {"msisdn": ("msisdn", "msisdn")}
    assert [
        (n.category, n.is_carrier, n.element_category, n.identifier) for n in task.requirements
    ] == [
        ("simCard", True, "hlr", "8949001"),
        ("msisdn", False, "", ""),
    ]


def test_an_ethernet_line_has_the_ordered_number_of_ends():
    ends = {"id": "end", "relationshipType": "consistsOf", "minimumQuantity": 2,
            "defaultQuantity": 2, "maximumQuantity": 8, "quantityFrom": "ends"}  # fmt: skip
    line = service("ethernet", characteristic("ends", source=("e-line", "ends")), parts=[ends])
    end = service("end", characteristic("vlan", source=("tag", "vlan")), resources=["port", "tag"])
    resources = [
        resource("port", "switchPort", contained_in="switch"),
        resource("switch", "switch"),
        resource("tag", "vlan"),
    ]
    product = product_specification("e-line", services=["ethernet"], ends=[2, 3])
    design = planned([line, end], resources, product, item(ends=3))
    assert [task.service for task in design.tasks] == ["o-1-1", "o-1-1.2", "o-1-1.3"]
    assert {task.cfs for task in design.tasks} == {"o-1-1-cfs"}


def test_a_required_service_is_provided_first():
    voice = service("voice", requires=["line"], resources=["port"])
    both = service("internet", INTERNET["specCharacteristic"][0], parts=["voice", "line"])
    design = planned([both, voice, LINE], [PORT, ELEMENT], PRODUCT, item())
    assert [(task.specification, task.depends_on) for task in design.tasks] == [
        ("line", ()),
        ("voice", ("1#1",)),
    ]


def test_a_service_required_from_another_product_must_be_ordered_or_named():
    voice = service("voice", requires=["line"], resources=["port"])
    product = product_specification("phone", services=["voice"])
    design = planned([voice], [PORT, ELEMENT], product, item())
    assert "it requires service specification line" in design.rejections["1"]


# ---- settings that no element has, and settings without a source

SPEED = characteristic("downstream", values=BIT_PER_SECOND, source=("internet", "speed"))


def with_elements(repository, *adapters, category="accessGateway"):
    """Return the repository with an element of each adapter in the inventory."""
    repository.resources["Resource"] = {
        adapter: {
            "id": adapter,
            "name": adapter,
            "category": category,
            "resourceCharacteristic": [
                {"name": "managementAddress", "value": "192.0.2.1"},
                {"name": "adapter", "value": adapter},
            ],
        }
        for adapter in adapters
    }
    return repository


def test_a_setting_without_a_source_is_refused():
    line = service("line", characteristic("downstream", values=BIT_PER_SECOND), resources=["port"])
    (reason,) = obstacles(services=[INTERNET, line])
    assert "line: downstream has no source; it needs a relationship mapsFrom" in reason


def test_a_setting_whose_source_has_no_source_is_refused():
    internet = service("internet", characteristic("speed", values=MBIT_PER_SECOND), parts=["line"])
    product = product_specification("access", services=["internet"], colour="red")
    (reason,) = obstacles(services=[internet, LINE], product=product)
    assert "downstream maps from speed of service specification internet, which has no" in reason


def test_a_share_without_a_source_is_refused():
    uplink = resource("uplink", "uplink", characteristic("bandwidth"), contained_in="gateway")
    line = service("line", SPEED, resources=["port", "uplink"])
    (reason,) = obstacles(services=[INTERNET, line], resources=[PORT, ELEMENT, uplink])
    assert "uplink: bandwidth has no source" in reason


def test_a_setting_of_a_service_without_an_element_needs_no_source():
    mail = service("mail", characteristic("folder"), resources=["box"])
    internet = service("internet", INTERNET["specCharacteristic"][0], parts=["line", "mail"])
    boxes = resource("box", "mailbox")
    assert obstacles(services=[internet, LINE, mail], resources=[PORT, ELEMENT, boxes]) == []


@pytest.mark.parametrize("name", ["downn", "downstrem", "Downstream"])
def test_a_misspelt_setting_is_refused_with_the_nearest_name(name):
    line = service("line", characteristic(name, source=("internet", "speed")), resources=["port"])
    (reason,) = obstacles(services=[INTERNET, line])
    assert f"has no setting {name}; it has downstream, enabled, upstream, vlan" in reason
    assert reason.endswith("did you mean downstream?")


def vlan_line():
    line = service("line", SPEED, characteristic("vlan", values=[7]), resources=["port"])
    return [INTERNET, line]


def test_a_setting_that_no_element_of_the_inventory_has_is_refused():
    repository = with_elements(repository_with(services=vlan_line()), "snmp")
    (reason,) = launch_check.obstacles(repository, offering())
    assert "an element of accessGateway has no setting vlan; it has downstream, enabled" in reason


@pytest.mark.parametrize("adapters", [(), ("snmp", "netconf"), ("ovsdb",), ("unknown",)])
def test_a_setting_that_one_element_or_one_adapter_of_the_category_has_is_allowed(adapters):
    repository = with_elements(repository_with(services=vlan_line()), *adapters)
    assert launch_check.obstacles(repository, offering()) == []


def test_an_offering_that_narrows_an_unknown_characteristic_is_refused():
    (reason,) = obstacles(value_use={"sped": 100})
    assert "names sped, which the product specification does not have" in reason
    assert reason.endswith("did you mean speed?")


@pytest.mark.parametrize(("source", "is_refused"), [
    ("phone", True), ("msisdn", False), ("value", False), ("name", False)
])  # fmt: skip
def test_a_characteristic_that_pool_values_do_not_have_is_refused(source, is_refused):
    line = service("line", SPEED, characteristic("vlan", source=("number", source)),
                   resources=["port", "number"])  # fmt: skip
    number = resource("number", "msisdn")
    repository = repository_with([INTERNET, line], [PORT, ELEMENT, number])
    pool = {"name": "poolOf", "value": "msisdn"}
    repository.resources["Resource"] = {
        "pool": {"id": "pool", "category": "pool", "resourceCharacteristic": [pool]}
    }
    reasons = launch_check.obstacles(repository, offering())
    assert len(reasons) == is_refused
    for reason in reasons:
        assert "vlan maps from phone, which a value of a pool of msisdn does not have" in reason


def test_a_rate_that_nobody_must_choose_is_refused_and_never_unlimited():
    product = product_specification("access", services=["internet"], speed=MBIT_PER_SECOND)
    (reason,) = obstacles(product=product)
    assert "line: downstream would be unlimited; choose a value for speed" in reason
    product["productSpecCharacteristic"][0]["minCardinality"] = 1
    assert obstacles(product=product) == []
