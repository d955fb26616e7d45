"""Shares in an uplink: reserved, in use, released, and never more than its capacity."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.reservation import bandwidth
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
        "resourceCharacteristic": [
            {"name": name, "value": value} for name, value in values.items()
        ],
    }


def share(holder, megabits, *, service="s", minutes=0):
    """Return a share for half an hour, reserved some minutes after ``NOW``."""
    now = NOW + timedelta(minutes=minutes)
    mark = ReservationMark.for_duration(holder, now, timedelta(minutes=30))
    return BandwidthAllocation(mark, service, "p", megabits * MBIT)


def committed(resource, holder, megabits):
    return bandwidth.commit(bandwidth.reserve(resource, share(holder, megabits)), holder)


#: Steps: action, number of the service, number of the order, Mbit/s, minutes since the last step.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "commit", "release"]),
        st.integers(0, 5),
        st.integers(0, 3),
        st.integers(0, 70),
        st.integers(0, 20),
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from([1, 1.5, 3]))
def test_the_shares_never_exceed_the_capacity(steps, factor):
    resource, minutes = uplink(factor=factor), 0
    for action, service, order, megabits, pause in steps:
        minutes += pause
        holder = f"o-{order}/1#1"
        if action == "reserve":
            allocation = share(holder, megabits, service=f"s-{service}", minutes=minutes)
            try:
                resource = bandwidth.reserve(resource, allocation)
            except Unfulfillable:
                continue
            assert bandwidth.reserve(resource, allocation) == resource, "counted twice"
        elif action == "commit":
            resource = bandwidth.commit(resource, holder)
            assert bandwidth.commit(resource, holder) == resource
        else:
            resource = bandwidth.release(resource, holder)
        now = NOW + timedelta(minutes=minutes)
        active, reserved = bandwidth.allocated_and_reserved(resource, now)
        assert reserved >= 0
        if action == "reserve":
            assert active + reserved <= bandwidth.limit(resource)


@given(st.integers(1, 90), st.integers(1, 90))
def test_a_released_or_ceased_share_leaves_no_trace(before, reserved):
    resource = committed(uplink(), "o-1/1#1", before)
    changed = bandwidth.reserve(resource, share("o-2/1#1", reserved))
    assert bandwidth.release(changed, "o-2/1#1") == resource
    assert committed(resource, "o-3/1#1", 0) == uplink()


def test_a_share_in_an_overbooked_uplink_can_only_be_reduced():
    resource = committed(uplink(100), "a/1#1", 100)
    characteristics = [
        {**each, "value": 50} if each["name"] == "bandwidth" else each
        for each in resource["resourceCharacteristic"]
    ]
    overbooked = {**resource, "resourceCharacteristic": characteristics}
    bandwidth.reserve(overbooked, share("b/1#1", 80))
    with pytest.raises(Unfulfillable, match="has 0 Mbit/s left of 50"):
        bandwidth.reserve(overbooked, share("b/1#1", 1, service="t"))
