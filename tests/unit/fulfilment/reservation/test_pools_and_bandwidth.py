"""Pools give each value once, and nobody draws more of an uplink than there is; pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.reservation import bandwidth, pools
from tmf_apis.fulfilment.reservation.bandwidth import BandwidthAllocation
from tmf_apis.inventory.resource_state import ReservationMark

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
    return ReservationMark.for_duration(
        holder, NOW + timedelta(minutes=minutes), timedelta(minutes=30)
    )


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
            wanted = BandwidthAllocation(claim(holder, minutes), f"s-{service}", "p", amount * MBIT)
            try:
                taken = bandwidth.reserve(one, wanted)
            except Unfulfillable:
                continue
            assert bandwidth.reserve(taken, wanted) == taken, "a repeat does not count twice"
            one = taken
        elif deed == "settle":
            one = bandwidth.commit(one, holder)
            assert bandwidth.commit(one, holder) == one
        else:
            one = bandwidth.release(one, holder)
        active, reserved = bandwidth.allocated_and_reserved(one, NOW + timedelta(minutes=minutes))
        assert reserved >= 0
        if deed == "take":
            assert active + reserved <= bandwidth.limit(one)


@given(st.integers(1, 90), st.integers(1, 90))
def test_what_is_returned_is_as_it_was(before, wanted):
    first = bandwidth.commit(
        bandwidth.reserve(uplink(), BandwidthAllocation(claim("o-1/1#1"), "s", "p", before * MBIT)),
        "o-1/1#1",
    )
    changed = bandwidth.reserve(
        first, BandwidthAllocation(claim("o-2/1#1"), "s", "p", wanted * MBIT)
    )
    assert bandwidth.release(changed, "o-2/1#1") == first
    ended = bandwidth.reserve(first, BandwidthAllocation(claim("o-3/1#1"), "s", "p", 0))
    assert bandwidth.commit(ended, "o-3/1#1") == uplink()


def test_less_may_be_drawn_of_one_that_is_too_full():
    full = bandwidth.commit(
        bandwidth.reserve(uplink(100), BandwidthAllocation(claim("a/1#1"), "s", "p", 100 * MBIT)),
        "a/1#1",
    )
    small = {**full, "resourceCharacteristic": [
        {**c, "value": 50} if c["name"] == "bandwidth" else c
        for c in full["resourceCharacteristic"]]}  # fmt: skip
    bandwidth.reserve(small, BandwidthAllocation(claim("b/1#1"), "s", "p", 80 * MBIT))
    with pytest.raises(Unfulfillable, match="has 0 Mbit/s left of 50"):
        bandwidth.reserve(small, BandwidthAllocation(claim("b/1#1"), "t", "p", 1 * MBIT))


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
    found = pools.parse_range(text)
    values = found.values()
    assert len(values) == found.size
    assert all(found.contains(value) for value in values)
    ids = {pools.value_resource_id("t", "p", value) for value in values}
    assert len(ids) == len(set(values))


@given(RANGES, st.text())
def test_the_walk_through_a_pool_misses_nothing(text, start):
    found = pools.parse_range(text)
    assert sorted(found.indexes_from(start)) == list(range(found.size))


@pytest.mark.parametrize("text", ["", " , ", "a-b", "9-3", "198.18.0.0/99", "1-198.18.0.1", "-"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        pools.parse_range(text)


def test_numbers_keep_their_zeros():
    assert pools.parse_range("0170-0172").values() == ["0170", "0171", "0172"]
    assert not pools.parse_range("0170-0172").contains("170")
