"""From a history to the day on which nothing is left: pure, no I/O.

The slope is the median of the slopes between all pairs of points of the same season (Theil-Sen,
by season as Hirsch, Slack and Smith did it in 1982): a busy evening is compared with other evenings
only, and neither a day of silence nor a peak moves it. There is a trend where Mann and Kendall's
test says so at 95 %, the seasons being taken to depend on each other altogether, as the hours of
one day do. That needs five days at least.

What it cannot know: an order of the size of a town, a step instead of a slope, the end of growth.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from math import sqrt
from statistics import median

#: How sure a trend must be, in standard deviations: 95 %.
CONFIDENCE_Z = 1.96
#: What is farther away is not said, in days.
MAX_FORECAST_DAYS = 3650.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Point:
    """How much was used at a time.

    Attributes:
        at: When, in UTC.
        used: How much, in the unit of the capacity.
    """

    at: datetime
    used: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where it leads.

    Attributes:
        per_day: By how much the use grows a day; None: there is no trend.
        days_left: Days until nothing is left, 0 where nothing is; None: not in sight.
    """

    per_day: float | None = None
    days_left: float | None = None


def hour_of_day(point: Point) -> int:
    """Return the season of an hourly figure."""
    return point.at.hour


def day_of_week(point: Point) -> int:
    """Return the season of a daily figure."""
    return point.at.weekday()


def forecast(
    points: Iterable[Point],
    capacity: float,
    now: datetime,
    *,
    season: Callable[[Point], int] = hour_of_day,
    used: float | None = None,
) -> Forecast:
    """Return how long a capacity lasts.

    Args:
        points: What was used, in any order; no two at the same time.
        capacity: How much there is.
        now: What the days count from, in UTC.
        season: What is compared with what.
        used: How much is used now, where that is known exactly; None: what the trend says of the
            season that is used most.
    """
    seasons = _by_season(points, season, now)
    slope = slope_per_day(seasons)
    level = used if used is not None else _current_usage(seasons, slope or 0.0)
    if level is not None and level >= capacity:
        return Forecast(slope, 0.0)
    if level is None or slope is None or slope <= 0:
        return Forecast(slope)
    days = (capacity - level) / slope
    return Forecast(slope, days if days <= MAX_FORECAST_DAYS else None)


Seasons = Sequence[Sequence[tuple[float, float]]]


def _by_season(
    points: Iterable[Point], season: Callable[[Point], int], now: datetime
) -> list[list[tuple[float, float]]]:
    """Return (days from now, used) by season, each in order of time."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for one in points:
        found[season(one)].append(((one.at - now).total_seconds() / _DAY, one.used))
    return [sorted(of_season) for of_season in found.values()]


def slope_per_day(seasons: Seasons) -> float | None:
    """Return by how much a day the use grows (or shrinks: below zero); None: no trend.

    >>> slope_per_day([[(float(day), 10.0 + 2 * day) for day in range(6)]])
    2.0
    >>> slope_per_day([[(float(day), 10.0 + day % 2) for day in range(6)]]) is None
    True
    """
    slopes: list[float] = []
    score = variance = 0.0
    for one in seasons:
        found = [(y - x) / (t - s) for (s, x), (t, y) in combinations(one, 2)]
        score += sum((slope > 0) - (slope < 0) for slope in found)
        variance += sqrt(len(one) * (len(one) - 1) * (2 * len(one) + 5) / 18)
        slopes += found
    # One season that stands for all: the mean score, the mean deviation, continuity corrected.
    sure = abs(score) - len(seasons) >= CONFIDENCE_Z * variance
    return median(slopes) if slopes and sure else None


def _current_usage(seasons: Seasons, slope: float) -> float | None:
    """Return what is used now in the season that is used most; None: nothing is known."""
    levels = [median(used - slope * at for at, used in one) for one in seasons]
    return max(levels, default=None)
