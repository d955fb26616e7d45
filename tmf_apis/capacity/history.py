"""History of usage: hourly for weeks, daily for years.

``capacity_days`` has a document for each series and day. It holds running sums for each hour (``w``
weight, ``a`` and ``b`` the two directions). ``capacity_years`` has a document for each series and
year. It holds the busiest hour of each day. TTL indexes delete old documents of both. Adding usage
is a single write. A new counter reading is exchanged for the previous one in a single operation, so
no traffic is counted twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from adapters.observations import Sample
from tmf_apis.capacity.traffic import Traffic
from tmf_apis.capacity.trend import Point
from tmf_apis.store.connection import MongoDatabase, translate_errors

DAYS_COLLECTION, YEARS_COLLECTION, READINGS_COLLECTION = (
    "capacity_days",
    "capacity_years",
    "capacity_readings",
)
#: Retention of hourly figures, of daily figures, and of the last reading of a counter.
HOURLY_RETENTION, DAILY_RETENTION, READING_RETENTION = (
    timedelta(days=35),
    timedelta(days=3 * 366),
    timedelta(days=7),
)
#: Number of documents in a bulk operation.
BATCH_SIZE = 1000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HourlyUsage:
    """Mean usage in one hour, in the unit of the series.

    Attributes:
        start: Start of the hour in UTC.
        incoming: Mean of the incoming direction, or of the only value of the series.
        outgoing: Mean of the outgoing direction; 0 if the series has one value only.
    """

    start: datetime
    incoming: float
    outgoing: float

    @property
    def busier_direction(self) -> float:
        """Mean of the busier direction."""
        return max(self.incoming, self.outgoing)

    @property
    def point(self) -> Point:
        """The usage as a point of a trend."""
        return Point(self.start, self.busier_direction)


class History:
    """The usage history of all tenants."""

    def __init__(self, database: MongoDatabase) -> None:
        """Create the history.

        Args:
            database: Holds the collections.
        """
        self._days, self._years = database[DAYS_COLLECTION], database[YEARS_COLLECTION]
        self._readings = database[READINGS_COLLECTION]

    def prepare(self) -> None:
        """Create the indexes; safe to repeat."""
        for collection in (self._days, self._years, self._readings):
            collection.create_index("expires", expireAfterSeconds=0)
        self._days.create_index("day", partialFilterExpression={"open": True}, name="open")
        for collection in (self._days, self._years):
            collection.create_index([("tenant", 1), ("series", 1), ("day", 1)])

    def exchange_readings(
        self, element: str, samples: Sequence[Sample], at: datetime
    ) -> list[Sample]:
        """Store the current reading of an element's counters and return the previous one.

        Args:
            element: Key of the element, unique across tenants.
            samples: The counters. Values are stored as text because unsigned 64-bit integers do
                not fit into BSON integers.
            at: Time of the reading in UTC.

        Returns:
            The previous reading; empty if there is none, or if a later reading is stored.
        """
        rows = [
            [
                sample.port,
                sample.counter,
                str(sample.value),
                sample.unit,
                sample.taken_at,
                sample.epoch,
            ]
            for sample in samples
        ]
        content = {"at": at, "rows": rows, "expires": at + READING_RETENTION}
        try:
            with translate_errors(DuplicateKeyError):
                previous = self._readings.find_one_and_update(
                    {"_id": element, "at": {"$lt": at}},
                    {"$set": content},
                    upsert=True,
                    return_document=ReturnDocument.BEFORE,
                )
        except DuplicateKeyError:
            return []
        return [
            Sample(port, counter, int(value), unit, taken_at, epoch)
            for port, counter, value, unit, taken_at, epoch in (previous or {}).get("rows", ())
        ]

    def add_traffic(self, tenant: str, traffic: Mapping[str, Traffic]) -> None:
        """Add the traffic of ports by series."""
        self._write(
            _usage_increment(
                tenant, series, part.since, (part.seconds, part.incoming, part.outgoing)
            )
            for series, series_traffic in traffic.items()
            for part in series_traffic.hourly_parts()
        )

    def add_usage(self, tenant: str, used: Mapping[str, float], at: datetime) -> None:
        """Add the usage at a point in time by series."""
        self._write(
            _usage_increment(tenant, series, at, (1.0, amount, 0.0))
            for series, amount in used.items()
        )

    def _write(self, updates: Iterable[UpdateOne]) -> None:
        operations = list(updates)
        for start in range(0, len(operations), BATCH_SIZE):
            with translate_errors():
                self._days.bulk_write(operations[start : start + BATCH_SIZE], ordered=False)

    def hours(
        self, tenant: str, series: Sequence[str], since: datetime
    ) -> dict[str, list[HourlyUsage]]:
        """Return the hourly usage since the start of a day, by series, ordered by time."""
        query = {
            "tenant": tenant,
            "series": {"$in": list(series)},
            "day": {"$gte": _start_of_day(since)},
        }
        hours: dict[str, list[HourlyUsage]] = {}
        with translate_errors():
            for document in self._days.find(query).sort("day"):
                hours.setdefault(document["series"], []).extend(_hourly_usage(document))
        return hours

    def days(self, tenant: str, series: Sequence[str], since: datetime) -> dict[str, list[Point]]:
        """Return the usage in the busiest hour of each day since a day, by series, in order."""
        begin = _start_of_day(since)
        query = {
            "tenant": tenant,
            "series": {"$in": list(series)},
            "day": {"$gte": begin.replace(month=1, day=1)},
        }
        days: dict[str, list[Point]] = {}
        with translate_errors():
            for document in self._years.find(query).sort("day"):
                points = (
                    Point(document["day"] + int(number) * _DAY, used)
                    for number, used in document["days"].items()
                )
                in_range = sorted(
                    (point for point in points if point.at >= begin), key=lambda point: point.at
                )
                days.setdefault(document["series"], []).extend(in_range)
        return days

    def summarise_days(self, now: datetime) -> int:
        """Write the busiest hour of each day that has ended; return the number of days."""
        count = 0
        query = {"open": True, "day": {"$lt": _start_of_day(now - timedelta(hours=3))}}
        with translate_errors():
            while batch := list(self._days.find(query, limit=BATCH_SIZE)):
                self._years.bulk_write(
                    [_daily_maximum(document) for document in batch], ordered=False
                )
                summarised = {"_id": {"$in": [document["_id"] for document in batch]}}
                self._days.update_many(summarised, {"$unset": {"open": ""}})
                count += len(batch)
        return count


def _start_of_day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _usage_increment(
    tenant: str, series: str, at: datetime, sums: tuple[float, float, float]
) -> UpdateOne:
    day = _start_of_day(at)
    on_insert = {"tenant": tenant, "series": series, "day": day, "expires": day + HOURLY_RETENTION}
    return UpdateOne(
        {"_id": f"{tenant}:{series}:{day:%Y-%m-%d}"},
        {
            "$setOnInsert": {**on_insert, "open": True},
            "$inc": {
                f"hours.{at.hour}.{name}": amount for name, amount in zip("wab", sums, strict=True)
            },
        },
        upsert=True,
    )


def _hourly_usage(document: Mapping[str, Any]) -> Iterator[HourlyUsage]:
    for hour, sums in sorted(document["hours"].items(), key=lambda pair: int(pair[0])):
        weight = sums["w"] or 1.0
        at = document["day"] + timedelta(hours=int(hour))
        yield HourlyUsage(at, sums["a"] / weight, sums["b"] / weight)


def _daily_maximum(document: Mapping[str, Any]) -> UpdateOne:
    day: datetime = document["day"]
    tenant, series = document["tenant"], document["series"]
    start = datetime(day.year, 1, 1, tzinfo=UTC)
    used = max(hour.busier_direction for hour in _hourly_usage(document))
    return UpdateOne(
        {"_id": f"{tenant}:{series}:{day.year}"},
        {
            "$setOnInsert": {
                "tenant": tenant, "series": series, "day": start,
                "expires": start + DAILY_RETENTION,
            },
            "$set": {f"days.{(day - start).days}": used},
        },
        upsert=True,
    )  # fmt: skip
