"""What an element reports by itself, as it happens."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from lxml.etree import _Element as Element

from adapters.errors import Unreachable
from adapters.netconf.profile import Profile
from adapters.netconf.services import leaf_text
from adapters.observations import RawFault
from adapters.snmp import mib

#: RFC 6470.
NOTIFICATIONS_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
CONFIG_CHANGE = f"{NOTIFICATIONS_NAMESPACE}:netconf-config-change"
TARGETS_LIMIT = 20


class NotificationParser:
    """Makes faults of notifications.

    Args:
        element: Name of the element.
        profile: What it is.
        user: Our own name there: what we change is no news.
    """

    def __init__(self, element: str, profile: Profile, user: str) -> None:
        self.element, self._profile, self._user = element, profile, user
        self._link_notifications = {
            profile.qualified_names(one.name)[-1]: (profile.qualified_names(one.port), one.active)
            for one in profile.notifications
        }

    def fault(self, notification: Element) -> RawFault | None:
        """Return what a notification says; None where it is no news."""
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
                    return RawFault(self.element, mib.LINK_DOWN, name, active, now)
        return None

    def _config_change(self, event: Element, now: datetime) -> RawFault | None:
        space = f"{{{NOTIFICATIONS_NAMESPACE}}}"
        user = event.findtext(f"{space}changed-by/{space}username") or ""
        if user in {"", self._user}:
            return None  # the server itself (a commit taken back), or we
        targets = [one.strip() for one in (e.text or "" for e in event.iter(f"{space}target"))]
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
    """What lasts at an element, kept by its reports and by looking.

    Args:
        reporter: Understands reports.
        look: Finds what lasts now.
        switched_off: Whether a port is down because that was asked for.
    """

    def __init__(
        self,
        parser: NotificationParser,
        read_conditions: Callable[[], Awaitable[list[RawFault]]],
        is_disabled: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._parser, self._read_conditions, self._is_disabled = (
            parser,
            read_conditions,
            is_disabled,
        )
        self._active: dict[str, RawFault] = {}

    async def changes(
        self, notifications: "asyncio.Queue[Element | None]", poll_interval: float
    ) -> AsyncIterator[RawFault]:
        """Yield conditions as they come and go.

        Args:
            notifications: Notifications; None is their end.
            poll_interval: Pause between two looks, in seconds.

        Raises:
            Unreachable: The element is gone.
        """
        loop = asyncio.get_running_loop()
        while True:
            for one in await self._poll_changes():
                yield one
            end = loop.time() + poll_interval
            while (remaining := end - loop.time()) > 0:
                with suppress(TimeoutError):
                    report = await asyncio.wait_for(notifications.get(), remaining)
                    if (told := await self._notified_change(report)) is not None:
                        yield told

    async def _poll_changes(self) -> list[RawFault]:
        before, now = self._active, {one.port: one for one in await self._read_conditions()}
        self._active, seen = now, datetime.now(UTC)
        gone = [before[name] for name in before if name not in now]
        return [now[name] for name in now if name not in before] + [
            replace(one, active=False, seen_at=seen) for one in gone
        ]

    async def _notified_change(self, notification: Element | None) -> RawFault | None:
        if notification is None:
            raise Unreachable(self._parser.element, "it ended the session for notifications")
        fault = self._parser.fault(notification)
        if fault is None or fault.condition != mib.LINK_DOWN:
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
