"""The catalogues of services and resources: their law, and their jobs."""

import json

import pytest

from tests.support.memory_repository import MemoryRepository
from tmf_apis.catalog import CATALOG_DEFINITIONS, RESOURCE_CATALOG, SERVICE_CATALOG, api_module
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.events.outbox import change_events
from tmf_apis.settings import Settings

BOTH = pytest.mark.parametrize(
    "family", [SERVICE_CATALOG, RESOURCE_CATALOG], ids=lambda one: one.number
)


def a_desk(settings=None, **flags):
    settings = settings or Settings()
    laws = {}
    for family in CATALOG_DEFINITIONS:
        laws |= api_module(settings, definition=family).policies
    return MemoryRepository(laws, flags=flags)


def names(family):
    """Kind of specification, its relationships and its characteristics."""
    if family is SERVICE_CATALOG:
        return "ServiceSpecification", "serviceSpecRelationship", "specCharacteristic"
    return "ResourceSpecification", "resourceSpecRelationship", "resourceSpecCharacteristic"


def specify(desk, family, id, *parts, type="consistsOf", **more):
    kind, relations, _ = names(family)
    links = [{"id": part, "relationshipType": type} for part in parts]
    return desk.create(kind, {"id": id, "name": id, relations: links, **more}, system=False)


def change(desk, family, id, **values):
    return desk.change(names(family)[0], id, lambda old: {**old, **values}, system=False)


@BOTH
def test_a_new_specification_has_a_status_a_version_and_a_date(family):
    made = specify(a_desk(), family, "a")
    assert (made["lifecycleStatus"], made["version"], made["isBundle"]) == (
        "In study",
        "1.0",
        False,
    )
    assert made["lastUpdate"]


@BOTH
def test_a_specification_that_consists_of_others_is_a_bundle(family):
    assert specify(a_desk(), family, "a", "b")["isBundle"] is True
    assert specify(a_desk(), family, "a", "b", type="reliesOn")["isBundle"] is False


@BOTH
def test_a_specification_lives_like_an_offering(family):
    desk = a_desk()
    specify(desk, family, "a")
    for status in ("In design", "In test", "Active", "Launched", "Retired", "Obsolete"):
        change(desk, family, "a", lifecycleStatus=status)
    with pytest.raises(IllegalTransition):
        change(desk, family, "a", lifecycleStatus="Active")


@BOTH
@pytest.mark.parametrize("type", ["consistsOf", "composedOf", "bundled", "requires", "reliesOn"])
def test_a_specification_is_not_a_part_of_itself(family, type):
    desk = a_desk()
    specify(desk, family, "a")
    specify(desk, family, "b", "a", type=type)
    specify(desk, family, "c", "b")
    again = [{"id": "c", "relationshipType": type}]
    with pytest.raises(InvalidBody, match="would be a part of itself"):
        change(desk, family, "a", **{names(family)[1]: again})
    with pytest.raises(InvalidBody, match="would be a part of itself"):
        specify(desk, family, "d", "d", type=type)


@BOTH
def test_two_specifications_may_name_each_other_where_neither_is_built_of_the_other(family):
    desk = a_desk()
    specify(desk, family, "old", "new", type="isReplacedBy")
    specify(desk, family, "new", "old", type="replaces")


@BOTH
def test_a_specification_that_another_needs_stays(family):
    desk = a_desk()
    kind = names(family)[0]
    specify(desk, family, "a")
    specify(desk, family, "b", "a")
    with pytest.raises(Conflict, match=r"needed by b \(b\)"):
        desk.delete(kind, "a", system=False)
    desk.delete(kind, "b", system=False)
    desk.delete(kind, "a", system=False)


@BOTH
def test_quantities_and_characteristics_do_not_contradict_themselves(family):
    kind, relations, characteristics = names(family)
    few = {"id": "x", "relationshipType": "consistsOf", "minimumQuantity": 3, "maximumQuantity": 2}
    twice = [{"name": "speed"}, {"name": "speed"}]
    bounds = [{"name": "speed", "minCardinality": 2, "maxCardinality": 1}]
    for wrong, words in (
        ({relations: [few]}, "maximumQuantity: 2 is under minimumQuantity"),
        ({characteristics: twice}, "another characteristic is named speed"),
        ({characteristics: bounds}, "maxCardinality: 1 is under"),
    ):
        with pytest.raises(InvalidBody, match=words):
            a_desk().create(kind, {"id": "a", "name": "a", **wrong}, system=False)


@BOTH
def test_a_specification_that_was_sold_keeps_its_earlier_versions(family):
    desk = a_desk()
    specify(desk, family, "a", lifecycleStatus="Active")
    change(desk, family, "a", version="2.0", description="better")
    kept = desk.get(names(family)[0], "a:(version=1.0)")
    assert (kept["lifecycleStatus"], "description" in kept) == ("Retired", False)


@BOTH
def test_both_directions_of_the_tree_of_categories_say_the_same(family):
    desk, kind = a_desk(), family.category_tree.kind
    desk.create(kind, {"id": "top", "name": "Top"}, system=False)
    low = desk.create(kind, {"id": "low", "name": "Low", "parentId": "top"}, system=False)
    assert low["isRoot"] is False
    (child,) = desk.get(kind, "top")["category"]
    assert (child["id"], child["name"], child["@referredType"]) == ("low", "Low", kind)
    with pytest.raises(InvalidBody, match="/parentId: category top would be above itself"):
        desk.change(kind, "top", lambda old: {**old, "parentId": "low"}, system=False)
    desk.change(kind, "top", lambda old: {**old, "category": []}, system=False)
    assert "parentId" not in desk.get(kind, "low")


@BOTH
def test_references_are_looked_up_where_the_operator_wants_it(family):
    desk = a_desk(check_references=True)
    with pytest.raises(InvalidBody, match="/0/id: there is no"):
        specify(desk, family, "a", "b")
    specify(desk, family, "b")
    specify(desk, family, "a", "b")


@BOTH
def test_every_change_is_one_event(family):
    law = api_module(Settings(), definition=family).policies[names(family)[0]]
    old = {"name": "a", "lifecycleStatus": "In study"}
    new = {"name": "b", "lifecycleStatus": "In design"}
    origin = {"tenant": "t", "id": "1", "rev": 2, "parties": ["*"], "now": a_desk().now}
    (event,) = change_events(
        names(family)[0], old, new, state_attributes=law.state_event_attributes, **origin
    )
    assert event["what"] == "AttributeValueChange"


@BOTH
def test_what_is_carried_out_can_be_carried_in(family, tmp_path):
    settings = Settings(data_dir=tmp_path)
    desk = a_desk(settings)
    subtype = next(iter(family.subtypes))
    specify(desk, family, "low", **{"@type": subtype, "@baseType": names(family)[0]})
    specify(desk, family, "high", "low")
    desk.create(family.category_tree.kind, {"id": "top", "name": "Top"}, system=False)
    desk.create(
        family.category_tree.kind, {"id": "sub", "name": "Sub", "parentId": "top"}, system=False
    )

    def run(where, kind):
        job = where.create(kind, {"id": kind, "url": "file:out"}, system=False)
        where.policies[kind].run_in_background(where, job)
        return where.get(kind, kind)

    written = run(desk, family.export_job_kind)
    assert written["status"] == "Succeeded", written
    (file,) = (one for one in tmp_path.rglob("out") if one.is_file())
    assert {json.loads(line)["@type"] for line in file.read_text().splitlines()} >= {subtype}
    other = a_desk(settings)
    read = run(other, family.import_job_kind)
    assert (read["status"], read["progress"]) == ("Succeeded", {"lines": 4, "created": 4})
    kind = names(family)[0]
    assert other.get(kind, "high") == {"@type": kind, **desk.get(kind, "high")}
    assert other.get(family.category_tree.kind, "sub")["parentId"] == "top"
    assert "ProductOffering" not in other.resources
