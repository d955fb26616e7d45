"""Capacity on a real MongoDB: counted, measured over SNMP, forecast, alarmed and reported."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from adapters import registry
from adapters.credentials import Credentials
from adapters.observations import Sample
from adapters.snmp.simulator import SimulatedGateway
from tests.support.waiting import wait_in_thread
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
REPORTS = "/tmf-api/networkOperations/v5/capacityReport"
INVENTORY = "/tmf-api/resourceInventoryManagement/v5/resource"
SETTINGS = Settings(capacity_interval=0.2)
MEGABIT = 10**6


@pytest.fixture
def repositories(database, contracts):
    return RepositoryFactory(Engine(SETTINGS, list(contracts.values()), database).writer, "test")


@pytest.fixture
def repository(repositories):
    return repositories.for_tenant("default")


@pytest.fixture
def meter(database, repositories):
    meter = CapacityMeter(database, SETTINGS, repositories)
    meter.prepare()
    return meter


@pytest.fixture
def history(database):
    history = History(database)
    history.prepare()
    return history


@pytest.fixture
def count_inventory(database):
    """A function that returns the utilisations of the inventory by id of the object."""

    def count():
        utilisations = InventoryCounter(database, "default").utilisations(NOW)
        return {utilisation.capacity_object.id: utilisation for utilisation in utilisations}

    return count


def resource(id, category, *, within="", relationship="isContainedIn", characteristics=(), **more):
    """A resource; ``within`` is the id of the resource that contains it or is its pool."""
    body = {
        "@type": "LogicalResource",
        "id": id,
        "name": id,
        "category": category,
        "resourceCharacteristic": [
            {"@type": "Characteristic", "name": name, "value": value}
            for name, value in dict(characteristics).items()
        ],
        **more,
    }
    if within:
        body["resourceRelationship"] = [
            {
                "@type": "ResourceRelationship",
                "relationshipType": relationship,
                "resource": {"@type": "ResourceRef", "id": within},
            }
        ]
    return body


def at_site(id):
    place = {"@type": "PlaceRef", "id": id, "name": f"Site {id}"}
    return [{"@type": "RelatedPlaceRef", "role": "site", "place": place}]


def create_pool(repository, id, of, range_, **characteristics):
    characteristics = {"poolOf": of, "range": range_, **characteristics}
    repository.create("Resource", resource(id, "pool", characteristics=characteristics))


def allocate(repository, pool, of, numbers, status="allocated"):
    for number in numbers:
        value = resource(f"{pool}-{number}", of, within=pool, allocationStatus=status)
        repository.create("Resource", value)


def alarms(repository, **query):
    return repository.find("Alarm", query)


# Counting.


def test_ports_are_counted_by_element_and_by_site(database, repository):
    repository.create("Resource", resource("gw", "accessGateway", place=at_site("a")))
    for number, (status, attributes) in enumerate(
        [
            ("allocated", {}),
            ("reserved", {}),
            ("free", {"place": at_site("b")}),
            ("unknown", {}),
            ("free", {"operationalState": "disabled"}),
            ("allocated", {"operationalState": "disabled"}),
        ]
    ):
        port = resource(
            f"p{number}", "accessPort", within="gw", allocationStatus=status, **attributes
        )
        repository.create("Resource", port)
    utilisations = InventoryCounter(database, "default").utilisations(NOW)
    by_object = {
        (each.capacity_object.category, each.capacity_object.id): each for each in utilisations
    }
    ports = by_object["accessPort", "gw"]
    assert (ports.capacity_object.capacity, ports.used, ports.reserved) == (5, 3, 1)
    assert (ports.ratio, ports.capacity_object.places) == (0.8, ("a",))
    site_a, site_b = by_object["site", "a"], by_object["site", "b"]
    assert site_a.capacity_object.capacity == 4
    assert (site_b.used, site_b.capacity_object.name) == (0, "Site b")


def test_pools_are_counted_by_their_allocated_values(repository, count_inventory):
    create_pool(repository, "addresses", "ipAddress", "198.18.1.0/24")
    create_pool(repository, "numbers", "msisdn", "491700000000-491700009999", capacityThreshold=0.5)
    create_pool(repository, "vlans", "vlan", "100-199")
    create_pool(repository, "v6", "ipAddress", "2001:db8::/48")
    create_pool(repository, "broken", "vlan", "none")
    allocate(repository, "addresses", "ipAddress", range(3))
    allocate(repository, "addresses", "ipAddress", range(3, 5), "reserved")
    allocate(repository, "vlans", "vlan", range(7), "free")
    utilisations = count_inventory()
    assert utilisations.keys() == {"addresses", "numbers", "vlans", "v6"}
    addresses, numbers = utilisations["addresses"], utilisations["numbers"].capacity_object
    assert addresses.capacity_object.category == "addressPool"
    assert addresses.capacity_object.capacity == 254
    assert (addresses.used, addresses.reserved) == (3, 2)
    assert (numbers.category, numbers.capacity) == ("numberRange", 10_000)
    assert numbers.threshold == 0.5
    vlans = utilisations["vlans"]
    assert (vlans.capacity_object.category, vlans.used) == ("vlanRange", 0)
    assert utilisations["v6"].capacity_object.capacity == 2.0**80


def test_uplinks_are_counted_by_their_allocated_bandwidth(repository, count_inventory):
    allocated = {
        "service": "s",
        "carrier": "",
        "amount": 300 * MEGABIT,
        "wanted": 0,
        "holder": "",
        "until": "",
    }
    reserved = {
        **allocated,
        "service": "t",
        "amount": 0,
        "wanted": 50 * MEGABIT,
        "holder": "o/1",
        "until": "2027-01-01T00:00:00.000Z",
    }
    characteristics = {
        "bandwidth": 1000,
        "oversubscription": 2,
        "allocations": {"entry": [allocated, reserved]},
    }
    repository.create("Resource", resource("up", "uplink", characteristics=characteristics))
    (uplink,) = count_inventory().values()
    assert uplink.capacity_object.category == "uplink"
    assert uplink.capacity_object.capacity == 2000 * MEGABIT
    assert (uplink.used, uplink.reserved) == (300 * MEGABIT, 50 * MEGABIT)


def test_expired_reservations_do_not_count_and_services_in_change_count_as_used(
    repository, count_inventory
):
    create_pool(repository, "vlans", "vlan", "1-10")
    for id, characteristics in (
        ("expired", {"reservedUntil": "2026-11-22T12:00:00.000Z"}),
        ("reserved", {"reservedUntil": "2026-11-22T13:00:00.000Z"}),
        ("in-change", {"reservedUntil": "2026-11-22T13:00:00.000Z", "serviceId": "s"}),
    ):
        value = resource(
            id,
            "vlan",
            within="vlans",
            relationship="isAllocatedFrom",
            allocationStatus="reserved",
            characteristics=characteristics,
        )
        repository.create("Resource", value)
    gateway = resource("gw", "accessGateway", within="vlans", relationship="uses")
    repository.create("Resource", gateway)
    vlans = count_inventory()["vlans"]
    assert (vlans.used, vlans.reserved) == (1, 1)


# History.


def test_a_reading_is_exchanged_for_the_previous_one_so_nothing_counts_twice(history):
    def exchange(value, at):
        sample = Sample("up.0$", "octets_in", value, "octets", at, "1")
        previous = history.exchange_readings("default:gw", [sample], at)
        return [sample.value for sample in previous]

    largest = 2**64 - 1
    assert exchange(largest, NOW) == []
    assert exchange(5, NOW + HOUR) == [largest]
    assert exchange(3, NOW) == []  # a worker that was slow
    assert exchange(6, NOW + 2 * HOUR) == [5]


def test_hours_are_kept_and_days_are_summarised_once(history):
    for day in range(3):
        for hour, bits in ((3, 1.0), (20, 5.0)):
            since = NOW.replace(hour=hour, minute=0) - (3 - day) * DAY
            for minute in (0, 30):
                start = since + timedelta(minutes=minute)
                traffic = Traffic("up0", start, start + HOUR / 2, bits * 1800, bits * 900)
                history.add_traffic("default", {"port:1": traffic})
    (hours,) = history.hours("default", ["port:1"], NOW - 7 * DAY).values()
    assert [(each.start.hour, each.busier_direction) for each in hours] == [(3, 1.0), (20, 5.0)] * 3
    assert history.summarise_days(NOW) == 3
    assert history.summarise_days(NOW) == 0
    (days,) = history.days("default", ["port:1"], NOW - 7 * DAY).values()
    assert [(each.at.day, each.used) for each in days] == [(19, 5.0), (20, 5.0), (21, 5.0)]
    assert history.hours("other", ["port:1"], NOW - 7 * DAY) == {}


def test_old_history_is_deleted_by_the_database(history, database):
    history.add_usage("default", {"addressPool:1": 4.0}, NOW)
    for name in ("capacity_days", "capacity_years", "capacity_readings"):
        indexes = database[name].index_information().values()
        assert any(index.get("expireAfterSeconds") == 0 for index in indexes), name
    assert database["capacity_days"].find_one()["expires"] > NOW + 30 * DAY


# Records and alarms.


def test_a_growing_pool_has_an_exhaustion_forecast(database, history):
    records = CapacityRecords(database, threshold=0.8)
    records.prepare()
    for hours in range(10 * 24):
        usage = {"addressPool:1": 100.0 - 10 * hours / 24}
        history.add_usage("default", usage, NOW - hours * HOUR)
    pool = CapacityObject("1", "pool", "addressPool", 254, "pool")
    (record,) = records.write("default", [Utilisation(pool, 100, 0, NOW)], NOW)
    assert record["daysToExhaustion"] == pytest.approx(15.4)
    assert record["exhaustionDate"] == "2026-12-07T22:06:00.000Z"
    assert record["trendPerDay"] == pytest.approx(10)


def test_the_most_urgent_record_comes_first(database):
    records = CapacityRecords(database, threshold=0.8)
    utilisations = [
        Utilisation(CapacityObject(id, id, "numberRange", 100, places=("x",)), used, 0, NOW)
        for id, used in (("calm", 10), ("full", 99), ("fuller", 100), ("half", 50))
    ]
    records.write("default", utilisations, NOW)
    port = CapacityObject("p", "p", "port", 100)
    records.write("default", [Utilisation(port, 90, 0, NOW)], NOW)
    every_record = records.find("default", CapacityQuery())
    assert [record["id"] for record in every_record] == ["fuller", "full", "p", "half", "calm"]
    query = CapacityQuery(("numberRange",), ("x",), 2)
    assert [record["id"] for record in records.find("default", query)] == ["fuller", "full"]
    assert records.count("default", query) == 4
    assert records.find("other", CapacityQuery()) == []


def test_a_pool_has_one_alarm_that_becomes_more_severe_and_is_cleared(repository, meter):
    create_pool(repository, "vlans", "vlan", "1-10")
    allocate(repository, "vlans", "vlan", range(7))
    meter.count_inventory("default", NOW)
    assert alarms(repository) == []
    allocate(repository, "vlans", "vlan", range(7, 9))
    for minutes in range(3):
        meter.count_inventory("default", NOW + timedelta(minutes=minutes))
    (alarm,) = alarms(repository)
    assert (alarm["state"], alarm["perceivedSeverity"]) == ("raised", "minor")
    types = alarm["alarmType"], alarm["probableCause"]
    assert types == ("qualityOfServiceAlarm", "thresholdCrossed")
    assert alarm["alarmedObject"]["id"] == "vlans"
    assert "90% of 10 numbers" in alarm["alarmDetails"]
    (record,) = meter.records.find("default", CapacityQuery())
    assert record["alarm"] == alarm["id"]
    allocate(repository, "vlans", "vlan", [9])
    meter.count_inventory("default", NOW + HOUR)
    (alarm,) = alarms(repository)
    assert (alarm["perceivedSeverity"], alarm["state"]) == ("major", "raised")
    for number in range(3):
        repository.delete("Resource", f"vlans-{number}")
    meter.count_inventory("default", NOW + 2 * HOUR)
    (alarm,) = alarms(repository)
    assert alarm["state"] == "cleared"
    assert "alarm" not in meter.records.find("default", CapacityQuery())[0]


def test_the_record_of_a_deleted_pool_is_deleted_and_its_alarm_cleared(repository, meter):
    create_pool(repository, "vlans", "vlan", "1-2")
    allocate(repository, "vlans", "vlan", range(2))
    meter.count_inventory("default", NOW)
    assert alarms(repository)[0]["state"] == "raised"
    for id in ("vlans-0", "vlans-1", "vlans"):
        repository.delete("Resource", id)
    meter.count_inventory("default", NOW + HOUR)
    assert alarms(repository)[0]["state"] == "cleared"
    assert meter.records.find("default", CapacityQuery()) == []


# Measurement over SNMP.


class SimulatedClock:
    """A clock that advances by a minute with each reading, while a port carries traffic.

    It replaces ``datetime`` in the adapter, so the measured rates do not depend on the speed of the
    machine.
    """

    def __init__(self, port, *, outgoing, incoming):
        self._now = datetime.now(UTC)
        self._port, self._outgoing, self._incoming = port, outgoing, incoming

    def now(self, _zone):
        now = self._now
        self._now += timedelta(minutes=1)
        self._port.octets_out += self._outgoing * 60 // 8
        self._port.octets_in += self._incoming * 60 // 8
        return now


class PolledGateway:
    """A simulated gateway in the inventory that two workers poll."""

    def __init__(self, gateway, uplink_id, records):
        self.gateway, self._uplink_id, self._records = gateway, uplink_id, records

    async def wait_for_record(self, condition):
        """Return the record of the uplink once it meets a condition."""

        def find_record():
            for record in self._records.find("default", CapacityQuery(("port",))):
                if record["id"] == self._uplink_id and condition(record):
                    return record
            return None

        return await wait_in_thread(find_record)

    async def wait_for_requests(self, number):
        """Wait until the gateway has received a number of requests."""
        receive, count = self.gateway.datagram_received, 0
        enough = asyncio.Event()

        def receive_and_count(datagram, source):
            nonlocal count
            count += 1
            if count >= number:
                enough.set()
            receive(datagram, source)

        self.gateway.datagram_received = receive_and_count
        async with asyncio.timeout(30):
            await enough.wait()
        self.gateway.datagram_received = receive


@asynccontextmanager
async def polled_gateway(database, repositories, meter, credentials_file):
    async with SimulatedGateway("gw-sim", ports=2) as gateway:
        credentials_file.write_text(json.dumps(gateway.credentials))
        credentials = Credentials(credentials_file)
        target = replace(gateway.target, options={"timeout": "1", "retries": "0"})
        async with registry.create_adapter(target, credentials) as adapter:
            stored = await register(repositories.for_tenant("default"), adapter)
        elements = ElementRegistry(database, repositories, credentials)
        connections, stop = Connections(credentials), asyncio.Event()
        with ThreadPoolExecutor(2) as executor:
            pollers = [
                CapacityPoller(
                    *(database, meter, elements, connections, executor),
                    SETTINGS.capacity_interval,
                )
                for _ in range(2)
            ]
            running = [asyncio.create_task(poller.run(stop)) for poller in pollers]
            try:
                yield PolledGateway(gateway, stored.ports["up0"], meter.records)
            finally:
                stop.set()
                await asyncio.gather(*running)
                await connections.close()


def test_the_counters_of_a_gateway_become_the_utilisation_of_its_ports(  # noqa: PLR0913, PLR0917
    database, repositories, repository, meter, tmp_path, monkeypatch
):
    """Traffic, a restart of the gateway, an outage, and one alarm."""

    async def scenario():
        async with polled_gateway(
            database, repositories, meter, tmp_path / "credentials.json"
        ) as polled:
            port = polled.gateway.port("up0")
            clock = SimulatedClock(port, outgoing=900 * MEGABIT, incoming=10 * MEGABIT)
            monkeypatch.setattr("adapters.snmp.element.datetime", clock)
            first = await polled.wait_for_record(lambda record: record["utilization"] > 0.85)
            assert first["capacity"] == 1000 * MEGABIT
            assert first["utilization"] <= 0.9
            assert first["outgoing"] == pytest.approx(900 * MEGABIT, rel=1e-3)
            assert first["incoming"] == pytest.approx(10 * MEGABIT, rel=1e-3)
            assert await wait_in_thread(lambda: alarms(repository, state="raised"))
            polled.gateway.restart()
            second = await polled.wait_for_record(lambda record: record["at"] > first["at"])
            assert second["utilization"] == pytest.approx(0.9, abs=0.05)
            polled.gateway.fault_injection.silent = True
            await polled.wait_for_requests(2)
            polled.gateway.fault_injection.silent = False
            third = await polled.wait_for_record(lambda record: record["at"] > second["at"])
            assert third["utilization"] == pytest.approx(0.9, abs=0.05)

    asyncio.run(scenario())
    (alarm,) = alarms(repository)
    assert alarm["sourceSystemId"] == "gw-sim up0"
    records = meter.records.find("default", CapacityQuery())
    assert {record["category"] for record in records} == {"port", "accessPort"}


# Reports, metrics and command.


def test_a_report_is_created_by_post_and_stored(api):
    ids = {}
    for name, of, range_ in (("n", "msisdn", "1-4"), ("v", "vlan", "1-100")):
        body = resource(name, "pool", characteristics={"poolOf": of, "range": range_})
        ids[name] = api.post(INVENTORY, json=body).json()["id"]
    allocated = resource("n1", "msisdn", within=ids["n"], allocationStatus="allocated")
    assert api.post(INVENTORY, json=allocated).status_code == 201
    response = api.post(REPORTS, json={"@type": "CapacityReport", "resource": [], "limit": 1})
    assert response.status_code == 201, response.text
    report = response.json()
    assert report["count"] == 2
    (item,) = report["resource"]
    assert (item["id"], item["utilization"], item["unit"]) == (ids["n"], 0.25, "numbers")
    assert (item["capacity"], item["used"], item["threshold"]) == (4, 1, 0.8)
    assert api.get(f"{REPORTS}/{report['id']}").json() == report
    vlans = api.post(REPORTS, json={"@type": "CapacityReport", "category": ["vlanRange"]}).json()
    assert [item["id"] for item in vlans["resource"]] == [ids["v"]]
    assert len(api.get(REPORTS).json()) == 2


def test_a_client_that_acts_for_a_party_gets_no_report(authenticated_server, tenant):
    token = authenticated_server.token(tenant=tenant, parties=["42"])
    with authenticated_server.client(token) as client:
        response = client.post(REPORTS, json={"@type": "CapacityReport"})
    assert response.status_code == 403, response.text


def test_metrics_have_the_highest_utilisation_of_each_category(database):
    utilisations = [
        Utilisation(CapacityObject(id, id, "numberRange", 100), used, 0, NOW)
        for id, used in (("a", 20), ("b", 70))
    ]
    CapacityRecords(database, threshold=0.8).write("default", utilisations, NOW)
    metrics = {metric.name: metric.samples for metric in CapacityCollector(database).collect()}
    (sample,) = metrics["tmf_capacity_utilization"]
    assert sample.labels == {"tenant": "default", "category": "numberRange"}
    assert sample.value == 0.7
    assert metrics["tmf_capacity_days_to_exhaustion"] == []


def test_the_command_prints_the_report(mongodb_uri, database, repository, tmp_path, monkeypatch):
    create_pool(repository, "vlans", "vlan", "1-10")
    allocate(repository, "vlans", "vlan", range(9))
    monkeypatch.setenv("TMF_MONGODB_DATABASE", database.name)

    def tmf_capacity(*options):
        command = ["capacity", "--uri", mongodb_uri, "--data-dir", str(tmp_path), *options]
        return CliRunner().invoke(main, command)

    table = tmf_capacity()
    assert table.exit_code == 0, table.output
    assert "vlanRange" in table.output
    assert "90%" in table.output
    as_json = tmf_capacity("--json", "--category", "vlanRange")
    assert [item["used"] for item in json.loads(as_json.output)] == [9]
    assert "no records: " in tmf_capacity("--category", "port").output
