"""Faults of a NETCONF element, from its notifications and from polling."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from lxml.etree import _Element as Element

from adapters import condition_types
from adapters.errors import Unreachable
from adapters.netconf.profile import Profile
from adapters.netconf.services import leaf_text
from adapters.observations import RawFault

#: RFC 6470.
NOTIFICATIONS_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
CONFIG_CHANGE = f"{NOTIFICATIONS_NAMESPACE}:netconf-config-change"
#: Number of changed nodes that a report lists.
TARGETS_LIMIT = 20


class NotificationParser:
    """Converts notifications to faults.

    Args:
        element: Name of the element.
        profile: Type of the element.
        user: The adapter's own user name; changes by this user are not reported.
    """

    def __init__(self, element: str, profile: Profile, user: str) -> None:
        self.element, self._profile, self._user = element, profile, user
        self._link_notifications = {
            profile.qualified_names(link.name)[-1]: (
                profile.qualified_names(link.port),
                link.active,
            )
            for link in profile.notifications
        }

    def fault(self, notification: Element) -> RawFault | None:
        """Return the fault that a notification reports; None if it reports none."""
        now = datetime.now(UTC)
        for event in notification:
            if not isinstance(event.tag, str):
                continue
            if event.tag == f"{{{NOTIFICATIONS_NAMESPACE}}}netconf-config-change":
                return self._config_change(event, now)
            if event.tag in self._link_notifications:
                path, active = self._link_notifications[event.tag]
                name = leaf_text(event, path) or ""
                if re.fullmatch(self._profile.port_pattern, name):
                    return RawFault(self.element, condition_types.LINK_DOWN, name, active, now)
        return None

    def _config_change(self, event: Element, now: datetime) -> RawFault | None:
        space = f"{{{NOTIFICATIONS_NAMESPACE}}}"
        user = event.findtext(f"{space}changed-by/{space}username") or ""
        if user in {"", self._user}:
            return None  # the server itself, which reverted a commit, or this adapter
        targets = [(target.text or "").strip() for target in event.iter(f"{space}target")]
        attributes: Mapping[str, str] = {
            "user": user,
            "session": event.findtext(f"{space}changed-by/{space}session-id") or "",
            "host": event.findtext(f"{space}changed-by/{space}source-host") or "",
            "changed": " ".join(targets[:TARGETS_LIMIT]),
        }
        return RawFault(
            self.element, CONFIG_CHANGE, "", active=True, seen_at=now, attributes=attributes
        )


class FaultMonitor:
    """Tracks the active conditions of an element by its notifications and by polling.

    Args:
        parser: Converts notifications to faults.
        read_conditions: Returns the conditions that are active now.
        is_disabled: Returns whether a port is down because it was disabled.
    """

    def __init__(
        self,
        parser: NotificationParser,
        read_conditions: Callable[[], Awaitable[list[RawFault]]],
        is_disabled: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._parser = parser
        self._read_conditions = read_conditions
        self._is_disabled = is_disabled
        self._active: dict[str, RawFault] = {}

    async def changes(
        self, notifications: "asyncio.Queue[Element | None]", poll_interval: float
    ) -> AsyncIterator[RawFault]:
        """Yield conditions as they begin and end.

        Args:
            notifications: Notifications; None marks the end of the session.
            poll_interval: Pause between two polls, in seconds.

        Raises:
            Unreachable: The session has ended.
        """
        loop = asyncio.get_running_loop()
        while True:
            for change in await self._poll_changes():
                yield change
            end = loop.time() + poll_interval
            while (remaining := end - loop.time()) > 0:
                with suppress(TimeoutError):
                    notification = await asyncio.wait_for(notifications.get(), remaining)
                    if (fault := await self._notified_change(notification)) is not None:
                        yield fault

    async def _poll_changes(self) -> list[RawFault]:
        before = self._active
        self._active = {fault.port: fault for fault in await self._read_conditions()}
        now = datetime.now(UTC)
        begun = [fault for port, fault in self._active.items() if port not in before]
        ended = [
            replace(fault, active=False, seen_at=now)
            for port, fault in before.items()
            if port not in self._active
        ]
        return begun + ended

    async def _notified_change(self, notification: Element | None) -> RawFault | None:
        if notification is None:
            raise Unreachable(self._parser.element, "it ended the session for notifications")
        fault = self._parser.fault(notification)
        if fault is None or fault.condition != condition_types.LINK_DOWN:
            return fault
        if fault.active == (fault.port in self._active):
            return None
        if not fault.active:
            del self._active[fault.port]
        elif await self._is_disabled(fault.port):
            return None
        else:
            self._active[fault.port] = fault
        return fault
