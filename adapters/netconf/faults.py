"""What an element reports by itself, as it happens."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from lxml.etree import _Element as Element

from adapters import mib
from adapters.errors import Unreachable
from adapters.netconf.profile import Profile
from adapters.netconf.services import text
from adapters.observations import RawFault

#: RFC 6470.
NOTIFICATIONS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
CONFIG_CHANGE = f"{NOTIFICATIONS}:netconf-config-change"
MOST = 20


class Reporter:
    """Makes faults of notifications.

    Args:
        element: Name of the element.
        profile: What it is.
        user: Our own name there: what we change is no news.
    """

    def __init__(self, element: str, profile: Profile, user: str) -> None:
        self.element, self._profile, self._user = element, profile, user
        self._reports = {
            profile.steps(one.name)[-1]: (profile.steps(one.port), one.active)
            for one in profile.notifications
        }

    def fault(self, notification: Element) -> RawFault | None:
        """Return what a notification says; None where it is no news."""
        now = datetime.now(UTC)
        for event in notification:
            if not isinstance(event.tag, str):
                continue
            if event.tag == f"{{{NOTIFICATIONS}}}netconf-config-change":
                return self._change(event, now)
            if event.tag in self._reports:
                path, active = self._reports[event.tag]
                name = text(event, path) or ""
                if re.fullmatch(self._profile.ports, name):
                    return RawFault(self.element, mib.LINK_DOWN, name, active, now)
        return None

    def _change(self, event: Element, now: datetime) -> RawFault | None:
        space = f"{{{NOTIFICATIONS}}}"
        user = event.findtext(f"{space}changed-by/{space}username") or ""
        if user in {"", self._user}:
            return None  # the server itself (a commit taken back), or we
        targets = [one.strip() for one in (e.text or "" for e in event.iter(f"{space}target"))]
        attributes: Mapping[str, str] = {
            "user": user,
            "session": event.findtext(f"{space}changed-by/{space}session-id") or "",
            "host": event.findtext(f"{space}changed-by/{space}source-host") or "",
            "changed": " ".join(targets[:MOST]),
        }
        return RawFault(
            self.element, CONFIG_CHANGE, "", active=True, seen_at=now, attributes=attributes
        )


class Watch:
    """What lasts at an element, kept by its reports and by looking.

    Args:
        reporter: Understands reports.
        look: Finds what lasts now.
        switched_off: Whether a port is down because that was asked for.
    """

    def __init__(
        self,
        reporter: Reporter,
        look: Callable[[], Awaitable[list[RawFault]]],
        switched_off: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._reporter, self._look, self._switched_off = reporter, look, switched_off
        self._lasting: dict[str, RawFault] = {}

    async def changes(
        self, reports: "asyncio.Queue[Element | None]", poll: float
    ) -> AsyncIterator[RawFault]:
        """Yield conditions as they come and go.

        Args:
            reports: Notifications; None is their end.
            poll: Pause between two looks, in seconds.

        Raises:
            Unreachable: The element is gone.
        """
        loop = asyncio.get_running_loop()
        while True:
            for one in await self._found():
                yield one
            end = loop.time() + poll
            while (remaining := end - loop.time()) > 0:
                with suppress(TimeoutError):
                    report = await asyncio.wait_for(reports.get(), remaining)
                    if (told := await self._told(report)) is not None:
                        yield told

    async def _found(self) -> list[RawFault]:
        before, now = self._lasting, {one.port: one for one in await self._look()}
        self._lasting, seen = now, datetime.now(UTC)
        gone = [before[name] for name in before if name not in now]
        return [now[name] for name in now if name not in before] + [
            replace(one, active=False, seen_at=seen) for one in gone
        ]

    async def _told(self, report: Element | None) -> RawFault | None:
        if report is None:
            raise Unreachable(self._reporter.element, "it ended the session for notifications")
        fault = self._reporter.fault(report)
        if fault is None or fault.condition != mib.LINK_DOWN:
            return fault
        if fault.active == (fault.port in self._lasting):
            return None
        if not fault.active:
            del self._lasting[fault.port]
        elif await self._switched_off(fault.port):
            return None
        else:
            self._lasting[fault.port] = fault
        return fault
