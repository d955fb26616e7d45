"""Capacity without a database: traffic from counters, trends, forecasts, thresholds."""

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
    """What is used by somebody whose use grows evenly, until now."""
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


@given(start=st.floats(0, 10_000), slope=SLOPES, rest=st.floats(0, 100_000))
def test_even_growth_ends_on_the_very_day(start, slope, rest):
    found = forecast(line(start, slope), start + rest, NOW)
    wanted = rest / slope
    assert found.per_day == pytest.approx(slope, rel=1e-6)
    if wanted > MAX_FORECAST_DAYS + 1:
        assert found.days_left is None
    elif wanted < MAX_FORECAST_DAYS - 1:
        assert found.days_left == pytest.approx(wanted, rel=1e-6, abs=1e-3)


@given(slope=SLOPES, rest=st.floats(1, 1000))
def test_days_and_weekdays_lead_to_the_same_day(slope, rest):
    daily = line(100, slope, days=60, step=DAY)
    found = forecast(daily, 100 + rest, NOW, season=day_of_week)
    assert found.days_left == pytest.approx(rest / slope, rel=1e-6)


@given(slope=st.floats(1, 50), seed=st.integers(0, 10_000))
def test_noise_and_gaps_hardly_move_the_day(slope, seed):
    chance = random.Random(seed)  # noqa: S311
    points = line(1000, slope, days=21, noise=lambda: chance.gauss(0, slope / 2))
    points = [one for one in points if chance.random() > 0.2]
    found = forecast(points, 1000 + 100 * slope, NOW)
    assert found.days_left == pytest.approx(100, rel=0.1)


@given(slope=st.floats(1, 50), seed=st.integers(0, 10_000))
def test_some_wild_hours_hardly_move_the_day(slope, seed):
    chance = random.Random(seed)  # noqa: S311
    points = [
        Point(one.at, one.used * chance.choice((0, 20)) if chance.random() < 0.1 else one.used)
        for one in line(1000, slope, days=21)
    ]
    assert forecast(points, 1000 + 100 * slope, NOW).days_left == pytest.approx(100, rel=0.1)


@given(slope=st.floats(1, 50), more=st.floats(1, 50), rest=st.floats(1, 1000))
def test_faster_growth_ends_sooner_and_more_room_later(slope, more, rest):
    slow = forecast(line(1000, slope), 1000 + rest, NOW).days_left
    assert forecast(line(1000, slope + more), 1000 + rest, NOW).days_left < slow
    assert forecast(line(1000, slope), 1000 + rest + more, NOW).days_left > slow


@given(st.lists(st.floats(0, 1e12), max_size=60), st.floats(1, 1e12), st.booleans())
def test_a_forecast_is_never_negative(values, capacity, exact):
    points = [Point(NOW - n * 5 * HOUR, one) for n, one in enumerate(values)]
    found = forecast(points, capacity, NOW, used=values[0] if exact and values else None)
    assert found.days_left is None or 0 <= found.days_left <= MAX_FORECAST_DAYS


def test_the_evening_and_not_the_mean_runs_out_first():
    points = [Point(one.at, one.used + (500 if one.at.hour == 20 else 0)) for one in line(1000, 10)]
    assert forecast(points, 2000, NOW).days_left == pytest.approx(50, rel=0.01)


@pytest.mark.parametrize("days", [0, 1, 3, 4])
def test_four_days_are_too_few_for_a_trend(days):
    found = forecast(line(1000, 10, days=days), 2000, NOW)
    assert (found.per_day, found.days_left) == (None, None)


def test_use_that_goes_up_and_down_has_no_trend():
    points = [Point(NOW - n * HOUR, 100 + 10 * ((n // 24) % 2)) for n in range(24 * 20)]
    assert forecast(points, 1000, NOW).days_left is None


def test_use_that_shrinks_is_never_exhausted():
    found = forecast(line(100, -10), 1000, NOW)
    assert found.per_day == pytest.approx(-10)
    assert found.days_left is None


def test_what_is_full_is_exhausted_now_with_or_without_a_trend():
    assert forecast([], 254, NOW, used=254).days_left == 0
    assert forecast(line(300, 10), 254, NOW).days_left == 0


def test_traffic_is_what_counters_rose_by():
    before = counters("up0", 1000, 5000, NOW)
    after = counters("up0", 2000, 15_000, NOW + timedelta(seconds=10))
    (found,) = traffic_between(before, after)
    assert (found.incoming / found.seconds, found.outgoing / found.seconds) == (800, 8000)


@pytest.mark.parametrize(
    ("received", "sent", "later", "epoch"),
    [
        (5, 7000, timedelta(seconds=10), "1"),  # a counter started anew
        (2000, 7000, timedelta(seconds=10), "2"),  # the element says so
        (2000, 7000, timedelta(seconds=-10), "1"),  # the clock went back
        (2000, 7000, timedelta(0), "1"),
        (2000, 7000, MAX_INTERVAL + timedelta(seconds=1), "1"),  # nobody knows when
    ],
)
def test_a_discontinuity_is_no_traffic(received, sent, later, epoch):
    before = counters("up0", 1000, 5000, NOW)
    assert list(traffic_between(before, counters("up0", received, sent, NOW + later, epoch))) == []


def test_a_port_that_is_new_has_no_traffic_yet():
    after = counters("up0", 1000, 5000, NOW) | counters("up1", 1000, 5000, NOW)
    before = counters("up0", 1000, 5000, NOW - HOUR)
    assert [one.port for one in traffic_between(before, after)] == ["up0"]


def test_more_than_the_port_can_carry_is_no_traffic():
    one = Traffic("up0", NOW, NOW + timedelta(seconds=1), 3 * 10**9, 0)
    assert not one.is_plausible(10**9)
    assert one.is_plausible(0)
    assert one.is_plausible(10 * 10**9)


@given(offset=st.floats(0, 3600), seconds=st.floats(0.1, 7200), bits=st.floats(0, 1e15))
def test_hours_add_up_to_the_whole(offset, seconds, bits):
    since = NOW + timedelta(seconds=offset)
    whole = Traffic("up0", since, since + timedelta(seconds=seconds), bits, bits / 2)
    parts = list(whole.hourly_parts())
    assert sum(one.incoming for one in parts) == pytest.approx(bits)
    assert sum(one.seconds for one in parts) == pytest.approx(whole.seconds)
    assert all(one.since < one.until <= one.since.replace(minute=0, second=0, microsecond=0) + HOUR
               for one in parts)  # fmt: skip


def figure(share, days=None, threshold=0.8):
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
        (0.78, None, True, "minor"),  # not clearly better yet
        (0.74, None, True, "cleared"),
        (0.5, 44, True, "warning"),
        (0.5, 46, True, "cleared"),
    ],
)
def test_an_alarm_is_raised_before_exhaustion_and_lasts_until_things_are_clearly_better(
    share, days, raised, severity
):
    found = rules.alarm_state(figure(share, days), 30, is_raised=raised)
    assert found.severity == severity
    assert found.is_raised is (severity != "cleared")


def test_without_a_threshold_there_is_no_alarm():
    assert not rules.alarm_state(figure(1.0, 0, threshold=0), 30, is_raised=False).is_raised
