"""The catalogue cache saves queries and is never older than the database."""

import pytest

from tests.support.repositories import profiled_operations, repository_factory
from tmf_apis.fulfilment.design.catalog_cache import CatalogCache
from tmf_apis.fulfilment.design.catalog_reader import read_offerings

OFFERING = frozenset({"fibre"})


@pytest.fixture(scope="module")
def factory_and_database(mongodb_uri, contracts):
    with repository_factory(mongodb_uri, contracts, "catalog_cache") as factory_and_database:
        yield factory_and_database


@pytest.fixture
def repository(factory_and_database, tenant):
    return factory_and_database[0].for_tenant(tenant)


@pytest.fixture
def other_repository(factory_and_database, tenant):
    """A repository of another process for the same tenant."""
    return factory_and_database[0].for_tenant(tenant)


def create_catalogue(repository):
    repository.create("ProductSpecification", {"id": "access", "name": "Access"})
    repository.create(
        "ProductOffering",
        {"id": "fibre", "name": "Fibre", "productSpecification": {"id": "access"}},
    )


def test_a_catalogue_is_read_once_while_nothing_changes(repository, factory_and_database):
    create_catalogue(repository)
    cache = CatalogCache(read_offerings)
    with profiled_operations(factory_and_database[1]) as operations:
        catalog = cache.get(repository, OFFERING)
        count = len(operations(op="query"))
        cached_catalog = cache.get(repository, OFFERING)
        assert len(operations(op="query")) == count > 0
    assert cached_catalog is catalog
    assert catalog.product_specifications["access"]["name"] == "Access"


def test_a_change_below_an_offering_is_seen_at_once(repository, other_repository):
    create_catalogue(repository)
    cache = CatalogCache(read_offerings)
    cache.get(repository, OFFERING)
    other_repository.change(
        "ProductSpecification", "access", lambda stored: {**stored, "name": "Faster"}
    )
    catalog = cache.get(repository, OFFERING)
    assert catalog.product_specifications["access"]["name"] == "Faster"
    other_repository.delete("ProductOffering", "fibre")
    assert not cache.get(repository, OFFERING).offerings


def test_a_new_offering_is_seen_at_once(repository):
    cache = CatalogCache(read_offerings)
    assert not cache.get(repository, OFFERING).offerings
    create_catalogue(repository)
    assert cache.get(repository, OFFERING).offerings["fibre"]["name"] == "Fibre"
