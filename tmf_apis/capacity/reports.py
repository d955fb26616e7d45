"""The resource CapacityReport: a POST creates a report of the most urgent records.

Source: openapi/NETWORK-v5.yaml, CapacityReport.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from tmf_apis.capacity.meter import CapacityMeter
from tmf_apis.capacity.records import CapacityQuery, CapacityRecord
from tmf_apis.errors import Forbidden
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.party_rules import READ_ONLY
from tmf_apis.rest.pipeline.policy import ApiModule, Repository, Resource, ResourcePolicy
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase

#: Maximum age of the inventory counts in a report.
MAX_COUNT_AGE = timedelta(seconds=30)
#: Maximum number of resources in a report without a limit.
DEFAULT_LIMIT = 100
#: JSON parsers lose the precision of larger integers (the capacity of IPv6 networks is larger).
_MAX_SAFE_INTEGER = 2**53
_COPIED_FIELDS = (
    "id", "name", "category", "element", "capacity", "unit", "used", "reserved", "incoming",
    "outgoing", "utilization", "trendPerDay", "daysToExhaustion", "exhaustionDate", "threshold",
)  # fmt: skip


class CapacityReporter:
    """Creates reports; counts the inventory first if the last count is too old."""

    def __init__(self, database: MongoDatabase, settings: Settings) -> None:
        """Create a reporter.

        Args:
            database: Holds inventory, history and records.
            settings: Threshold of the capacity.
        """
        self._meter = CapacityMeter(database, settings)
        self._prepared = False
        self._lock = Lock()

    def find_records(
        self, tenant: str, query: CapacityQuery, now: datetime
    ) -> tuple[list[CapacityRecord], int]:
        """Return the selected records, the most urgent first, and the number of all matches."""
        with self._lock:
            if not self._prepared:
                self._meter.prepare()
                self._prepared = True
            latest = self._meter.records.last_count_time(tenant)
            if latest is None or now - latest > MAX_COUNT_AGE:
                self._meter.count_inventory(tenant, now)
        return self._meter.records.find(tenant, query), self._meter.records.count(tenant, query)

    def handle(self, repository: Repository, report: Resource) -> Resource:
        """Return a report with its content.

        Raises:
            Forbidden: The client acts for a party; capacity is for the operator only (HTTP 403).
        """
        if not repository.context.is_staff:
            raise Forbidden(
                "capacity reports are for the operator only; the token acts for a party"
            )
        query = CapacityQuery(
            tuple(report.get("category", ())),
            tuple(report.get("place", ())),
            report.get("limit", DEFAULT_LIMIT),
        )
        records, count = self.find_records(repository.tenant, query, repository.now)
        return {
            **report,
            "creationDate": rfc3339(repository.now),
            "count": count,
            "resource": [report_item(record) for record in records],
        }


def report_item(record: CapacityRecord) -> dict[str, Any]:
    """Return a record as a member of a report; unknown values are omitted."""
    item = {"@type": "CapacityOfResource", **{name: record.get(name) for name in _COPIED_FIELDS}}
    item |= {"place": record["places"] or None, "measuredDate": rfc3339(record["at"])}
    if record.get("alarm"):
        item["alarm"] = {"@type": "AlarmRef", "id": record["alarm"], "@referredType": "Alarm"}
    if not record["threshold"]:
        item["threshold"] = None
    return {name: _rounded(name, value) for name, value in item.items() if value is not None}


def _rounded(name: str, value: object) -> object:
    digits = {"utilization": 4, "threshold": 4, "daysToExhaustion": 1, "trendPerDay": 3}
    if not isinstance(value, float):
        return value
    rounded = round(value, digits.get(name, 0))
    return rounded if name in digits or abs(rounded) >= _MAX_SAFE_INTEGER else int(rounded)


def table_rows(records: list[CapacityRecord]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table for people, one for each record."""
    for record in records:
        days = record.get("daysToExhaustion")
        yield (
            record["category"],
            record["name"],
            f"{record['utilization']:.0%}" if record["capacity"] else "?",
            format_amount(record["used"], record["unit"]),
            format_amount(record["reserved"], record["unit"]) if record["reserved"] else "",
            format_amount(record["capacity"], record["unit"]) if record["capacity"] else "?",
            "" if record.get("trendPerDay") is None else _signed_amount(record),
            "" if days is None else "now" if days <= 0 else f"{days:.0f} days",
            "yes" if record.get("alarm") else "",
        )


def _signed_amount(record: CapacityRecord) -> str:
    per_day = float(record["trendPerDay"])
    return ("+" if per_day > 0 else "-") + format_amount(abs(per_day), record["unit"])


def format_amount(value: float, unit: str) -> str:
    """Return an amount with its unit for people.

    >>> format_amount(2_500_000_000, "bit/s"), format_amount(254, "addresses")
    ('2.5 Gbit/s', '254')
    >>> format_amount(0.25, "ports")
    '0.25'
    """
    if unit != "bit/s":
        return f"{value:,.0f}" if value == int(value) or value >= 10 else f"{value:.2g}"  # noqa: PLR2004
    for factor, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {name}bit/s"
    return f"{value:.0f} bit/s"


def api_module(settings: Settings, database: MongoDatabase) -> ApiModule:
    """Return the API module of the reports."""
    policy = ResourcePolicy(
        server_owned=frozenset({"creationDate", "count", "resource"}),
        handle=CapacityReporter(database, settings).handle,
        party_rules=READ_ONLY,
    )
    return ApiModule(number="NETWORK", policies={"CapacityReport": policy})
