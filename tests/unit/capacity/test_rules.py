"""Capacity without a database: traffic, trends, forecasts and alarm thresholds."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.observations import Sample
from tmf_apis.capacity import rules
from tmf_apis.capacity.traffic import MAX_INTERVAL, Traffic, octet_readings, traffic_between
from tmf_apis.capacity.trend import MAX_FORECAST_DAYS, Point, day_of_week, forecast

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLOPES = st.floats(0.5, 1000)


def line(start, slope, *, days=10, step=HOUR, noise=None):
    """Points of evenly growing usage until now."""
    count = int(days * DAY / step)
    return [
        Point(NOW - n * step, start - slope * (n * step / DAY) + (noise() if noise else 0))
        for n in range(count)
    ]


def counters(port, received, sent, at, epoch="1"):
    return octet_readings(
        [
            Sample(port, "octets_in", received, "octets", at, epoch),
            Sample(port, "octets_out", sent, "octets", at, epoch),
            Sample(port, "drops_in", 7, "packets", at, epoch),
        ]
    )


@given(start=st.floats(0, 10_000), slope=SLOPES, remaining=st.floats(0, 100_000))
def test_even_growth_is_exhausted_on_the_exact_day(start, slope, remaining):
    prediction = forecast(line(start, slope), start + remaining, NOW)
    expected_days = remaining / slope
    assert prediction.per_day == pytest.approx(slope, rel=1e-6)
    if expected_days > MAX_FORECAST_DAYS + 1:
        assert prediction.days_left is None
    elif expected_days < MAX_FORECAST_DAYS - 1:
        assert prediction.days_left == pytest.approx(expected_days, rel=1e-6, abs=1e-3)


@given(slope=SLOPES, remaining=st.floats(1, 1000))
def test_daily_points_by_weekday_give_the_same_forecast(slope, remaining):
    daily = line(100, slope, days=60, step=DAY)
    prediction = forecast(daily, 100 + remaining, NOW, season=day_of_week)
    assert prediction.days_left == pytest.approx(remaining / slope, rel=1e-6)


@given(slope=st.floats(1, 50), seed=st.integers(0, 10_000))
def test_noise_and_gaps_hardly_change_the_forecast(slope, seed):
    chance = random.Random(seed)  # noqa: S311
    points = line(1000, slope, days=21, noise=lambda: chance.gauss(0, slope / 2))
    points = [point for point in points if chance.random() > 0.2]
    prediction = forecast(points, 1000 + 100 * slope, NOW)
    assert prediction.days_left == pytest.approx(100, rel=0.1)


@given(slope=st.floats(1, 50), seed=st.integers(0, 10_000))
def test_outliers_hardly_change_the_forecast(slope, seed):
    chance = random.Random(seed)  # noqa: S311
    points = [
        Point(
            point.at, point.used * chance.choice((0, 20)) if chance.random() < 0.1 else point.used
        )
        for point in line(1000, slope, days=21)
    ]
    assert forecast(points, 1000 + 100 * slope, NOW).days_left == pytest.approx(100, rel=0.1)


@given(slope=st.floats(1, 50), extra=st.floats(1, 50), remaining=st.floats(1, 1000))
def test_faster_growth_is_exhausted_sooner_and_more_capacity_later(slope, extra, remaining):
    slow = forecast(line(1000, slope), 1000 + remaining, NOW).days_left
    assert forecast(line(1000, slope + extra), 1000 + remaining, NOW).days_left < slow
    assert forecast(line(1000, slope), 1000 + remaining + extra, NOW).days_left > slow


@given(st.lists(st.floats(0, 1e12), max_size=60), st.floats(1, 1e12), st.booleans())
def test_a_forecast_is_never_negative(values, capacity, exact):
    points = [Point(NOW - n * 5 * HOUR, value) for n, value in enumerate(values)]
    prediction = forecast(points, capacity, NOW, used=values[0] if exact and values else None)
    assert prediction.days_left is None or 0 <= prediction.days_left <= MAX_FORECAST_DAYS


def test_the_busiest_hour_and_not_the_mean_is_exhausted_first():
    points = [
        Point(point.at, point.used + (500 if point.at.hour == 20 else 0))
        for point in line(1000, 10)
    ]
    assert forecast(points, 2000, NOW).days_left == pytest.approx(50, rel=0.01)


@pytest.mark.parametrize("days", [0, 1, 3, 4])
def test_four_days_are_too_few_for_a_trend(days):
    prediction = forecast(line(1000, 10, days=days), 2000, NOW)
    assert (prediction.per_day, prediction.days_left) == (None, None)


def test_usage_that_goes_up_and_down_has_no_trend():
    points = [Point(NOW - n * HOUR, 100 + 10 * ((n // 24) % 2)) for n in range(24 * 20)]
    assert forecast(points, 1000, NOW).days_left is None


def test_shrinking_usage_is_never_exhausted():
    prediction = forecast(line(100, -10), 1000, NOW)
    assert prediction.per_day == pytest.approx(-10)
    assert prediction.days_left is None


def test_a_full_capacity_is_exhausted_now_with_or_without_a_trend():
    assert forecast([], 254, NOW, used=254).days_left == 0
    assert forecast(line(300, 10), 254, NOW).days_left == 0


def test_traffic_is_the_increase_of_the_counters():
    before = counters("up0", 1000, 5000, NOW)
    after = counters("up0", 2000, 15_000, NOW + timedelta(seconds=10))
    (traffic,) = traffic_between(before, after)
    assert (traffic.incoming / traffic.seconds, traffic.outgoing / traffic.seconds) == (800, 8000)


@pytest.mark.parametrize(
    ("received", "sent", "later", "epoch"),
    [
        (5, 7000, timedelta(seconds=10), "1"),  # a counter was reset
        (2000, 7000, timedelta(seconds=10), "2"),  # the element reports a reset
        (2000, 7000, timedelta(seconds=-10), "1"),  # the clock went back
        (2000, 7000, timedelta(0), "1"),
        (2000, 7000, MAX_INTERVAL + timedelta(seconds=1), "1"),  # too long ago
    ],
)
def test_a_discontinuity_is_no_traffic(received, sent, later, epoch):
    before = counters("up0", 1000, 5000, NOW)
    assert list(traffic_between(before, counters("up0", received, sent, NOW + later, epoch))) == []


def test_a_new_port_has_no_traffic_yet():
    after = counters("up0", 1000, 5000, NOW) | counters("up1", 1000, 5000, NOW)
    before = counters("up0", 1000, 5000, NOW - HOUR)
    assert [traffic.port for traffic in traffic_between(before, after)] == ["up0"]


def test_traffic_above_the_speed_of_the_port_is_implausible():
    traffic = Traffic("up0", NOW, NOW + timedelta(seconds=1), 3 * 10**9, 0)
    assert not traffic.is_plausible(10**9)
    assert traffic.is_plausible(0)
    assert traffic.is_plausible(10 * 10**9)


@given(offset=st.floats(0, 3600), seconds=st.floats(0.1, 7200), bits=st.floats(0, 1e15))
def test_hourly_parts_add_up_to_the_traffic(offset, seconds, bits):
    since = NOW + timedelta(seconds=offset)
    traffic = Traffic("up0", since, since + timedelta(seconds=seconds), bits, bits / 2)
    parts = list(traffic.hourly_parts())
    assert sum(part.incoming for part in parts) == pytest.approx(bits)
    assert sum(part.seconds for part in parts) == pytest.approx(traffic.seconds)
    for part in parts:
        hour = part.since.replace(minute=0, second=0, microsecond=0)
        assert part.since < part.until <= hour + HOUR


def capacity_record(share, days=None, threshold=0.8):
    return {
        "name": "pool", "element": "pool", "series": "addressPool:1", "category": "addressPool",
        "capacity": 100.0, "unit": "addresses", "utilization": share, "threshold": threshold,
        "daysToExhaustion": days,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("share", "days", "raised", "severity"),
    [
        (0.5, None, False, "cleared"),
        (0.8, None, False, "minor"),
        (0.96, None, False, "major"),
        (0.5, 29, False, "warning"),
        (0.5, 31, False, "cleared"),
        (0.78, None, True, "minor"),  # within the hysteresis
        (0.74, None, True, "cleared"),
        (0.5, 44, True, "warning"),
        (0.5, 46, True, "cleared"),
    ],
)
def test_an_alarm_is_raised_before_exhaustion_and_cleared_with_hysteresis(
    share, days, raised, severity
):
    state = rules.alarm_state(capacity_record(share, days), 30, is_raised=raised)
    assert state.severity == severity
    assert state.is_raised is (severity != "cleared")


def test_without_a_threshold_there_is_no_alarm():
    assert not rules.alarm_state(
        capacity_record(1.0, 0, threshold=0), 30, is_raised=False
    ).is_raised
