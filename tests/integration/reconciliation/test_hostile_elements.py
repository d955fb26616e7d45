"""Discovery of elements that answer nonsense or only in part: each fails alone, nothing is lost."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from adapters.snmp import mib
from adapters.snmp.wire import ber
from adapters.snmp.wire.ber import split_object_id
from tests.adapters.snmp.test_captured_walks import entity
from tests.adapters.snmp.test_unread_tables import GEN_ERR, TOO_BIG, WALK, refuse
from tests.support.walk_player import WalkPlayer, error
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import managed_elements, ports_by_key
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation.discovery import Candidate, Discovery
from tmf_apis.rest.pipeline.repository import RepositoryFactory

LLDP = """
1.0.8802.1.1.2.1.3.7.1.2.1|2|5
1.0.8802.1.1.2.1.3.7.1.3.1|4|ge1
1.0.8802.1.1.2.1.4.1.1.4.0.1.1|2|4
1.0.8802.1.1.2.1.4.1.1.5.0.1.1|4x|020000009901
1.0.8802.1.1.2.1.4.1.1.6.0.1.1|2|5
1.0.8802.1.1.2.1.4.1.1.7.0.1.1|4|xe-0/0/1
1.0.8802.1.1.2.1.4.1.1.9.0.1.1|4|core-1
1.3.6.1.2.1.4.34.1.3.1.4.192.0.2.1|2|1
1.3.6.1.2.1.4.34.1.5.1.4.192.0.2.1|6|1.3.6.1.2.1.4.32.1.5.1.1.4.192.0.2.0.24
"""
FULL = WALK + LLDP


def candidate(player):
    target = DiscoveryTarget(player.target.address, is_explicit=True)
    return Candidate(target, "snmp", ("public",), {"timeout": "0.3", "retries": "0"})


@pytest.fixture
def secrets(credentials):
    credentials.add({"public": {"community": "public"}})
    return credentials


def all_resources(repository):
    resources = repository.find("Resource", {}, limit=10_000)
    return {resource["id"]: resource for resource in resources}


def discover(repository, secrets, *walks, change=lambda *players: None):
    """Discover the elements of walks; return the outcomes in their order."""

    async def run():
        async with AsyncExitStack() as stack:
            players = [await stack.enter_async_context(WalkPlayer(walk)) for walk in walks]
            change(*players)
            result = await Discovery(repository, secrets).run(map(candidate, players))
        outcomes = {outcome.address: outcome for outcome in result.outcomes}
        return [outcomes[player.target.address] for player in players]

    return asyncio.run(run())


class SameAddress:
    """Discoveries of one element at one address, as its answers change."""

    def __init__(self, repository, secrets):
        self.repository, self.secrets, self.port = repository, secrets, 0

    def discover(self, walk=FULL, change=lambda player: None):
        async def run():
            async with WalkPlayer(walk, port=self.port) as player:
                self.port = player.port
                change(player)
                return await Discovery(self.repository, self.secrets).run([candidate(player)])

        (outcome,) = asyncio.run(run()).outcomes
        return outcome


@pytest.fixture
def element(repository, secrets):
    """An element that was discovered completely."""
    element = SameAddress(repository, secrets)
    assert element.discover().status == "created"
    assert element.discover().status == "unchanged"
    return element


def set_cell(tag, oid, player):
    player.view[split_object_id(oid)] = (tag, None)


def refusing(status, column, player):
    player.edit = refuse(status, column)


def cut_off(player):
    player.encode = lambda octets, request: octets[: 2 * len(octets) // 3]


def ending(prefix, last, player):
    """End the walk of a table behind a row, as if nothing followed."""

    def edit(request, response):
        variables = [
            replace(variable, tag=ber.END_OF_MIB, value=None)
            if variable.oid.startswith(f"{prefix}.") and int(variable.oid.rpartition(".")[2]) > last
            else variable
            for variable in response.variables
        ]
        return replace(response, variables=tuple(variables))

    player.edit = edit


@pytest.mark.parametrize(
    ("fault", "table"),
    [
        (partial(set_cell, ber.NULL, f"{mib.IF_OPER_STATUS}.2"), "ifOperStatus"),
        (partial(set_cell, ber.NO_SUCH_INSTANCE, f"{mib.IF_NAME}.3"), "ifName"),
        (partial(set_cell, ber.NULL, f"{mib.IF_PHYS_ADDRESS}.3"), "ifPhysAddress"),
        (partial(set_cell, ber.NO_SUCH_INSTANCE, f"{mib.ENT_CLASS}.2"), "entPhysicalTable"),
        (partial(set_cell, ber.NULL, f"{mib.ENT_SERIAL_NUM}.2"), "entPhysicalSerialNum"),
        (partial(set_cell, ber.NULL, f"{mib.ENT_NAME}.2"), "entPhysicalName"),
        (partial(set_cell, ber.NULL, mib.SYS_NAME), "sysName"),
        (partial(set_cell, ber.NULL, mib.SYS_DESCR), "sysDescr"),
        (partial(refusing, GEN_ERR, mib.ENT_NAME), "entPhysicalName"),
        (partial(refusing, TOO_BIG, mib.ENT_CLASS), "entPhysicalTable"),
        (partial(refusing, GEN_ERR, mib.IF_NAME), "ifName"),
        (partial(refusing, GEN_ERR, mib.IF_HIGH_SPEED), "ifHighSpeed"),
        (partial(refusing, GEN_ERR, mib.LLDP_REM_CHASSIS_ID), "lldpRemTable"),
        (partial(refusing, GEN_ERR, mib.IP_ADDRESS_IF_INDEX), "ipAddressTable"),
        (partial(ending, "1.3.6.1.2.1.2.2.1", 2), "ifTable"),
        (partial(ending, "1.3.6.1.2.1", 2), "ifTable"),
        (partial(ending, "1.3.6.1.2.1.47.1.1.1.1", 1), None),
        (cut_off, "can be decoded"),
    ],
)  # fmt: skip
def test_what_could_not_be_read_stays_as_it_was(repository, element, fault, table):
    before = all_resources(repository)
    outcome = element.discover(change=fault)
    assert all_resources(repository) == before
    assert table is None or table in outcome.message
    assert outcome.message
    assert element.discover().status == "unchanged"


@pytest.mark.parametrize(
    "removed",
    ["1.3.6.1.2.1.47.", "1.3.6.1.2.1.4.34."],
    ids=["parts", "addresses"],
)
def test_a_table_that_has_become_empty_takes_nothing_away(repository, element, removed):
    before = all_resources(repository)
    walk = "\n".join(line for line in FULL.splitlines() if not line.startswith(removed))
    element.discover(walk)
    assert all_resources(repository) == before


def test_what_was_read_is_written_next_to_what_was_not(repository, element):
    def change(player):
        set_cell(ber.NULL, f"{mib.IF_OPER_STATUS}.2", player)
        player.view[split_object_id(f"{mib.IF_OPER_STATUS}.1")] = (ber.INTEGER, 2)

    assert element.discover(change=change).status == "updated"
    (stored,) = managed_elements(repository)
    ports = ports_by_key(repository, stored["id"])
    assert ports["ge1"]["operationalState"] == "disabled"
    assert ports["ge2"]["operationalState"] == "enabled"


def test_a_part_keeps_its_resource_when_others_of_its_name_come_and_go(repository, element):
    fans = [entity(n, 7, "Fan", container=1, position=n) for n in (5, 6, 7)]
    element.discover(FULL + "".join(fans))
    before = {
        resource_characteristics(fan)["componentPlace"]: fan["id"]
        for fan in repository.find("Resource", {"category": "fan"})
    }
    assert len(before) == 3
    element.discover(FULL + "".join(fans[1:]))
    after = repository.find("Resource", {"category": "fan"})
    assert {resource_characteristics(fan)["componentPlace"]: fan["id"] for fan in after} == before
    missing = [fan for fan in after if "missingSince" in resource_characteristics(fan)]
    assert [resource_characteristics(fan)["componentPlace"] for fan in missing] == ["1/5 Fan"]


def test_cards_that_change_places_keep_their_resources(repository, element):
    cards = entity(5, 9, "LC", container=1, position=5, serial="{}") + entity(
        6, 9, "LC", container=1, position=6, serial="{}"
    )
    element.discover(FULL + cards.format("C5", "C6"))
    ids = {
        card["serialNumber"]: card["id"]
        for card in repository.find("Resource", {"category": "card"})
    }
    element.discover(FULL + cards.format("C6", "C5"))
    cards = repository.find("Resource", {"category": "card"})
    assert {card["serialNumber"]: card["id"] for card in cards} == ids
    assert not [card for card in cards if "missingSince" in resource_characteristics(card)]


# One element that fails.

GOOD = FULL.replace("edge-1", "good-1").replace("|S1", "|G1")


@pytest.mark.parametrize(
    "line",
    [
        "1.3.6.1.2.1.4.34.1.3.7|2|1",
        "1.0.8802.1.1.2.1.4.1.1.5.1|4|x",
        "1.3.6.1.2.1.31.1.1.1.15.1|70|18446744073709551615",
        "1.3.6.1.2.1.47.1.1.1.1.5.3.4|2|3",
        "1.3.6.1.2.1.2.2.1.2.1.2.3|4|x",
        "1.3.6.1.2.1.17.1.4.1.2.1|4|nonsense",
    ],
)
def test_an_element_that_answers_nonsense_does_not_end_the_discovery(repository, secrets, line):
    outcomes = discover(repository, secrets, FULL + line, GOOD)
    assert [outcome.status for outcome in outcomes] == ["created", "created"]


def test_an_adapter_that_fails_is_the_failure_of_its_element(repository, secrets, monkeypatch):
    def fail(*_):
        raise KeyError("a defect")

    monkeypatch.setattr("adapters.snmp.topology.addresses", fail)
    (outcome,) = discover(repository, secrets, FULL)
    assert outcome.status == "inDoubt"
    assert "snmp does not understand the element" in outcome.message
    assert "a defect" in outcome.message


def test_an_element_that_cannot_be_stored_does_not_end_the_discovery(
    repository, secrets, monkeypatch
):
    from tmf_apis.reconciliation import discovery  # noqa: PLC0415

    store = discovery.store_snapshot

    def store_or_fail(repository, snapshot, *arguments):
        if snapshot.facts.name == "edge-1":
            raise OverflowError("MongoDB can only handle up to 8-byte ints")
        return store(repository, snapshot, *arguments)

    monkeypatch.setattr(discovery, "store_snapshot", store_or_fail)
    bad, good = discover(repository, secrets, FULL, GOOD)
    assert (bad.status, good.status) == ("inDoubt", "created")
    assert bad.message.startswith("edge-1: its data cannot be stored")


values = st.one_of(
    st.tuples(st.just(ber.OCTETS), st.binary(max_size=40)),
    st.tuples(st.sampled_from([ber.INTEGER, ber.COUNTER64]), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(ber.GAUGE32), st.integers(0, 2**64 - 1)),
    st.tuples(st.sampled_from(sorted(ber.NO_VALUE_TAGS)), st.none()),
    st.tuples(st.just(ber.OID), st.sampled_from(["1.3", "0.0", "1.3.6.1.4.1"])),
    st.tuples(st.just(ber.IP_ADDRESS), st.just("0.0.0.0")),  # noqa: S104 - no address to bind to
)
columns = st.sampled_from(sorted(mib.NAMES))
instances = st.one_of(
    st.sampled_from(["0", "1", "2", "3", "4"]),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20).map(
        lambda arcs: ".".join(map(str, arcs))
    ),
)
cells = st.dictionaries(st.tuples(columns, instances), values, max_size=12)
damage = st.one_of(
    st.just(None),
    st.tuples(st.just("cut"), st.integers(0, 60)),
    st.tuples(st.just("octet"), st.integers(0, 400), st.integers(0, 255)),
    st.tuples(st.just("status"), st.integers(1, 30), st.integers(0, 25)),
)


def apply_damage(player, what):
    if what is None:
        return
    kind, first, *rest = what
    if kind == "cut":
        player.encode = lambda octets, request: octets[: len(octets) - first]
    elif kind == "octet":
        player.encode = lambda octets, request: (
            octets[:first] + bytes(rest) + octets[first + 1 :] if first < len(octets) else octets
        )
    else:
        player.edit = lambda request, response: (
            error(response, request, first, rest[0]) if player.request_count % 3 == 0 else response
        )


@given(cells, damage)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_answer_of_an_element_ends_a_discovery(module_engine, secrets, answers, what):
    repository = RepositoryFactory(module_engine.writer, "test").for_tenant("default")
    module_engine.database["Resource"].delete_many({})

    def change(hostile, _):
        for (column, instance), value in answers.items():
            oid = column if column.endswith(".0") else f"{column}.{instance}"
            hostile.view[split_object_id(oid)] = value
        hostile.view = {oid: hostile.view[oid] for oid in sorted(hostile.view)}
        apply_damage(hostile, what)

    _, good = discover(repository, secrets, FULL, GOOD, change=change)
    assert good.status == "created"
