"""The catalogues of services and resources: their rules and their jobs."""

import json

import pytest

from tests.support.memory_repository import MemoryRepository
from tmf_apis.catalog import CATALOG_DEFINITIONS, RESOURCE_CATALOG, SERVICE_CATALOG, api_module
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody
from tmf_apis.events.outbox import change_events
from tmf_apis.settings import Settings

BOTH = pytest.mark.parametrize(
    "definition", [SERVICE_CATALOG, RESOURCE_CATALOG], ids=lambda definition: definition.number
)


def new_repository(settings=None, **flags):
    settings = settings or Settings()
    policies = {}
    for definition in CATALOG_DEFINITIONS:
        policies |= api_module(settings, definition=definition).policies
    return MemoryRepository(policies, flags=flags)


def names(definition):
    """Return the kind of specification and its relationship and characteristic attributes."""
    if definition is SERVICE_CATALOG:
        return "ServiceSpecification", "serviceSpecRelationship", "specCharacteristic"
    return "ResourceSpecification", "resourceSpecRelationship", "resourceSpecCharacteristic"


def specify(repository, definition, id, *parts, type="consistsOf", **more):
    kind, relations, _ = names(definition)
    links = [{"id": part, "relationshipType": type} for part in parts]
    return repository.create(kind, {"id": id, "name": id, relations: links, **more}, system=False)


def change(repository, definition, id, **values):
    return repository.change(names(definition)[0], id, lambda old: {**old, **values}, system=False)


@BOTH
def test_a_new_specification_has_a_status_a_version_and_a_date(definition):
    specification = specify(new_repository(), definition, "a")
    attributes = ("lifecycleStatus", "version", "isBundle")
    assert [specification[name] for name in attributes] == ["In study", "1.0", False]
    assert specification["lastUpdate"]


@BOTH
def test_a_specification_that_consists_of_others_is_a_bundle(definition):
    assert specify(new_repository(), definition, "a", "b")["isBundle"] is True
    assert specify(new_repository(), definition, "a", "b", type="reliesOn")["isBundle"] is False


@BOTH
def test_a_specification_has_the_lifecycle_of_an_offering(definition):
    repository = new_repository()
    specify(repository, definition, "a")
    for status in ("In design", "In test", "Active", "Launched", "Retired", "Obsolete"):
        change(repository, definition, "a", lifecycleStatus=status)
    with pytest.raises(IllegalTransition):
        change(repository, definition, "a", lifecycleStatus="Active")


@BOTH
@pytest.mark.parametrize("type", ["consistsOf", "composedOf", "bundled", "requires", "reliesOn"])
def test_a_specification_is_not_a_part_of_itself(definition, type):
    repository = new_repository()
    specify(repository, definition, "a")
    specify(repository, definition, "b", "a", type=type)
    specify(repository, definition, "c", "b")
    again = [{"id": "c", "relationshipType": type}]
    with pytest.raises(InvalidBody, match="would be a part of itself"):
        change(repository, definition, "a", **{names(definition)[1]: again})
    with pytest.raises(InvalidBody, match="would be a part of itself"):
        specify(repository, definition, "d", "d", type=type)


@BOTH
def test_two_specifications_may_replace_each_other(definition):
    repository = new_repository()
    specify(repository, definition, "old", "new", type="isReplacedBy")
    specify(repository, definition, "new", "old", type="replaces")


@BOTH
def test_a_specification_that_another_needs_cannot_be_deleted(definition):
    repository = new_repository()
    kind = names(definition)[0]
    specify(repository, definition, "a")
    specify(repository, definition, "b", "a")
    with pytest.raises(Conflict, match=r"needed by b \(b\)"):
        repository.delete(kind, "a", system=False)
    repository.delete(kind, "b", system=False)
    repository.delete(kind, "a", system=False)


@BOTH
def test_contradictory_quantities_and_characteristics_are_refused(definition):
    kind, relations, characteristics = names(definition)
    few = {"id": "x", "relationshipType": "consistsOf", "minimumQuantity": 3, "maximumQuantity": 2}
    twice = [{"name": "speed"}, {"name": "speed"}]
    bounds = [{"name": "speed", "minCardinality": 2, "maxCardinality": 1}]
    for wrong, words in (
        ({relations: [few]}, "maximumQuantity: 2 is under minimumQuantity"),
        ({characteristics: twice}, "another characteristic is named speed"),
        ({characteristics: bounds}, "maxCardinality: 1 is under"),
    ):
        with pytest.raises(InvalidBody, match=words):
            new_repository().create(kind, {"id": "a", "name": "a", **wrong}, system=False)


@BOTH
def test_a_specification_on_sale_keeps_its_earlier_versions(definition):
    repository = new_repository()
    specify(repository, definition, "a", lifecycleStatus="Active")
    change(repository, definition, "a", version="2.0", description="better")
    earlier = repository.get(names(definition)[0], "a:(version=1.0)")
    assert (earlier["lifecycleStatus"], "description" in earlier) == ("Retired", False)


@BOTH
def test_both_directions_of_the_category_tree_agree(definition):
    repository, kind = new_repository(), definition.category_tree.kind
    repository.create(kind, {"id": "top", "name": "Top"}, system=False)
    low = repository.create(kind, {"id": "low", "name": "Low", "parentId": "top"}, system=False)
    assert low["isRoot"] is False
    (child,) = repository.get(kind, "top")["category"]
    assert (child["id"], child["name"], child["@referredType"]) == ("low", "Low", kind)
    with pytest.raises(InvalidBody, match="/parentId: category top would be above itself"):
        repository.change(kind, "top", lambda old: {**old, "parentId": "low"}, system=False)
    repository.change(kind, "top", lambda old: {**old, "category": []}, system=False)
    assert "parentId" not in repository.get(kind, "low")


@BOTH
def test_references_are_checked_if_the_operator_wants_it(definition):
    repository = new_repository(check_references=True)
    with pytest.raises(InvalidBody, match="/0/id: there is no"):
        specify(repository, definition, "a", "b")
    specify(repository, definition, "b")
    specify(repository, definition, "a", "b")


@BOTH
def test_every_change_is_one_event(definition):
    policy = api_module(Settings(), definition=definition).policies[names(definition)[0]]
    old = {"name": "a", "lifecycleStatus": "In study"}
    new = {"name": "b", "lifecycleStatus": "In design"}
    origin = {"tenant": "t", "id": "1", "rev": 2, "parties": ["*"], "now": new_repository().now}
    (event,) = change_events(
        names(definition)[0], old, new, state_attributes=policy.state_event_attributes, **origin
    )
    assert event["what"] == "AttributeValueChange"


@BOTH
def test_an_exported_catalogue_can_be_imported(definition, tmp_path):
    settings = Settings(data_dir=tmp_path)
    repository = new_repository(settings)
    subtype = next(iter(definition.subtypes))
    specify(repository, definition, "low", **{"@type": subtype, "@baseType": names(definition)[0]})
    specify(repository, definition, "high", "low")
    repository.create(definition.category_tree.kind, {"id": "top", "name": "Top"}, system=False)
    repository.create(
        definition.category_tree.kind, {"id": "sub", "name": "Sub", "parentId": "top"}, system=False
    )

    def run(where, kind):
        job = where.create(kind, {"id": kind, "url": "file:out"}, system=False)
        where.policies[kind].run_in_background(where, job)
        return where.get(kind, kind)

    written = run(repository, definition.export_job_kind)
    assert written["status"] == "Succeeded", written
    (file,) = (path for path in tmp_path.rglob("out") if path.is_file())
    assert {json.loads(line)["@type"] for line in file.read_text().splitlines()} >= {subtype}
    other = new_repository(settings)
    read = run(other, definition.import_job_kind)
    assert (read["status"], read["progress"]) == ("Succeeded", {"lines": 4, "created": 4})
    kind = names(definition)[0]
    assert other.get(kind, "high") == {"@type": kind, **repository.get(kind, "high")}
    assert other.get(definition.category_tree.kind, "sub")["parentId"] == "top"
    assert "ProductOffering" not in other.resources
