"""The circuit breaker of an element."""

import asyncio
import logging

import pytest

from adapters.errors import Rejected, Unreachable
from tmf_apis.element_access import breaker as breakers
from tmf_apis.element_access.breaker import (
    FAILURE_THRESHOLD,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Breaker,
    CircuitOpenError,
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker("gw", clock)


def use(breaker, error=None):
    with breaker.guard():
        if error:
            raise error


def fail(breaker, times=1):
    for _ in range(times):
        with pytest.raises(Unreachable, match="no answer"):
            use(breaker, Unreachable("gw", "no answer"))


def test_the_circuit_opens_after_enough_consecutive_failures(breaker):
    fail(breaker, FAILURE_THRESHOLD - 1)
    use(breaker)
    fail(breaker, FAILURE_THRESHOLD - 1)
    assert not breaker.is_open
    fail(breaker)
    with pytest.raises(
        CircuitOpenError, match=f"{FAILURE_THRESHOLD} times in a row; the next try is at"
    ) as caught:
        use(breaker)
    assert caught.value.again
    assert caught.value.element == "gw"
    assert caught.value.retry_at.tzinfo is not None


def test_an_element_that_refuses_is_reachable(breaker):
    for _ in range(FAILURE_THRESHOLD * 2):
        with pytest.raises(Rejected):
            use(breaker, Rejected("gw", "no such port"))
    assert not breaker.is_open


def test_after_the_pause_one_caller_retries(breaker, clock):
    fail(breaker, FAILURE_THRESHOLD)
    assert not breaker.is_retry_due
    clock.now = FIRST_PAUSE + 0.1
    assert breaker.is_retry_due
    with breaker.guard(), pytest.raises(CircuitOpenError):
        use(breaker)
    use(breaker)
    assert (breaker.is_open, breaker.failures) == (False, 0)


def test_each_pause_is_twice_as_long_up_to_the_longest(breaker, clock):
    fail(breaker, FAILURE_THRESHOLD)
    pause = FIRST_PAUSE
    for _ in range(10):
        clock.now += pause + 0.01
        fail(breaker)
        pause = min(pause * 2, LONGEST_PAUSE)
        clock.now += pause - 0.1
        with pytest.raises(CircuitOpenError):
            use(breaker)
        clock.now -= pause - 0.1
    assert pause == LONGEST_PAUSE


def test_a_cancelled_retry_lets_another_caller_retry(breaker, clock):
    fail(breaker, FAILURE_THRESHOLD)
    clock.now = FIRST_PAUSE + 0.1
    with pytest.raises(asyncio.CancelledError):
        use(breaker, asyncio.CancelledError())
    assert breaker.is_open
    use(breaker)
    assert not breaker.is_open


def test_opening_and_closing_are_reported_and_logged(breaker, clock, caplog):
    changes = []
    breaker.on_circuit_change = changes.append
    with caplog.at_level(logging.WARNING, breakers.__name__):
        fail(breaker, FAILURE_THRESHOLD)
        assert changes == [True]
        clock.now = FIRST_PAUSE + 0.1
        use(breaker)
    assert changes == [True, False]
    entries = [(record.message, record.element, record.failures) for record in caplog.records]
    assert entries == [
        ("an element does not answer: its circuit is open", "gw", FAILURE_THRESHOLD),
        ("an element answers again: its circuit is closed", "gw", FAILURE_THRESHOLD),
    ]
