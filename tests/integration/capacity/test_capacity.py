"""Capacity on a real MongoDB: counted, measured over SNMP, kept, forecast, alarmed, reported."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from adapters import registry
from adapters.credentials import Credentials
from adapters.observations import Sample
from adapters.snmp.simulator import SimulatedGateway
from tmf_apis.capacity.collector import CapacityCollector
from tmf_apis.capacity.history import History
from tmf_apis.capacity.inventory_counter import InventoryCounter
from tmf_apis.capacity.meter import CapacityMeter
from tmf_apis.capacity.poller import CapacityPoller
from tmf_apis.capacity.records import CapacityQuery, CapacityRecords
from tmf_apis.capacity.traffic import Traffic
from tmf_apis.capacity.values import CapacityObject, Utilisation
from tmf_apis.cli import main
from tmf_apis.element_access.connections import Connections
from tmf_apis.engine import Engine
from tmf_apis.fault_management.element_registry import ElementRegistry
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NETWORK = "/tmf-api/networkOperations/v5/capacityReport"
INVENTORY = "/tmf-api/resourceInventoryManagement/v5/resource"
SETTINGS = Settings(capacity_interval=0.2)


@pytest.fixture
def desks(database, contracts):
    return RepositoryFactory(Engine(SETTINGS, list(contracts.values()), database).writer, "test")


@pytest.fixture
def desk(desks):
    return desks.for_tenant("default")


@pytest.fixture
def measuring(database, desks):
    made = CapacityMeter(database, SETTINGS, desks)
    made.prepare()
    return made


@pytest.fixture
def history(database):
    made = History(database)
    made.prepare()
    return made


def resource(id, category, **more):
    characteristics = more.pop("characteristics", {})
    made = {
        "@type": "LogicalResource", "id": id, "name": more.pop("name", id), "category": category,
        "resourceCharacteristic": [
            {"@type": "Characteristic", "name": name, "value": value}
            for name, value in characteristics.items()
        ],
        **more,
    }  # fmt: skip
    if within := made.pop("within", ""):
        made["resourceRelationship"] = [
            {"@type": "ResourceRelationship", "relationshipType": made.pop("as_", "isContainedIn"),
             "resource": {"@type": "ResourceRef", "id": within}}
        ]  # fmt: skip
    return made


def at_site(id):
    place = {"@type": "PlaceRef", "id": id, "name": f"Site {id}"}
    return [{"@type": "RelatedPlaceRef", "role": "site", "place": place}]


def pool(desk, id, of, range_, **more):
    characteristics = {"poolOf": of, "range": range_, **more}
    desk.create("Resource", resource(id, "pool", characteristics=characteristics))


def take(desk, pool_, of, numbers, status="allocated"):
    for number in numbers:
        desk.create(
            "Resource",
            resource(f"{pool_}-{number}", of, within=pool_, allocationStatus=status),
        )


def alarms(desk, **query):
    return desk.find("Alarm", query)


def test_ports_are_counted_by_element_and_by_site(database, desk):
    desk.create("Resource", resource("gw", "accessGateway", place=at_site("a")))
    wanted = [("allocated", {}), ("reserved", {}), ("free", {}), ("unknown", {}),
              ("free", {"operationalState": "disabled"}),
              ("allocated", {"operationalState": "disabled"})]  # fmt: skip
    for number, (status, more) in enumerate(wanted):
        port = resource(f"p{number}", "accessPort", within="gw", allocationStatus=status, **more)
        desk.create("Resource", port | ({"place": at_site("b")} if number == 2 else {}))
    found = {
        (one.capacity_object.category, one.capacity_object.id): one for one in counted(database)
    }
    ports = found["accessPort", "gw"]
    assert (ports.capacity_object.capacity, ports.used, ports.reserved) == (5, 3, 1)
    assert (ports.ratio, ports.capacity_object.places) == (0.8, ("a",))
    assert found["site", "a"].capacity_object.capacity == 4
    assert (found["site", "b"].used, found["site", "b"].capacity_object.name) == (0, "Site b")


def counted(database):
    return InventoryCounter(database, "default").utilisations(NOW)


def test_pools_are_counted_by_what_is_taken_of_them(database, desk):
    pool(desk, "addresses", "ipAddress", "198.18.1.0/24")
    pool(desk, "numbers", "msisdn", "491700000000-491700009999", capacityThreshold=0.5)
    pool(desk, "vlans", "vlan", "100-199")
    pool(desk, "v6", "ipAddress", "2001:db8::/48")
    pool(desk, "broken", "vlan", "none")
    take(desk, "addresses", "ipAddress", range(3))
    take(desk, "addresses", "ipAddress", range(3, 5), "reserved")
    take(desk, "vlans", "vlan", range(7), "free")
    found = {one.capacity_object.id: one for one in counted(database)}
    assert found.keys() == {"addresses", "numbers", "vlans", "v6"}
    one = found["addresses"]
    assert (one.capacity_object.category, one.capacity_object.capacity, one.used, one.reserved) == (
        "addressPool", 254, 3, 2,
    )  # fmt: skip
    assert (found["numbers"].capacity_object.category, found["numbers"].capacity_object.capacity) == (
        "numberRange", 10_000,
    )  # fmt: skip
    assert found["numbers"].capacity_object.threshold == 0.5
    assert (found["vlans"].capacity_object.category, found["vlans"].used) == ("vlanRange", 0)
    assert found["v6"].capacity_object.capacity == 2.0**80


def test_uplinks_are_counted_by_what_services_draw(database, desk):
    entry = {"service": "s", "carrier": "", "amount": 300 * 10**6, "wanted": 0, "holder": "",
             "until": ""}  # fmt: skip
    more = {**entry, "service": "t", "amount": 0, "wanted": 50 * 10**6, "holder": "o/1",
            "until": "2027-01-01T00:00:00.000Z"}  # fmt: skip
    uplink = {"bandwidth": 1000, "oversubscription": 2, "allocations": {"entry": [entry, more]}}
    desk.create("Resource", resource("up", "uplink", characteristics=uplink))
    (found,) = counted(database)
    assert (found.capacity_object.category, found.capacity_object.capacity) == ("uplink", 2 * 10**9)
    assert (found.used, found.reserved) == (300 * 10**6, 50 * 10**6)


def test_a_reservation_counts_while_it_lasts_and_a_service_as_used_while_it_changes(database, desk):
    pool(desk, "vlans", "vlan", "1-10")
    for id, characteristics in (
        ("over", {"reservedUntil": "2026-11-22T12:00:00.000Z"}),
        ("lasts", {"reservedUntil": "2026-11-22T13:00:00.000Z"}),
        ("changes", {"reservedUntil": "2026-11-22T13:00:00.000Z", "serviceId": "s"}),
    ):
        one = resource(
            id, "vlan", within="vlans", as_="isAllocatedFrom", allocationStatus="reserved",
            characteristics=characteristics,
        )  # fmt: skip
        desk.create("Resource", one)
    desk.create("Resource", resource("gw", "accessGateway", within="vlans", as_="uses"))
    found = next(one for one in counted(database) if one.capacity_object.id == "vlans")
    assert (found.used, found.reserved) == (1, 1)


def test_a_reading_is_exchanged_for_the_one_before_so_that_nothing_counts_twice(history):
    def read(value, at):
        sample = Sample("up.0$", "octets_in", value, "octets", at, "1")
        return history.exchange_readings("default:gw", [sample], at)

    most = 2**64 - 1
    assert read(most, NOW) == []
    assert [one.value for one in read(5, NOW + HOUR)] == [most]
    assert read(3, NOW) == []  # somebody who was slow
    assert [one.value for one in read(6, NOW + 2 * HOUR)] == [5]


def test_hours_are_kept_and_days_summed_up_once(history):
    for day in range(3):
        for hour, bits in ((3, 1.0), (20, 5.0)):
            since = NOW.replace(hour=hour, minute=0) - (3 - day) * DAY
            for half in (0, 30):
                start = since + timedelta(minutes=half)
                part = Traffic("up0", start, start + HOUR / 2, bits * 1800, bits * 900)
                history.add_traffic("default", {"port:1": part})
    (hours,) = history.hours("default", ["port:1"], NOW - 7 * DAY).values()
    assert [(one.start.hour, one.used) for one in hours] == [(3, 1.0), (20, 5.0)] * 3
    assert history.summarise_days(NOW) == 3
    assert history.summarise_days(NOW) == 0
    (days,) = history.days("default", ["port:1"], NOW - 7 * DAY).values()
    assert [(one.at.day, one.used) for one in days] == [(19, 5.0), (20, 5.0), (21, 5.0)]
    assert history.hours("other", ["port:1"], NOW - 7 * DAY) == {}


def test_history_forgets_by_itself(history, database):
    history.add_usage("default", {"addressPool:1": 4.0}, NOW)
    for name in ("capacity_days", "capacity_years", "capacity_readings"):
        indexes = database[name].index_information().values()
        assert any(one.get("expireAfterSeconds") == 0 for one in indexes), name
    assert database["capacity_days"].find_one()["expires"] > NOW + 30 * DAY


def grow(history, series, *, days=10, start=100.0, slope=10.0):
    """A history of even growth until now."""
    for n in range(days * 24):
        at = NOW - n * HOUR
        history.add_usage("default", {series: start - slope * n / 24}, at)


def test_a_pool_that_grows_says_when_it_is_exhausted(database, history):
    figures = CapacityRecords(database, threshold=0.8)
    figures.prepare()
    grow(history, "addressPool:1")
    thing = CapacityObject("1", "pool", "addressPool", 254, "pool")
    (found,) = figures.write("default", [Utilisation(thing, 100, 0, NOW)], NOW)
    assert found["daysToExhaustion"] == pytest.approx(15.4)
    assert found["exhaustionDate"] == "2026-12-07T22:06:00.000Z"
    assert found["trendPerDay"] == pytest.approx(10)


def test_the_most_urgent_comes_first(database):
    figures = CapacityRecords(database, threshold=0.8)
    levels = [
        Utilisation(CapacityObject(id, id, "numberRange", 100, places=("x",)), used, 0, NOW)
        for id, used in (("calm", 10), ("full", 99), ("fuller", 100), ("half", 50))
    ]
    figures.write("default", levels, NOW)
    figures.write("default", [Utilisation(CapacityObject("p", "p", "port", 100), 90, 0, NOW)], NOW)
    everything = figures.find("default", CapacityQuery())
    assert [one["id"] for one in everything] == ["fuller", "full", "p", "half", "calm"]
    wanted = CapacityQuery(("numberRange",), ("x",), 2)
    assert [one["id"] for one in figures.find("default", wanted)] == ["fuller", "full"]
    assert figures.count("default", wanted) == 4
    assert figures.find("other", CapacityQuery()) == []


def test_a_pool_has_one_alarm_that_grows_and_clears(desk, measuring):
    pool(desk, "vlans", "vlan", "1-10")
    take(desk, "vlans", "vlan", range(7))
    measuring.count_inventory("default", NOW)
    assert alarms(desk) == []
    take(desk, "vlans", "vlan", range(7, 9))
    for minutes in range(3):
        measuring.count_inventory("default", NOW + timedelta(minutes=minutes))
    (alarm,) = alarms(desk)
    assert (alarm["state"], alarm["perceivedSeverity"]) == ("raised", "minor")
    assert (alarm["alarmType"], alarm["probableCause"]) == (
        "qualityOfServiceAlarm", "thresholdCrossed",
    )  # fmt: skip
    assert alarm["alarmedObject"]["id"] == "vlans"
    assert "90% of 10 numbers" in alarm["alarmDetails"]
    (told,) = measuring.records.find("default", CapacityQuery())
    assert told["alarm"] == alarm["id"]
    take(desk, "vlans", "vlan", [9])
    measuring.count_inventory("default", NOW + HOUR)
    (alarm,) = alarms(desk)
    assert (alarm["perceivedSeverity"], alarm["state"]) == ("major", "raised")
    for number in range(3):
        desk.delete("Resource", f"vlans-{number}")
    measuring.count_inventory("default", NOW + 2 * HOUR)
    (alarm,) = alarms(desk)
    assert alarm["state"] == "cleared"
    assert "alarm" not in measuring.records.find("default", CapacityQuery())[0]


def test_what_is_gone_is_forgotten_and_its_alarm_cleared(desk, measuring):
    pool(desk, "vlans", "vlan", "1-2")
    take(desk, "vlans", "vlan", range(2))
    measuring.count_inventory("default", NOW)
    assert alarms(desk)[0]["state"] == "raised"
    for id in ("vlans-0", "vlans-1", "vlans"):
        desk.delete("Resource", id)
    measuring.count_inventory("default", NOW + HOUR)
    assert alarms(desk)[0]["state"] == "cleared"
    assert measuring.records.find("default", CapacityQuery()) == []


class Watched:
    """A simulated gateway in the inventory, and two workers that poll it."""

    def __init__(self, database, desks, measuring, file):
        self.database, self.desks, self.measuring = database, desks, measuring
        self.file, self.up0, self.gateway = file, "", None

    async def __aenter__(self):
        self.gateway = await SimulatedGateway("gw-sim", ports=2).__aenter__()
        self.file.write_text(json.dumps(self.gateway.credentials))
        credentials = Credentials(self.file)
        target = replace(self.gateway.target, options={"timeout": "0.2", "retries": "0"})
        async with registry.create_adapter(target, credentials) as adapter:
            self.up0 = (await register(self.desks.for_tenant("default"), adapter)).ports["up0"]
        self.connections, self.threads = Connections(credentials), ThreadPoolExecutor(2)
        self.stop = asyncio.Event()
        network = ElementRegistry(self.database, self.desks, credentials)
        polls = [
            CapacityPoller(
                *(self.database, self.measuring, network, self.connections),
                *(self.threads, SETTINGS.capacity_interval),
            )
            for _ in range(2)
        ]
        self.running = [asyncio.create_task(one.run(self.stop)) for one in polls]
        self.running.append(asyncio.create_task(self.load()))
        return self

    async def __aexit__(self, *_):
        self.stop.set()
        await asyncio.gather(*self.running)
        await self.connections.close()
        self.threads.shutdown()
        await self.gateway.__aexit__(None, None, None)

    async def load(self):
        """Carry 900 Mbit/s out and 10 in."""
        port, last = self.gateway.port("up0"), time.monotonic()
        while not self.stop.is_set():
            await asyncio.sleep(0.01)
            last, before = time.monotonic(), last
            port.octets_out += round(900 * 10**6 / 8 * (last - before))
            port.octets_in += round(10 * 10**6 / 8 * (last - before))

    async def figure(self, good):
        """The figure of the uplink, as soon as it is as wanted."""
        return await until(
            lambda: next(
                (
                    one
                    for one in self.measuring.records.find("default", CapacityQuery(("port",)))
                    if one["id"] == self.up0 and good(one)
                ),
                None,
            )
        )


async def until(question):
    for _ in range(400):
        if answer := await asyncio.to_thread(question):
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(question)


def test_counters_of_a_gateway_become_the_use_of_its_ports(database, desks, measuring, tmp_path):
    """Over SNMP: traffic, a restart, an element that is silent for a while, and one alarm."""
    desk = desks.for_tenant("default")

    async def story():
        async with Watched(database, desks, measuring, tmp_path / "credentials.json") as watched:
            found = await watched.figure(lambda one: one["utilization"] > 0.8)
            assert found["capacity"] == 10**9
            assert found["utilization"] == pytest.approx(0.9, abs=0.2)
            assert found["outgoing"] > 10 * found["incoming"]
            assert await until(lambda: alarms(desk, state="raised"))
            watched.gateway.restart()
            after = await watched.figure(lambda one: one["at"] > found["at"] + HOUR / 3600)
            assert after["utilization"] == pytest.approx(0.9, abs=0.2)
            watched.gateway.fault_injection.silent = True
            await asyncio.sleep(1)
            watched.gateway.fault_injection.silent = False
            last = await watched.figure(lambda one: one["at"] > after["at"] + HOUR / 3600)
            assert last["utilization"] == pytest.approx(0.9, abs=0.2)

    asyncio.run(story())
    (alarm,) = alarms(desk)
    assert alarm["sourceSystemId"] == "gw-sim up0"
    found = measuring.records.find("default", CapacityQuery())
    assert {one["category"] for one in found} == {"port", "accessPort"}


def test_a_report_is_made_by_post_and_kept(api):
    ids = {}
    for name, of, range_ in (("n", "msisdn", "1-4"), ("v", "vlan", "1-100")):
        body = resource(name, "pool", characteristics={"poolOf": of, "range": range_})
        ids[name] = api.post(INVENTORY, json=body).json()["id"]
    taken = resource("n1", "msisdn", within=ids["n"], allocationStatus="allocated")
    assert api.post(INVENTORY, json=taken).status_code == 201
    made = api.post(NETWORK, json={"@type": "CapacityReport", "resource": [], "limit": 1})
    assert made.status_code == 201, made.text
    report = made.json()
    assert report["count"] == 2
    (row,) = report["resource"]
    assert (row["id"], row["utilization"], row["unit"]) == (ids["n"], 0.25, "numbers")
    assert (row["capacity"], row["used"], row["threshold"]) == (4, 1, 0.8)
    assert api.get(f"{NETWORK}/{report['id']}").json() == report
    only = api.post(NETWORK, json={"@type": "CapacityReport", "category": ["vlanRange"]}).json()
    assert [one["id"] for one in only["resource"]] == [ids["v"]]
    assert len(api.get(NETWORK).json()) == 2


def test_metrics_have_the_fullest_of_each_category(database):
    levels = [
        Utilisation(CapacityObject(id, id, "numberRange", 100), used, 0, NOW)
        for id, used in (("one", 20), ("other", 70))
    ]
    CapacityRecords(database, threshold=0.8).write("default", levels, NOW)
    found = {one.name: one.samples for one in CapacityCollector(database).collect()}
    (sample,) = found["tmf_capacity_utilization"]
    assert sample.labels == {"tenant": "default", "category": "numberRange"}
    assert sample.value == 0.7
    assert found["tmf_capacity_days_to_exhaustion"] == []


def test_a_party_sees_no_capacity(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, parties=["42"])
    with authenticated_server.client(token) as client:
        answer = client.post(NETWORK, json={"@type": "CapacityReport"})
    assert answer.status_code == 403, answer.text


def test_the_command_prints_what_the_report_says(
    mongodb_uri, database, desk, tmp_path, monkeypatch
):
    pool(
        desk,
        "vlans",
        "vlan",
        "1-10",
    )
    take(desk, "vlans", "vlan", range(9))
    monkeypatch.setenv("TMF_MONGODB_DATABASE", database.name)
    usual = ["capacity", "--uri", mongodb_uri, "--data-dir", str(tmp_path)]
    table = CliRunner().invoke(main, usual)
    assert table.exit_code == 0, table.output
    assert "vlanRange" in table.output
    assert "90%" in table.output
    plain = CliRunner().invoke(main, [*usual, "--json", "--category", "vlanRange"])
    assert [one["used"] for one in json.loads(plain.output)] == [9]
    none = CliRunner().invoke(main, [*usual, "--category", "port"])
    assert "nothing is known yet" in none.output
