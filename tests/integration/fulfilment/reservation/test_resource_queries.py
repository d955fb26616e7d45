"""Queries for resources use indexes."""

from dataclasses import replace

import pytest

from tests.support.repositories import profiled_operations, repository_factory
from tmf_apis.fulfilment.reservation.resource_queries import candidates, shared_resources
from tmf_apis.fulfilment.values import ResourceRequirement

PORT = ResourceRequirement(
    "accessPort", category="accessPort", is_carrier=True, element_category="accessGateway"
)


@pytest.fixture(scope="module")
def factory_and_database(mongodb_uri, contracts):
    with repository_factory(mongodb_uri, contracts, "resource_queries") as factory_and_database:
        yield factory_and_database


@pytest.fixture
def repository(factory_and_database, tenant):
    return factory_and_database[0].for_tenant(tenant)


@pytest.fixture
def operations(factory_and_database):
    with profiled_operations(factory_and_database[1]) as operations:
        yield operations


def at(site):
    return [{"@type": "RelatedPlaceRef", "role": "site", "place": {"id": site}}]


def contained_in(element):
    relationship = {"relationshipType": "isContainedIn", "resource": {"id": element}}
    return [{"@type": "ResourceRelationship", **relationship}]


def create_network(repository, sites, ports, *, ports_have_places):
    """Create gateways with ports, half of which are in use."""
    for site in range(sites):
        address = {"name": "managementAddress", "value": "192.0.2.1"}
        gateway = {"id": f"gw{site}", "category": "accessGateway", "place": at(f"s{site}")}
        repository.create_many("Resource", [{**gateway, "resourceCharacteristic": [address]}])
        port = {"category": "accessPort", "resourceRelationship": contained_in(f"gw{site}")}
        if ports_have_places:
            port["place"] = at(f"s{site}")
        resources = [{**port, "id": f"p{site}-{number:03}"} for number in range(ports)]
        used = [{**resource, "usageState": "active"} for resource in resources[: ports // 2]]
        repository.create_many("Resource", [*used, *resources[ports // 2 :]])


@pytest.mark.parametrize(
    ("ports_have_places", "max_documents"), [(True, 10), (False, 200)], ids=["port", "gateway"]
)
def test_a_free_port_at_a_site_is_found_by_an_index(
    repository, operations, ports_have_places, max_documents
):
    create_network(repository, sites=4, ports=60, ports_have_places=ports_have_places)
    port = next(candidates(repository, replace(PORT, places=("s2",)), "", "order"))
    assert port["id"].startswith("p2-")
    examined = sum(operation.get("docsExamined", 0) for operation in operations(op="query"))
    assert examined <= max_documents


def test_an_uplink_is_found_by_an_index(repository, operations):
    create_network(repository, sites=4, ports=60, ports_have_places=True)
    uplink = {"id": "up", "category": "uplink", "resourceRelationship": contained_in("gw1")}
    repository.create("Resource", uplink)
    requirement = ResourceRequirement(
        "uplink", category="uplink", amount=1, element_category="accessGateway"
    )
    resources = shared_resources(repository, requirement, "gw1")
    assert [resource["id"] for resource in resources] == ["up"]
    assert operations(op="query")[-1]["docsExamined"] <= 2
