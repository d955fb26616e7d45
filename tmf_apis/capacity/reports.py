"""The report as a resource: POST makes one, of what is most urgent.

Source: openapi/NETWORK-v5.yaml, CapacityReport.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from tmf_apis.capacity.meter import CapacityMeter
from tmf_apis.capacity.records import CapacityQuery, CapacityRecord
from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.policy import ApiModule, Repository, Resource, ResourcePolicy, rfc3339
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase

#: How old what was counted in the inventory may be for a report.
MAX_COUNT_AGE = timedelta(seconds=30)
#: Resources in a report that says no limit.
DEFAULT_LIMIT = 100
#: A larger number is no integer to readers of JSON (IPv6 networks are that large).
_MAX_SAFE_INTEGER = 2**53
_COPIED_FIELDS = (
    "id", "name", "category", "element", "capacity", "unit", "used", "reserved", "incoming",
    "outgoing", "utilization", "trendPerDay", "daysToExhaustion", "exhaustionDate", "threshold",
)  # fmt: skip


class CapacityReporter:
    """Makes reports; counts in the inventory where nobody has done so lately."""

    def __init__(self, database: MongoDatabase, settings: Settings) -> None:
        """Take the database."""
        self._meter = CapacityMeter(database, settings)
        self._prepared = False
        self._lock = Lock()

    def find_records(
        self, tenant: str, query: CapacityQuery, now: datetime
    ) -> tuple[list[CapacityRecord], int]:
        """Return figures, the most urgent first, and how many there are whatever the limit."""
        with self._lock:
            if not self._prepared:
                self._meter.prepare()
                self._prepared = True
            latest = self._meter.records.last_count_time(tenant)
            if latest is None or now - latest > MAX_COUNT_AGE:
                self._meter.count_inventory(tenant, now)
        return self._meter.records.find(tenant, query), self._meter.records.count(tenant, query)

    def handle(self, repository: Repository, report: Resource) -> Resource:
        """Return a report with what it reports.

        Raises:
            Forbidden: Whoever asks acts for a party; the network is the operator's (HTTP 403).
        """
        if repository.context.parties is not None:
            raise Forbidden("capacity is the operator's own: the token must not be a party's")
        wanted = CapacityQuery(
            tuple(report.get("category", ())),
            tuple(report.get("place", ())),
            report.get("limit", DEFAULT_LIMIT),
        )
        found, count = self.find_records(repository.tenant, wanted, repository.now)
        return {
            **report,
            "creationDate": rfc3339(repository.now),
            "count": count,
            "resource": [report_item(one) for one in found],
        }


def report_item(record: CapacityRecord) -> dict[str, Any]:
    """Return a figure as clients see it; what is not known is left out."""
    made = {"@type": "CapacityOfResource", **{name: record.get(name) for name in _COPIED_FIELDS}}
    made |= {"place": record["places"] or None, "measuredDate": rfc3339(record["at"])}
    if record.get("alarm"):
        made["alarm"] = {"@type": "AlarmRef", "id": record["alarm"], "@referredType": "Alarm"}
    if not record["threshold"]:
        made["threshold"] = None
    return {name: _rounded(name, value) for name, value in made.items() if value is not None}


def _rounded(name: str, value: object) -> object:
    digits = {"utilization": 4, "threshold": 4, "daysToExhaustion": 1, "trendPerDay": 3}
    if not isinstance(value, float):
        return value
    whole = round(value, digits.get(name, 0))
    return whole if name in digits or abs(whole) >= _MAX_SAFE_INTEGER else int(whole)


def table_rows(records: list[CapacityRecord]) -> Iterator[tuple[str, ...]]:
    """Yield figures as people read them: one line each."""
    for one in records:
        days = one.get("daysToExhaustion")
        yield (
            one["category"],
            one["name"],
            f"{one['utilization']:.0%}" if one["capacity"] else "?",
            format_amount(one["used"], one["unit"]),
            format_amount(one["reserved"], one["unit"]) if one["reserved"] else "",
            format_amount(one["capacity"], one["unit"]) if one["capacity"] else "?",
            "" if one.get("trendPerDay") is None else _signed_amount(one),
            "" if days is None else "now" if days <= 0 else f"{days:.0f} days",
            "yes" if one.get("alarm") else "",
        )


def _signed_amount(record: CapacityRecord) -> str:
    per_day = float(record["trendPerDay"])
    return ("+" if per_day > 0 else "-") + format_amount(abs(per_day), record["unit"])


def format_amount(value: float, unit: str) -> str:
    """Return an amount for people.

    >>> format_amount(2_500_000_000, "bit/s"), format_amount(254, "addresses"), format_amount(0.25, "ports")
    ('2.5 Gbit/s', '254', '0.25')
    """
    if unit != "bit/s":
        return f"{value:,.0f}" if value == int(value) or value >= 10 else f"{value:.2g}"  # noqa: PLR2004
    for factor, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {name}bit/s"
    return f"{value:.0f} bit/s"


def api_module(settings: Settings, database: MongoDatabase) -> ApiModule:
    """Return the room of the reports."""
    law = ResourcePolicy(
        server_owned=frozenset({"creationDate", "count", "resource"}),
        handle=CapacityReporter(database, settings).handle,
    )
    return ApiModule(number="NETWORK", policies={"CapacityReport": law})
