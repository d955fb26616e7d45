import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository, request_context
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.inventory import api_module, relationships, rules
from tmf_apis.inventory.relationships import INVERSE_TYPES, edges
from tmf_apis.settings import Settings


def a_desk(*ids):
    desk = MemoryRepository(api_module(Settings()).policies)
    for one in ids:
        desk.create("Resource", a_resource(one), system=False)
    return desk


def a_resource(one, *related, **more):
    links = [
        {"@type": "ResourceRelationship", "relationshipType": type_, "resource": {"id": target}}
        for type_, target in related
    ]
    resource = {"id": one, "@type": "PhysicalResource", "name": f"Port {one}", **more}
    return {**resource, "resourceRelationship": links} if links else resource


def relate(desk, one, *related):
    return desk.change(
        "Resource",
        one,
        lambda old: {
            **{key: value for key, value in old.items() if key != "resourceRelationship"},
            **a_resource(one, *related),
        },
        system=False,
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (rules.ADMINISTRATIVE_LIFECYCLE.states, "ResourceAdministrativeStateType"),
        (rules.OPERATIONAL_STATES, "ResourceOperationalStateType"),
        (rules.USAGE_STATES, "ResourceUsageStateType"),
    ],
)
def test_the_words_are_exactly_those_of_the_contract(words, name):
    assert set(words) == enum_values("TMF639-v5", name)


def test_a_new_resource_is_unlocked_enabled_and_idle():
    made = a_desk().create("Resource", a_resource("r1"), system=False)
    states = [made[name] for name in ("administrativeState", "operationalState", "usageState")]
    assert states == ["unlocked", "enabled", "idle"]


@pytest.mark.parametrize("administrative", rules.ADMINISTRATIVE_LIFECYCLE.initial_states)
@pytest.mark.parametrize("operational", rules.OPERATIONAL_STATES)
@pytest.mark.parametrize("usage", rules.USAGE_STATES)
def test_out_of_service_and_in_use_contradict_each_other(administrative, operational, usage):
    resource = a_resource(
        "r1", administrativeState=administrative, operationalState=operational, usageState=usage
    )
    if (administrative == "locked" or operational == "disabled") and usage != "idle":
        with pytest.raises(InvalidBody, match="/usageState"):
            rules.on_create(resource, request_context())
    else:
        assert rules.on_create(resource, request_context()) == resource


@pytest.mark.parametrize(
    "change", [{"administrativeState": "locked"}, {"operationalState": "disabled"}]
)
def test_taking_a_busy_resource_out_of_service_ends_its_use(change):
    desk = a_desk()
    desk.create("Resource", a_resource("r1", usageState="busy"))
    changed = desk.change("Resource", "r1", lambda old: {**old, **change}, system=False)
    assert changed["usageState"] == "idle"


def test_a_locked_resource_cannot_be_used():
    desk = a_desk()
    desk.create("Resource", a_resource("r1", administrativeState="locked"))
    with pytest.raises(Conflict, match="allowed: idle"):
        desk.change("Resource", "r1", lambda old: {**old, "usageState": "active"}, system=False)


def test_locked_to_shutting_down_is_no_step_of_the_standard():
    desk = a_desk()
    desk.create("Resource", a_resource("r1", administrativeState="locked"))
    with pytest.raises(IllegalTransition, match="unlocked"):
        desk.change(
            "Resource",
            "r1",
            lambda old: {**old, "administrativeState": "shuttingDown"},
            system=False,
        )


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ({"value": "10.0.0.1"}, "10.0.0.1"),
        ({"serialNumber": "S1"}, "S1"),
        ({"resourceSpecification": {"id": "1", "name": "Router"}}, "Router"),
        ({"name": " ", "@type": "LogicalResource"}, "LogicalResource r1"),
    ],
)
def test_a_resource_without_a_name_gets_one(resource, name):
    assert rules.on_create({"id": "r1", **resource}, request_context())["name"] == name


def test_it_cannot_end_before_it_starts():
    dates = {
        "startOperatingDate": "2026-02-01T00:00:00.000Z",
        "endOperatingDate": "2026-01-01T00:00:00.000Z",
    }
    with pytest.raises(InvalidBody, match="endOperatingDate"):
        rules.on_create(a_resource("r1", **dates), request_context())


def test_the_names_of_characteristics_are_unique():
    twice = [{"name": "speed", "value": 1}, {"name": "speed", "value": 2}]
    with pytest.raises(InvalidBody, match="2 characteristics named speed"):
        rules.on_create(a_resource("r1", resourceCharacteristic=twice), request_context())


def test_the_inverse_of_an_inverse_is_the_type_itself():
    assert {INVERSE_TYPES[INVERSE_TYPES[type_]] for type_ in INVERSE_TYPES} == set(INVERSE_TYPES)
    assert not relationships.CONTAINED_IN_TYPES & relationships.CONTAINS_TYPES
    assert set(INVERSE_TYPES) >= relationships.DEPENDENCY_TYPES


def test_a_new_relationship_appears_on_the_other_side():
    desk = a_desk("card")
    desk.create("Resource", a_resource("port", ("isContainedIn", "card")), system=False)
    (other,) = desk.get("Resource", "card")["resourceRelationship"]
    assert other["relationshipType"] == "contains"
    assert other["resource"] == {
        "@type": "ResourceRef",
        "id": "port",
        "name": "Port port",
        "@referredType": "PhysicalResource",
    }


def test_a_relationship_taken_away_disappears_on_the_other_side():
    desk = a_desk("card", "port")
    relate(desk, "card", ("contains", "port"))
    relate(desk, "card")
    assert "resourceRelationship" not in desk.get("Resource", "port")


def test_a_deleted_resource_is_named_nowhere():
    desk = a_desk("card", "port")
    relate(desk, "port", ("isContainedIn", "card"))
    desk.delete("Resource", "port")
    assert "resourceRelationship" not in desk.get("Resource", "card")


def test_unknown_types_and_unknown_ids_are_left_alone():
    desk = a_desk("a", "b")
    relate(desk, "a", ("likes", "b"), ("contains", "nobody"))
    assert edges(desk.get("Resource", "a")) == {("likes", "b"), ("contains", "nobody")}
    assert edges(desk.get("Resource", "b")) == set()


def test_following_up_twice_or_late_is_harmless():
    desk = a_desk("card", "port")
    old = desk.get("Resource", "card")
    new = relate(desk, "card", ("contains", "port"))
    mirror = desk.policies["Resource"].after_commit
    writes = len(desk.write_log)
    mirror(desk, old, new)
    assert len(desk.write_log) == writes
    relate(desk, "card")
    mirror(desk, old, new)
    assert edges(desk.get("Resource", "port")) == set()


def test_a_loaded_resource_gets_the_inverses_of_those_loaded_before_it():
    desk = a_desk()
    desk.create("Resource", a_resource("port", ("isContainedIn", "card")))
    desk.create("Resource", a_resource("card"))
    assert edges(desk.get("Resource", "card")) == {("contains", "port")}


def test_what_others_need_stays_and_five_of_them_are_named():
    desk = a_desk("card")
    for number in range(7):
        desk.create("Resource", a_resource(f"p{number}", ("isContainedIn", "card")))
    with pytest.raises(Conflict, match=r"p0.*p4\) and more"):
        desk.delete("Resource", "card")


def test_a_connection_does_not_keep_either_end():
    desk = a_desk("a", "b")
    relate(desk, "a", ("connectsTo", "b"))
    desk.delete("Resource", "b")
    assert edges(desk.get("Resource", "a")) == set()


def test_nothing_is_inside_itself():
    desk = a_desk("a", "b", "c")
    relate(desk, "a", ("isContainedIn", "b"))
    relate(desk, "b", ("contains", "a"), ("parent", "c"))
    with pytest.raises(Conflict, match="inside itself"):
        relate(desk, "c", ("isContainedIn", "a"))
    with pytest.raises(Conflict, match="inside itself"):
        relate(desk, "a", ("isContainedIn", "b"), ("contains", "c"))
    with pytest.raises(InvalidBody, match="its own"):
        relate(desk, "a", ("contains", "a"))


TYPES = ["contains", "isContainedIn", "reliesOn", "isReliedOnBy", "connectsTo", "adjacentTo"]
LINKS = st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from("abcd")), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("relate"), st.sampled_from("abcd"), LINKS),
    st.tuples(st.just("delete"), st.sampled_from("abcd"), st.just([])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=10))
def test_whatever_is_done_both_sides_agree_and_containment_is_a_forest(steps):
    desk = a_desk(*"abcd")
    for what, one, links in steps:
        if one not in desk.resources["Resource"]:
            continue
        alive = [link for link in links if link[1] in desk.resources["Resource"]]
        try:
            if what == "delete":
                desk.delete("Resource", one)
            else:
                relate(desk, one, *dict.fromkeys(alive))
        except (Conflict, InvalidBody):
            continue
    stored = desk.resources["Resource"]
    for one, resource in stored.items():
        for type_, target in edges(resource):
            assert (INVERSE_TYPES[type_], one) in edges(stored[target])
        outwards, seen = {one}, set()
        while outwards:
            seen |= outwards
            outwards = {
                target
                for inner in outwards
                for target in relationships.target_ids(
                    stored[inner], relationships.CONTAINED_IN_TYPES
                )
            }
            assert one not in outwards
            outwards -= seen


def test_dates_are_compared_again_when_one_of_them_changes():
    desk = a_desk()
    start = {"startOperatingDate": "2026-02-01T00:00:00.000Z"}
    desk.create("Resource", a_resource("r1", **start))
    with pytest.raises(InvalidBody, match="endOperatingDate"):
        desk.change(
            "Resource", "r1", lambda old: {**old, "endOperatingDate": "2026-01-01T00:00:00.000Z"}
        )


def test_what_was_stored_once_does_not_hinder_another_change():
    twice = [{"name": "speed", "value": 1}, {"name": "speed", "value": 2}]
    old = a_resource("r1", usageState="idle", resourceCharacteristic=twice)
    new = {**old, "name": "renamed"}
    assert rules.on_change(old, new, request_context()) == new


def test_the_other_side_of_an_unnamed_resource_is_a_plain_reference():
    made = relationships.with_edge({"id": "a"}, ("contains", "b"), {"id": "b"})
    assert made["resourceRelationship"][0]["resource"] == {"@type": "ResourceRef", "id": "b"}
