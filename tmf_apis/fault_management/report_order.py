"""The order of an element's reports: late ones, and those that a restart has preceded; no I/O.

UDP delivers out of order, and an inform is repeated until it is acknowledged. sysUpTime tells which
of two reports is older, until a restart sets it to zero.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from tmf_apis.fault_management.rules import AlarmReport

#: If the uptime of a report is lower than that of the latest report, by less than this, in seconds,
#: the report may be late. If it is lower by more, the element has restarted.
REORDERING_WINDOW = 30.0
log = logging.getLogger(__name__)


class _Uptime(NamedTuple):
    boots: int | None
    seconds: float


@dataclass(slots=True)
class _ElementOrder:
    """The latest uptimes of an element: in any report, and by the key of the alarm."""

    latest: _Uptime | None = None
    by_problem: dict[str, _Uptime] = field(default_factory=dict)


@dataclass(slots=True)
class ReportOrder:
    """The latest uptimes in the reports of all elements."""

    _elements: defaultdict[str, _ElementOrder] = field(
        default_factory=lambda: defaultdict(_ElementOrder)
    )

    def may_have_restarted(self, element: str, boots: int | None, uptime: float) -> bool:
        """Return whether an element may have restarted since its latest report.

        Args:
            element: Key of the element.
            boots: Number of its starts in the new report; None: unknown.
            uptime: Its uptime in the new report, in seconds.
        """
        latest = self._elements[element].latest
        return latest is not None and (latest.boots != boots or uptime < latest.seconds)

    def is_late(self, element: str, report: AlarmReport) -> bool:
        """Return whether a later report of the same port has arrived already.

        Only the reports of a port raise and clear the same alarm, so that their order matters.
        """
        latest = self._elements[element].by_problem.get(report.key)
        if latest is None or report.uptime is None or not report.port:
            return False
        is_late = (
            latest.boots == report.boots and 0 < latest.seconds - report.uptime < REORDERING_WINDOW
        )
        if is_late:
            log.info("late report dropped", extra={"problem": report.key})
        return is_late

    def add(self, element: str, report: AlarmReport) -> None:
        """Remember the uptime of a report."""
        if report.uptime is None:
            return
        order, uptime = self._elements[element], _Uptime(report.boots, report.uptime)
        if report.needs_resync or _has_restarted(order.latest, uptime):
            order.by_problem.clear()  # the uptime of the element starts from zero
        order.latest = uptime
        order.by_problem[report.key] = uptime


def _has_restarted(before: _Uptime | None, now: _Uptime) -> bool:
    if before is None:
        return False
    return before.boots != now.boots or before.seconds - now.seconds >= REORDERING_WINDOW
