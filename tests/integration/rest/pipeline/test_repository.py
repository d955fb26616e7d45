"""Scoped repositories reuse documents that they have read, unless these are stale."""

from functools import partial

import pytest

from tests.support.repositories import profiled_operations, repository_factory


@pytest.fixture(scope="module")
def factory_and_database(mongodb_uri, contracts):
    with repository_factory(mongodb_uri, contracts, "scoped_repository") as factory_and_database:
        yield factory_and_database


@pytest.fixture
def repository(factory_and_database, tenant):
    return factory_and_database[0].for_tenant(tenant)


@pytest.fixture
def other_repository(factory_and_database, tenant):
    """A repository of another process for the same tenant."""
    return factory_and_database[0].for_tenant(tenant)


def with_attribute(name, value, resource):
    return {**resource, name: value}


def with_name(name):
    return partial(with_attribute, "name", name)


def test_a_document_that_was_read_is_not_read_again_for_a_change(repository, factory_and_database):
    database = factory_and_database[1]
    repository.create("Resource", {"id": "a", "name": "old"})
    with profiled_operations(database) as operations:
        repository.get("Resource", "a")
        count = len(operations(ns=f"{database.name}.Resource", op="query"))
        assert repository.change("Resource", "a", with_name("new"))["name"] == "new"
        assert len(operations(ns=f"{database.name}.Resource", op="query")) == count


def test_a_document_that_was_changed_meanwhile_is_read_again(repository, other_repository):
    repository.create("Resource", {"id": "a", "name": "old"})
    repository.get("Resource", "a")
    other_repository.change("Resource", "a", partial(with_attribute, "description", "theirs"))
    repository.change("Resource", "a", with_name("new"))
    resource = repository.get("Resource", "a")
    assert (resource["name"], resource["description"]) == ("new", "theirs")


def test_an_edit_is_repeated_if_it_changed_nothing_in_a_stale_document(
    repository, other_repository
):
    repository.create("Resource", {"id": "a", "name": "old"})
    repository.find("Resource", {"id": "a"})
    other_repository.change("Resource", "a", with_name("theirs"))
    resource = repository.change(
        "Resource",
        "a",
        lambda stored: stored if stored["name"] == "old" else with_name("b")(stored),
    )
    assert resource["name"] == "b"


def test_an_edit_is_repeated_if_it_failed_on_a_stale_document(repository, other_repository):
    def edit(resource):
        if resource["name"] == "taken":
            raise ValueError("the name is taken")
        return with_name("mine")(resource)

    repository.create("Resource", {"id": "a", "name": "taken"})
    repository.get("Resource", "a")
    other_repository.change("Resource", "a", with_name("free"))
    assert repository.change("Resource", "a", edit)["name"] == "mine"
    repository.change("Resource", "a", with_name("taken"))
    with pytest.raises(ValueError, match="taken"):
        repository.change("Resource", "a", edit)


def test_change_many_leaves_out_resources_that_do_not_exist(repository):
    repository.create_many("Service", [{"id": id, "name": "old"} for id in "abc"])
    changed = repository.change_many("Service", dict.fromkeys("abcx", with_name("new")))
    assert {id: service["name"] for id, service in changed.items()} == dict.fromkeys("abc", "new")
    assert {service["name"] for service in repository.find("Service", {})} == {"new"}


def test_change_many_changes_a_resource_that_is_changed_meanwhile(
    repository, other_repository, factory_and_database, tenant
):
    repository.create_many("Service", [{"id": id, "name": "old"} for id in "abc"])
    calls = []

    def edit(resource):
        if not calls:
            other_repository.change(
                "Service", "b", partial(with_attribute, "description", "theirs")
            )
        calls.append(resource["id"])
        return with_name("new")(resource)

    changed = repository.change_many("Service", dict.fromkeys("abc", edit))
    assert changed["b"]["description"] == "theirs"
    assert {service["name"] for service in repository.find("Service", {})} == {"new"}
    documents = factory_and_database[1].Service.find({"tenant": tenant})
    assert {document["id"]: document["rev"] for document in documents} == {"a": 2, "b": 3, "c": 2}


def test_create_each_stores_in_one_write_what_create_stores(
    repository, other_repository, factory_and_database, tenant
):
    rows = [{"id": id, "name": "x", "lifecycleStatus": "Active"} for id in "abc"]
    database = factory_and_database[1]
    with profiled_operations(database) as operations:
        assert repository.create_each("ProductOffering", rows) == [None, None, None]
        inserts = operations(ns=f"{database.name}.ProductOffering", op="insert")
        assert sum(operation.get("ninserted", 0) for operation in inserts) == 3
        assert len(inserts) == 1
    other_repository.create("ProductOffering", {**rows[0], "id": "single"})
    documents = {d["id"]: d for d in database.ProductOffering.find({"tenant": tenant})}
    assert documents["a"].keys() == documents["single"].keys()
    assert documents["a"]["events"][0].keys() == documents["single"]["events"][0].keys()
    assert documents["a"]["events"][0]["what"] == "Create"


def test_create_each_reports_what_is_refused_and_creates_the_others(repository):
    repository.create("Category", {"id": "b", "name": "old"})
    cycle = {"id": "x", "name": "x", "bundledProductOffering": [{"id": "x"}]}
    first, second = repository.create_each("ProductOffering", [cycle, {"id": "y", "name": "y"}])
    assert (type(first).__name__, second) == ("InvalidBody", None)
    outcomes = repository.create_each("Category", [{"id": id, "name": "new"} for id in "abc"])
    assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "Conflict", "NoneType"]
    assert repository.get("Category", "b")["name"] == "old"
    assert repository.get("Category", "c")["name"] == "new"


def test_create_each_runs_the_follow_up_of_each_resource(repository):
    repository.create("Category", {"id": "top", "name": "top"})
    children = [{"id": id, "name": id, "parent": {"id": "top"}} for id in ("one", "two")]
    assert repository.create_each("Category", children) == [None, None]
    parent = repository.get("Category", "top")
    assert {child["id"] for child in parent["subCategory"]} == {"one", "two"}
