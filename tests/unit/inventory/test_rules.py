"""Rules of resources and of their relationships."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository, request_context
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.inventory import api_module, relationships, rules
from tmf_apis.inventory.relationships import INVERSE_TYPES, edges
from tmf_apis.settings import Settings


def repository_with(*ids):
    repository = MemoryRepository(api_module(Settings()).policies)
    for id in ids:
        repository.create("Resource", a_resource(id), system=False)
    return repository


def a_resource(id, *related, **more):
    links = [
        {"@type": "ResourceRelationship", "relationshipType": type_, "resource": {"id": target}}
        for type_, target in related
    ]
    resource = {"id": id, "@type": "PhysicalResource", "name": f"Port {id}", **more}
    return {**resource, "resourceRelationship": links} if links else resource


def relate(repository, id, *related):
    return repository.change(
        "Resource",
        id,
        lambda old: {
            **{key: value for key, value in old.items() if key != "resourceRelationship"},
            **a_resource(id, *related),
        },
        system=False,
    )


OPERATIONAL_STATES = sorted(enum_values("TMF639-v5", "ResourceOperationalStateType"))
USAGE_STATES = sorted(enum_values("TMF639-v5", "ResourceUsageStateType"))


def test_the_states_are_exactly_those_of_the_contract():
    states = rules.ADMINISTRATIVE_LIFECYCLE.states
    assert states == enum_values("TMF639-v5", "ResourceAdministrativeStateType")
    assert set(USAGE_STATES) - {"idle"} == rules.IN_USE_STATES
    assert OPERATIONAL_STATES == ["disabled", "enabled"]


def test_a_new_resource_is_unlocked_enabled_and_idle():
    resource = repository_with().create("Resource", a_resource("r1"), system=False)
    states = [resource[name] for name in ("administrativeState", "operationalState", "usageState")]
    assert states == ["unlocked", "enabled", "idle"]


@pytest.mark.parametrize("administrative", rules.ADMINISTRATIVE_LIFECYCLE.initial_states)
@pytest.mark.parametrize("operational", OPERATIONAL_STATES)
@pytest.mark.parametrize("usage", USAGE_STATES)
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
def test_a_busy_resource_that_goes_out_of_service_becomes_idle(change):
    repository = repository_with()
    repository.create("Resource", a_resource("r1", usageState="busy"))
    changed = repository.change("Resource", "r1", lambda old: {**old, **change}, system=False)
    assert changed["usageState"] == "idle"


def test_a_locked_resource_cannot_be_used():
    repository = repository_with()
    repository.create("Resource", a_resource("r1", administrativeState="locked"))
    with pytest.raises(Conflict, match="allowed: idle"):
        repository.change(
            "Resource", "r1", lambda old: {**old, "usageState": "active"}, system=False
        )


def test_a_locked_resource_cannot_shut_down():
    repository = repository_with()
    repository.create("Resource", a_resource("r1", administrativeState="locked"))
    with pytest.raises(IllegalTransition, match="unlocked"):
        repository.change(
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


def test_a_resource_cannot_end_before_it_starts():
    dates = {
        "startOperatingDate": "2026-02-01T00:00:00.000Z",
        "endOperatingDate": "2026-01-01T00:00:00.000Z",
    }
    with pytest.raises(InvalidBody, match="endOperatingDate"):
        rules.on_create(a_resource("r1", **dates), request_context())


def test_characteristics_have_unique_names():
    twice = [{"name": "speed", "value": 1}, {"name": "speed", "value": 2}]
    with pytest.raises(InvalidBody, match="2 characteristics named speed"):
        rules.on_create(a_resource("r1", resourceCharacteristic=twice), request_context())


def test_the_inverse_of_an_inverse_is_the_type_itself():
    assert {INVERSE_TYPES[INVERSE_TYPES[type_]] for type_ in INVERSE_TYPES} == set(INVERSE_TYPES)
    assert not relationships.CONTAINED_IN_TYPES & relationships.CONTAINS_TYPES
    assert set(INVERSE_TYPES) >= relationships.DEPENDENCY_TYPES


def test_a_new_relationship_appears_on_the_other_side():
    repository = repository_with("card")
    repository.create("Resource", a_resource("port", ("isContainedIn", "card")), system=False)
    (other,) = repository.get("Resource", "card")["resourceRelationship"]
    assert other["relationshipType"] == "contains"
    assert other["resource"] == {
        "@type": "ResourceRef",
        "id": "port",
        "name": "Port port",
        "@referredType": "PhysicalResource",
    }


def test_a_removed_relationship_disappears_on_the_other_side():
    repository = repository_with("card", "port")
    relate(repository, "card", ("contains", "port"))
    relate(repository, "card")
    assert "resourceRelationship" not in repository.get("Resource", "port")


def test_relationships_to_a_deleted_resource_are_removed():
    repository = repository_with("card", "port")
    relate(repository, "port", ("isContainedIn", "card"))
    repository.delete("Resource", "port")
    assert "resourceRelationship" not in repository.get("Resource", "card")


def test_unknown_types_and_ids_have_no_inverse():
    repository = repository_with("a", "b")
    relate(repository, "a", ("likes", "b"), ("contains", "nobody"))
    assert edges(repository.get("Resource", "a")) == {("likes", "b"), ("contains", "nobody")}
    assert edges(repository.get("Resource", "b")) == set()


def test_a_repeated_or_late_update_of_inverses_does_no_harm():
    repository = repository_with("card", "port")
    old = repository.get("Resource", "card")
    new = relate(repository, "card", ("contains", "port"))
    update_inverses = repository.policies["Resource"].after_commit
    writes = len(repository.write_log)
    update_inverses(repository, old, new)
    assert len(repository.write_log) == writes
    relate(repository, "card")
    update_inverses(repository, old, new)
    assert edges(repository.get("Resource", "port")) == set()


def test_a_new_resource_gets_the_inverses_of_earlier_relationships():
    repository = repository_with()
    repository.create("Resource", a_resource("port", ("isContainedIn", "card")))
    repository.create("Resource", a_resource("card"))
    assert edges(repository.get("Resource", "card")) == {("contains", "port")}


def test_a_needed_resource_cannot_be_deleted_and_five_dependents_are_named():
    repository = repository_with("card")
    for number in range(7):
        repository.create("Resource", a_resource(f"p{number}", ("isContainedIn", "card")))
    with pytest.raises(Conflict, match=r"p0.*p4\) and more"):
        repository.delete("Resource", "card")


def test_a_connection_does_not_prevent_a_deletion():
    repository = repository_with("a", "b")
    relate(repository, "a", ("connectsTo", "b"))
    repository.delete("Resource", "b")
    assert edges(repository.get("Resource", "a")) == set()


def test_a_resource_cannot_contain_itself():
    repository = repository_with("a", "b", "c")
    relate(repository, "a", ("isContainedIn", "b"))
    relate(repository, "b", ("contains", "a"), ("parent", "c"))
    with pytest.raises(Conflict, match="inside itself"):
        relate(repository, "c", ("isContainedIn", "a"))
    with pytest.raises(Conflict, match="inside itself"):
        relate(repository, "a", ("isContainedIn", "b"), ("contains", "c"))
    with pytest.raises(InvalidBody, match="its own"):
        relate(repository, "a", ("contains", "a"))


TYPES = ["contains", "isContainedIn", "reliesOn", "isReliedOnBy", "connectsTo", "adjacentTo"]
LINKS = st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from("abcd")), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("relate"), st.sampled_from("abcd"), LINKS),
    st.tuples(st.just("delete"), st.sampled_from("abcd"), st.just([])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=10))
def test_inverses_agree_and_containment_is_a_forest_after_any_changes(steps):
    repository = repository_with(*"abcd")
    for action, id, links in steps:
        if id not in repository.resources["Resource"]:
            continue
        existing = [link for link in links if link[1] in repository.resources["Resource"]]
        try:
            if action == "delete":
                repository.delete("Resource", id)
            else:
                relate(repository, id, *dict.fromkeys(existing))
        except (Conflict, InvalidBody):
            continue
    stored = repository.resources["Resource"]
    for id, resource in stored.items():
        for type_, target in edges(resource):
            assert (INVERSE_TYPES[type_], id) in edges(stored[target])
        level, seen = {id}, set()
        while level:
            seen |= level
            level = {
                target
                for inner in level
                for target in relationships.target_ids(
                    stored[inner], relationships.CONTAINED_IN_TYPES
                )
            }
            assert id not in level
            level -= seen


def test_dates_are_compared_again_when_one_of_them_changes():
    repository = repository_with()
    start = {"startOperatingDate": "2026-02-01T00:00:00.000Z"}
    repository.create("Resource", a_resource("r1", **start))
    with pytest.raises(InvalidBody, match="endOperatingDate"):
        repository.change(
            "Resource", "r1", lambda old: {**old, "endOperatingDate": "2026-01-01T00:00:00.000Z"}
        )


def test_an_invalid_stored_attribute_does_not_block_other_changes():
    twice = [{"name": "speed", "value": 1}, {"name": "speed", "value": 2}]
    old = a_resource("r1", usageState="idle", resourceCharacteristic=twice)
    new = {**old, "name": "renamed"}
    assert rules.on_change(old, new, request_context()) == new


def test_the_inverse_of_an_unnamed_resource_has_only_an_id():
    resource = relationships.with_edge({"id": "a"}, ("contains", "b"), {"id": "b"})
    assert resource["resourceRelationship"][0]["resource"] == {"@type": "ResourceRef", "id": "b"}
