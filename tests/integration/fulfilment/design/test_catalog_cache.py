"""What is remembered is never older than the database; what is looked for is not searched for."""

import uuid
from functools import partial

import pytest

from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fulfilment.design.catalog_cache import CatalogCache
from tmf_apis.fulfilment.design.catalog_reader import read_offerings as read
from tmf_apis.fulfilment.reservation.resource_queries import candidates, shared_resources
from tmf_apis.fulfilment.values import ResourceRequirement
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of

OFFERING = frozenset({"fibre"})
PORT = ResourceRequirement(
    "accessPort", category="accessPort", is_carrier=True, element_category="accessGateway"
)


@pytest.fixture(scope="module")
def stand(tmp_path_factory, mongodb_uri):
    settings = Settings(mongodb_database=f"remembering_{uuid.uuid4().hex[:8]}")
    with client_of(settings, mongodb_uri) as client:
        database = client[settings.mongodb_database]
        engine = Engine(
            settings, load_contracts(CONTRACTS_DIR, tmp_path_factory.mktemp("cache")), database
        )
        engine.prepare()
        yield RepositoryFactory(engine.writer, "test"), database
        client.drop_database(database)


@pytest.fixture
def desk(stand, tenant):
    return stand[0].for_tenant(tenant)


@pytest.fixture
def other(stand, tenant):
    """Somebody else's desk."""
    return stand[0].for_tenant(tenant)


@pytest.fixture
def tenant():
    return uuid.uuid4().hex[:8]


@pytest.fixture
def asked(stand):
    """What the database was asked since, as the database itself says."""
    database = stand[1]
    database.command("profile", 2)
    others = {"ns": {"$not": {"$regex": "profile$"}}}
    yield lambda **query: list(database["system.profile"].find({"$and": [others, query]}))
    database.command("profile", 0)
    database["system.profile"].drop()


def with_(name, value, resource):
    return {**resource, name: value}


def renamed(name):
    return partial(with_, "name", name)


def test_what_was_read_is_not_read_again_to_be_changed(desk, stand, asked):
    desk.create("Resource", {"id": "a", "name": "old"})
    desk.get("Resource", "a")
    before = len(asked(ns=f"{stand[1].name}.Resource", op="query"))
    assert desk.change("Resource", "a", renamed("new"))["name"] == "new"
    assert len(asked(ns=f"{stand[1].name}.Resource", op="query")) == before


def test_what_was_changed_since_it_was_read_is_read_again(desk, other):
    desk.create("Resource", {"id": "a", "name": "old"})
    desk.get("Resource", "a")
    other.change("Resource", "a", partial(with_, "description", "theirs"))
    desk.change("Resource", "a", renamed("new"))
    found = desk.get("Resource", "a")
    assert (found["name"], found["description"]) == ("new", "theirs")


def test_an_edit_that_wants_nothing_of_what_is_over_is_asked_again(desk, other):
    desk.create("Resource", {"id": "a", "name": "old"})
    desk.find("Resource", {"id": "a"})
    other.change("Resource", "a", renamed("theirs"))
    mine = desk.change(
        "Resource", "a", lambda one: one if one["name"] == "old" else renamed("b")(one)
    )
    assert mine["name"] == "b"


def test_a_refusal_of_what_is_over_does_not_count(desk, other):
    def edit(resource):
        if resource["name"] == "taken":
            raise ValueError("it is taken")
        return renamed("mine")(resource)

    desk.create("Resource", {"id": "a", "name": "taken"})
    desk.get("Resource", "a")
    other.change("Resource", "a", renamed("free"))
    assert desk.change("Resource", "a", edit)["name"] == "mine"
    desk.change("Resource", "a", renamed("taken"))
    with pytest.raises(ValueError, match="taken"):
        desk.change("Resource", "a", edit)


def test_several_are_changed_at_once_and_those_that_are_gone_left_out(desk):
    desk.create_many("Service", [{"id": id, "name": "old"} for id in "abc"])
    made = desk.change_many("Service", dict.fromkeys("abcx", renamed("new")))
    assert {id: one["name"] for id, one in made.items()} == dict.fromkeys("abc", "new")
    assert {one["name"] for one in desk.find("Service", {})} == {"new"}


def test_several_are_changed_even_if_somebody_changes_one_meanwhile(desk, other, stand, tenant):
    desk.create_many("Service", [{"id": id, "name": "old"} for id in "abc"])
    calls = []

    def edit(resource):
        if not calls:
            other.change("Service", "b", partial(with_, "description", "theirs"))
        calls.append(resource["id"])
        return renamed("new")(resource)

    made = desk.change_many("Service", dict.fromkeys("abc", edit))
    assert made["b"]["description"] == "theirs"
    assert {one["name"] for one in desk.find("Service", {})} == {"new"}
    kept = {one["id"]: one["rev"] for one in stand[1].Service.find({"tenant": tenant})}
    assert kept == {"a": 2, "b": 3, "c": 2}


def catalogue(desk):
    desk.create("ProductSpecification", {"id": "access", "name": "Access"})
    desk.create(
        "ProductOffering",
        {"id": "fibre", "name": "Fibre", "productSpecification": {"id": "access"}},
    )


def test_a_catalogue_is_read_once_while_nothing_changes(desk, asked):
    catalogue(desk)
    catalogues = CatalogCache(read)
    first = catalogues.get(desk, OFFERING)
    before = len(asked(op="query"))
    again = catalogues.get(desk, OFFERING)
    assert len(asked(op="query")) == before
    assert again is first
    assert first.product_specifications["access"]["name"] == "Access"


def test_a_change_below_an_offering_is_seen_at_once(desk, other):
    catalogue(desk)
    catalogues = CatalogCache(read)
    catalogues.get(desk, OFFERING)
    other.change("ProductSpecification", "access", renamed("Faster"))
    assert catalogues.get(desk, OFFERING).product_specifications["access"]["name"] == "Faster"
    other.delete("ProductOffering", "fibre")
    assert not catalogues.get(desk, OFFERING).offerings


def test_an_offering_that_has_come_is_seen_at_once(desk):
    catalogues = CatalogCache(read)
    assert not catalogues.get(desk, OFFERING).offerings
    catalogue(desk)
    assert catalogues.get(desk, OFFERING).offerings["fibre"]["name"] == "Fibre"


def at(site):
    return [{"@type": "RelatedPlaceRef", "role": "site", "place": {"id": site}}]


def on(element):
    inside = {"relationshipType": "isContainedIn", "resource": {"id": element}}
    return [{"@type": "ResourceRelationship", **inside}]


def network(desk, sites, ports, *, placed):
    for site in range(sites):
        address = {"name": "managementAddress", "value": "192.0.2.1"}
        gateway = {"id": f"gw{site}", "category": "accessGateway", "place": at(f"s{site}")}
        desk.create_many("Resource", [{**gateway, "resourceCharacteristic": [address]}])
        plain = {"category": "accessPort", "resourceRelationship": on(f"gw{site}")}
        some = [{**plain, "id": f"p{site}-{number:03}"} for number in range(ports)]
        if placed:
            some = [{**one, "place": at(f"s{site}")} for one in some]
        busy = [{**one, "usageState": "active"} for one in some[: ports // 2]]
        desk.create_many("Resource", [*busy, *some[ports // 2 :]])


@pytest.mark.parametrize("placed", [True, False])
def test_a_free_port_is_found_without_a_look_at_the_others(desk, asked, placed):
    network(desk, sites=4, ports=60, placed=placed)
    found = next(
        candidates(desk, ResourceRequirement(**{**fields(PORT), "places": ("s2",)}), "", "order")
    )
    assert found["id"].startswith("p2-")
    assert sum(one.get("docsExamined", 0) for one in asked(op="query")) <= (10 if placed else 200)


def test_an_uplink_is_found_without_a_look_at_the_ports(desk, asked):
    network(desk, sites=4, ports=60, placed=True)
    desk.create("Resource", {"id": "up", "category": "uplink", "resourceRelationship": on("gw1")})
    need = ResourceRequirement(
        "uplink", category="uplink", amount=1, element_category="accessGateway"
    )
    found = shared_resources(desk, need, "gw1")
    assert [one["id"] for one in found] == ["up"]
    assert asked(op="query")[-1]["docsExamined"] <= 2


def fields(need):
    return {name: getattr(need, name) for name in need.__slots__}
