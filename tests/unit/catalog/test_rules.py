"""Rules of catalogue entities: lifecycle, defaults, versions, bundles, the category tree."""

from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_repository import NOW, MemoryRepository, request_context
from tests.support.paths import OPENAPI
from tmf_apis.catalog import api_module, rules, state_machines
from tmf_apis.catalog.states import ENTITY_LIFECYCLE, JOB_LIFECYCLE, PRODUCT_CATALOG_KINDS
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH
from tmf_apis.settings import Settings

STAMP = rfc3339(NOW)
EARLIER = "2026-01-01T00:00:00.000Z"
LATER = "2027-01-01T00:00:00.000Z"


def new_repository(**changes):
    return MemoryRepository(api_module(Settings()).policies, **changes)


def create(repository, kind="ProductOffering", **members):
    return repository.create(kind, {"@type": kind, "name": "x", **members}, system=False)


def change(repository, kind, id, **members):
    return repository.change(kind, id, lambda stored: {**stored, **members}, system=False)


def remove(repository, kind, id, *names):
    def edit(stored):
        return {name: value for name, value in stored.items() if name not in names}

    return repository.change(kind, id, edit, system=False)


# Lifecycles


def test_the_states_of_a_job_are_those_of_the_contract():
    text = (OPENAPI / "TMF620-v5.yaml").read_text()
    schemas = yaml.load(text, Loader=yaml.CSafeLoader)["components"]["schemas"]
    assert set(JOB_LIFECYCLE.states) == set(schemas["JobStateType"]["enum"])


@pytest.mark.parametrize("lifecycle", [ENTITY_LIFECYCLE, JOB_LIFECYCLE])
def test_every_transition_leads_to_a_state_of_the_lifecycle(lifecycle):
    for steps in (lifecycle.transitions, lifecycle.system_transitions):
        assert frozenset().union(*steps.values()) <= lifecycle.states
    assert set(lifecycle.initial_states) <= lifecycle.states


def test_the_state_machines_of_all_kinds_are_available():
    assert {lifecycle["kind"] for lifecycle in state_machines()} == {
        *PRODUCT_CATALOG_KINDS,
        "ImportJob",
        "ExportJob",
    }


@pytest.mark.parametrize("kind", PRODUCT_CATALOG_KINDS)
def test_an_entity_passes_through_the_whole_lifecycle(kind):
    repository = new_repository()
    assert create(repository, kind, id="1")["lifecycleStatus"] == "In study"
    for status in ("In design", "In test", "Active", "Launched", "Retired", "Obsolete"):
        assert change(repository, kind, "1", lifecycleStatus=status)["lifecycleStatus"] == status


@pytest.mark.parametrize("status", [*sorted(ENTITY_LIFECYCLE.states), "string", "Published"])
def test_a_new_entity_can_be_in_any_state(status):
    assert create(new_repository(), lifecycleStatus=status)["lifecycleStatus"] == status


def test_a_transition_outside_the_lifecycle_is_refused_and_names_the_allowed_ones():
    repository = new_repository()
    create(repository, id="1", lifecycleStatus="Launched")
    with pytest.raises(IllegalTransition, match="allowed: Active, Retired"):
        change(repository, "ProductOffering", "1", lifecycleStatus="In design")


def test_the_lifecycle_applies_again_once_the_status_is_a_published_one():
    repository = new_repository()
    create(repository, id="1", lifecycleStatus="Published")
    change(repository, "ProductOffering", "1", lifecycleStatus="Retired")
    with pytest.raises(IllegalTransition, match="allowed: Obsolete"):
        change(repository, "ProductOffering", "1", lifecycleStatus="Launched")


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(ENTITY_LIFECYCLE.states)), max_size=8))
def test_an_entity_never_makes_a_transition_outside_the_lifecycle(steps):
    repository = new_repository()
    status = create(repository, id="1")["lifecycleStatus"]
    for requested in steps:
        with suppress(IllegalTransition):
            change(repository, "ProductOffering", "1", lifecycleStatus=requested)
        new_status = repository.get("ProductOffering", "1")["lifecycleStatus"]
        assert new_status in {status, requested}
        assert new_status == status or new_status in ENTITY_LIFECYCLE.transitions[status]
        status = new_status


# Attributes that the server sets


@pytest.mark.parametrize(
    ("kind", "members", "defaults"),
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
def test_a_new_entity_gets_its_defaults(kind, members, defaults):
    new = create(new_repository(), kind, **members)
    assert {name: new[name] for name in defaults} == defaults
    assert (new["version"], new["lastUpdate"]) == ("1.0", STAMP)


def test_the_server_sets_the_last_update():
    repository = new_repository()
    assert create(repository, id="1", lastUpdate=EARLIER)["lastUpdate"] == STAMP
    assert change(repository, "ProductOffering", "1", lastUpdate=EARLIER)["lastUpdate"] == STAMP


def test_a_catalogue_loaded_by_the_server_keeps_its_dates():
    loaded = new_repository().create("ProductOffering", {"name": "x", "lastUpdate": EARLIER})
    assert loaded["lastUpdate"] == EARLIER


def test_an_empty_change_keeps_the_last_update():
    old = create(new_repository(), id="1", lastUpdate=EARLIER)
    later = request_context(now=NOW.replace(year=2027))
    assert rules.on_change("ProductOffering", old, {**old, "lastUpdate": LATER}, later) is old
    changed = rules.on_change("ProductOffering", old, {**old, "name": "y"}, later)
    assert changed["lastUpdate"] > old["lastUpdate"]


def test_status_and_version_cannot_be_removed():
    old = create(new_repository(), lifecycleStatus="Launched", version="2.0")
    bare = {name: old[name] for name in ("id", "name")}
    new = rules.on_change("ProductOffering", old, bare, request_context())
    assert (new["lifecycleStatus"], new["version"]) == ("Launched", "2.0")


def test_everybody_can_read_catalogue_entities():
    assert list(api_module(Settings()).policies["ProductOffering"].parties({})) == ["*"]


# Contradictions

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
def test_an_entity_that_contradicts_itself_is_refused_with_a_json_pointer(kind, members, at):
    with pytest.raises(InvalidBody) as refused:
        create(new_repository(), kind, **members)
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
def test_a_consistent_entity_is_accepted(kind, members):
    assert create(new_repository(), kind, **members)["name"] == "x"


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
    repository = new_repository()
    create(repository, kind, id="1", **{attribute: [{"id": "2"}]})
    create(repository, kind, id="2", **{attribute: [{"id": "3"}]})
    with pytest.raises(InvalidBody, match=f"/{attribute}: {kind} 3 would be a part of itself"):
        create(repository, kind, id="3", **{attribute: [{"id": "4"}, {"id": "1"}]})


def test_a_bundle_is_not_a_part_of_itself_through_a_group():
    repository = new_repository()
    create(
        repository, id="1", bundledGroupProductOffering=[{"bundledProductOffering": [{"id": "2"}]}]
    )
    with pytest.raises(InvalidBody, match="part of itself"):
        create(repository, id="2", bundledProductOffering=[{"id": "1"}])


def test_a_part_may_be_in_several_bundles_of_a_bundle():
    repository = new_repository()
    for part in ("2", "3"):
        create(repository, id=part, bundledProductOffering=[{"id": "4"}])
    assert create(repository, id="1", bundledProductOffering=[{"id": "2"}, {"id": "3"}])["isBundle"]


# Versions


def on_sale(**more):
    repository = new_repository()
    create(repository, id="1", lifecycleStatus="Launched", **more)
    return repository


def test_a_new_version_of_an_offering_on_sale_archives_the_previous_one():
    repository = on_sale(validFor={"startDateTime": EARLIER})
    new = change(repository, "ProductOffering", "1", version="2.0", name="y")
    assert (new["id"], new["version"], new["name"]) == ("1", "2.0", "y")
    earlier = repository.get("ProductOffering", "1:(version=1.0)")
    assert (earlier["version"], earlier["name"]) == ("1.0", "x")
    assert earlier["lifecycleStatus"] == "Retired"
    assert earlier["validFor"] == {"startDateTime": EARLIER, "endDateTime": STAMP}


@pytest.mark.parametrize(
    "period",
    [{"startDateTime": LATER}, {"endDateTime": EARLIER}],
)
def test_a_version_that_is_not_valid_now_keeps_its_period(period):
    repository = on_sale(validFor=period)
    change(repository, "ProductOffering", "1", version="2.0")
    assert repository.get("ProductOffering", "1:(version=1.0)")["validFor"] == period


def test_archiving_a_version_again_after_a_crash_changes_nothing():
    repository = on_sale()
    old = repository.get("ProductOffering", "1")
    new = change(repository, "ProductOffering", "1", version="2.0")
    before = list(repository.write_log)
    repository.policies["ProductOffering"].after_commit(repository, old, new)
    assert repository.write_log == before


def test_a_version_number_is_used_once():
    repository = on_sale()
    change(repository, "ProductOffering", "1", version="2.0")
    with pytest.raises(Conflict, match=r"had a version 1\.0 already"):
        change(repository, "ProductOffering", "1", version="1.0")


def test_a_version_number_that_is_invalid_in_a_path_is_refused():
    with pytest.raises(InvalidBody, match="/version"):
        change(on_sale(), "ProductOffering", "1", version="2/0)")


def test_a_change_of_version_before_the_sale_archives_nothing():
    repository = new_repository()
    create(repository, id="1", lifecycleStatus="In design")
    change(repository, "ProductOffering", "1", version="2.0")
    assert list(repository.resources["ProductOffering"]) == ["1"]


# The category tree


def category(repository, id, **more):
    return create(repository, "Category", id=id, **more)


def children(repository, id):
    return [child["id"] for child in repository.get("Category", id).get("subCategory", [])]


def parent(repository, id):
    return repository.get("Category", id).get("parent", {}).get("id")


def tree():
    repository = new_repository()
    category(repository, "top")
    category(repository, "middle", parent={"id": "top"})
    category(repository, "leaf", parent={"id": "middle"})
    return repository


def test_a_category_is_listed_by_its_parent():
    repository = tree()
    assert (children(repository, "top"), children(repository, "middle")) == (["middle"], ["leaf"])


def test_a_renamed_category_is_renamed_in_the_list_of_its_parent():
    repository = tree()
    change(repository, "Category", "leaf", name="y")
    assert repository.get("Category", "middle")["subCategory"][0]["name"] == "y"


def test_a_category_that_moves_changes_the_lists_of_both_parents():
    repository = tree()
    change(repository, "Category", "leaf", parent={"id": "top"})
    assert (children(repository, "top"), children(repository, "middle")) == (["middle", "leaf"], [])


def test_a_category_without_parent_is_a_root_again():
    repository = tree()
    assert remove(repository, "Category", "leaf", "parent")["isRoot"] is True
    assert children(repository, "middle") == []


def test_a_client_can_set_is_root():
    repository = tree()
    new = change(repository, "Category", "top", parent={"id": "elsewhere"}, isRoot=False)
    assert new["isRoot"] is False


def test_a_category_gets_the_parent_that_lists_it():
    repository = new_repository()
    category(repository, "leaf")
    category(repository, "top", subCategory=[{"id": "leaf"}, {"id": "nowhere"}])
    assert (parent(repository, "leaf"), children(repository, "top")) == ("top", ["leaf", "nowhere"])
    assert repository.get("Category", "leaf")["isRoot"] is False


def test_a_category_that_has_a_parent_keeps_it_when_another_lists_it():
    repository = tree()
    category(repository, "other", subCategory=[{"id": "leaf"}])
    assert parent(repository, "leaf") == "middle"


def test_a_category_removed_from_the_list_loses_its_parent():
    repository = tree()
    remove(repository, "Category", "middle", "subCategory")
    assert parent(repository, "leaf") is None


def test_a_deleted_category_is_removed_from_its_parent_and_children():
    repository = tree()
    repository.delete("Category", "middle")
    assert (children(repository, "top"), parent(repository, "leaf")) == ([], None)


@pytest.mark.parametrize("under", ["top", "middle", "leaf"])
def test_a_category_cannot_be_its_own_ancestor(under):
    repository = tree()
    with pytest.raises(InvalidBody, match="/parent/id: category top would be above itself"):
        change(repository, "Category", "top", parent={"id": under})


def test_a_category_cannot_list_its_ancestor():
    repository = tree()
    with pytest.raises(InvalidBody, match="/subCategory: top"):
        change(repository, "Category", "leaf", subCategory=[{"id": "top"}])


def test_a_tree_that_is_too_deep_is_refused():
    repository = new_repository()
    for number in range(MAX_DEPTH + 2):
        above = {"parent": {"id": str(number - 1)}} if number else {}
        repository.resources.setdefault("Category", {})[str(number)] = {"id": str(number), **above}
    with pytest.raises(InvalidBody, match="categories above"):
        category(repository, "new", parent={"id": str(MAX_DEPTH + 1)})


@pytest.mark.parametrize("writes", range(4))
def test_a_half_written_tree_is_completed_when_the_change_is_repeated(writes):
    repository = tree()
    old = repository.get("Category", "leaf")
    repository.writes_until_crash = writes
    try:
        new = change(repository, "Category", "leaf", parent={"id": "top"})
    except RuntimeError:
        repository.writes_until_crash = None
        new = change(repository, "Category", "leaf", parent={"id": "top"})
    repository.writes_until_crash = None
    repository.policies["Category"].after_commit(repository, old, new)
    assert (children(repository, "top"), children(repository, "middle")) == (["middle", "leaf"], [])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_parents_and_lists_agree_and_have_no_cycle(moves):
    repository = new_repository()
    for number in range(5):
        category(repository, str(number))
    for child, above in moves:
        try:
            change(repository, "Category", str(child), parent={"id": str(above)})
        except InvalidBody:
            continue
    for number in range(5):
        visited, id = set(), str(number)
        while id and id not in visited:
            visited.add(id)
            if parent_id := parent(repository, id):
                assert id in children(repository, parent_id)
            id = parent_id
        assert id is None
