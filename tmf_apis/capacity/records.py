"""Capacity records: current utilisation and forecast, one document per capacity object.

Records are ordered by urgency: first those over their threshold, then those that are exhausted
first, then the others by utilisation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from tmf_apis.capacity.history import BATCH_SIZE, History, HourlyUsage
from tmf_apis.capacity.trend import Forecast, Point, day_of_week, forecast
from tmf_apis.capacity.values import PORT, UNITS, Utilisation
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.store.connection import MongoDatabase, translate_errors

CAPACITY_COLLECTION = "capacity"
#: Age at which a record that is no longer updated is deleted.
RETENTION = timedelta(days=2)
#: Periods of hourly and daily history that forecasts use. Daily history is used if it has at least
#: this number of weeks.
HOURLY_WINDOW, DAILY_WINDOW, MIN_WEEKS = timedelta(days=28), timedelta(days=180), 6
#: Maximum age of a forecast, in general and for ports; most new forecasts of one write.
#: A forecast from four weeks of hours takes about 10 ms.
FORECAST_AGE, PORT_FORECAST_AGE, FORECAST_BATCH = timedelta(minutes=15), timedelta(hours=6), 50
#: Period in which the busiest hour of a port is determined.
BUSY_WINDOW = timedelta(hours=24)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_URGENCY_WITHOUT_FORECAST = 10_000.0

CapacityRecord = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CapacityQuery:
    """Selection of capacity records.

    Attributes:
        categories: Categories; empty: all.
        places: Ids of places; empty: all.
        limit: Maximum number of records, the most urgent ones.
    """

    categories: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    limit: int = 1000


class CapacityRecords:
    """The capacity records of all tenants."""

    def __init__(self, database: MongoDatabase, *, threshold: float) -> None:
        """Create the records.

        Args:
            database: Holds records and history.
            threshold: Utilisation at which an alarm is raised, if a resource has no threshold.
        """
        self._collection = database[CAPACITY_COLLECTION]
        self._history = History(database)
        self._threshold = threshold

    def prepare(self) -> None:
        """Create the indexes; safe to repeat."""
        self._history.prepare()
        self._collection.create_index([("tenant", 1), ("urgency", 1)])
        self._collection.create_index("expires", expireAfterSeconds=0)

    def write(
        self, tenant: str, utilisations: Sequence[Utilisation], now: datetime
    ) -> list[CapacityRecord]:
        """Write the records of utilisations and return them, with their forecasts."""
        previous_records = self._existing_records(
            tenant, [utilisation.series for utilisation in utilisations]
        )
        stale = [
            utilisation
            for utilisation in utilisations
            if _is_forecast_stale(utilisation, previous_records.get(utilisation.series), now)
        ]
        stale.sort(
            key=lambda utilisation: (
                previous_records.get(utilisation.series, {}).get("foreseen") or EPOCH
            )
        )
        forecasts = self._forecasts(tenant, stale[:FORECAST_BATCH], now)
        records = []
        for utilisation in utilisations:
            previous = previous_records.get(utilisation.series, {})
            new_forecast = forecasts.get(utilisation.series)
            forecast_fields = (
                _forecast_fields(new_forecast, now)
                if new_forecast
                else {name: previous.get(name) for name in _FORECAST_FIELDS}
            )
            record = {**previous, **self._record(tenant, utilisation), **forecast_fields}
            records.append({**record, "urgency": urgency(record)})
        self._upsert(records)
        return records

    def _existing_records(self, tenant: str, series: Sequence[str]) -> dict[str, CapacityRecord]:
        keys = [f"{tenant}:{name}" for name in series]
        with translate_errors():
            records = self._collection.find({"_id": {"$in": keys}})
            return {record["series"]: record for record in records}

    def _forecasts(
        self, tenant: str, utilisations: Sequence[Utilisation], now: datetime
    ) -> dict[str, Forecast]:
        series = [utilisation.series for utilisation in utilisations]
        if not series:
            return {}
        days = self._history.days(tenant, series, now - DAILY_WINDOW)
        hours = self._history.hours(tenant, series, now - HOURLY_WINDOW)
        return {
            utilisation.series: exhaustion_forecast(
                utilisation,
                hours.get(utilisation.series, ()),
                days.get(utilisation.series, ()),
                now,
            )
            for utilisation in utilisations
        }

    def _record(self, tenant: str, utilisation: Utilisation) -> CapacityRecord:
        capacity_object = utilisation.capacity_object
        threshold = (
            self._threshold if capacity_object.threshold is None else capacity_object.threshold
        )
        return {
            "_id": f"{tenant}:{capacity_object.series}",
            "tenant": tenant,
            "series": capacity_object.series,
            "id": capacity_object.id,
            "name": capacity_object.name,
            "category": capacity_object.category,
            "element": capacity_object.element,
            "places": list(capacity_object.places),
            "capacity": capacity_object.capacity,
            "unit": UNITS[capacity_object.category],
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
                {"_id": record["_id"]},
                {"$set": {name: v for name, v in record.items() if name not in {"_id", "alarm"}}},
                upsert=True,
            )
            for record in records
        ]
        for start in range(0, len(updates), BATCH_SIZE):
            with translate_errors():
                self._collection.bulk_write(updates[start : start + BATCH_SIZE], ordered=False)

    def set_alarm(self, key: str, alarm: str) -> None:
        """Write the id of the alarm of a record; empty: none."""
        change = {"$set": {"alarm": alarm}} if alarm else {"$unset": {"alarm": ""}}
        with translate_errors():
            self._collection.update_one({"_id": key}, change)

    def find(self, tenant: str, query: CapacityQuery) -> list[CapacityRecord]:
        """Return the selected records, the most urgent first."""
        cursor = self._collection.find(_query(tenant, query)).sort("urgency", 1)
        with translate_errors():
            return list(cursor.limit(query.limit))

    def count(self, tenant: str, query: CapacityQuery) -> int:
        """Return the number of selected records regardless of the limit."""
        with translate_errors():
            return self._collection.count_documents(_query(tenant, query))

    def last_count_time(self, tenant: str) -> datetime | None:
        """Return the time of the last count of the inventory; None: it was never counted."""
        query = {"tenant": tenant, "category": {"$ne": PORT}}
        with translate_errors():
            latest = list(self._collection.find(query, {"at": 1}).sort("at", -1).limit(1))
        return latest[0]["at"] if latest else None

    def delete_unseen(
        self, tenant: str, categories: Sequence[str], before: datetime, *, include_alarmed: bool
    ) -> list[CapacityRecord]:
        """Delete and return the records that have not been updated since a time.

        Args:
            tenant: The tenant.
            categories: Categories of the records.
            before: The time in UTC.
            include_alarmed: Delete records with an alarm too; the caller must clear the alarm.
        """
        query = {"tenant": tenant, "category": {"$in": list(categories)}, "at": {"$lt": before}}
        if not include_alarmed:
            query["alarm"] = {"$exists": False}
        with translate_errors():
            records = list(self._collection.find(query))
            self._collection.delete_many({"_id": {"$in": [record["_id"] for record in records]}})
        return records


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
    """Return the forecast of an object from its daily history, or else from its hourly history."""
    capacity_object = utilisation.capacity_object
    if not capacity_object.capacity:
        return Forecast()
    is_counted = capacity_object.category != PORT
    used = utilisation.used + utilisation.reserved if is_counted else None
    if len(days) >= 7 * MIN_WEEKS:
        return forecast(days, capacity_object.capacity, now, season=day_of_week, used=used)
    points = (hour.point for hour in hours)
    return forecast(points, capacity_object.capacity, now, used=used)


def busiest_hour_usage(hours: Iterable[HourlyUsage], now: datetime) -> float:
    """Return the usage in the busiest hour of the last day."""
    return max(
        (hour.busier_direction for hour in hours if hour.start > now - BUSY_WINDOW), default=0.0
    )


def urgency(record: Mapping[str, Any]) -> float:
    """Return the sort key of a record: the lower, the more urgent.

    >>> full = {"utilization": 0.97, "threshold": 0.8, "daysToExhaustion": None}
    >>> soon = {"utilization": 0.5, "threshold": 0.8, "daysToExhaustion": 12.5}
    >>> calm = {"utilization": 0.7, "threshold": 0.8, "daysToExhaustion": None}
    >>> [urgency(record) for record in (full, soon, calm)]
    [-0.97, 12.5, 9999.3]
    """
    share, days = float(record["utilization"]), record.get("daysToExhaustion")
    if 0 < record["threshold"] <= share or days == 0:
        return -share
    return float(days) if days is not None else _URGENCY_WITHOUT_FORECAST - share
