"""How full everything is now and how long it lasts: one document a thing, ready to be read.

Source of the order: what is over its threshold first, then what is exhausted first, then the rest
by how full it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from tmf_apis.capacity.history import History, HourlyUsage
from tmf_apis.capacity.trend import Forecast, Point, day_of_week, forecast
from tmf_apis.capacity.values import PORT, UNITS, Utilisation
from tmf_apis.rest.pipeline.policy import rfc3339
from tmf_apis.store.connection import MongoDatabase, translate_errors

CAPACITY_COLLECTION = "capacity"
#: What has not been seen for so long is not told of any more.
RETENTION = timedelta(days=2)
#: How far back hours are compared, and days; days are taken where there are so many weeks of them.
HOURLY_WINDOW, DAILY_WINDOW, MIN_WEEKS = timedelta(days=28), timedelta(days=180), 6
#: How old a forecast may become: of what was counted, of a port; most that are made at once. One
#: from four weeks of hours takes some 10 ms.
FORECAST_AGE, PORT_FORECAST_AGE, FORECAST_BATCH = timedelta(minutes=15), timedelta(hours=6), 50
#: The span in which the busiest hour is looked for.
BUSY_WINDOW = timedelta(hours=24)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_URGENCY_WITHOUT_FORECAST = 10_000.0

CapacityRecord = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CapacityQuery:
    """Which figures.

    Attributes:
        categories: Of these categories; empty: of all.
        places: At these places; empty: anywhere.
        limit: At most so many, the most urgent ones.
    """

    categories: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    limit: int = 1000


class CapacityRecords:
    """The figures of all tenants."""

    def __init__(self, database: MongoDatabase, *, threshold: float) -> None:
        """Take the database.

        Args:
            database: Where they are.
            threshold: Utilisation from which an alarm is raised, where a resource has no other.
        """
        self._collection = database[CAPACITY_COLLECTION]
        self._history = History(database)
        self._threshold = threshold

    def prepare(self) -> None:
        """Make the indexes; safe to repeat."""
        self._history.prepare()
        self._collection.create_index([("tenant", 1), ("urgency", 1)])
        self._collection.create_index("expires", expireAfterSeconds=0)

    def write(
        self, tenant: str, utilisations: Sequence[Utilisation], now: datetime
    ) -> list[CapacityRecord]:
        """Write how full things are; return what was written, with the forecast of each."""
        known = self._existing_records(tenant, [one.capacity_object.series for one in utilisations])
        stale = [
            one
            for one in utilisations
            if _is_forecast_stale(one, known.get(one.capacity_object.series), now)
        ]
        stale.sort(
            key=lambda one: known.get(one.capacity_object.series, {}).get("foreseen") or EPOCH
        )
        fresh = self._forecasts(tenant, stale[:FORECAST_BATCH], now)
        made = []
        for one in utilisations:
            before = known.get(one.capacity_object.series, {})
            found = fresh.get(one.capacity_object.series)
            told = (
                _forecast_fields(found, now)
                if found
                else {name: before.get(name) for name in _FORECAST_FIELDS}
            )
            made.append({**before, **self._record(tenant, one), **told})
        for figure in made:
            figure["urgency"] = urgency(figure)
        self._upsert(made)
        return made

    def _existing_records(self, tenant: str, series: Sequence[str]) -> dict[str, CapacityRecord]:
        keys = [f"{tenant}:{one}" for one in series]
        with translate_errors():
            found = self._collection.find({"_id": {"$in": keys}})
            return {one["series"]: one for one in found}

    def _forecasts(
        self, tenant: str, utilisations: Sequence[Utilisation], now: datetime
    ) -> dict[str, Forecast]:
        series = [one.capacity_object.series for one in utilisations]
        if not series:
            return {}
        days = self._history.days(tenant, series, now - DAILY_WINDOW)
        hours = self._history.hours(tenant, series, now - HOURLY_WINDOW)
        return {
            one.capacity_object.series: exhaustion_forecast(
                one,
                hours.get(one.capacity_object.series, ()),
                days.get(one.capacity_object.series, ()),
                now,
            )
            for one in utilisations
        }

    def _record(self, tenant: str, utilisation: Utilisation) -> CapacityRecord:
        thing = utilisation.capacity_object
        threshold = self._threshold if thing.threshold is None else thing.threshold
        return {
            "_id": f"{tenant}:{thing.series}",
            "tenant": tenant,
            "series": thing.series,
            "id": thing.id,
            "name": thing.name,
            "category": thing.category,
            "element": thing.element,
            "places": list(thing.places),
            "capacity": thing.capacity,
            "unit": UNITS[thing.category],
            "used": utilisation.used,
            "reserved": utilisation.reserved,
            "incoming": utilisation.incoming,
            "outgoing": utilisation.outgoing,
            "utilization": utilisation.ratio,
            "threshold": threshold,
            "at": utilisation.measured_at,
            "expires": utilisation.measured_at + RETENTION,
        }

    def _upsert(self, records: Sequence[CapacityRecord]) -> None:
        updates = [
            UpdateOne(
                {"_id": one["_id"]},
                {"$set": {name: v for name, v in one.items() if name not in {"_id", "alarm"}}},
                upsert=True,
            )
            for one in records
        ]
        for start in range(0, len(updates), 1000):
            with translate_errors():
                self._collection.bulk_write(updates[start : start + 1000], ordered=False)

    def set_alarm(self, key: str, alarm: str) -> None:
        """Note which alarm stands for a figure; empty: none."""
        change = {"$set": {"alarm": alarm}} if alarm else {"$unset": {"alarm": ""}}
        with translate_errors():
            self._collection.update_one({"_id": key}, change)

    def find(self, tenant: str, query: CapacityQuery) -> list[CapacityRecord]:
        """Return figures, the most urgent first."""
        with translate_errors():
            return list(self._collection.find(_query(tenant, query)).sort("urgency", 1).limit(
                query.limit
            ))  # fmt: skip

    def count(self, tenant: str, query: CapacityQuery) -> int:
        """Return how many there are, whatever the limit."""
        with translate_errors():
            return self._collection.count_documents(_query(tenant, query))

    def last_count_time(self, tenant: str) -> datetime | None:
        """Return when something other than a port was looked at last."""
        query = {"tenant": tenant, "category": {"$ne": PORT}}
        with translate_errors():
            found = list(self._collection.find(query, {"at": 1}).sort("at", -1).limit(1))
        return found[0]["at"] if found else None

    def delete_unseen(
        self, tenant: str, categories: Sequence[str], before: datetime, *, include_alarmed: bool
    ) -> list[CapacityRecord]:
        """Take away and return what has not been seen since a time.

        Args:
            tenant: Whose.
            categories: Of which categories.
            before: The time, in UTC.
            include_alarmed: Also what has an alarm; whoever asks clears it.
        """
        query = {"tenant": tenant, "category": {"$in": list(categories)}, "at": {"$lt": before}}
        if not include_alarmed:
            query["alarm"] = {"$exists": False}
        with translate_errors():
            found = list(self._collection.find(query))
            self._collection.delete_many({"_id": {"$in": [one["_id"] for one in found]}})
        return found


_FORECAST_FIELDS = ("trendPerDay", "daysToExhaustion", "exhaustionDate", "foreseen")


def _is_forecast_stale(
    utilisation: Utilisation, previous_record: Mapping[str, Any] | None, now: datetime
) -> bool:
    age = PORT_FORECAST_AGE if utilisation.capacity_object.category == PORT else FORECAST_AGE
    return (
        previous_record is None
        or not previous_record.get("foreseen")
        or now - previous_record["foreseen"] > age
    )


def _query(tenant: str, capacity_query: CapacityQuery) -> dict[str, Any]:
    query: dict[str, Any] = {"tenant": tenant}
    if capacity_query.categories:
        query["category"] = {"$in": list(capacity_query.categories)}
    if capacity_query.places:
        query["places"] = {"$in": list(capacity_query.places)}
    return query


def _forecast_fields(prediction: Forecast, now: datetime) -> CapacityRecord:
    days = prediction.days_left
    return {
        "trendPerDay": prediction.per_day,
        "daysToExhaustion": days,
        "exhaustionDate": None if days is None else rfc3339(now + timedelta(days=days)),
        "foreseen": now,
    }


def exhaustion_forecast(
    utilisation: Utilisation, hours: Sequence[HourlyUsage], days: Sequence[Point], now: datetime
) -> Forecast:
    """Return how long a thing lasts, from its hours, or from its days where there are enough."""
    if not utilisation.capacity_object.capacity:
        return Forecast()
    exact = (
        None
        if utilisation.capacity_object.category == PORT
        else utilisation.used + utilisation.reserved
    )
    if len(days) >= 7 * MIN_WEEKS:
        return forecast(
            days, utilisation.capacity_object.capacity, now, season=day_of_week, used=exact
        )
    return forecast(
        (one.point for one in hours), utilisation.capacity_object.capacity, now, used=exact
    )


def busiest_hour_usage(hours: Iterable[HourlyUsage], now: datetime) -> float:
    """Return what was used in the busiest hour of the last day."""
    return max((one.used for one in hours if one.start > now - BUSY_WINDOW), default=0.0)


def urgency(record: Mapping[str, Any]) -> float:
    """Return the place of a figure among others: the lower, the more urgent.

    >>> full = {"utilization": 0.97, "threshold": 0.8, "daysToExhaustion": None}
    >>> soon = {"utilization": 0.5, "threshold": 0.8, "daysToExhaustion": 12.5}
    >>> calm = {"utilization": 0.7, "threshold": 0.8, "daysToExhaustion": None}
    >>> [urgency(one) for one in (full, soon, calm)]
    [-0.97, 12.5, 9999.3]
    """
    share, days = float(record["utilization"]), record.get("daysToExhaustion")
    if 0 < record["threshold"] <= share or days == 0:
        return -share
    return float(days) if days is not None else _URGENCY_WITHOUT_FORECAST - share
