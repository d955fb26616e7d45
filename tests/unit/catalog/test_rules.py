"""What catalogue entities may be and become; versions, bundles, the category tree."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tests.support.paths import OPENAPI
from tmf_apis.catalog import api_module, rules, state_machines
from tmf_apis.catalog.states import ENTITY_LIFECYCLE, JOB_LIFECYCLE, PRODUCT_CATALOG_KINDS
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH
from tmf_apis.rest.pipeline.policy import rfc3339
from tmf_apis.settings import Settings

CONTRACTS = OPENAPI
STAMP = rfc3339(NOW)
EARLIER = "2026-01-01T00:00:00.000Z"
LATER = "2027-01-01T00:00:00.000Z"


def a_desk(**changes):
    return MemoryRepository(api_module(Settings()).policies, **changes)


def made(desk, kind="ProductOffering", **members):
    return desk.create(kind, {"@type": kind, "name": "x", **members}, system=False)


def changed(desk, kind, id, **members):
    return desk.change(kind, id, lambda stored: {**stored, **members}, system=False)


def removed(desk, kind, id, *names):
    def edit(stored):
        return {name: value for name, value in stored.items() if name not in names}

    return desk.change(kind, id, edit, system=False)


# The machines


def test_the_states_of_a_job_are_those_of_the_contract():
    text = (CONTRACTS / "TMF620-v5.yaml").read_text()
    schemas = yaml.load(text, Loader=yaml.CSafeLoader)["components"]["schemas"]
    assert set(JOB_LIFECYCLE.states) == set(schemas["JobStateType"]["enum"])


@pytest.mark.parametrize("machine", [ENTITY_LIFECYCLE, JOB_LIFECYCLE])
def test_every_step_leads_to_a_state_of_the_machine(machine):
    for steps in (machine.transitions, machine.system_transitions):
        assert frozenset().union(*steps.values()) <= machine.states
    assert set(machine.initial_states) <= machine.states


def test_the_machines_of_all_kinds_can_be_read():
    assert {one["kind"] for one in state_machines()} == {
        *PRODUCT_CATALOG_KINDS,
        "ImportJob",
        "ExportJob",
    }


@pytest.mark.parametrize("kind", PRODUCT_CATALOG_KINDS)
def test_an_entity_goes_from_the_first_idea_to_the_last_customer(kind):
    desk = a_desk()
    assert made(desk, kind, id="1")["lifecycleStatus"] == "In study"
    for status in ("In design", "In test", "Active", "Launched", "Retired", "Obsolete"):
        assert changed(desk, kind, "1", lifecycleStatus=status)["lifecycleStatus"] == status


@pytest.mark.parametrize("status", [*sorted(ENTITY_LIFECYCLE.states), "string", "Published"])
def test_an_entity_may_come_in_any_state_with_an_existing_catalogue(status):
    assert made(a_desk(), lifecycleStatus=status)["lifecycleStatus"] == status


def test_a_step_that_is_not_published_is_refused_and_names_those_that_are():
    desk = a_desk()
    made(desk, id="1", lifecycleStatus="Launched")
    with pytest.raises(IllegalTransition, match="allowed: Active, Retired"):
        changed(desk, "ProductOffering", "1", lifecycleStatus="In design")


def test_the_machine_applies_again_once_the_status_is_a_published_one():
    desk = a_desk()
    made(desk, id="1", lifecycleStatus="Published")
    changed(desk, "ProductOffering", "1", lifecycleStatus="Retired")
    with pytest.raises(IllegalTransition, match="allowed: Obsolete"):
        changed(desk, "ProductOffering", "1", lifecycleStatus="Launched")


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(ENTITY_LIFECYCLE.states)), max_size=8))
def test_an_entity_never_takes_a_step_that_is_not_published(steps):
    desk = a_desk()
    was = made(desk, id="1")["lifecycleStatus"]
    for status in steps:
        try:
            now = changed(desk, "ProductOffering", "1", lifecycleStatus=status)["lifecycleStatus"]
        except IllegalTransition:
            now = desk.get("ProductOffering", "1")["lifecycleStatus"]
            assert now == was
        assert now == was or now in ENTITY_LIFECYCLE.transitions[was]
        was = now


# What the server fills in


@pytest.mark.parametrize(
    ("kind", "members", "filled"),
    [
        ("ProductCatalog", {}, {}),
        ("Category", {}, {"isRoot": True}),
        ("Category", {"parent": {"id": "p"}}, {"isRoot": False}),
        ("ProductOffering", {}, {"isBundle": False, "isSellable": True}),
        ("ProductOffering", {"bundledProductOffering": [{"id": "2"}]}, {"isBundle": True}),
        ("ProductOfferingPrice", {}, {"isBundle": False}),
        ("ProductSpecification", {"isBundle": True}, {"isBundle": True}),
    ],
)
def test_a_new_entity_gets_its_defaults(kind, members, filled):
    new = made(a_desk(), kind, **members)
    assert {name: new[name] for name in filled} == filled
    assert (new["version"], new["lastUpdate"]) == ("1.0", STAMP)


def test_the_last_update_is_the_servers():
    desk = a_desk()
    assert made(desk, id="1", lastUpdate=EARLIER)["lastUpdate"] == STAMP
    assert changed(desk, "ProductOffering", "1", lastUpdate=EARLIER)["lastUpdate"] == STAMP


def test_a_catalogue_that_the_server_loads_keeps_its_dates():
    loaded = a_desk().create("ProductOffering", {"name": "x", "lastUpdate": EARLIER})
    assert loaded["lastUpdate"] == EARLIER


def test_a_change_of_nothing_leaves_the_last_update():
    old = made(a_desk(), id="1", lastUpdate=EARLIER)
    later = request_context(now=NOW.replace(year=2027))
    assert rules.on_change("ProductOffering", old, {**old, "lastUpdate": LATER}, later) is old
    assert (
        rules.on_change("ProductOffering", old, {**old, "name": "y"}, later)["lastUpdate"]
        > (old["lastUpdate"])
    )


def test_status_and_version_cannot_be_taken_away():
    old = made(a_desk(), lifecycleStatus="Launched", version="2.0")
    bare = {name: old[name] for name in ("id", "name")}
    new = rules.on_change("ProductOffering", old, bare, request_context())
    assert (new["lifecycleStatus"], new["version"]) == ("Launched", "2.0")


def test_catalogue_entities_are_there_for_everybody_to_read():
    assert list(api_module(Settings()).policies["ProductOffering"].parties({})) == ["*"]


# What is refused

BACKWARDS = {"startDateTime": LATER, "endDateTime": EARLIER}


def bundle_with(name="bundledProductOffering", **option):
    return {name: [{"id": "2", f"{name}Option": option}]}


def characteristic(**more):
    return {"productSpecCharacteristic": [{"name": "speed", **more}]}


def inline_price(**more):
    return {"productOfferingPrice": [{"name": "p", "priceAlteration": [{"name": "a", **more}]}]}


@pytest.mark.parametrize(
    ("kind", "members", "at"),
    [
        ("Category", {"validFor": BACKWARDS}, "/validFor/endDateTime"),
        (
            "ProductOffering",
            {"isBundle": True, "lifecycleStatus": "Launched"},
            "/bundledProductOffering",
        ),
        (
            "ProductOffering",
            bundle_with(numberRelOfferLowerLimit=2, numberRelOfferUpperLimit=1),
            "/bundledProductOffering/0/bundledProductOfferingOption/numberRelOfferUpperLimit",
        ),
        (
            "ProductOffering",
            bundle_with("bundledGroupProductOffering", numberRelOfferLowerLimit=-1),
            (
                "/bundledGroupProductOffering/0/bundledGroupProductOfferingOption"
                "/numberRelOfferLowerLimit"
            ),
        ),
        (
            "ProductOffering",
            {"bundledGroupProductOffering": [bundle_with(numberRelOfferDefault=-1)]},
            (
                "/bundledGroupProductOffering/0/bundledProductOffering/0"
                "/bundledProductOfferingOption/numberRelOfferDefault"
            ),
        ),
        (
            "ProductOffering",
            {"productOfferingCharacteristic": [{"validFor": BACKWARDS}]},
            "/productOfferingCharacteristic/0/validFor/endDateTime",
        ),
        (
            "ProductOffering",
            inline_price(price={"percentage": 101}),
            "/productOfferingPrice/0/priceAlteration/0/price/percentage",
        ),
        (
            "ProductOffering",
            inline_price(priority=-1),
            "/productOfferingPrice/0/priceAlteration/0/priority",
        ),
        (
            "ProductOffering",
            inline_price(applicationDuration={"amount": -1}),
            "/productOfferingPrice/0/priceAlteration/0/applicationDuration/amount",
        ),
        ("ProductOfferingPrice", {"percentage": -1}, "/percentage"),
        ("ProductOfferingPrice", {"recurringChargePeriodLength": -1}, "/recurringCharge"),
        (
            "ProductSpecification",
            characteristic(minCardinality=2, maxCardinality=1),
            "/productSpecCharacteristic/0/maxCardinality",
        ),
        (
            "ProductSpecification",
            characteristic(characteristicValueSpecification=[{"valueFrom": 5, "valueTo": 4}]),
            "/productSpecCharacteristic/0/characteristicValueSpecification/0/valueTo",
        ),
        (
            "ProductSpecification",
            characteristic(
                maxCardinality=1, characteristicValueSpecification=[{"isDefault": True}] * 2
            ),
            "/productSpecCharacteristic/0",
        ),
    ],
)
def test_an_entity_that_contradicts_itself_is_refused_with_the_place(kind, members, at):
    with pytest.raises(InvalidBody) as refused:
        made(a_desk(), kind, **members)
    assert refused.value.message.startswith(at)


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("ProductOffering", {"isBundle": True, "lifecycleStatus": "In design"}),
        ("ProductOffering", bundle_with(numberRelOfferLowerLimit=0, numberRelOfferUpperLimit=1)),
        ("ProductOffering", inline_price(priority=1, price={"percentage": 10})),
        ("ProductOfferingPrice", {"percentage": 100, "price": {"unit": "EUR", "value": 1}}),
        ("ProductSpecification", characteristic(minCardinality=1, maxCardinality=1)),
        ("ProductSpecification", characteristic(
            characteristicValueSpecification=[{"isDefault": True, "valueFrom": 1, "valueTo": 1}]
        )),
        ("Category", {"validFor": {"startDateTime": EARLIER}}),
    ],
)  # fmt: skip
def test_an_entity_that_does_not_is_taken(kind, members):
    assert made(a_desk(), kind, **members)["name"] == "x"


# Bundles


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ("ProductOffering", "bundledProductOffering"),
        ("ProductOfferingPrice", "bundledPopRelationship"),
        ("ProductSpecification", "bundledProductSpecification"),
    ],
)
def test_a_bundle_is_not_a_part_of_itself(kind, attribute):
    desk = a_desk()
    made(desk, kind, id="1", **{attribute: [{"id": "2"}]})
    made(desk, kind, id="2", **{attribute: [{"id": "3"}]})
    with pytest.raises(InvalidBody, match=f"/{attribute}: {kind} 3 would be a part of itself"):
        made(desk, kind, id="3", **{attribute: [{"id": "4"}, {"id": "1"}]})


def test_a_bundle_is_not_a_part_of_itself_through_a_group():
    desk = a_desk()
    made(desk, id="1", bundledGroupProductOffering=[{"bundledProductOffering": [{"id": "2"}]}])
    with pytest.raises(InvalidBody, match="part of itself"):
        made(desk, id="2", bundledProductOffering=[{"id": "1"}])


def test_a_part_may_be_in_several_bundles_of_a_bundle():
    desk = a_desk()
    for part in ("2", "3"):
        made(desk, id=part, bundledProductOffering=[{"id": "4"}])
    assert made(desk, id="1", bundledProductOffering=[{"id": "2"}, {"id": "3"}])["isBundle"]


# Versions


def on_sale(**more):
    desk = a_desk()
    made(desk, id="1", lifecycleStatus="Launched", **more)
    return desk


def test_a_new_version_of_what_is_on_sale_keeps_the_one_before():
    desk = on_sale(validFor={"startDateTime": EARLIER})
    new = changed(desk, "ProductOffering", "1", version="2.0", name="y")
    assert (new["id"], new["version"], new["name"]) == ("1", "2.0", "y")
    kept = desk.get("ProductOffering", "1:(version=1.0)")
    assert (kept["version"], kept["name"], kept["lifecycleStatus"]) == ("1.0", "x", "Retired")
    assert kept["validFor"] == {"startDateTime": EARLIER, "endDateTime": STAMP}


@pytest.mark.parametrize(
    "period",
    [{"startDateTime": LATER}, {"endDateTime": EARLIER}],
)
def test_a_version_that_was_not_valid_now_keeps_its_period(period):
    desk = on_sale(validFor=period)
    changed(desk, "ProductOffering", "1", version="2.0")
    assert desk.get("ProductOffering", "1:(version=1.0)")["validFor"] == period


def test_keeping_a_version_again_after_a_crash_changes_nothing():
    desk = on_sale()
    old = desk.get("ProductOffering", "1")
    new = changed(desk, "ProductOffering", "1", version="2.0")
    before = list(desk.write_log)
    desk.policies["ProductOffering"].after_commit(desk, old, new)
    assert desk.write_log == before


def test_a_version_is_used_once():
    desk = on_sale()
    changed(desk, "ProductOffering", "1", version="2.0")
    with pytest.raises(Conflict, match=r"had a version 1\.0 already"):
        changed(desk, "ProductOffering", "1", version="1.0")


def test_a_version_on_sale_has_a_name_that_can_stand_in_a_path():
    with pytest.raises(InvalidBody, match="/version"):
        changed(on_sale(), "ProductOffering", "1", version="2/0)")


def test_before_it_is_on_sale_the_version_is_just_an_attribute():
    desk = a_desk()
    made(desk, id="1", lifecycleStatus="In design")
    changed(desk, "ProductOffering", "1", version="2.0")
    assert list(desk.resources["ProductOffering"]) == ["1"]


# The category tree


def category(desk, id, **more):
    return made(desk, "Category", id=id, **more)


def listed(desk, id):
    return [one["id"] for one in desk.get("Category", id).get("subCategory", [])]


def parent(desk, id):
    return desk.get("Category", id).get("parent", {}).get("id")


def a_tree():
    desk = a_desk()
    category(desk, "top")
    category(desk, "middle", parent={"id": "top"})
    category(desk, "leaf", parent={"id": "middle"})
    return desk


def test_a_category_stands_in_the_list_of_its_parent():
    desk = a_tree()
    assert (listed(desk, "top"), listed(desk, "middle")) == (["middle"], ["leaf"])


def test_a_category_that_is_renamed_is_renamed_in_the_list():
    desk = a_tree()
    changed(desk, "Category", "leaf", name="y")
    assert desk.get("Category", "middle")["subCategory"][0]["name"] == "y"


def test_a_category_that_moves_changes_lists():
    desk = a_tree()
    changed(desk, "Category", "leaf", parent={"id": "top"})
    assert (listed(desk, "top"), listed(desk, "middle")) == (["middle", "leaf"], [])


def test_a_category_without_parent_is_a_root_again():
    desk = a_tree()
    assert removed(desk, "Category", "leaf", "parent")["isRoot"] is True
    assert listed(desk, "middle") == []


def test_a_client_may_say_itself_what_is_a_root():
    desk = a_tree()
    new = changed(desk, "Category", "top", parent={"id": "elsewhere"}, isRoot=False)
    assert new["isRoot"] is False


def test_a_category_that_is_listed_gets_the_parent():
    desk = a_desk()
    category(desk, "leaf")
    category(desk, "top", subCategory=[{"id": "leaf"}, {"id": "nowhere"}])
    assert (parent(desk, "leaf"), listed(desk, "top")) == ("top", ["leaf", "nowhere"])
    assert desk.get("Category", "leaf")["isRoot"] is False


def test_a_category_that_has_a_parent_keeps_it_when_another_lists_it():
    desk = a_tree()
    category(desk, "other", subCategory=[{"id": "leaf"}])
    assert parent(desk, "leaf") == "middle"


def test_a_category_that_is_listed_no_more_loses_the_parent():
    desk = a_tree()
    removed(desk, "Category", "middle", "subCategory")
    assert parent(desk, "leaf") is None


def test_a_category_that_goes_is_missed_above_and_below():
    desk = a_tree()
    desk.delete("Category", "middle")
    assert (listed(desk, "top"), parent(desk, "leaf")) == ([], None)


@pytest.mark.parametrize("under", ["top", "middle", "leaf"])
def test_a_category_is_not_above_itself(under):
    desk = a_tree()
    with pytest.raises(InvalidBody, match="/parent/id: category top would be above itself"):
        changed(desk, "Category", "top", parent={"id": under})


def test_a_category_is_not_listed_below_what_is_below_it():
    desk = a_tree()
    with pytest.raises(InvalidBody, match="/subCategory: top"):
        changed(desk, "Category", "leaf", subCategory=[{"id": "top"}])


def test_a_tree_has_an_end():
    desk = a_desk()
    for number in range(MAX_DEPTH + 2):
        above = {"parent": {"id": str(number - 1)}} if number else {}
        desk.resources.setdefault("Category", {})[str(number)] = {"id": str(number), **above}
    with pytest.raises(InvalidBody, match="no end of the tree"):
        category(desk, "new", parent={"id": str(MAX_DEPTH + 1)})


@pytest.mark.parametrize("writes", range(4))
def test_a_tree_that_was_half_written_comes_right_when_it_is_done_again(writes):
    desk = a_tree()
    old = desk.get("Category", "leaf")
    desk.writes_until_crash = writes
    try:
        new = changed(desk, "Category", "leaf", parent={"id": "top"})
    except RuntimeError:
        desk.writes_until_crash = None
        new = changed(desk, "Category", "leaf", parent={"id": "top"})
    desk.writes_until_crash = None
    desk.policies["Category"].after_commit(desk, old, new)
    assert (listed(desk, "top"), listed(desk, "middle")) == (["middle", "leaf"], [])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_parents_and_lists_say_the_same_and_never_come_back(moves):
    desk = a_desk()
    for number in range(5):
        category(desk, str(number))
    for child, above in moves:
        try:
            changed(desk, "Category", str(child), parent={"id": str(above)})
        except InvalidBody:
            continue
    for number in range(5):
        seen, at = set(), str(number)
        while at and at not in seen:
            seen.add(at)
            if above := parent(desk, at):
                assert at in listed(desk, above)
            at = above
        assert at is None
