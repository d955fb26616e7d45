"""Duplicates of notifications: the same message, sent or delivered more than once.

An element repeats an inform until it is acknowledged, and a network may deliver a datagram twice.
Source: RFC 3416 section 4.2.7 (a repeated inform keeps its request-id).
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from adapters.snmp.traps import Notification

#: Number of notifications that are remembered.
CAPACITY = 10_000
#: Time in which an element repeats an inform, and in which a network delivers a trap twice.
INFORM_WINDOW, TRAP_WINDOW = timedelta(minutes=15), timedelta(seconds=30)

_Key = tuple[str, str, int]


@dataclass(slots=True)
class RecentNotifications:
    """The latest notification with each request-id of each source.

    Many elements give all their traps the same request-id. Therefore a request-id identifies a
    notification only until the source uses it for another one. A v1 trap has no request-id and is
    never a duplicate.
    """

    _recent: OrderedDict[_Key, tuple[Hashable, datetime]] = field(default_factory=OrderedDict)

    def is_duplicate(self, notification: Notification) -> bool:
        """Return whether a notification repeats one that was added."""
        if (key := _key(notification)) is None or key not in self._recent:
            return False
        content, received_at = self._recent[key]
        window = INFORM_WINDOW if notification.inform else TRAP_WINDOW
        is_recent = notification.received_at - received_at < window
        return is_recent and content == _content(notification)

    def add(self, notification: Notification) -> None:
        """Remember a notification that has been handled."""
        if (key := _key(notification)) is None:
            return
        self._recent[key] = _content(notification), notification.received_at
        self._recent.move_to_end(key)
        if len(self._recent) > CAPACITY:
            self._recent.popitem(last=False)


def _key(notification: Notification) -> _Key | None:
    if notification.request_id is None:
        return None
    return notification.element, notification.source, notification.request_id


def _content(notification: Notification) -> Hashable:
    variables: Mapping[str, object] = notification.variables
    return hash((notification.trap, notification.uptime, notification.boots, *variables.items()))
