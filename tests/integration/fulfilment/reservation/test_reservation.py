"""Reservations on a real database: ports, SIM cards, pools, uplinks, concurrent orders."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment import feasibility
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.reservation import bandwidth, reservations
from tmf_apis.fulfilment.values import OrderKey, ResourceRequirement, Task
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.ports import holder_of, service_of
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of

GATEWAY = "accessGateway"
PORT = ResourceRequirement(
    "accessPort", category="accessPort", is_carrier=True, element_category=GATEWAY
)
NAMED_PORT = replace(PORT, identifier="the gw-p1")
UPLINK = ResourceRequirement(
    "uplink", category="uplink", amount=100_000_000, element_category=GATEWAY, optional=True
)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory, mongodb_uri):
    settings = Settings(mongodb_database=f"reserving_{uuid.uuid4().hex[:8]}")
    with client_of(settings, mongodb_uri) as client:
        database = client[settings.mongodb_database]
        engine = Engine(
            settings, load_contracts(CONTRACTS_DIR, tmp_path_factory.mktemp("cache")), database
        )
        engine.prepare()
        yield RepositoryFactory(engine.writer, "test")
        client.drop_database(database)


@pytest.fixture
def tenant():
    return uuid.uuid4().hex[:8]


@pytest.fixture
def repository(repositories, tenant):
    return repositories.for_tenant(tenant)


def contained_in(id):
    return [
        {
            "@type": "ResourceRelationship",
            "relationshipType": "isContainedIn",
            "resource": {"@type": "ResourceRef", "id": id},
        }
    ]


def create_resource(repository, id, category, on="", site="", **characteristics):
    values = [
        {"@type": "ObjectCharacteristic", "name": name, "value": value}
        for name, value in characteristics.items()
    ]
    place = {"@type": "RelatedPlaceRef", "role": "site", "place": {"id": site}}
    resource = {"@type": "Resource", "id": id, "category": category, "name": f"the {id}"}
    return repository.create(
        "Resource",
        {
            **resource,
            **({"resourceRelationship": contained_in(on)} if on else {}),
            **({"place": [place]} if site else {}),
            **({"resourceCharacteristic": values} if values else {}),
        },
    )


def create_gateway(repository, id="gw", ports=2, uplink=None, site="", **uplinks):
    create_resource(repository, id, GATEWAY, site=site, managementAddress="192.0.2.1")
    for number in range(1, ports + 1):
        create_resource(repository, f"{id}-p{number}", "accessPort", on=id, portName=f"sub{number}")
    if uplink:
        create_resource(repository, f"{id}-up", "uplink", on=id, bandwidth=uplink, **uplinks)


def task(order="o-1", action="provide", requirements=(PORT,), service=None, **more):
    return Task("1#1", "1", action, f"{order}-1", f"{order}-1-cfs", service or f"{order}-1",
                requirements=requirements, **more)  # fmt: skip


def key(repository, order="o-1"):
    return OrderKey(repository.tenant, order)


def reserve(repository, order="o-1", **more):
    return reservations.reserve(repository, key(repository, order), task(order, **more), repository)


def uplink_shares(repository):
    """Return the sums of the uplink's shares in use and of those reserved beyond, in bit/s."""
    return bandwidth.allocated_and_reserved(repository.get("Resource", "gw-up"), repository.now)


def all_resources(repository):
    """Return all resources by id, without their dates."""
    return {
        resource["id"]: {name: value for name, value in resource.items() if name != "lastUpdate"}
        for resource in repository.find("Resource", {})
    }


def create_order(repository, id="o-1"):
    item = {"id": "1", "action": "add", "@type": "ProductOrderItem"}
    order = {"id": id, "@type": "ProductOrder", "productOrderItem": [item]}
    repository.create("ProductOrder", order)


def test_a_port_is_reserved_with_the_target_of_its_element(repository):
    create_gateway(repository, ports=1)
    allocation = reserve(repository, settings={"downstream": 100})
    assert allocation.resources == {"accessPort": "gw-p1"}
    assert (allocation.port, allocation.target.address) == ("sub1", "192.0.2.1")
    assert allocation.intent.settings == {"downstream": 100}
    assert holder_of(repository.get("Resource", "gw-p1")) == "o-1/1#1"


def test_a_repeated_reservation_returns_the_same_resources_and_writes_nothing(repository):
    create_gateway(repository, uplink=1000)
    first, before = reserve(repository, requirements=(PORT, UPLINK)), all_resources(repository)
    assert reserve(repository, requirements=(PORT, UPLINK)).resources == first.resources
    assert all_resources(repository) == before


def test_released_resources_are_as_before(repository):
    create_gateway(repository, uplink=1000)
    before = all_resources(repository)
    allocation = reserve(repository, requirements=(PORT, UPLINK))
    assert all_resources(repository) != before
    reservations.release(repository, key(repository), task(requirements=(PORT, UPLINK)), allocation)
    reservations.release(repository, key(repository), task(requirements=(PORT, UPLINK)), allocation)
    free = {"allocationStatus": "free", "resourceStatus": "available"}
    after = all_resources(repository)
    assert after == {
        id: {**resource, **(free if after[id].get("allocationStatus") else {})}
        for id, resource in before.items()
    }


def test_resources_reserved_before_a_crash_are_released_without_the_allocation(repository):
    create_gateway(repository, ports=1, uplink=1000)
    reserve(repository, requirements=(PORT, UPLINK))
    reservations.release(repository, key(repository), task(requirements=(PORT, UPLINK)), None)
    assert resource_state.is_free(repository.get("Resource", "gw-p1"), repository.now)
    assert uplink_shares(repository) == (0, 0)


def test_a_service_is_provided_changed_and_ceased(repository):
    create_gateway(repository, ports=1, uplink=1000)
    requirements = (PORT, UPLINK)
    create_order(repository)
    allocation = reserve(
        repository, requirements=requirements, settings={"downstream": 100_000_000, "upstream": 40}
    )
    reservations.activate(repository, allocation)
    reservations.activate(repository, allocation)
    port = repository.get("Resource", "gw-p1")
    assert resource_state.service_use(port).usage.settings == {
        "downstream": 100_000_000,
        "upstream": 40,
    }
    assert (service_of(port), holder_of(port)) == ("o-1-1", "")
    assert uplink_shares(repository) == (100_000_000, 0)
    more = ResourceRequirement(
        "uplink", category="uplink", amount=300_000_000, element_category=GATEWAY, optional=True
    )
    change = {"action": "change", "service": "o-1-1", "requirements": (PORT, more)}
    changed = reserve(repository, "o-2", **change, settings={"downstream": 300_000_000})
    assert changed.settings == {"downstream": 300_000_000, "upstream": 40}
    assert uplink_shares(repository) == (100_000_000, 200_000_000)
    reservations.activate(repository, changed)
    assert uplink_shares(repository) == (300_000_000, 0)
    ended = reserve(repository, "o-3", action="cease", service="o-1-1", requirements=())
    assert ended.port == "sub1"
    assert not ended.intent.present
    reservations.activate(repository, ended)
    assert resource_state.is_free(repository.get("Resource", "gw-p1"), repository.now)
    assert uplink_shares(repository) == (0, 0)


def test_releasing_a_change_leaves_the_service_as_it_was(repository):
    create_gateway(repository, ports=1, uplink=1000)
    create_order(repository)
    reservations.activate(
        repository, reserve(repository, requirements=(PORT, UPLINK), settings={"downstream": 7})
    )
    before = all_resources(repository)
    change = {"action": "change", "service": "o-1-1", "requirements": (PORT, UPLINK)}
    changed = reserve(repository, "o-2", **change, settings={"downstream": 9})
    reservations.release(repository, key(repository, "o-2"), task("o-2", **change), changed)
    assert all_resources(repository) == before


def test_only_who_can_see_a_service_can_change_it(repository, repositories):
    create_gateway(repository, ports=1)
    reservations.activate(repository, reserve(repository))
    alice = {"id": "alice", "role": "customer", "@referredType": "Party"}
    repository.create("Product", {"id": "o-1-1", "relatedParty": [alice]})
    change = task("o-2", action="change", service="o-1-1")

    def change_as(client):
        return reservations.reserve(repository, key(repository, "o-2"), change, client)

    with pytest.raises(Unfulfillable, match="no service o-1-1 is in operation"):
        change_as(party_repository(repositories, repository.tenant, "bob"))
    assert change_as(party_repository(repositories, repository.tenant, "alice")).resources
    assert change_as(repository).resources


def test_a_service_is_not_provided_twice(repository):
    create_gateway(repository)
    reservations.activate(repository, reserve(repository))
    with pytest.raises(Unfulfillable, match="in operation already"):
        reserve(repository, "o-2", service="o-1-1")


def test_the_refusal_of_a_reserved_port_names_the_holder(repository):
    create_gateway(repository, ports=1)
    reserve(repository)
    with pytest.raises(Unfulfillable, match="is reserved for order o-1, item 1"):
        reserve(repository, "o-2", requirements=(NAMED_PORT,))
    with pytest.raises(Unfulfillable, match="no access port is free"):
        reserve(repository, "o-2")


def party_repository(repositories, tenant, party):
    """Return the repository that a request of a party has."""
    return repositories._repository_for(Identity("test", tenant, frozenset({party})))


def test_a_refusal_hides_other_parties_orders_and_the_capacity_from_parties(
    repositories, repository
):
    create_gateway(repository, ports=1, uplink=150)
    party = {"@type": "PartyRef", "id": "alice"}
    repository.create("ProductOrder", {
        "@type": "ProductOrder", "id": "o-1", "productOrderItem": [{"id": "1", "action": "add"}],
        "relatedParty": [{"role": "customer", "partyOrPartyRole": party}],
    })  # fmt: skip
    reserve(repository, requirements=(PORT, UPLINK))
    uplink = ResourceRequirement("uplink", category="uplink", amount=10**8)
    tasks = [task("o-2", requirements=(requirement,)) for requirement in (NAMED_PORT, uplink)]

    def refusals(owner):
        return [
            reservations.unmet_requirements(repository, key(repository, "o-2"), [each], owner)[
                0
            ].reason
            for each in tasks
        ]

    reserved = "port the gw-p1 is reserved for order o-1, item 1"
    full = "the uplink has not enough capacity left"
    left = "uplink the gw-up has 50 Mbit/s left of 150, 100 are requested"
    alice, bob = (
        party_repository(repositories, repository.tenant, party) for party in ("alice", "bob")
    )
    assert refusals(repository) == [reserved, left]
    assert refusals(alice) == [reserved, full]
    assert refusals(bob) == ["port the gw-p1 is not free", full]


def test_a_refusal_does_not_name_a_service_of_another_party(repositories, repository):
    create_gateway(repository, ports=1)
    reservations.activate(repository, reserve(repository))
    tasks = [task("o-2", service="o-2-1", requirements=(NAMED_PORT,))]
    (missing,) = reservations.unmet_requirements(
        repository,
        key(repository, "o-2"),
        tasks,
        party_repository(repositories, repository.tenant, "bob"),
    )
    assert missing.reason == "port the gw-p1 is not free"


@pytest.mark.parametrize("changes", [
    {"gw": {"administrativeState": "locked"}},
    {"gw-p1": {"unknownStatus": True}},
    {"gw-up": {"unknownStatus": True}},
    {"gw-up": {"administrativeState": "locked"}},
    {"gw": {"category": "coreRouter"}},
])  # fmt: skip
def test_a_refusal_does_not_name_resources_of_the_network_to_parties(
    repositories, repository, changes
):
    """The orderer has named none of them: fulfilment has chosen them."""
    create_gateway(repository, ports=1, uplink=100)
    for id, members in changes.items():
        repository.change("Resource", id, lambda old, new=members: {**old, **new})
    uplink = replace(UPLINK, optional=False, element_category="")
    tasks = [task("o-2", service="o-2-1", requirements=(PORT, uplink))]
    bob = party_repository(repositories, repository.tenant, "bob")
    missing = reservations.unmet_requirements(repository, key(repository, "o-2"), tasks, bob)
    assert missing
    assert "gw" not in missing[0].reason
    assert "coreRouter" not in missing[0].reason


def test_a_refusal_does_not_tell_the_values_of_a_named_resource_to_parties(
    repositories, repository
):
    create_resource(repository, "sim-1", "sim", secret="s3cret")
    requirement = ResourceRequirement(
        "sim", category="sim", identifier="sim-1", characteristics={"secret": "guess"}
    )
    tasks = [task("o-2", service="o-2-1", requirements=(requirement,))]
    bob = party_repository(repositories, repository.tenant, "bob")
    (missing,) = reservations.unmet_requirements(repository, key(repository, "o-2"), tasks, bob)
    assert missing.reason == "sim the sim-1 does not have secret guess"


def test_a_deleted_port_cannot_be_activated(repository):
    create_gateway(repository, ports=1)
    allocation = reserve(repository)
    repository.delete("Resource", "gw-p1")
    with pytest.raises(Unfulfillable, match="not in the inventory any more"):
        reservations.activate(repository, allocation)
    reservations.release(repository, key(repository), task(), allocation)
    with pytest.raises(Unfulfillable, match="no access port is free"):
        reserve(repository, "o-2")


def test_a_port_at_the_required_place_is_reserved(repository):
    create_gateway(repository, "gw-1", ports=3, site="north")
    create_gateway(repository, "gw-2", ports=1, site="south")
    requirement = ResourceRequirement(
        "accessPort",
        category="accessPort",
        places=("south",),
        is_carrier=True,
        element_category=GATEWAY,
    )
    assert reserve(repository, requirements=(requirement,)).resources == {"accessPort": "gw-2-p1"}
    with pytest.raises(Unfulfillable, match="no access port is free at south"):
        reserve(repository, "o-2", requirements=(requirement,))


def test_an_element_with_a_full_uplink_is_skipped(repository):
    create_gateway(repository, "gw-1", ports=5, uplink=50)
    create_gateway(repository, "gw-2", ports=1, uplink=100)
    assert reserve(repository, requirements=(PORT, UPLINK)).resources["uplink"] == "gw-2-up"
    with pytest.raises(
        Unfulfillable, match="the gw-1-up has 50 Mbit/s left of 50, 100 are requested"
    ):
        reserve(repository, "o-2", requirements=(PORT, UPLINK))
    reserved_ids = [id for id, resource in all_resources(repository).items() if holder_of(resource)]
    assert reserved_ids == ["gw-2-p1"]


def test_an_uplink_can_be_oversubscribed(repository):
    create_gateway(repository, uplink=100, oversubscription=2)
    reserve(repository, "o-1", requirements=(PORT, UPLINK))
    reserve(repository, "o-2", requirements=(PORT, UPLINK))
    assert uplink_shares(repository) == (0, 200_000_000)


def test_another_order_can_take_an_expired_reservation(repository):
    create_gateway(repository, ports=1, uplink=100)
    first = reservations.reserve(
        repository,
        key(repository),
        task(requirements=(PORT, UPLINK)),
        repository,
        duration=timedelta(seconds=-1),
    )
    second = reserve(repository, "o-2", requirements=(PORT, UPLINK))
    assert second.resources == first.resources
    with pytest.raises(Unfulfillable, match="reserved for order o-2, item 1"):
        reservations.activate(repository, first)
    assert not reservations.renew(repository, first)
    assert reservations.renew(repository, second)
    reservations.release(repository, key(repository), task(requirements=(PORT, UPLINK)), first)
    assert holder_of(repository.get("Resource", "gw-p1")) == "o-2/1#1"


def test_expired_reservations_are_removed(repository):
    create_gateway(repository)
    reservations.reserve(
        repository, key(repository), task(), repository, duration=timedelta(seconds=-1)
    )
    reserve(repository, "o-2")
    assert reservations.release_expired(repository) == 1
    holders = {holder_of(resource) for resource in repository.find("Resource", {})}
    assert holders == {"", "o-2/1#1"}


SIM = ResourceRequirement(
    "simCard",
    category="simCard",
    characteristics={"profile": "standard"},
    is_carrier=True,
    element_category="hlr",
)
NUMBER = ResourceRequirement("msisdn", category="msisdn")


def test_a_sim_card_is_provisioned_on_a_register_with_a_number_from_a_pool(repository):
    create_resource(repository, "hlr", "hlr", managementAddress="192.0.2.9", adapter="osmo-hlr")
    create_resource(repository, "sim-1", "simCard", profile="other", imsi="262420000000001")
    create_resource(repository, "sim-2", "simCard", profile="standard", imsi="262420000000002")
    create_resource(
        repository, "numbers", "pool", poolOf="msisdn", range="491700000000-491700000001"
    )
    derived = {"msisdn": ("msisdn", "msisdn")}
    allocation = reserve(repository, requirements=(SIM, NUMBER), derived_settings=derived)
    assert (allocation.port, allocation.target.name) == ("262420000000002", "the hlr")
    assert allocation.settings["msisdn"] in {"491700000000", "491700000001"}
    reservations.activate(repository, allocation)
    create_order(repository)
    ended = reserve(repository, "o-2", action="cease", service="o-1-1", requirements=())
    assert (ended.port, ended.target.name) == ("262420000000002", "the hlr")
    assert set(ended.resources.values()) == set(allocation.resources.values())


def test_a_pool_provides_every_value_once_until_it_is_released(repository):
    create_resource(repository, "vlans", "pool", poolOf="vlan", range="100-102")
    requirements = (ResourceRequirement("vlan", category="vlan"),)
    derived = {"vlan": ("vlan", "vlan")}
    allocations = [
        reserve(repository, f"o-{n}", requirements=requirements, derived_settings=derived)
        for n in range(3)
    ]
    assert sorted(allocation.settings["vlan"] for allocation in allocations) == [100, 101, 102]
    with pytest.raises(Unfulfillable, match="no vlan is free"):
        reserve(repository, "o-9", requirements=requirements)
    reservations.release(
        repository, key(repository, "o-1"), task("o-1", requirements=requirements), allocations[1]
    )
    again = reserve(repository, "o-9", requirements=requirements, derived_settings=derived)
    assert again.settings == allocations[1].settings


def test_a_value_of_a_pool_can_be_named(repository):
    create_resource(repository, "addresses", "pool", poolOf="ipAddress", range="198.18.1.0/29")
    named = (ResourceRequirement("ipAddress", category="ipAddress", identifier="198.18.1.3"),)
    assert reserve(repository, requirements=named).names == {"ipAddress": "198.18.1.3"}
    with pytest.raises(
        Unfulfillable, match=r"ipAddress 198\.18\.1\.3 is reserved for order o-1, item 1"
    ):
        reserve(repository, "o-2", requirements=named)
    outside = (ResourceRequirement("ipAddress", category="ipAddress", identifier="198.18.2.3"),)
    with pytest.raises(Unfulfillable, match=r"no ipAddress called 198\.18\.2\.3"):
        reserve(repository, "o-2", requirements=outside)


def test_a_feasibility_check_reserves_nothing_and_returns_all_unmet_requirements(repository):
    create_gateway(repository, ports=2, uplink=150)
    before = all_resources(repository)
    tasks = [
        Task(f"{n}#1", str(n), "provide", f"p{n}", f"c{n}", f"s{n}", requirements=(PORT, UPLINK))
        for n in (1, 2, 3)
    ]
    allocations, missing = reservations.dry_run_allocations(repository, key(repository), tasks)
    assert all_resources(repository) == before
    assert list(allocations) == ["1#1"]
    assert [(unmet.item, unmet.slot) for unmet in missing] == [("2", "uplink"), ("3", "uplink")]
    assert "50 Mbit/s left" in missing[0].reason
    assert reservations.unmet_requirements(repository, key(repository), tasks[:1]) == []


def create_specifications(repository):
    """Create a specification of a service "line" on a port, by default with 100 Mbit/s."""
    status = {"lifecycleStatus": "active"}
    mbit = [{"value": value, "unitOfMeasure": "Mbit/s"} for value in (100, 200)]
    speed = {"name": "downstream", "characteristicValueSpecification": mbit}
    line = {"id": "line", "name": "line", "specCharacteristic": [speed], **status}
    required = [{"id": "port"}, {"id": "uplink"}]
    repository.create("ServiceSpecification", {**line, "resourceSpecification": required})
    contained = [{"id": "gateway", "relationshipType": "isContainedIn"}]
    mapping = {"relationshipType": "mapsFrom", "name": "downstream"}
    bandwidth = {
        "name": "bandwidth",
        "resourceSpecCharacteristicValue": [{"unitOfMeasure": "bit/s"}],
        "resourceSpecCharRelationship": [mapping],
    }
    for id, category, more in (
        ("gateway", GATEWAY, {}),
        ("port", "accessPort", {"resourceSpecRelationship": contained}),
        ("uplink", "uplink", {"resourceSpecRelationship": contained,
                              "resourceSpecCharacteristic": [bandwidth]}),
    ):  # fmt: skip
        repository.create(
            "ResourceSpecification", {"id": id, "category": category, **status, **more}
        )


def test_a_service_is_qualified_by_a_dry_run_of_its_order(repository, repositories):
    create_specifications(repository)
    create_gateway(repository, uplink=150, site="north")

    def obstacles(site, speed=None, asking_repository=repository):
        chosen = [{"name": "downstream", "value": speed}] if speed else []
        return feasibility.obstacles(OfferCache(), asking_repository, {
            "serviceSpecification": {"id": "line"}, "place": [{"id": site}],
            "serviceCharacteristic": chosen,
        })  # fmt: skip

    before = all_resources(repository)
    assert obstacles("north") == []
    assert "no access port is free at south" in obstacles("south")[0]
    assert "has 150 Mbit/s left of 150, 200 are requested" in obstacles("north", 200)[0]
    for_bob = replace(repository.context, parties=frozenset({"bob"}))
    bob = repositories._writer.repository_for(Identity("test", repository.tenant), for_bob)
    assert obstacles("north", 200, bob) == ["the uplink has not enough capacity left"]
    assert "has no downstream 300" in obstacles("north", 300)[0]
    assert all_resources(repository) == before


def test_concurrent_orders_never_get_the_same_resource(repositories, repository):
    create_gateway(repository, ports=6, uplink=400)
    create_resource(repository, "vlans", "pool", poolOf="vlan", range="100-120")
    requirements = (PORT, UPLINK, ResourceRequirement("vlan", category="vlan"))
    barrier = threading.Barrier(8)

    def place_order(number):
        own_repository = repositories.for_tenant(repository.tenant)
        barrier.wait(20)
        try:
            return reservations.reserve(
                own_repository,
                key(repository, f"o-{number}"),
                task(f"o-{number}", requirements=requirements),
                own_repository,
            )
        except Unfulfillable as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(place_order, range(8)))
    allocations = [result for result in results if not isinstance(result, str)]
    for slot in ("accessPort", "vlan"):
        ids = [allocation.resources[slot] for allocation in allocations]
        assert len(set(ids)) == len(ids)
    assert uplink_shares(repository) == (0, len(allocations) * 100_000_000)
    assert len(allocations) == 4, results
    ports = repository.find("Resource", {"category": "accessPort"})
    assert len([port for port in ports if holder_of(port)]) == 4
