"""Exhaustion forecast from a usage history; no I/O.

The trend is the median of the slopes between all pairs of points of the same season (Theil-Sen
estimator, by season as in Hirsch, Slack and Smith, 1982). A busy evening is compared with other
evenings only, and neither an outage of a day nor a peak changes the trend. A trend is significant
if the Mann-Kendall test accepts it at 95 %. The test assumes that the seasons are fully dependent,
as the hours of a day are. It needs at least five days.

The forecast cannot foresee very large orders, sudden steps, or the end of growth.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from math import sqrt
from statistics import median

#: Significance of a trend in standard deviations: 95 %.
CONFIDENCE_Z = 1.96
#: Longest forecast, in days; a later exhaustion is not reported.
MAX_FORECAST_DAYS = 3650.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Point:
    """Usage at a point in time.

    Attributes:
        at: The time in UTC.
        used: The usage in the unit of the capacity.
    """

    at: datetime
    used: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Trend and time to exhaustion.

    Attributes:
        per_day: Growth of the usage per day; None: there is no trend.
        days_left: Days until exhaustion; 0: exhausted now; None: no exhaustion is foreseen.
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
    """Return the forecast of a capacity.

    Args:
        points: The history in any order, without two points at the same time.
        capacity: The capacity.
        now: Current time in UTC, from which days are counted.
        season: Returns the season of a point; only points of the same season are compared.
        used: Current usage; None: estimate it from the trend of the season with the highest usage.
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
    """Return the points of each season as (days from now, usage), in order of time."""
    seasons: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for point in points:
        seasons[season(point)].append(((point.at - now).total_seconds() / _DAY, point.used))
    return [sorted(of_season) for of_season in seasons.values()]


def slope_per_day(seasons: Seasons) -> float | None:
    """Return the growth of the usage per day, negative if it shrinks; None: no significant trend.

    >>> slope_per_day([[(float(day), 10.0 + 2 * day) for day in range(6)]])
    2.0
    >>> slope_per_day([[(float(day), 10.0 + day % 2) for day in range(6)]]) is None
    True
    """
    slopes: list[float] = []
    score = variance = 0.0
    for points in seasons:
        season_slopes = [(y - x) / (t - s) for (s, x), (t, y) in combinations(points, 2)]
        score += sum((slope > 0) - (slope < 0) for slope in season_slopes)
        variance += sqrt(len(points) * (len(points) - 1) * (2 * len(points) + 5) / 18)
        slopes += season_slopes
    # The mean season: mean score and mean deviation, with continuity correction.
    is_significant = abs(score) - len(seasons) >= CONFIDENCE_Z * variance
    return median(slopes) if slopes and is_significant else None


def _current_usage(seasons: Seasons, slope: float) -> float | None:
    """Return the current usage of the season with the highest usage; None: there is no history."""
    levels = [median(used - slope * at for at, used in points) for points in seasons]
    return max(levels, default=None)
