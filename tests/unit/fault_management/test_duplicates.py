"""Duplicate notifications and late reports are recognized, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import condition_types
from adapters.snmp import mib
from adapters.snmp.traps import Notification
from tmf_apis.fault_management import duplicates
from tmf_apis.fault_management.duplicates import RecentNotifications
from tmf_apis.fault_management.report_order import REORDERING_WINDOW, ReportOrder
from tmf_apis.fault_management.rules import report_from_notification

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def notification(trap=condition_types.LINK_DOWN, **attributes):
    values = {"uptime": 0.0, "boots": None, "sender": "public", "inform": False, "request_id": 1}
    values |= {"received_at": NOW, "variables": {f"{mib.IF_INDEX}.3": 3}}
    return Notification("default:gw", "192.0.2.1", trap, **values | attributes)


def count_of(notifications):
    """Return how many of the notifications are handled."""
    recent, count = RecentNotifications(), 0
    for each in notifications:
        if not recent.is_duplicate(each):
            recent.add(each)
            count += 1
    return count


TRAPS = st.sampled_from([condition_types.LINK_DOWN, condition_types.LINK_UP, "1.3.6.1.2.1.15.7.2"])


@given(st.lists(TRAPS, max_size=8))
def test_notifications_with_different_request_ids_are_all_handled(traps):
    sent = [notification(trap, request_id=number) for number, trap in enumerate(traps)]
    assert count_of(sent) == len(sent)


@given(st.lists(st.tuples(TRAPS, st.integers(1, 3)), max_size=8), st.booleans())
def test_each_notification_is_handled_once_however_often_it_is_repeated(sent, inform):
    repeated = [
        notification(trap, request_id=number, inform=inform)
        for number, (trap, times) in enumerate(sent)
        for _ in range(times)
    ]
    assert count_of(repeated) == len(sent)


@given(st.lists(TRAPS, max_size=8))
def test_a_constant_request_id_hides_no_change(traps):
    changes = sum(1 for before, now in zip(["", *traps], traps, strict=False) if before != now)
    assert count_of([notification(trap, request_id=0) for trap in traps]) == changes


def test_a_v1_trap_is_never_a_duplicate():
    assert count_of([notification(request_id=None)] * 3) == 3


@pytest.mark.parametrize(
    "other",
    [{"element": "default:other"}, {"source": "192.0.2.2"}, {"uptime": 1.0}, {"variables": {}}],
)
def test_the_same_request_id_of_another_source_or_event_is_no_duplicate(other):
    assert count_of([notification(), replace(notification(), **other)]) == 2


@pytest.mark.parametrize(
    ("inform", "window"), [(False, duplicates.TRAP_WINDOW), (True, duplicates.INFORM_WINDOW)]
)
def test_a_request_id_may_be_used_again_later(inform, window):
    first = notification(inform=inform)
    late = replace(first, received_at=NOW + window - timedelta(seconds=1))
    later = replace(first, received_at=NOW + window)
    assert (count_of([first, late]), count_of([first, later])) == (1, 2)


def test_the_memory_is_bounded():
    recent = RecentNotifications()
    for number in range(duplicates.CAPACITY + 5):
        recent.add(notification(request_id=number))
    assert len(recent._recent) == duplicates.CAPACITY
    assert not recent.is_duplicate(notification(request_id=4))
    assert recent.is_duplicate(notification(request_id=5))


def report(uptime, trap=condition_types.LINK_DOWN, index=3, boots=None):
    variables = {f"{mib.IF_INDEX}.{index}": index}
    event = notification(trap, uptime=uptime, boots=boots, variables=variables)
    return report_from_notification(event, {3: "sub1", 4: "sub2"})


def order_after(*reports):
    order = ReportOrder()
    for each in reports:
        order.add("default:gw", each)
    return order


@pytest.mark.parametrize(
    ("now", "is_late"),
    [
        (report(99.0), True),
        (report(100.0), False),
        (report(100.0 - REORDERING_WINDOW), False),  # a restart
        (report(99.0, boots=2), False),  # a restart
        (report(99.0, index=4), False),  # another port
        (report(99.0, condition_types.LINK_UP), True),
    ],
)
def test_a_report_of_a_port_with_a_lower_uptime_is_late(now, is_late):
    order = order_after(report(100.0))
    assert order.is_late("default:gw", now) is is_late
    assert not order.is_late("default:other", now)


def test_an_event_without_an_end_is_never_late():
    unmapped = [report(uptime, "1.3.6.1.2.1.15.7.2") for uptime in (100.0, 99.0)]
    assert not order_after(unmapped[0]).is_late("default:gw", unmapped[1])


def test_no_port_is_late_after_a_restart():
    order = order_after(report(100.0), report(5.0, index=4))
    assert not order.is_late("default:gw", report(80.0))


@pytest.mark.parametrize(
    ("boots", "uptime", "expected"),
    [(1, 100.0, False), (1, 101.0, False), (1, 99.9, True), (2, 500.0, True)],
)
def test_a_lower_uptime_or_another_start_may_be_a_restart(boots, uptime, expected):
    order = order_after(report(100.0, boots=1))
    assert order.may_have_restarted("default:gw", boots, uptime) is expected
    assert not order.may_have_restarted("default:new", boots, uptime)
