"""Planning: from an order, the catalogue and the installed base to a graph of tasks."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.catalog import (
    ACCESS,
    BIT_PER_SECOND,
    FIBRE,
    MBIT_PER_SECOND,
    catalog,
    characteristic,
    item,
    offering,
    product_specification,
    resource,
    service,
)
from tmf_apis.fulfilment.design.catalog import InstalledProduct, InstalledService
from tmf_apis.fulfilment.design.offers import OfferCache, compile_offer
from tmf_apis.fulfilment.design.order_planner import order_design
from tmf_apis.fulfilment.values import OrderKey

KEY = OrderKey("default", "o-1")


def planned(*items, offerings=(FIBRE,), specifications=(ACCESS,), key=KEY, **more):
    order = {"id": key.order, "productOrderItem": list(items)}
    return order_design(key, order, catalog(offerings, specifications, **more), OfferCache())


def items_without_tasks(design):
    return [plan.item for plan in design.items if not plan.tasks]


def running(id="s-1", *, down=100_000_000, up=50_000_000, port="p-1", places=(), **more):
    rates = {"downstream": down, "upstream": up}
    names = frozenset({port, f"gw {port}"})
    service = InstalledService(id, "standard-access-line", rates, names, frozenset(places))
    return {"installed_base": {id: InstalledProduct((service,), "fibre", **more)}}


def test_speeds_come_from_the_catalogue_in_bits_per_second():
    (task,) = planned(item()).tasks
    assert task.settings == {"downstream": 100_000_000, "upstream": 50_000_000}
    assert (task.id, task.action) == ("1#1", "provide")
    assert (task.product, task.service) == ("o-1-1", "o-1-1")
    assert [(r.category, r.is_carrier, r.amount) for r in task.requirements] == [
        ("accessPort", True, 0),
        ("uplink", False, 100_000_000),
    ]


def test_product_and_services_are_planned_for_the_inventory():
    (plan,) = planned(item()).items
    assert (plan.change, plan.product.id) == ("new", "o-1-1")
    assert plan.product.services == ("o-1-1-cfs", "o-1-1")
    assert plan.product.characteristics["downstreamSpeed"] == 100
    broadband, line = plan.services
    assert (broadband.facing, broadband.supporting_services) == ("customer", ("o-1-1",))
    assert line.facing == "resource"


def test_an_offering_narrows_the_values_of_its_specification():
    fast = offering(value_use={"downstreamSpeed": 1000})
    assert planned(item(), offerings=[fast]).tasks[0].settings["downstream"] == 10**9


@pytest.mark.parametrize(("bound", "limits"), [("valueFrom", (0, 5)), ("valueTo", (-5, 0))])
def test_an_offering_can_narrow_a_range_to_zero(bound, limits):
    specification = product_specification(
        serviceType="broadband",
        downstreamSpeed=100,
        upstreamSpeed=50,
        offset=[{"valueFrom": -5, "valueTo": 5}],
    )
    use = {"name": "offset", "productSpecCharacteristicValue": [{bound: 0}]}
    narrowed = {**FIBRE, "prodSpecCharValueUse": [use]}
    offset = compile_offer("fibre", catalog([narrowed], [specification])).characteristics["offset"]
    assert (offset.minimum, offset.maximum) == limits


def test_an_order_chooses_among_the_allowed_values():
    assert planned(item(downstreamSpeed="1000")).tasks[0].settings["downstream"] == 10**9
    reason = planned(item(downstreamSpeed=2000)).rejections["1"]
    assert "fibre has no downstreamSpeed 2000; allowed: 100, 1000" in reason


def test_the_default_applies_where_the_order_does_not_choose():
    speeds = [{"value": 100}, {"value": 1, "unitOfMeasure": "Gbit/s", "isDefault": True}]
    specification = product_specification(
        serviceType="broadband", downstreamSpeed=speeds, upstreamSpeed=10
    )
    assert planned(item(), specifications=[specification]).tasks[0].settings["downstream"] == 10**9


@pytest.mark.parametrize("value", ["fast", -1, 0, "NaN", "1e400", None, "0.0000001", True])
def test_an_invalid_speed_is_refused(value):
    specification = product_specification(
        serviceType="broadband", downstreamSpeed=value, upstreamSpeed=10
    )
    reason = planned(item(), specifications=[specification]).rejections["1"]
    assert "downstream" in reason


@pytest.mark.parametrize("action", ["add", "modify"])
def test_a_misspelt_characteristic_is_refused_with_the_nearest_name(action):
    subject = {} if action == "add" else {"product": "s-1"}
    design = planned(item(action, downstreamSped=1000, **subject), **running())
    assert (
        "has no characteristic downstreamSped; did you mean downstreamSpeed?"
        in (design.rejections["1"])
    )


def test_characteristics_that_a_product_has_and_categories_of_its_resources_can_be_named():
    installed = running(characteristics={"installer": "Smith"})
    change = item("modify", product="s-1", installer="Jones", accessPort="p-1", downstreamSpeed=100)
    assert planned(change, **installed).rejections == {}


def test_a_bundle_knows_the_characteristics_of_all_its_parts():
    bundle = offering("bundle", parts=["fibre", "router"], specification="")
    router = offering("router", specification="router")
    specifications = (ACCESS, product_specification("router", colour=["red", "blue"]))
    offerings = (bundle, FIBRE, router)
    for name, is_known in (("colour", True), ("color", False)):
        design = planned(item(offering_id="bundle", **{name: "red"}), offerings=offerings,
                         specifications=specifications)  # fmt: skip
        assert bool(design.rejections) != is_known


def test_a_rate_that_the_order_leaves_open_is_refused_and_never_unlimited():
    own = service("own", characteristic("speed", values=MBIT_PER_SECOND), parts=["line"])
    line = service("line", characteristic("downstream", values=BIT_PER_SECOND,
                   source=("own", "speed")), resources=["port"])  # fmt: skip
    specification = product_specification("access", services=["own"], speed=MBIT_PER_SECOND)
    more = {
        "specifications": [specification],
        "services": [own, line],
        "resources": [resource("port", "accessPort")],
    }
    reason = planned(item(), **more).rejections["1"]
    assert "downstream would be unlimited; choose a value for speed" in reason
    assert planned(item(speed=0), **more).tasks[0].settings == {"downstream": 0}


def test_all_reasons_against_an_item_are_reported():
    reason = planned(item(downstreamSpeed=7, upstreamSpeed="up")).rejections["1"]
    assert "no downstreamSpeed 7" in reason
    assert "upstreamSpeed up" in reason


def test_a_product_without_services_needs_no_tasks():
    red = product_specification(colour="red")
    assert items_without_tasks(planned(item(), specifications=[red])) == ["1"]
    assert items_without_tasks(planned(item(), offerings=[offering(specification="")])) == ["1"]
    assert items_without_tasks(planned(item("noChange"))) == ["1"]


def test_a_service_that_is_not_in_the_catalogue_needs_no_tasks():
    theirs = product_specification(services=["unknown"])
    assert items_without_tasks(planned(item(), specifications=[theirs])) == ["1"]


def test_an_unknown_service_type_is_refused_and_named():
    specification = product_specification(serviceType="satellite")
    assert "satellite" in planned(item(), specifications=[specification]).rejections["1"]


def test_an_order_that_is_fulfilled_elsewhere_has_an_empty_design():
    assert planned(item(offering_id="elsewhere")).is_empty
    assert planned(item(offering_id=None)).is_empty


def test_an_unknown_item_beside_a_known_one_is_refused():
    design = planned(item(), item(offering_id="elsewhere", id="2"), item(offering_id=None, id="3"))
    assert [task.item for task in design.tasks] == ["1"]
    assert set(design.rejections) == {"2", "3"}


def test_a_finished_item_is_left_out():
    assert planned({**item(), "state": "completed"}, item(id="2")).tasks[0].item == "2"


def test_every_part_of_a_bundle_is_a_product_with_or_without_services():
    bundle, router = (
        offering("bundle", parts=["fibre", "router"], specification=""),
        offering("router", specification=""),
    )
    design = planned(item(offering_id="bundle"), offerings=[bundle, FIBRE, router])
    (plan,) = design.items
    products = [(each.id, each.offering, each.services) for each in plan.bundled_products]
    assert (plan.product.id, plan.product.services) == ("o-1-1", ())
    assert products == [
        ("o-1-1-1", "fibre", ("o-1-1-1-cfs", "o-1-1-1")),
        ("o-1-1-2", "router", ()),
    ]
    assert [(task.product, task.service) for task in design.tasks] == [("o-1-1-1", "o-1-1-1")]


def test_a_bundle_inside_a_bundle_has_its_parts():
    offerings = [
        offering("outer", parts=["inner", "router"], specification=""),
        offering("inner", parts=["fibre"], specification=""),
        offering("router", specification=""),
        FIBRE,
    ]
    (plan,) = planned(item(offering_id="outer"), offerings=offerings).items
    assert [(each.id, each.parent, each.offering) for each in plan.bundled_products] == [
        ("o-1-1-1", "o-1-1", "inner"),
        ("o-1-1-2", "o-1-1", "router"),
        ("o-1-1-1-1", "o-1-1-1", "fibre"),
    ]


def test_each_access_of_a_bundle_is_a_product_inside_it():
    bundle = offering("bundle", parts=[("fibre", 2)], specification="")
    design = planned(item(offering_id="bundle"), offerings=[bundle, FIBRE])
    (plan,) = design.items
    assert [(product.id, product.parent) for product in plan.bundled_products] == [
        ("o-1-1-1", "o-1-1"),
        ("o-1-1-2", "o-1-1"),
    ]
    assert [task.id for task in design.tasks] == ["1#1", "1#2"]
    assert [task.service for task in design.tasks] == ["o-1-1-1", "o-1-1-2"]


def test_only_items_without_parts_have_tasks():
    outer = {
        **item(offering_id="bundle", id="0"),
        "productOrderItem": [item(), item(offering_id="router", id="2")],
    }
    offerings = [offering("bundle", specification=""), FIBRE, offering("router", specification="")]
    design = planned(outer, offerings=offerings)
    assert [task.item for task in design.tasks] == ["1"]
    assert items_without_tasks(design) == ["0", "2"]
    assert [plan.product.parent for plan in design.items] == ["", "o-1-0", "o-1-0"]


def test_a_delete_needs_nothing_but_the_product():
    (task,) = planned(item("delete", offering_id=None, product="s-1"), **running()).tasks
    assert (task.action, task.service, task.requirements) == ("cease", "s-1", ())


@pytest.mark.parametrize(("speed", "change"), [(1000, "upgrade"), (100, "none"), (None, "none")])
def test_a_modify_to_another_speed(speed, change):
    chosen = {} if speed is None else {"downstreamSpeed": speed}
    design = planned(item("modify", product="s-1", **chosen), **running())
    assert design.items[0].change == change
    assert [task.action for task in design.tasks] == ([] if change == "none" else ["change"])
    assert items_without_tasks(design) == (["1"] if change == "none" else [])


def test_a_modify_to_a_lower_speed_is_a_downgrade():
    design = planned(item("modify", product="s-1"), **running(down=10**9))
    assert design.items[0].change == "downgrade"


def test_a_modify_keeps_the_values_chosen_before():
    installed = running(down=10**9, characteristics={"downstreamSpeed": 1000})
    design = planned(item("modify", product="s-1", offering_id=None, upstreamSpeed=50), **installed)
    assert design.items[0].change == "none"
    assert design.items[0].product.characteristics["downstreamSpeed"] == 1000


def test_a_modify_to_another_offering_applies_its_values():
    slow = offering("slow", specification="slow")
    specification = product_specification("slow", serviceType="broadband", downstreamSpeed=16,
                                      upstreamSpeed=2)  # fmt: skip
    installed = running(characteristics={"downstreamSpeed": 100})
    design = planned(item("modify", offering_id="slow", product="s-1"), offerings=[FIBRE, slow],
                     specifications=[ACCESS, specification], **installed)  # fmt: skip
    assert design.tasks[0].settings == {"downstream": 16_000_000, "upstream": 2_000_000}
    assert (design.items[0].change, design.items[0].product.offering) == ("downgrade", "slow")


def test_a_suspension_disables_and_a_resumption_enables_the_service():
    design = planned(
        item("modify", offering_id=None, product="s-1", status="suspended"), **running()
    )
    assert (design.items[0].change, design.items[0].product.status) == ("suspend", "suspended")
    assert [(task.action, task.settings) for task in design.tasks] == [
        ("change", {"enabled": False})
    ]
    off = InstalledService("s-1", "", {"downstream": 1, "enabled": False})
    suspended = InstalledProduct((off,), "fibre", status="suspended")
    design = planned(
        item("modify", offering_id=None, product="s-1", status="active"),
        installed_base={"s-1": suspended},
    )
    assert design.items[0].change == "resume"
    assert design.tasks[0].settings == {"enabled": True}


def test_a_suspended_product_stays_suspended_when_it_is_changed():
    installed = running(status="suspended")
    design = planned(item("modify", product="s-1", downstreamSpeed=1000), **installed)
    assert design.items[0].product.status == "suspended"
    assert design.tasks[0].settings["enabled"] is False


@pytest.mark.parametrize(
    ("where", "moves"),
    [
        ({"accessPort": "p-2"}, True),
        ({"accessPort": "gw p-1"}, False),
        ({"places": ["south"]}, True),
        ({"places": ["north"]}, False),
    ],
)
def test_a_modify_to_another_place_or_port_moves(where, moves):
    design = planned(item("modify", product="s-1", **where), **running(places=["north"]))
    assert design.items[0].change == ("move" if moves else "none")
    tasks = [(task.action, task.is_move, task.depends_on) for task in design.tasks]
    assert tasks == ([("provide", True, ()), ("cease", False, ("1#1",))] if moves else [])


def test_a_product_that_is_not_in_operation_cannot_be_changed_or_ended():
    for action in ("modify", "delete"):
        assert (
            "no service s-9 is in operation" in planned(item(action, product="s-9")).rejections["1"]
        )


def test_a_product_is_changed_by_one_item_of_an_order():
    first = item("modify", product="s-1", downstreamSpeed=1000)
    second = item("delete", id="2", offering_id=None, product="s-1")
    design = planned(first, second, **running())
    assert "item 1 changes product s-1 already" in design.rejections["2"]


def test_two_items_cannot_name_the_same_port():
    design = planned(item(accessPort="p-1"), item(id="2", accessPort="p-1"))
    assert "accessPort p-1 is requested by item 1 already" in design.rejections["2"]


def test_an_item_is_done_after_those_that_it_relies_on():
    second = {**item(), "productOrderItemRelationship": [
        {"id": "2", "relationshipType": "reliesOn"}]}  # fmt: skip
    design = planned(second, item(id="2"))
    assert [(task.id, task.depends_on) for task in design.tasks] == [("2#1", ()), ("1#1", ("2#1",))]


def test_an_item_that_relies_on_a_refused_one_is_refused():
    second = {**item(), "productOrderItemRelationship": [
        {"id": "2", "relationshipType": "reliesOn"}]}  # fmt: skip
    design = planned(second, item(id="2", downstreamSpeed=3))
    assert "it relies on item 2" in design.rejections["1"]
    assert not design.tasks


def test_a_product_ends_before_the_one_that_it_relies_on():
    first = {**item("delete", offering_id=None, product="s-1"), "productOrderItemRelationship": [
        {"id": "2", "relationshipType": "reliesOn"}]}  # fmt: skip
    installed = {
        "installed_base": {**running()["installed_base"], **running("s-2")["installed_base"]}
    }
    design = planned(first, item("delete", id="2", offering_id=None, product="s-2"), **installed)
    assert [task.id for task in design.tasks] == ["1#1", "2#1"]
    assert design.tasks[1].depends_on == ("1#1",)


def test_items_that_depend_on_each_other_by_different_relationships_are_refused():
    def dependent_item(id, other, relationship_type):
        relationship = {"id": other, "relationshipType": relationship_type}
        return {**item(id=id), "productOrderItemRelationship": [relationship]}

    design = planned(dependent_item("1", "2", "reliesOn"), dependent_item("2", "1", "requires"))
    assert all("in a cycle" in reason for reason in design.rejections.values())
    assert set(design.rejections) == {"1", "2"}


def test_an_item_for_several_accesses_is_refused():
    assert "several items" in planned({**item(), "quantity": 2}).rejections["1"]


def test_a_long_item_id_leads_to_a_tag_that_fits_on_a_port():
    first, second = (planned(item(id="x" * 200)).tasks[0].service for _ in range(2))
    assert first == second
    assert len(first) <= 60


def test_the_tenants_own_specification_takes_precedence_over_the_built_in_one():
    own = service("own", characteristic("downstreamSpeed", values=MBIT_PER_SECOND), parts=["line"])
    speed = characteristic("downstream", values=BIT_PER_SECOND, source=("own", "downstreamSpeed"))
    line = service("line", speed, resources=["port"])
    design = planned(item(), services=[own, line], resources=[resource("port", "accessPort")],
                     specification_by_service_type={"broadband": "own"})  # fmt: skip
    assert design.tasks[0].specification == "line"
    assert design.tasks[0].settings == {"downstream": 10**8}


# ---- properties of all orders

SPEEDS = st.sampled_from([None, 100, 1000, 7])
ITEMS = st.lists(
    st.fixed_dictionaries(
        {
            "action": st.sampled_from(["add", "modify", "delete", "noChange"]),
            "offering": st.sampled_from(["fibre", "bundle", "router", "elsewhere", None]),
            "product": st.sampled_from([None, "s-1", "s-2", "s-9"]),
            "speed": SPEEDS,
            "port": st.sampled_from([None, "p-1", "p-2", "p-3"]),
            "relies_on": st.lists(st.integers(0, 5), max_size=2),
            "status": st.sampled_from([None, None, "active", "suspended"]),
        }
    ),
    min_size=1,
    max_size=6,
)


def drawn_items(drawn):
    items = []
    for number, choice in enumerate(drawn):
        values = {"downstreamSpeed": choice["speed"], "accessPort": choice["port"]}
        new_item = item(
            choice["action"],
            offering_id=choice["offering"],
            id=str(number),
            product=None if choice["action"] == "add" else choice["product"],
            status=choice["status"],
            **{name: value for name, value in values.items() if value},
        )
        others = [str(n) for n in choice["relies_on"] if n < len(drawn) and n != number]
        new_item["productOrderItemRelationship"] = [
            {"id": other, "relationshipType": "reliesOn"} for other in others
        ]
        items.append(new_item)
    return items


def drawn_design(drawn, **changes):
    installed = {
        "installed_base": {
            **running()["installed_base"],
            **running("s-2", port="p-2")["installed_base"],
        }
    }
    bundle = offering("bundle", parts=[("fibre", 2), "router"], specification="")
    offerings = [FIBRE, bundle, offering("router", specification="")]
    return planned(*drawn_items(drawn), offerings=offerings, **{**installed, **changes})


@settings(max_examples=150, deadline=None)
@given(ITEMS)
def test_tasks_come_after_their_dependencies_and_in_reverse_before_them(drawn):
    design = drawn_design(drawn)
    done = set()
    for task in design.tasks:
        assert set(task.depends_on) <= done, "a task comes after its dependencies"
        done.add(task.id)
    assert len(done) == len(design.tasks)
    compensated = set()
    for task in reversed(design.tasks):
        dependents = {other.id for other in design.tasks if task.id in other.depends_on}
        assert dependents <= compensated, "a task is compensated after its dependents"
        compensated.add(task.id)


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_a_design_is_the_same_each_time(drawn):
    first, second = drawn_design(drawn), drawn_design(json.loads(json.dumps(drawn)))
    assert asdict(first) == asdict(second)


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_no_two_tasks_use_the_same_carrier(drawn):
    design = drawn_design(drawn)
    forward = [task.service for task in design.tasks if not task.is_move]
    assert len(set(forward)) == len(forward)
    carriers = [
        requirement.identifier
        for task in design.tasks
        if task.action == "provide"
        for requirement in task.requirements
        if requirement.is_carrier and requirement.identifier
    ]
    assert len(set(carriers)) == len(carriers)


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_every_item_is_planned_or_refused_and_never_both(drawn):
    design = drawn_design(drawn)
    planned_items = {plan.item for plan in design.items}
    assert not planned_items & set(design.rejections)
    if not design.is_empty:
        assert planned_items | set(design.rejections) == {str(n) for n in range(len(drawn))}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([100, 1000]), st.sampled_from(["suspended", "active"]))
def test_a_change_that_was_made_already_only_asserts_that_it_is_on_or_off(speed, status):
    change = item("modify", product="s-1", downstreamSpeed=speed, status=status)
    first = planned(change, **running())
    settings_ = {"downstream": 10**8, "upstream": 50_000_000, "enabled": True}
    for task in first.tasks:
        settings_ |= task.settings
    product = first.items[0].product
    after = InstalledProduct(
        (InstalledService("s-1", "standard-access-line", settings_, frozenset({"p-1"})),),
        product.offering, product.characteristics, product.status,
    )  # fmt: skip
    (task,) = planned(change, installed_base={"s-1": after}).tasks
    assert (task.action, task.settings) == ("change", {"enabled": status == "active"})
