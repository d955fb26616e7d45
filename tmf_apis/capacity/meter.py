"""Capacity meter: turns counts and counter readings into history, records and alarms."""

from collections.abc import Sequence
from datetime import UTC, datetime

from adapters.observations import Sample
from tmf_apis.capacity.alarms import CapacityAlarms
from tmf_apis.capacity.history import History, HourlyUsage
from tmf_apis.capacity.inventory_counter import InventoryCounter
from tmf_apis.capacity.records import BUSY_WINDOW, CapacityRecords, busiest_hour_usage
from tmf_apis.capacity.traffic import Traffic, octet_readings, traffic_between
from tmf_apis.capacity.values import PORT, UNITS, CapacityObject, Utilisation
from tmf_apis.fault_management.element_registry import Element
from tmf_apis.inventory.tenants import tenants_with_resources
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase


class CapacityMeter:
    """Writes history, records and alarms. Its methods block: call them in an executor."""

    def __init__(
        self,
        database: MongoDatabase,
        settings: Settings,
        repositories: RepositoryFactory | None = None,
    ) -> None:
        """Create a meter.

        Args:
            database: Holds inventory, history and records.
            settings: Threshold and notice period of alarms.
            repositories: Give access to alarms; None: do not write alarms.
        """
        self._database = database
        self._history = History(database)
        self.records = CapacityRecords(database, threshold=settings.capacity_threshold)
        self._alarms = (
            CapacityAlarms(
                database, repositories, self.records, notice_days=settings.capacity_notice
            )
            if repositories
            else None
        )

    def prepare(self) -> None:
        """Create the indexes; safe to repeat."""
        self.records.prepare()

    def summarise_days(self, now: datetime) -> None:
        """Write the busiest hour of each day that has ended."""
        self._history.summarise_days(now)

    def tenants(self) -> list[str]:
        """Return every tenant that has resources."""
        return tenants_with_resources(self._database)

    def count_inventory(self, tenant: str, now: datetime) -> None:
        """Count the inventory of a tenant; delete the records of objects that have disappeared."""
        utilisations = InventoryCounter(self._database, tenant).utilisations(now)
        usage = {
            utilisation.series: utilisation.used + utilisation.reserved
            for utilisation in utilisations
        }
        self._history.add_usage(tenant, usage, now)
        records = self.records.write(tenant, utilisations, now)
        categories = sorted(UNITS.keys() - {PORT})
        deleted = self.records.delete_unseen(
            tenant, categories, now, include_alarmed=self._alarms is not None
        )
        if self._alarms:
            self._alarms.update(tenant, records, now)
            self._alarms.clear(tenant, deleted, now)

    def record_counters(self, element: Element, samples: Sequence[Sample]) -> None:
        """Record the counters of an element as utilisation of its ports."""
        readings = octet_readings(samples)
        if not readings:
            return
        at = max(reading.taken_at for reading in readings.values())
        previous_readings = octet_readings(
            self._history.exchange_readings(element.key, list(readings.values()), at)
        )
        ports = InventoryCounter(self._database, element.tenant).port_objects(element.resource_id)
        traffic_by_series = {
            ports[traffic.port].series: traffic
            for traffic in traffic_between(previous_readings, readings)
            if traffic.port in ports and traffic.is_plausible(round(ports[traffic.port].capacity))
        }
        self._history.add_traffic(element.tenant, traffic_by_series)
        ports_by_series = {ports[port].series: ports[port] for port, _ in readings if port in ports}
        hours = self._history.hours(element.tenant, list(ports_by_series), at - BUSY_WINDOW)
        utilisations = [
            _port_utilisation(port, hours[series], traffic_by_series.get(series), at)
            for series, port in ports_by_series.items()
            if series in hours
        ]
        now = datetime.now(UTC)
        records = self.records.write(element.tenant, utilisations, now)
        if self._alarms:
            self._alarms.update(element.tenant, records, now)


def _port_utilisation(
    capacity_object: CapacityObject,
    hours: Sequence[HourlyUsage],
    latest_traffic: Traffic | None,
    at: datetime,
) -> Utilisation:
    """Return the utilisation of a port from its history and, if known, its latest traffic."""
    incoming = outgoing = None
    if latest_traffic:
        incoming = latest_traffic.incoming / latest_traffic.seconds
        outgoing = latest_traffic.outgoing / latest_traffic.seconds
    elif hours:
        incoming, outgoing = hours[-1].incoming, hours[-1].outgoing
    used = busiest_hour_usage(hours, at)
    return Utilisation(capacity_object, used, 0.0, at, incoming, outgoing)
