"""What was used, kept by the hour for weeks and by the day for years.

``capacity_days`` has a document for each series and day: what was used hour by hour, as sums that
grow (``w`` weight, ``a`` and ``b`` the two directions). ``capacity_years`` has one for each series
and year: the busiest hour of each day. Both forget by themselves. Adding is one write; reading a
counter anew is an exchange with what was read last, so that no traffic counts twice.
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
#: How long figures are kept by the hour, by the day, and the last reading of a counter.
HOURLY_RETENTION, DAILY_RETENTION, READING_RETENTION = (
    timedelta(days=35),
    timedelta(days=3 * 366),
    timedelta(days=7),
)
#: Days that are summed up at once.
BATCH_SIZE = 1000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HourlyUsage:
    """What was used in one hour.

    Attributes:
        start: Its start, in UTC.
        incoming: Mean of the first direction, or of all there is.
        outgoing: Mean of the second direction; 0 where there is one only.
    """

    start: datetime
    incoming: float
    outgoing: float

    @property
    def used(self) -> float:
        """The busier direction."""
        return max(self.incoming, self.outgoing)

    @property
    def point(self) -> Point:
        """What a trend is made of."""
        return Point(self.start, self.used)


class History:
    """The figures of all tenants."""

    def __init__(self, database: MongoDatabase) -> None:
        """Take the database."""
        self._days, self._years = database[DAYS_COLLECTION], database[YEARS_COLLECTION]
        self._readings = database[READINGS_COLLECTION]

    def prepare(self) -> None:
        """Make the indexes; safe to repeat."""
        for one in (self._days, self._years, self._readings):
            one.create_index("expires", expireAfterSeconds=0)
        self._days.create_index("day", partialFilterExpression={"open": True}, name="open")
        for one in (self._days, self._years):
            one.create_index([("tenant", 1), ("series", 1), ("day", 1)])

    def exchange_readings(
        self, element: str, samples: Sequence[Sample], at: datetime
    ) -> list[Sample]:
        """Keep what an element's counters say now and return what they said before.

        Nothing is returned where there was nothing or somebody else has kept a later reading.

        Args:
            element: Its name among all tenants' elements.
            samples: Its counters; values are kept as text, 64 bits do not fit otherwise.
            at: When they were read, in UTC.
        """
        rows = [
            [one.port, one.counter, str(one.value), one.unit, one.taken_at, one.epoch]
            for one in samples
        ]
        content = {"at": at, "rows": rows, "expires": at + READING_RETENTION}
        try:
            with translate_errors(DuplicateKeyError):
                before = self._readings.find_one_and_update(
                    {"_id": element, "at": {"$lt": at}},
                    {"$set": content},
                    upsert=True,
                    return_document=ReturnDocument.BEFORE,
                )
        except DuplicateKeyError:
            return []
        return [
            Sample(port, counter, int(value), unit, taken, epoch)
            for port, counter, value, unit, taken, epoch in (before or {}).get("rows", ())
        ]

    def add_traffic(self, tenant: str, traffic: Mapping[str, Traffic]) -> None:
        """Add what ports carried, by series."""
        self._write(
            _usage_increment(
                tenant, series, part.since, (part.seconds, part.incoming, part.outgoing)
            )
            for series, one in traffic.items()
            for part in one.hourly_parts()
        )

    def add_usage(self, tenant: str, used: Mapping[str, float], at: datetime) -> None:
        """Add what is used at a time, by series."""
        self._write(
            _usage_increment(tenant, series, at, (1.0, one, 0.0)) for series, one in used.items()
        )

    def _write(self, updates: Iterable[UpdateOne]) -> None:
        found = list(updates)
        for start in range(0, len(found), BATCH_SIZE):
            with translate_errors():
                self._days.bulk_write(found[start : start + BATCH_SIZE], ordered=False)

    def hours(
        self, tenant: str, series: Sequence[str], since: datetime
    ) -> dict[str, list[HourlyUsage]]:
        """Return what was used by series, hour by hour since a day, in order of time."""
        query = {
            "tenant": tenant,
            "series": {"$in": list(series)},
            "day": {"$gte": _start_of_day(since)},
        }
        made: dict[str, list[HourlyUsage]] = {}
        with translate_errors():
            for one in self._days.find(query).sort("day"):
                made.setdefault(one["series"], []).extend(_hourly_usage(one))
        return made

    def days(self, tenant: str, series: Sequence[str], since: datetime) -> dict[str, list[Point]]:
        """Return the busiest hour of each day since a day by series, in order of time."""
        begin = _start_of_day(since)
        query = {
            "tenant": tenant,
            "series": {"$in": list(series)},
            "day": {"$gte": begin.replace(month=1, day=1)},
        }
        made: dict[str, list[Point]] = {}
        with translate_errors():
            for one in self._years.find(query).sort("day"):
                found = (
                    Point(one["day"] + int(number) * _DAY, used)
                    for number, used in one["days"].items()
                )
                kept = sorted((two for two in found if two.at >= begin), key=lambda two: two.at)
                made.setdefault(one["series"], []).extend(kept)
        return made

    def summarise_days(self, now: datetime) -> int:
        """Write the busiest hour of each day that is over; return how many; safe to repeat."""
        count = 0
        query = {"open": True, "day": {"$lt": _start_of_day(now - timedelta(hours=3))}}
        with translate_errors():
            while batch := list(self._days.find(query, limit=BATCH_SIZE)):
                self._years.bulk_write([_daily_maximum(one) for one in batch], ordered=False)
                done = {"_id": {"$in": [one["_id"] for one in batch]}}
                self._days.update_many(done, {"$unset": {"open": ""}})
                count += len(batch)
        return count


def _start_of_day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _usage_increment(
    tenant: str, series: str, at: datetime, sums: tuple[float, float, float]
) -> UpdateOne:
    day = _start_of_day(at)
    fixed = {"tenant": tenant, "series": series, "day": day, "expires": day + HOURLY_RETENTION}
    return UpdateOne(
        {"_id": f"{tenant}:{series}:{day:%Y-%m-%d}"},
        {
            "$setOnInsert": {**fixed, "open": True},
            "$inc": {f"hours.{at.hour}.{name}": one for name, one in zip("wab", sums, strict=True)},
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
    used = max(one.used for one in _hourly_usage(document))
    return UpdateOne(
        {"_id": f"{tenant}:{series}:{day.year}"},
        {
            "$setOnInsert": {
                "tenant": tenant, "series": series, "day": start, "expires": start + DAILY_RETENTION,
            },
            "$set": {f"days.{(day - start).days}": used},
        },
        upsert=True,
    )  # fmt: skip
