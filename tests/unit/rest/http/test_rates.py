"""Token buckets and the headers that describe them."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import TooManyRequests
from tmf_apis.rest.http import rates
from tmf_apis.rest.http.admission import Admission
from tmf_apis.rest.http.rates import Limit, RateLimiter
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings


class Clock:
    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


def limiter(rate=10.0, burst=20, concurrency=0):
    clock = Clock()
    return RateLimiter(Limit("client", rate, burst, concurrency), clock), clock


def take(limits, key="a"):
    """Return whether a request is within the rate, and count it if so."""
    account = limits.account(key)
    if limits.is_rate_exceeded(account):
        return False
    account.tokens -= 1
    return True


@given(
    st.lists(st.floats(0.0, 5.0), min_size=1, max_size=200),
    st.floats(0.5, 100.0),
    st.integers(1, 50),
)
def test_no_time_span_has_more_requests_than_burst_and_rate(pauses, rate, burst):
    limits, clock = limiter(rate, burst)
    admitted = []
    for pause in pauses:
        clock.time += pause
        if take(limits):
            admitted.append(clock.time)
    for start in range(len(admitted)):
        for end in range(start, len(admitted)):
            span = admitted[end] - admitted[start]
            assert end - start + 1 <= burst + rate * span + 1e-6


@given(st.integers(1, 100), st.floats(0.1, 50.0))
def test_a_client_that_waits_as_it_is_told_is_admitted(burst, rate):
    limits, clock = limiter(rate, burst)
    while take(limits):
        pass
    clock.time += limits.retry_after(limits.account("a"))
    assert take(limits)


def test_one_client_does_not_use_the_rate_of_another():
    limits, _ = limiter(burst=2)
    assert [take(limits, key) for key in "aaab"] == [True, True, False, True]


def test_the_headers_are_structured_fields_of_the_draft():
    limits, clock = limiter(rate=10.0, burst=25)
    account = limits.account("a")
    account.tokens -= 12
    assert limits.policy == '"client";q=25;w=3'
    assert limits.state(account) == '"client";r=13;t=2'
    clock.time += 0.5
    assert limits.state(limits.account("a")) == '"client";r=18;t=1'


def test_idle_accounts_are_forgotten_and_active_ones_are_not(monkeypatch):
    monkeypatch.setattr(rates, "_MAX_ACCOUNTS", 100)
    limits, clock = limiter()
    limits.account("active").active = 1
    limits.account("active").tokens = 0
    for number in range(1000):
        clock.time += 0.001
        take(limits, f"client {number}")
        assert len(limits._accounts) <= 100
    assert limits.account("active").active == 1


def admission(known, **limits):
    counts = []
    return Admission(Settings(**limits), lambda _: known, counts.append), counts


STAFF = Identity("portal", "t1")


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"client_rate": 1.0, "client_burst": 3}, "client_rate"),
        ({"tenant_rate": 1.0, "tenant_burst": 3}, "tenant_rate"),
        ({"client_concurrency": 3}, "client_concurrency"),
        ({"tenant_concurrency": 3}, "tenant_concurrency"),
    ],
)
def test_a_request_over_a_limit_is_refused_and_counted(limits, name):
    limited, counts = admission(STAFF, **limits)
    for _ in range(3):
        limited.enter({}, "192.0.2.1").__enter__()
    with pytest.raises(TooManyRequests) as refusal:
        limited.enter({}, "192.0.2.1")
    assert int(refusal.value.headers["Retry-After"]) >= 1
    assert counts == [name]
    if name.endswith("_rate"):
        level = name.partition("_")[0]
        assert refusal.value.headers["RateLimit-Policy"] == f'"{level}";q=3;w=3'
        assert re.fullmatch(f'"{level}";r=0;t=3', refusal.value.headers["RateLimit"])


def test_a_refused_request_does_not_use_the_rate():
    limited, _ = admission(STAFF, client_concurrency=1, client_burst=10)
    with limited.enter({}, "192.0.2.1"):
        for _ in range(100):
            with pytest.raises(TooManyRequests, match="at a time"):
                limited.enter({}, "192.0.2.1")
    assert limited.enter({}, "192.0.2.1")


def test_clients_without_a_known_token_share_the_rate_of_their_address():
    limited, counts = admission(None, address_burst=2, address_rate=1.0)
    for _ in range(2):
        with limited.enter({}, "2001:db8::1"):
            pass
    with pytest.raises(TooManyRequests):
        limited.enter({}, "2001:db8::2")
    assert limited.enter({}, "2001:db8:0:1::1")
    assert counts == ["address_rate"]


def test_a_limit_of_zero_is_none():
    limits = {
        f"{level}_{what}": 0 for level in ("client", "tenant") for what in ("concurrency", "rate")
    }
    limited, _ = admission(STAFF, **limits, address_rate=0)
    for _ in range(1000):
        limited.enter({}, "192.0.2.1").__enter__()
    anonymous, _ = admission(None, address_rate=0)
    for _ in range(1000):
        anonymous.enter({}, "192.0.2.1").__enter__()


@pytest.mark.parametrize("rate", [0.1, 1.0, 33.3, 1e6])
def test_the_window_of_a_policy_refills_the_quota(rate):
    limit = Limit("client", rate, 100, 0)
    window = int(limit.policy().rpartition("w=")[2])
    assert window == math.ceil(100 / rate)
