"""How full everything is now and how long it lasts: one document a thing, ready to be read.

Source of the order: what is over its threshold first, then what is exhausted first, then the rest
by how full it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from tmf_apis.capacity.history import History, Hour
from tmf_apis.capacity.trend import Forecast, Point, day_of_week, forecast
from tmf_apis.capacity.values import PORT, UNITS, Level
from tmf_apis.rest.law import rfc3339
from tmf_apis.store.connection import Documents, translated

FIGURES = "capacity"
#: What has not been seen for so long is not told of any more.
FORGET = timedelta(days=2)
#: How far back hours are compared, and days; days are taken where there are so many weeks of them.
HOURS, DAYS, WEEKS = timedelta(days=28), timedelta(days=180), 6
#: How old a forecast may become: of what was counted, of a port; most that are made at once. One
#: from four weeks of hours takes some 10 ms.
AGE, AGE_OF_PORT, AT_ONCE = timedelta(minutes=15), timedelta(hours=6), 50
#: The span in which the busiest hour is looked for.
BUSY = timedelta(hours=24)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_REST = 10_000.0

Figure = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which figures.

    Attributes:
        categories: Of these categories; empty: of all.
        places: At these places; empty: anywhere.
        limit: At most so many, the most urgent ones.
    """

    categories: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    limit: int = 1000


class Figures:
    """The figures of all tenants."""

    def __init__(self, database: Documents, *, threshold: float) -> None:
        """Take the database.

        Args:
            database: Where they are.
            threshold: Utilisation from which an alarm is raised, where a resource has no other.
        """
        self._figures = database[FIGURES]
        self._history = History(database)
        self._threshold = threshold

    def prepare(self) -> None:
        """Make the indexes; safe to repeat."""
        self._history.prepare()
        self._figures.create_index([("tenant", 1), ("urgency", 1)])
        self._figures.create_index("expires", expireAfterSeconds=0)

    def write(self, tenant: str, levels: Sequence[Level], now: datetime) -> list[Figure]:
        """Write how full things are; return what was written, with the forecast of each."""
        known = self._known(tenant, [one.thing.series for one in levels])
        stale = [one for one in levels if _is_stale(one, known.get(one.thing.series), now)]
        stale.sort(key=lambda one: known.get(one.thing.series, {}).get("foreseen") or NEVER)
        fresh = self._forecasts(tenant, stale[:AT_ONCE], now)
        made = []
        for one in levels:
            before = known.get(one.thing.series, {})
            found = fresh.get(one.thing.series)
            told = _told(found, now) if found else {name: before.get(name) for name in _FORECAST}
            made.append({**before, **self._figure(tenant, one), **told})
        for figure in made:
            figure["urgency"] = urgency(figure)
        self._put(made)
        return made

    def _known(self, tenant: str, series: Sequence[str]) -> dict[str, Figure]:
        keys = [f"{tenant}:{one}" for one in series]
        with translated():
            found = self._figures.find({"_id": {"$in": keys}})
            return {one["series"]: one for one in found}

    def _forecasts(
        self, tenant: str, levels: Sequence[Level], now: datetime
    ) -> dict[str, Forecast]:
        series = [one.thing.series for one in levels]
        if not series:
            return {}
        days = self._history.days(tenant, series, now - DAYS)
        hours = self._history.hours(tenant, series, now - HOURS)
        return {
            one.thing.series: foreseen(
                one, hours.get(one.thing.series, ()), days.get(one.thing.series, ()), now
            )
            for one in levels
        }

    def _figure(self, tenant: str, level: Level) -> Figure:
        thing = level.thing
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
            "used": level.used,
            "reserved": level.reserved,
            "incoming": level.incoming,
            "outgoing": level.outgoing,
            "utilization": level.utilization,
            "threshold": threshold,
            "at": level.at,
            "expires": level.at + FORGET,
        }

    def _put(self, figures: Sequence[Figure]) -> None:
        updates = [
            UpdateOne(
                {"_id": one["_id"]},
                {"$set": {name: v for name, v in one.items() if name not in {"_id", "alarm"}}},
                upsert=True,
            )
            for one in figures
        ]
        for start in range(0, len(updates), 1000):
            with translated():
                self._figures.bulk_write(updates[start : start + 1000], ordered=False)

    def set_alarm(self, key: str, alarm: str) -> None:
        """Note which alarm stands for a figure; empty: none."""
        change = {"$set": {"alarm": alarm}} if alarm else {"$unset": {"alarm": ""}}
        with translated():
            self._figures.update_one({"_id": key}, change)

    def read(self, tenant: str, wanted: Wanted) -> list[Figure]:
        """Return figures, the most urgent first."""
        with translated():
            return list(self._figures.find(_query(tenant, wanted)).sort("urgency", 1).limit(
                wanted.limit
            ))  # fmt: skip

    def count(self, tenant: str, wanted: Wanted) -> int:
        """Return how many there are, whatever the limit."""
        with translated():
            return self._figures.count_documents(_query(tenant, wanted))

    def latest(self, tenant: str) -> datetime | None:
        """Return when something other than a port was looked at last."""
        query = {"tenant": tenant, "category": {"$ne": PORT}}
        with translated():
            found = list(self._figures.find(query, {"at": 1}).sort("at", -1).limit(1))
        return found[0]["at"] if found else None

    def forget(
        self, tenant: str, categories: Sequence[str], before: datetime, *, alarmed: bool
    ) -> list[Figure]:
        """Take away and return what has not been seen since a time.

        Args:
            tenant: Whose.
            categories: Of which categories.
            before: The time, in UTC.
            alarmed: Also what has an alarm; whoever asks clears it.
        """
        query = {"tenant": tenant, "category": {"$in": list(categories)}, "at": {"$lt": before}}
        if not alarmed:
            query["alarm"] = {"$exists": False}
        with translated():
            found = list(self._figures.find(query))
            self._figures.delete_many({"_id": {"$in": [one["_id"] for one in found]}})
        return found


_FORECAST = ("trendPerDay", "daysToExhaustion", "exhaustionDate", "foreseen")


def _is_stale(level: Level, known: Mapping[str, Any] | None, now: datetime) -> bool:
    age = AGE_OF_PORT if level.thing.category == PORT else AGE
    return known is None or not known.get("foreseen") or now - known["foreseen"] > age


def _query(tenant: str, wanted: Wanted) -> dict[str, Any]:
    query: dict[str, Any] = {"tenant": tenant}
    if wanted.categories:
        query["category"] = {"$in": list(wanted.categories)}
    if wanted.places:
        query["places"] = {"$in": list(wanted.places)}
    return query


def _told(found: Forecast, now: datetime) -> Figure:
    days = found.days
    return {
        "trendPerDay": found.per_day,
        "daysToExhaustion": days,
        "exhaustionDate": None if days is None else rfc3339(now + timedelta(days=days)),
        "foreseen": now,
    }


def foreseen(level: Level, hours: Sequence[Hour], days: Sequence[Point], now: datetime) -> Forecast:
    """Return how long a thing lasts, from its hours, or from its days where there are enough."""
    if not level.thing.capacity:
        return Forecast()
    exact = None if level.thing.category == PORT else level.used + level.reserved
    if len(days) >= 7 * WEEKS:
        return forecast(days, level.thing.capacity, now, season=day_of_week, used=exact)
    return forecast((one.point for one in hours), level.thing.capacity, now, used=exact)


def busiest(hours: Iterable[Hour], now: datetime) -> float:
    """Return what was used in the busiest hour of the last day."""
    return max((one.used for one in hours if one.at > now - BUSY), default=0.0)


def urgency(figure: Mapping[str, Any]) -> float:
    """Return the place of a figure among others: the lower, the more urgent.

    >>> full = {"utilization": 0.97, "threshold": 0.8, "daysToExhaustion": None}
    >>> soon = {"utilization": 0.5, "threshold": 0.8, "daysToExhaustion": 12.5}
    >>> calm = {"utilization": 0.7, "threshold": 0.8, "daysToExhaustion": None}
    >>> [urgency(one) for one in (full, soon, calm)]
    [-0.97, 12.5, 9999.3]
    """
    share, days = float(figure["utilization"]), figure.get("daysToExhaustion")
    if 0 < figure["threshold"] <= share or days == 0:
        return -share
    return float(days) if days is not None else _REST - share
