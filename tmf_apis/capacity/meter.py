"""From what was counted to figures and alarms; waits for the database, so it runs in threads."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from adapters.observations import Sample
from tmf_apis.capacity.alarms import CapacityAlarms
from tmf_apis.capacity.history import History, HourlyUsage
from tmf_apis.capacity.inventory_counter import InventoryCounter, tenants
from tmf_apis.capacity.records import BUSY_WINDOW, CapacityRecords, busiest_hour_usage
from tmf_apis.capacity.traffic import Traffic, octet_readings, traffic_between
from tmf_apis.capacity.values import PORT, UNITS, CapacityObject, Utilisation
from tmf_apis.fault_management.element_registry import Element
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase


class CapacityMeter:
    """Writes what is found out."""

    def __init__(
        self,
        database: MongoDatabase,
        settings: Settings,
        repositories: RepositoryFactory | None = None,
    ) -> None:
        """Take where it writes.

        Args:
            database: Where inventory, history and figures are.
            settings: The threshold and the notice of alarms.
            repositories: Give access to alarms; None: alarms are left to the worker.
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
        """Make the indexes; safe to repeat."""
        self.records.prepare()

    def summarise_days(self, now: datetime) -> None:
        """Write the busiest hour of each day that is over."""
        self._history.summarise_days(now)

    def tenants(self) -> list[str]:
        """Return every tenant that has resources."""
        return tenants(self._database)

    def count_inventory(self, tenant: str, now: datetime) -> None:
        """Count in the inventory; what is not there any more is forgotten."""
        levels = InventoryCounter(self._database, tenant).utilisations(now)
        taken = {one.capacity_object.series: one.used + one.reserved for one in levels}
        self._history.add_usage(tenant, taken, now)
        figures = self.records.write(tenant, levels, now)
        categories = sorted(UNITS.keys() - {PORT})
        gone = self.records.delete_unseen(
            tenant, categories, now, include_alarmed=self._alarms is not None
        )
        if self._alarms:
            self._alarms.update(tenant, figures, now)
            self._alarms.clear(tenant, gone, now)

    def record_counters(self, element: Element, samples: Sequence[Sample]) -> None:
        """Take the counters of an element."""
        kept = octet_readings(samples)
        if not kept:
            return
        at = max(one.taken_at for one in kept.values())
        before = octet_readings(
            self._history.exchange_readings(element.key, list(kept.values()), at)
        )
        ports = InventoryCounter(self._database, element.tenant).port_objects(element.resource_id)
        known = {
            ports[one.port].series: one
            for one in traffic_between(before, kept)
            if one.port in ports and one.is_plausible(round(ports[one.port].capacity))
        }
        self._history.add_traffic(element.tenant, known)
        things = {ports[port].series: ports[port] for port, _ in kept if port in ports}
        hours = self._history.hours(element.tenant, list(things), at - BUSY_WINDOW)
        levels = [_port_utilisation(thing, hours.get(series, ()), known, at) for series, thing in
                  things.items() if series in hours]  # fmt: skip
        now = datetime.now(UTC)
        figures = self.records.write(element.tenant, levels, now)
        if self._alarms:
            self._alarms.update(element.tenant, figures, now)


def _port_utilisation(
    capacity_object: CapacityObject,
    hours: Sequence[HourlyUsage],
    latest_traffic: Mapping[str, Traffic],
    at: datetime,
) -> Utilisation:
    traffic = latest_traffic.get(capacity_object.series)
    last = hours[-1] if hours else None
    return Utilisation(
        capacity_object,
        busiest_hour_usage(hours, at),
        0.0,
        at,
        traffic.incoming / traffic.seconds if traffic else last.incoming if last else None,
        traffic.outgoing / traffic.seconds if traffic else last.outgoing if last else None,
    )
