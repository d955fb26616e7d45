"""From what was counted to figures and alarms; waits for the database, so it runs in threads."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from adapters.observations import Sample
from tmf_apis.assurance.network import Element
from tmf_apis.capacity.alarming import Alarming
from tmf_apis.capacity.figures import BUSY, Figures, busiest
from tmf_apis.capacity.history import History, Hour
from tmf_apis.capacity.inventory import Counting, tenants
from tmf_apis.capacity.traffic import Traffic, between, readings
from tmf_apis.capacity.values import PORT, UNITS, Level, Thing
from tmf_apis.rest.desk import Desks
from tmf_apis.settings import Settings
from tmf_apis.store.connection import Documents


class Measuring:
    """Writes what is found out."""

    def __init__(self, database: Documents, settings: Settings, desks: Desks | None = None) -> None:
        """Take where it writes.

        Args:
            database: Where inventory, history and figures are.
            settings: The threshold and the notice of alarms.
            desks: Give access to alarms; None: alarms are left to the worker.
        """
        self._database = database
        self._history = History(database)
        self.figures = Figures(database, threshold=settings.capacity_threshold)
        self._alarming = (
            Alarming(database, desks, self.figures, notice=settings.capacity_notice)
            if desks
            else None
        )

    def prepare(self) -> None:
        """Make the indexes; safe to repeat."""
        self.figures.prepare()

    def sum_up(self, now: datetime) -> None:
        """Write the busiest hour of each day that is over."""
        self._history.sum_up(now)

    def tenants(self) -> list[str]:
        """Return every tenant that has resources."""
        return tenants(self._database)

    def count(self, tenant: str, now: datetime) -> None:
        """Count in the inventory; what is not there any more is forgotten."""
        levels = Counting(self._database, tenant).levels(now)
        taken = {one.thing.series: one.used + one.reserved for one in levels}
        self._history.add_levels(tenant, taken, now)
        figures = self.figures.write(tenant, levels, now)
        categories = sorted(UNITS.keys() - {PORT})
        gone = self.figures.forget(tenant, categories, now, alarmed=self._alarming is not None)
        if self._alarming:
            self._alarming.follow(tenant, figures, now)
            self._alarming.end(tenant, gone, now)

    def measure(self, element: Element, samples: Sequence[Sample]) -> None:
        """Take the counters of an element."""
        kept = readings(samples)
        if not kept:
            return
        at = max(one.taken_at for one in kept.values())
        before = readings(self._history.exchange(element.key, list(kept.values()), at))
        ports = Counting(self._database, element.tenant).ports(element.gateway)
        known = {
            ports[one.port].series: one
            for one in between(before, kept)
            if one.port in ports and one.fits(round(ports[one.port].capacity))
        }
        self._history.add_traffic(element.tenant, known)
        things = {ports[port].series: ports[port] for port, _ in kept if port in ports}
        hours = self._history.hours(element.tenant, list(things), at - BUSY)
        levels = [_level(thing, hours.get(series, ()), known, at) for series, thing in
                  things.items() if series in hours]  # fmt: skip
        now = datetime.now(UTC)
        figures = self.figures.write(element.tenant, levels, now)
        if self._alarming:
            self._alarming.follow(element.tenant, figures, now)


def _level(
    thing: Thing, hours: Sequence[Hour], latest: Mapping[str, Traffic], at: datetime
) -> Level:
    traffic = latest.get(thing.series)
    last = hours[-1] if hours else None
    return Level(
        thing,
        busiest(hours, at),
        0.0,
        at,
        traffic.incoming / traffic.seconds if traffic else last.incoming if last else None,
        traffic.outgoing / traffic.seconds if traffic else last.outgoing if last else None,
    )
