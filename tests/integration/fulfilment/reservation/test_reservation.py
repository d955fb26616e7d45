"""Reserving on a real database: ports, SIM cards, pools, uplinks; two orders at once."""

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
UPLINK = ResourceRequirement(
    "uplink", category="uplink", amount=100_000_000, element_category=GATEWAY, optional=True
)


@pytest.fixture(scope="module")
def desks(tmp_path_factory, mongodb_uri):
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
def desk(desks, tenant):
    return desks.for_tenant(tenant)


def within(id):
    return [
        {
            "@type": "ResourceRelationship",
            "relationshipType": "isContainedIn",
            "resource": {"@type": "ResourceRef", "id": id},
        }
    ]


def made(desk, id, category, on="", site="", **characteristics):
    values = [
        {"@type": "ObjectCharacteristic", "name": name, "value": value}
        for name, value in characteristics.items()
    ]
    place = {"@type": "RelatedPlaceRef", "role": "site", "place": {"id": site}}
    resource = {"@type": "Resource", "id": id, "category": category, "name": f"the {id}"}
    return desk.create(
        "Resource",
        {
            **resource,
            **({"resourceRelationship": within(on)} if on else {}),
            **({"place": [place]} if site else {}),
            **({"resourceCharacteristic": values} if values else {}),
        },
    )


def gateway(desk, id="gw", ports=2, uplink=None, site="", **uplinks):
    made(desk, id, GATEWAY, site=site, managementAddress="192.0.2.1")
    for number in range(1, ports + 1):
        made(desk, f"{id}-p{number}", "accessPort", on=id, portName=f"sub{number}")
    if uplink:
        made(desk, f"{id}-up", "uplink", on=id, bandwidth=uplink, **uplinks)


def task(order="o-1", action="provide", needs=(PORT,), service=None, **more):
    return Task("1#1", "1", action, f"{order}-1", f"{order}-1-cfs", service or f"{order}-1",
                requirements=needs, **more)  # fmt: skip


def key(desk, order="o-1"):
    return OrderKey(desk.tenant, order)


def take(desk, order="o-1", **more):
    return reservations.reserve(desk, key(desk, order), task(order, **more), desk)


def resources(desk):
    found = {one["id"]: one for one in desk.find("Resource", {})}
    return {id: {k: v for k, v in one.items() if k != "lastUpdate"} for id, one in found.items()}


def placed(desk, id="o-1"):
    one = {"id": "1", "action": "add", "@type": "ProductOrderItem"}
    desk.create("ProductOrder", {"id": id, "@type": "ProductOrder", "productOrderItem": [one]})


def test_a_port_is_reserved_and_its_element_found(desk):
    gateway(desk, ports=1)
    taken = take(desk, settings={"downstream": 100})
    assert taken.resources == {"accessPort": "gw-p1"}
    assert (taken.port, taken.target.address) == ("sub1", "192.0.2.1")
    assert taken.intent.settings == {"downstream": 100}
    assert holder_of(desk.get("Resource", "gw-p1")) == "o-1/1#1"


def test_a_repeat_takes_the_same_and_writes_nothing(desk):
    gateway(desk, uplink=1000)
    first, before = take(desk, needs=(PORT, UPLINK)), resources(desk)
    assert take(desk, needs=(PORT, UPLINK)).resources == first.resources
    assert resources(desk) == before


def test_what_is_released_is_as_it_was(desk):
    gateway(desk, uplink=1000)
    before = resources(desk)
    taken = take(desk, needs=(PORT, UPLINK))
    assert resources(desk) != before
    reservations.release(desk, key(desk), task(needs=(PORT, UPLINK)), taken)
    reservations.release(desk, key(desk), task(needs=(PORT, UPLINK)), taken)
    free = {"allocationStatus": "free", "resourceStatus": "available"}
    after = resources(desk)
    assert after == {id: {**one, **(free if after[id].get("allocationStatus") else {})}
                     for id, one in before.items()}  # fmt: skip


def test_what_was_reserved_before_a_crash_is_released_without_knowing_it(desk):
    gateway(desk, ports=1, uplink=1000)
    take(desk, needs=(PORT, UPLINK))
    reservations.release(desk, key(desk), task(needs=(PORT, UPLINK)), None)
    assert resource_state.is_free(desk.get("Resource", "gw-p1"), desk.now)
    assert bandwidth.allocated_and_reserved(desk.get("Resource", "gw-up"), desk.now) == (0, 0)


def test_a_service_goes_into_operation_is_changed_and_ends(desk):
    gateway(desk, ports=1, uplink=1000)
    needs = (PORT, UPLINK)
    placed(desk)
    taken = take(desk, needs=needs, settings={"downstream": 100_000_000, "upstream": 40})
    reservations.activate(desk, taken)
    reservations.activate(desk, taken)
    port = desk.get("Resource", "gw-p1")
    assert resource_state.service_use(port).usage.settings == {
        "downstream": 100_000_000,
        "upstream": 40,
    }
    assert (service_of(port), holder_of(port)) == ("o-1-1", "")
    assert bandwidth.allocated_and_reserved(desk.get("Resource", "gw-up"), desk.now) == (
        100_000_000,
        0,
    )
    more = ResourceRequirement(
        "uplink", category="uplink", amount=300_000_000, element_category=GATEWAY, optional=True
    )
    change = {"action": "change", "service": "o-1-1", "needs": (PORT, more)}
    changed = take(desk, "o-2", **change, settings={"downstream": 300_000_000})
    assert changed.settings == {"downstream": 300_000_000, "upstream": 40}
    assert bandwidth.allocated_and_reserved(desk.get("Resource", "gw-up"), desk.now) == (
        100_000_000,
        200_000_000,
    )
    reservations.activate(desk, changed)
    assert bandwidth.allocated_and_reserved(desk.get("Resource", "gw-up"), desk.now) == (
        300_000_000,
        0,
    )
    ended = take(desk, "o-3", action="cease", service="o-1-1", needs=())
    assert ended.port == "sub1"
    assert not ended.intent.present
    reservations.activate(desk, ended)
    assert resource_state.is_free(desk.get("Resource", "gw-p1"), desk.now)
    assert bandwidth.allocated_and_reserved(desk.get("Resource", "gw-up"), desk.now) == (0, 0)


def test_a_change_that_is_released_leaves_the_service_as_it_was(desk):
    gateway(desk, ports=1, uplink=1000)
    placed(desk)
    reservations.activate(desk, take(desk, needs=(PORT, UPLINK), settings={"downstream": 7}))
    before = resources(desk)
    change = {"action": "change", "service": "o-1-1", "needs": (PORT, UPLINK)}
    changed = take(desk, "o-2", **change, settings={"downstream": 9})
    reservations.release(desk, key(desk, "o-2"), task("o-2", **change), changed)
    assert resources(desk) == before


def test_somebody_elses_service_cannot_be_changed(desk, desks):
    gateway(desk, ports=1)
    reservations.activate(desk, take(desk))
    with pytest.raises(Unfulfillable, match="no service o-1-1 is in operation"):
        take(desk, "o-2", action="change", service="o-1-1")


def test_a_service_is_not_provided_twice(desk):
    gateway(desk)
    reservations.activate(desk, take(desk))
    with pytest.raises(Unfulfillable, match="in operation already"):
        take(desk, "o-2", service="o-1-1")


def test_who_holds_a_port_is_said(desk):
    gateway(desk, ports=1)
    take(desk)
    named = ResourceRequirement(
        "accessPort",
        category="accessPort",
        identifier="the gw-p1",
        is_carrier=True,
        element_category=GATEWAY,
    )
    with pytest.raises(Unfulfillable, match="is reserved for order o-1, item 1"):
        take(desk, "o-2", needs=(named,))
    with pytest.raises(Unfulfillable, match="no access port is free"):
        take(desk, "o-2")


def seen_by(desks, tenant, party):
    """What a party may see, as a request of its own does."""
    return desks._repository_for(Identity("test", tenant, frozenset({party})))


def test_a_party_reads_nothing_of_other_parties_orders_nor_of_what_is_left(desks, desk):
    gateway(desk, ports=1, uplink=150)
    party = {"@type": "PartyRef", "id": "alice"}
    desk.create("ProductOrder", {
        "@type": "ProductOrder", "id": "o-1", "productOrderItem": [{"id": "1", "action": "add"}],
        "relatedParty": [{"role": "customer", "partyOrPartyRole": party}],
    })  # fmt: skip
    take(desk, needs=(PORT, UPLINK))
    named = ResourceRequirement(
        "accessPort",
        category="accessPort",
        identifier="the gw-p1",
        is_carrier=True,
        element_category=GATEWAY,
    )
    uplink = ResourceRequirement("uplink", category="uplink", amount=10**8)
    said = {
        party: [
            reservations.unmet_requirements(desk, key(desk, "o-2"), [task("o-2", needs=(need,))], owner)[0]
            for need in (named, uplink)
        ]
        for party, owner in (
            ("staff", desk),
            *((one, seen_by(desks, desk.tenant, one)) for one in ("alice", "bob")),
        )
    }  # fmt: skip
    said = {party: [one.reason for one in missing] for party, missing in said.items()}
    held = "port the gw-p1 is reserved for order o-1, item 1"
    full = "the uplink has not enough capacity left"
    assert said["staff"] == [held, "uplink the gw-up has 50 Mbit/s left of 150, 100 are wanted"]
    assert said["alice"] == [held, full]
    assert said["bob"] == ["port the gw-p1 is not free", full]


def test_a_service_of_somebody_else_is_not_named(desks, desk):
    gateway(desk, ports=1)
    reservations.activate(desk, take(desk))
    named = ResourceRequirement(
        "accessPort",
        category="accessPort",
        identifier="the gw-p1",
        is_carrier=True,
        element_category=GATEWAY,
    )
    wanted = [task("o-2", service="o-2-1", needs=(named,))]
    (missing,) = reservations.unmet_requirements(
        desk, key(desk, "o-2"), wanted, seen_by(desks, desk.tenant, "bob")
    )
    assert missing.reason == "port the gw-p1 is not free"


def test_a_port_that_is_gone_is_refused(desk):
    gateway(desk, ports=1)
    taken = take(desk)
    desk.delete("Resource", "gw-p1")
    with pytest.raises(Unfulfillable, match="not in the inventory any more"):
        reservations.activate(desk, taken)
    reservations.release(desk, key(desk), task(), taken)
    with pytest.raises(Unfulfillable, match="no access port is free"):
        take(desk, "o-2")


def test_a_port_at_the_wanted_place_is_taken(desk):
    gateway(desk, "gw-1", ports=3, site="north")
    gateway(desk, "gw-2", ports=1, site="south")
    there = ResourceRequirement(
        "accessPort",
        category="accessPort",
        places=("south",),
        is_carrier=True,
        element_category=GATEWAY,
    )
    assert take(desk, needs=(there,)).resources == {"accessPort": "gw-2-p1"}
    with pytest.raises(Unfulfillable, match="no access port is free at south"):
        take(desk, "o-2", needs=(there,))


def test_an_element_whose_uplink_is_full_is_passed_over(desk):
    gateway(desk, "gw-1", ports=5, uplink=50)
    gateway(desk, "gw-2", ports=1, uplink=100)
    assert take(desk, needs=(PORT, UPLINK)).resources["uplink"] == "gw-2-up"
    with pytest.raises(Unfulfillable, match="the gw-1-up has 50 Mbit/s left of 50, 100 are wanted"):
        take(desk, "o-2", needs=(PORT, UPLINK))
    held = [id for id, one in resources(desk).items() if holder_of(one)]
    assert held == ["gw-2-p1"]


def test_an_uplink_can_be_oversubscribed(desk):
    gateway(desk, uplink=100, oversubscription=2)
    take(desk, "o-1", needs=(PORT, UPLINK))
    take(desk, "o-2", needs=(PORT, UPLINK))
    assert bandwidth.allocated_and_reserved(desk.get("Resource", "gw-up"), desk.now) == (
        0,
        200_000_000,
    )


def test_a_reservation_that_is_over_may_be_taken_by_another_order(desk):
    gateway(desk, ports=1, uplink=100)
    first = reservations.reserve(
        desk, key(desk), task(needs=(PORT, UPLINK)), desk, duration=timedelta(seconds=-1)
    )
    second = take(desk, "o-2", needs=(PORT, UPLINK))
    assert second.resources == first.resources
    with pytest.raises(Unfulfillable, match="reserved for order o-2, item 1"):
        reservations.activate(desk, first)
    assert not reservations.renew(desk, first)
    assert reservations.renew(desk, second)
    reservations.release(desk, key(desk), task(needs=(PORT, UPLINK)), first)
    assert holder_of(desk.get("Resource", "gw-p1")) == "o-2/1#1"


def test_reservations_that_are_over_are_swept(desk):
    gateway(desk)
    reservations.reserve(desk, key(desk), task(), desk, duration=timedelta(seconds=-1))
    take(desk, "o-2")
    assert reservations.release_expired(desk) == 1
    assert [holder_of(one) for one in desk.find("Resource", {}) if holder_of(one)] == ["o-2/1#1"]


SIM = ResourceRequirement(
    "simCard",
    category="simCard",
    characteristics={"profile": "standard"},
    is_carrier=True,
    element_category="hlr",
)
NUMBER = ResourceRequirement("msisdn", category="msisdn")


def test_a_sim_card_is_brought_to_a_register_with_a_number_of_a_pool(desk):
    made(desk, "hlr", "hlr", managementAddress="192.0.2.9", adapter="osmo-hlr")
    made(desk, "sim-1", "simCard", profile="other", imsi="262420000000001")
    made(desk, "sim-2", "simCard", profile="standard", imsi="262420000000002")
    made(desk, "numbers", "pool", poolOf="msisdn", range="491700000000-491700000001")
    derived = {"msisdn": ("msisdn", "msisdn")}
    taken = take(desk, needs=(SIM, NUMBER), derived_settings=derived)
    assert (taken.port, taken.target.name) == ("262420000000002", "the hlr")
    assert taken.settings["msisdn"] in {"491700000000", "491700000001"}
    reservations.activate(desk, taken)
    placed(desk)
    ended = take(desk, "o-2", action="cease", service="o-1-1", needs=())
    assert (ended.port, ended.target.name) == ("262420000000002", "the hlr")
    assert set(ended.resources.values()) == set(taken.resources.values())


def test_a_pool_gives_every_value_once_and_takes_it_back(desk):
    made(desk, "vlans", "pool", poolOf="vlan", range="100-102")
    need = (ResourceRequirement("vlan", category="vlan"),)
    derived = {"vlan": ("vlan", "vlan")}
    given = [take(desk, f"o-{n}", needs=need, derived_settings=derived) for n in range(3)]
    assert sorted(one.settings["vlan"] for one in given) == [100, 101, 102]
    with pytest.raises(Unfulfillable, match="no vlan is free"):
        take(desk, "o-9", needs=need)
    reservations.release(desk, key(desk, "o-1"), task("o-1", needs=need), given[1])
    again = take(desk, "o-9", needs=need, derived_settings=derived)
    assert again.settings == given[1].settings


def test_a_value_of_a_pool_can_be_named(desk):
    made(desk, "addresses", "pool", poolOf="ipAddress", range="198.18.1.0/29")
    named = (ResourceRequirement("ipAddress", category="ipAddress", identifier="198.18.1.3"),)
    assert take(desk, needs=named).names == {"ipAddress": "198.18.1.3"}
    with pytest.raises(
        Unfulfillable, match=r"ipAddress 198\.18\.1\.3 is reserved for order o-1, item 1"
    ):
        take(desk, "o-2", needs=named)
    outside = (ResourceRequirement("ipAddress", category="ipAddress", identifier="198.18.2.3"),)
    with pytest.raises(Unfulfillable, match=r"no ipAddress called 198\.18\.2\.3"):
        take(desk, "o-2", needs=outside)


def test_feasibility_touches_nothing_and_says_all_that_is_missing(desk):
    gateway(desk, ports=2, uplink=150)
    before = resources(desk)
    tasks = [
        Task(f"{n}#1", str(n), "provide", f"p{n}", f"c{n}", f"s{n}", requirements=(PORT, UPLINK))
        for n in (1, 2, 3)
    ]
    found, missing = reservations.dry_run_allocations(desk, key(desk), tasks)
    assert resources(desk) == before
    assert list(found) == ["1#1"]
    assert [(one.item, one.slot) for one in missing] == [("2", "uplink"), ("3", "uplink")]
    assert "50 Mbit/s left" in missing[0].reason
    assert reservations.unmet_requirements(desk, key(desk), tasks[:1]) == []


def described(desk):
    """A service "line" of a port, 100 Mbit/s unless the customer says more."""
    status = {"lifecycleStatus": "active"}
    mbit = [{"value": one, "unitOfMeasure": "Mbit/s"} for one in (100, 200)]
    speed = {"name": "downstream", "characteristicValueSpecification": mbit}
    line = {"id": "line", "name": "line", "specCharacteristic": [speed], **status}
    takes = [{"id": "port"}, {"id": "uplink"}]
    desk.create("ServiceSpecification", {**line, "resourceSpecification": takes})
    on = [{"id": "gateway", "relationshipType": "isContainedIn"}]
    drawn = {"relationshipType": "mapsFrom", "name": "downstream"}
    bandwidth = {
        "name": "bandwidth",
        "resourceSpecCharacteristicValue": [{"unitOfMeasure": "bit/s"}],
        "resourceSpecCharRelationship": [drawn],
    }
    for id, category, more in (
        ("gateway", GATEWAY, {}),
        ("port", "accessPort", {"resourceSpecRelationship": on}),
        ("uplink", "uplink", {"resourceSpecRelationship": on,
                              "resourceSpecCharacteristic": [bandwidth]}),
    ):  # fmt: skip
        desk.create("ResourceSpecification", {"id": id, "category": category, **status, **more})


def test_a_service_is_qualified_by_what_an_order_for_it_would_find(desk, desks):
    described(desk)
    gateway(desk, uplink=150, site="north")

    def ask(site, speed=None, asked=desk):
        chosen = [{"name": "downstream", "value": speed}] if speed else []
        return feasibility.obstacles(OfferCache(), asked, {
            "serviceSpecification": {"id": "line"}, "place": [{"id": site}],
            "serviceCharacteristic": chosen,
        })  # fmt: skip

    before = resources(desk)
    assert ask("north") == []
    assert "no access port is free at south" in ask("south")[0]
    assert "has 150 Mbit/s left of 150, 200 are wanted" in ask("north", 200)[0]
    for_bob = replace(desk.context, parties=frozenset({"bob"}))
    bob = desks._writer.repository_for(Identity("test", desk.tenant), for_bob)
    assert ask("north", 200, bob) == ["the uplink has not enough capacity left"]
    assert "has no downstream 300" in ask("north", 300)[0]
    assert resources(desk) == before


def test_orders_at_once_never_get_the_same(desks, desk):
    gateway(desk, ports=6, uplink=400)
    made(desk, "vlans", "pool", poolOf="vlan", range="100-120")
    needs = (PORT, UPLINK, ResourceRequirement("vlan", category="vlan"))
    start = threading.Barrier(8)

    def order(number):
        own = desks.for_tenant(desk.tenant)
        start.wait()
        try:
            return reservations.reserve(
                own, key(desk, f"o-{number}"), task(f"o-{number}", needs=needs), own
            )
        except Unfulfillable as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(order, range(8)))
    got = [one for one in results if not isinstance(one, str)]
    for slot in ("accessPort", "vlan"):
        ids = [one.resources[slot] for one in got]
        assert len(set(ids)) == len(ids)
    active, reserved = bandwidth.allocated_and_reserved(desk.get("Resource", "gw-up"), desk.now)
    assert (active, reserved) == (0, len(got) * 100_000_000)
    assert len(got) == 4, results
    held = [one for one in desk.find("Resource", {"category": "accessPort"}) if holder_of(one)]
    assert len(held) == 4
