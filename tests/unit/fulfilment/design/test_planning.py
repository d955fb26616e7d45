"""From an order and the catalogue to a graph of tasks; no database, no Temporal."""

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
from tmf_apis.fulfilment.design.offers import OfferCache
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
    one = InstalledService(id, "standard-access-line", rates, names, frozenset(places))
    return {"installed_base": {id: InstalledProduct((one,), "fibre", **more)}}


def test_speeds_come_from_the_catalogue_in_bits_per_second():
    (task,) = planned(item()).tasks
    assert task.settings == {"downstream": 100_000_000, "upstream": 50_000_000}
    assert (task.id, task.action, task.product, task.service) == (
        "1#1", "provide", "o-1-1", "o-1-1",
    )  # fmt: skip
    assert [(need.category, need.is_carrier, need.amount) for need in task.requirements] == [
        ("accessPort", True, 0),
        ("uplink", False, 100_000_000),
    ]


def test_product_and_services_are_planned_for_the_inventory():
    (one,) = planned(item()).items
    assert (one.change, one.product.id, one.product.services) == (
        "new", "o-1-1", ("o-1-1-cfs", "o-1-1"),
    )  # fmt: skip
    assert one.product.characteristics["downstreamSpeed"] == 100
    customer, line = one.services
    assert (customer.facing, customer.supporting_services, line.facing) == (
        "customer",
        ("o-1-1",),
        "resource",
    )


def test_an_offering_narrows_what_its_specification_allows():
    fast = offering(value_use={"downstreamSpeed": 1000})
    assert planned(item(), offerings=[fast]).tasks[0].settings["downstream"] == 10**9


def test_an_order_chooses_among_what_is_allowed():
    assert planned(item(downstreamSpeed="1000")).tasks[0].settings["downstream"] == 10**9
    refused = planned(item(downstreamSpeed=2000)).rejections["1"]
    assert "fibre has no downstreamSpeed 2000; allowed: 100, 1000" in refused


def test_the_default_is_taken_where_the_order_does_not_choose():
    speeds = [{"value": 100}, {"value": 1, "unitOfMeasure": "Gbit/s", "isDefault": True}]
    described = product_specification(
        serviceType="broadband", downstreamSpeed=speeds, upstreamSpeed=10
    )
    assert planned(item(), specifications=[described]).tasks[0].settings["downstream"] == 10**9


@pytest.mark.parametrize("value", ["fast", -1, 0, "NaN", "1e400", None, "0.0000001", True])
def test_a_speed_that_is_none_is_refused(value):
    described = product_specification(
        serviceType="broadband", downstreamSpeed=value, upstreamSpeed=10
    )
    reason = planned(item(), specifications=[described]).rejections["1"]
    assert "downstream" in reason


def test_everything_that_is_wrong_with_an_item_is_said():
    reason = planned(item(downstreamSpeed=7, upstreamSpeed="up")).rejections["1"]
    assert "no downstreamSpeed 7" in reason
    assert "upstreamSpeed up" in reason


def test_what_has_no_service_needs_nothing():
    red = product_specification(colour="red")
    assert items_without_tasks(planned(item(), specifications=[red])) == ["1"]
    assert items_without_tasks(planned(item(), offerings=[offering(specification="")])) == ["1"]
    assert items_without_tasks(planned(item("noChange"))) == ["1"]


def test_a_service_of_somebody_elses_catalogue_needs_nothing():
    theirs = product_specification(services=["unknown"])
    assert items_without_tasks(planned(item(), specifications=[theirs])) == ["1"]


def test_another_service_type_is_refused_and_named():
    described = product_specification(serviceType="satellite")
    assert "satellite" in planned(item(), specifications=[described]).rejections["1"]


def test_an_order_for_nothing_of_ours_is_left_alone():
    assert planned(item(offering_id="elsewhere")).is_empty
    assert planned(item(offering_id=None)).is_empty


def test_beside_an_item_of_ours_an_unknown_one_is_refused():
    design = planned(item(), item(offering_id="elsewhere", id="2"), item(offering_id=None, id="3"))
    assert [task.item for task in design.tasks] == ["1"]
    assert set(design.rejections) == {"2", "3"}


def test_a_finished_item_is_left_out():
    assert planned({**item(), "state": "completed"}, item(id="2")).tasks[0].item == "2"


def test_a_bundle_is_fulfilled_through_the_one_access_inside_it():
    bundle, router = (
        offering("bundle", parts=["fibre", "router"], specification=""),
        offering("router", specification=""),
    )
    design = planned(item(offering_id="bundle"), offerings=[bundle, FIBRE, router])
    assert [(task.service, task.settings["downstream"]) for task in design.tasks] == [
        ("o-1-1", 10**8)
    ]


def test_each_access_of_a_bundle_is_a_product_inside_it():
    bundle = offering("bundle", parts=[("fibre", 2)], specification="")
    design = planned(item(offering_id="bundle"), offerings=[bundle, FIBRE])
    (one,) = design.items
    assert [(p.id, p.parent) for p in one.bundled_products] == [
        ("o-1-1-1", "o-1-1"),
        ("o-1-1-2", "o-1-1"),
    ]
    assert [task.id for task in design.tasks] == ["1#1", "1#2"]
    assert [task.service for task in design.tasks] == ["o-1-1-1", "o-1-1-2"]


def test_only_the_innermost_items_are_worked_on_and_belong_to_the_outer():
    outer = {
        **item(offering_id="bundle", id="0"),
        "productOrderItem": [item(), item(offering_id="router", id="2")],
    }
    offerings = [offering("bundle", specification=""), FIBRE, offering("router", specification="")]
    design = planned(outer, offerings=offerings)
    assert [task.item for task in design.tasks] == ["1"]
    assert items_without_tasks(design) == ["0", "2"]
    assert [one.product.parent for one in design.items] == ["", "o-1-0", "o-1-0"]


def test_an_end_needs_nothing_but_the_product():
    (task,) = planned(item("delete", offering_id=None, product="s-1"), **running()).tasks
    assert (task.action, task.service, task.requirements) == ("cease", "s-1", ())


@pytest.mark.parametrize(("speed", "change"), [(1000, "upgrade"), (100, "none"), (None, "none")])
def test_a_modify_to_another_speed(speed, change):
    chosen = {} if speed is None else {"downstreamSpeed": speed}
    design = planned(item("modify", product="s-1", **chosen), **running())
    assert design.items[0].change == change
    assert [task.action for task in design.tasks] == ([] if change == "none" else ["change"])
    assert items_without_tasks(design) == (["1"] if change == "none" else [])


def test_a_modify_to_less_is_a_downgrade():
    design = planned(item("modify", product="s-1"), **running(down=10**9))
    assert design.items[0].change == "downgrade"


def test_a_modify_keeps_what_was_chosen_before():
    known = running(down=10**9, characteristics={"downstreamSpeed": 1000})
    design = planned(item("modify", product="s-1", offering_id=None, upstreamSpeed=50), **known)
    assert design.items[0].change == "none"
    assert design.items[0].product.characteristics["downstreamSpeed"] == 1000


def test_another_offering_brings_its_own_values():
    slow = offering("slow", specification="slow")
    described = product_specification("slow", serviceType="broadband", downstreamSpeed=16,
                                      upstreamSpeed=2)  # fmt: skip
    known = running(characteristics={"downstreamSpeed": 100})
    design = planned(item("modify", offering_id="slow", product="s-1"), offerings=[FIBRE, slow],
                     specifications=[ACCESS, described], **known)  # fmt: skip
    assert design.tasks[0].settings == {"downstream": 16_000_000, "upstream": 2_000_000}
    assert (design.items[0].change, design.items[0].product.offering) == ("downgrade", "slow")


def test_a_suspension_switches_off_and_a_resumption_on():
    design = planned(
        item("modify", offering_id=None, product="s-1", status="suspended"), **running()
    )
    assert (design.items[0].change, design.items[0].product.status) == ("suspend", "suspended")
    assert [(t.action, t.settings) for t in design.tasks] == [("change", {"enabled": False})]
    off = InstalledService("s-1", "", {"downstream": 1, "enabled": False})
    design = planned(item("modify", offering_id=None, product="s-1", status="active"),
                     installed_base={"s-1": InstalledProduct((off,), "fibre", status="suspended")})  # fmt: skip
    assert design.items[0].change == "resume"
    assert design.tasks[0].settings == {"enabled": True}


def test_a_suspended_product_stays_suspended_when_it_is_changed():
    known = running(status="suspended")
    design = planned(item("modify", product="s-1", downstreamSpeed=1000), **known)
    assert design.items[0].product.status == "suspended"
    assert "enabled" not in design.tasks[0].settings


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
    made = [(task.action, task.is_move, task.depends_on) for task in design.tasks]
    assert made == ([("provide", True, ()), ("cease", False, ("1#1",))] if moves else [])


def test_what_is_not_in_operation_cannot_be_changed_or_ended():
    for action in ("modify", "delete"):
        assert (
            "no service s-9 is in operation" in planned(item(action, product="s-9")).rejections["1"]
        )


def test_a_product_is_changed_by_one_item_of_an_order():
    design = planned(item("modify", product="s-1", downstreamSpeed=1000),
                     item("delete", id="2", offering_id=None, product="s-1"), **running())  # fmt: skip
    assert "item 1 changes product s-1 already" in design.rejections["2"]


def test_two_items_cannot_name_the_same_port():
    design = planned(item(accessPort="p-1"), item(id="2", accessPort="p-1"))
    assert "accessPort p-1 is wanted by item 1 already" in design.rejections["2"]


def test_an_item_waits_for_those_that_it_relies_on():
    second = {**item(), "productOrderItemRelationship": [
        {"id": "2", "relationshipType": "reliesOn"}]}  # fmt: skip
    design = planned(second, item(id="2"))
    assert [(task.id, task.depends_on) for task in design.tasks] == [("2#1", ()), ("1#1", ("2#1",))]


def test_what_relies_on_an_item_that_cannot_be_fulfilled_is_refused():
    second = {**item(), "productOrderItemRelationship": [
        {"id": "2", "relationshipType": "reliesOn"}]}  # fmt: skip
    design = planned(second, item(id="2", downstreamSpeed=3))
    assert "it relies on item 2" in design.rejections["1"]
    assert not design.tasks


def test_what_ends_goes_before_what_it_relied_on():
    first = {**item("delete", offering_id=None, product="s-1"), "productOrderItemRelationship": [
        {"id": "2", "relationshipType": "reliesOn"}]}  # fmt: skip
    known = {"installed_base": {**running()["installed_base"], **running("s-2")["installed_base"]}}
    design = planned(first, item("delete", id="2", offering_id=None, product="s-2"), **known)
    assert [task.id for task in design.tasks] == ["1#1", "2#1"]
    assert design.tasks[1].depends_on == ("1#1",)


def test_items_that_wait_for_each_other_by_different_relations_are_refused():
    def waits(id, other, how):
        relation = {"id": other, "relationshipType": how}
        return {**item(id=id), "productOrderItemRelationship": [relation]}

    design = planned(waits("1", "2", "reliesOn"), waits("2", "1", "requires"))
    assert all("in a circle" in reason for reason in design.rejections.values())
    assert set(design.rejections) == {"1", "2"}


def test_an_item_for_several_accesses_is_refused():
    assert "several items" in planned({**item(), "quantity": 2}).rejections["1"]


def test_a_long_item_id_still_makes_a_tag_that_fits_on_a_port():
    first, second = (planned(item(id="x" * 200)).tasks[0].service for _ in range(2))
    assert first == second
    assert len(first) <= 60


def test_the_tenants_own_specification_of_that_name_goes_before_the_shipped_one():
    own = service("own", characteristic("downstreamSpeed", values=MBIT_PER_SECOND), parts=["line"])
    speed = characteristic("downstream", values=BIT_PER_SECOND, source=("own", "downstreamSpeed"))
    line = service("line", speed, resources=["port"])
    design = planned(item(), services=[own, line], resources=[resource("port", "accessPort")],
                     specification_by_service_type={"broadband": "own"})  # fmt: skip
    assert design.tasks[0].specification == "line"
    assert design.tasks[0].settings == {"downstream": 10**8}


# ---- hypothesis: whatever is ordered

SPEEDS = st.sampled_from([None, 100, 1000, 7])
ITEMS = st.lists(
    st.fixed_dictionaries(
        {
            "action": st.sampled_from(["add", "modify", "delete", "noChange"]),
            "of": st.sampled_from(["fibre", "bundle", "router", "elsewhere", None]),
            "product": st.sampled_from([None, "s-1", "s-2", "s-9"]),
            "speed": SPEEDS,
            "port": st.sampled_from([None, "p-1", "p-2", "p-3"]),
            "relies": st.lists(st.integers(0, 5), max_size=2),
            "status": st.sampled_from([None, None, "active", "suspended"]),
        }
    ),
    min_size=1,
    max_size=6,
)


def ordered(drawn):
    made = []
    for number, one in enumerate(drawn):
        chosen = {"downstreamSpeed": one["speed"], "accessPort": one["port"]}
        product = None if one["action"] == "add" else one["product"]
        new = item(one["action"], offering_id=one["of"], id=str(number), product=product,
                   status=one["status"], **{k: v for k, v in chosen.items() if v})  # fmt: skip
        relations = [str(n) for n in one["relies"] if n < len(drawn) and n != number]
        new["productOrderItemRelationship"] = [
            {"id": n, "relationshipType": "reliesOn"} for n in relations
        ]
        made.append(new)
    return made


def any_plan(drawn, **changes):
    known = {
        "installed_base": {
            **running()["installed_base"],
            **running("s-2", port="p-2")["installed_base"],
        }
    }
    bundle = offering("bundle", parts=[("fibre", 2), "router"], specification="")
    offerings = [FIBRE, bundle, offering("router", specification="")]
    return planned(*ordered(drawn), offerings=offerings, **{**known, **changes})


@settings(max_examples=150, deadline=None)
@given(ITEMS)
def test_every_plan_goes_forward_and_its_reverse_undoes_it(drawn):
    design = any_plan(drawn)
    done = set()
    for task in design.tasks:
        assert set(task.depends_on) <= done, "a task stands after those that it waits for"
        done.add(task.id)
    assert len(done) == len(design.tasks)
    undone = set()
    waiters = {
        task.id: {o.id for o in design.tasks if task.id in o.depends_on} for task in design.tasks
    }
    for task in reversed(design.tasks):
        assert waiters[task.id] <= undone, "undo goes the other way round"
        undone.add(task.id)


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_a_plan_is_the_same_whenever_it_is_made(drawn):
    first, second = any_plan(drawn), any_plan(json.loads(json.dumps(drawn)))
    assert asdict(first) == asdict(second)


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_no_two_tasks_are_on_one_carrier(drawn):
    design = any_plan(drawn)
    forward = [task.service for task in design.tasks if not task.is_move]
    assert len(set(forward)) == len(forward)
    named = [n.identifier for task in design.tasks for n in task.requirements if n.is_carrier and n.identifier
             and task.action == "provide"]  # fmt: skip
    assert len(set(named)) == len(named)


@settings(max_examples=100, deadline=None)
@given(ITEMS)
def test_every_item_is_planned_or_refused_and_never_both(drawn):
    design = any_plan(drawn)
    planned_items = {one.item for one in design.items}
    assert not planned_items & set(design.rejections)
    if not design.is_empty:
        assert planned_items | set(design.rejections) == {str(n) for n in range(len(drawn))}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([100, 1000]), st.sampled_from(["suspended", "active"]))
def test_the_plan_of_what_a_plan_leads_to_is_empty(speed, status):
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
    assert planned(change, installed_base={"s-1": after}).tasks == ()
