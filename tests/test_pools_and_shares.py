"""Pools give each value once, and nobody draws more of an uplink than there is; pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.fulfilment.reservation import pools, shares
from tmf_apis.fulfilment.reservation.holdings import Claim
from tmf_apis.fulfilment.reservation.shares import Draw
from tmf_apis.fulfilment.values import Refused

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MBIT = 10**6


def uplink(capacity=100, factor=1):
    values = {"bandwidth": capacity, "oversubscription": factor}
    return {
        "id": "up",
        "category": "uplink",
        "name": "up",
        "resourceCharacteristic": [{"name": n, "value": v} for n, v in values.items()],
    }


def claim(holder, minutes=0):
    return Claim.made(holder, NOW + timedelta(minutes=minutes), timedelta(minutes=30))


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "settle", "return"]),
        st.integers(0, 5),
        st.integers(0, 3),
        st.integers(0, 70),
        st.integers(0, 20),
    ),
    max_size=40,
)


@given(DEEDS, st.sampled_from([1, 1.5, 3]))
def test_what_is_drawn_never_exceeds_what_there_is(deeds, factor):
    one, minutes = uplink(factor=factor), 0
    for deed, service, order, amount, later in deeds:
        minutes += later
        holder = f"o-{order}/1#1"
        if deed == "take":
            wanted = Draw(claim(holder, minutes), f"s-{service}", "p", amount * MBIT)
            try:
                taken = shares.taken(one, wanted)
            except Refused:
                continue
            assert shares.taken(taken, wanted) == taken, "a repeat does not count twice"
            one = taken
        elif deed == "settle":
            one = shares.settled(one, holder)
            assert shares.settled(one, holder) == one
        else:
            one = shares.returned(one, holder)
        active, reserved = shares.drawn(one, NOW + timedelta(minutes=minutes))
        assert reserved >= 0
        if deed == "take":
            assert active + reserved <= shares.limit(one)


@given(st.integers(1, 90), st.integers(1, 90))
def test_what_is_returned_is_as_it_was(before, wanted):
    first = shares.settled(
        shares.taken(uplink(), Draw(claim("o-1/1#1"), "s", "p", before * MBIT)), "o-1/1#1"
    )
    changed = shares.taken(first, Draw(claim("o-2/1#1"), "s", "p", wanted * MBIT))
    assert shares.returned(changed, "o-2/1#1") == first
    ended = shares.taken(first, Draw(claim("o-3/1#1"), "s", "p", 0))
    assert shares.settled(ended, "o-3/1#1") == uplink()


def test_less_may_be_drawn_of_one_that_is_too_full():
    full = shares.settled(
        shares.taken(uplink(100), Draw(claim("a/1#1"), "s", "p", 100 * MBIT)), "a/1#1"
    )
    small = {**full, "resourceCharacteristic": [
        {**c, "value": 50} if c["name"] == "bandwidth" else c
        for c in full["resourceCharacteristic"]]}  # fmt: skip
    shares.taken(small, Draw(claim("b/1#1"), "s", "p", 80 * MBIT))
    with pytest.raises(Refused, match="has 0 Mbit/s left of 50"):
        shares.taken(small, Draw(claim("b/1#1"), "t", "p", 1 * MBIT))


RANGES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 99999), st.integers(0, 40)).map(lambda p: f"{p[0]}-{sum(p)}"),
        st.integers(0, 255).map(lambda n: f"198.18.{n}.0/29"),
        st.integers(0, 255).map(lambda n: f"2001:db8::{n:x}:0/125"),
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(",".join)


@given(RANGES)
def test_every_value_of_a_pool_is_in_it_and_has_its_own_id(text):
    found = pools.parsed(text)
    values = found.values()
    assert len(values) == found.size
    assert all(found.has(value) for value in values)
    ids = {pools.id_of("t", "p", value) for value in values}
    assert len(ids) == len(set(values))


@given(RANGES, st.text())
def test_the_walk_through_a_pool_misses_nothing(text, start):
    found = pools.parsed(text)
    assert sorted(found.from_(start)) == list(range(found.size))


@pytest.mark.parametrize("text", ["", " , ", "a-b", "9-3", "198.18.0.0/99", "1-198.18.0.1", "-"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        pools.parsed(text)


def test_numbers_keep_their_zeros():
    assert pools.parsed("0170-0172").values() == ["0170", "0171", "0172"]
    assert not pools.parsed("0170-0172").has("170")
