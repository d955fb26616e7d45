"""The report as a resource: POST makes one, of what is most urgent.

Source: openapi/NETWORK-v5.yaml, CapacityReport.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from tmf_apis.capacity.figures import Figure, Wanted
from tmf_apis.capacity.measuring import Measuring
from tmf_apis.errors import Forbidden
from tmf_apis.rest.law import Desk, Law, Resource, Room, rfc3339
from tmf_apis.settings import Settings
from tmf_apis.store.connection import Documents

#: How old what was counted in the inventory may be for a report.
FRESH = timedelta(seconds=30)
#: Resources in a report that says no limit.
USUAL = 100
#: A larger number is no integer to readers of JSON (IPv6 networks are that large).
_EXACT = 2**53
_PLAIN = (
    "id", "name", "category", "element", "capacity", "unit", "used", "reserved", "incoming",
    "outgoing", "utilization", "trendPerDay", "daysToExhaustion", "exhaustionDate", "threshold",
)  # fmt: skip


class Reporting:
    """Makes reports; counts in the inventory where nobody has done so lately."""

    def __init__(self, database: Documents, settings: Settings) -> None:
        """Take the database."""
        self._measuring = Measuring(database, settings)
        self._prepared = False
        self._lock = Lock()

    def figures(self, tenant: str, wanted: Wanted, now: datetime) -> tuple[list[Figure], int]:
        """Return figures, the most urgent first, and how many there are whatever the limit."""
        with self._lock:
            if not self._prepared:
                self._measuring.prepare()
                self._prepared = True
            latest = self._measuring.figures.latest(tenant)
            if latest is None or now - latest > FRESH:
                self._measuring.count(tenant, now)
        return self._measuring.figures.read(tenant, wanted), self._measuring.figures.count(
            tenant, wanted
        )

    def act(self, desk: Desk, report: Resource) -> Resource:
        """Return a report with what it reports.

        Raises:
            Forbidden: Whoever asks acts for a party; the network is the operator's (HTTP 403).
        """
        if desk.circumstances.parties is not None:
            raise Forbidden("capacity is the operator's own: the token must not be a party's")
        wanted = Wanted(
            tuple(report.get("category", ())),
            tuple(report.get("place", ())),
            report.get("limit", USUAL),
        )
        found, count = self.figures(desk.tenant, wanted, desk.now)
        return {
            **report,
            "creationDate": rfc3339(desk.now),
            "count": count,
            "resource": [shown(one) for one in found],
        }


def shown(figure: Figure) -> dict[str, Any]:
    """Return a figure as clients see it; what is not known is left out."""
    made = {"@type": "CapacityOfResource", **{name: figure.get(name) for name in _PLAIN}}
    made |= {"place": figure["places"] or None, "measuredDate": rfc3339(figure["at"])}
    if figure.get("alarm"):
        made["alarm"] = {"@type": "AlarmRef", "id": figure["alarm"], "@referredType": "Alarm"}
    if not figure["threshold"]:
        made["threshold"] = None
    return {name: _rounded(name, value) for name, value in made.items() if value is not None}


def _rounded(name: str, value: object) -> object:
    digits = {"utilization": 4, "threshold": 4, "daysToExhaustion": 1, "trendPerDay": 3}
    if not isinstance(value, float):
        return value
    whole = round(value, digits.get(name, 0))
    return whole if name in digits or abs(whole) >= _EXACT else int(whole)


def rows(figures: list[Figure]) -> Iterator[tuple[str, ...]]:
    """Yield figures as people read them: one line each."""
    for one in figures:
        days = one.get("daysToExhaustion")
        yield (
            one["category"],
            one["name"],
            f"{one['utilization']:.0%}" if one["capacity"] else "?",
            amount(one["used"], one["unit"]),
            amount(one["reserved"], one["unit"]) if one["reserved"] else "",
            amount(one["capacity"], one["unit"]) if one["capacity"] else "?",
            "" if one.get("trendPerDay") is None else _signed(one),
            "" if days is None else "now" if days <= 0 else f"{days:.0f} days",
            "yes" if one.get("alarm") else "",
        )


def _signed(figure: Figure) -> str:
    per_day = float(figure["trendPerDay"])
    return ("+" if per_day > 0 else "-") + amount(abs(per_day), figure["unit"])


def amount(value: float, unit: str) -> str:
    """Return an amount for people.

    >>> amount(2_500_000_000, "bit/s"), amount(254, "addresses"), amount(0.25, "ports")
    ('2.5 Gbit/s', '254', '0.25')
    """
    if unit != "bit/s":
        return f"{value:,.0f}" if value == int(value) or value >= 10 else f"{value:.2g}"  # noqa: PLR2004
    for factor, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {name}bit/s"
    return f"{value:.0f} bit/s"


def room(settings: Settings, database: Documents) -> Room:
    """Return the room of the reports."""
    law = Law(
        server_owned=frozenset({"creationDate", "count", "resource"}),
        act=Reporting(database, settings).act,
    )
    return Room(number="NETWORK", laws={"CapacityReport": law})
