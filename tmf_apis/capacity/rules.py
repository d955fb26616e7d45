"""When the alarm of a capacity is raised, how severe it is, and when it is over: pure, no I/O.

Source: ITU-T X.733 (qualityOfServiceAlarm, thresholdCrossed).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tmf_apis.fault_management.rules import AlarmReport, Effect

#: How far below the threshold use must fall, and how much farther than the notice exhaustion must
#: be, before an alarm is over.
THRESHOLD_HYSTERESIS, NOTICE_HYSTERESIS = 0.05, 1.5
SPECIFIC_PROBLEM = "capacity"
#: Share from which an alarm is major: hardly anything is left.
MAJOR_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class AlarmState:
    """What the alarm of a capacity shall be.

    Attributes:
        is_raised: There shall be one.
        severity: Its ``perceivedSeverity``.
        text: Why, for people.
    """

    is_raised: bool
    severity: str = "cleared"
    text: str = ""


def alarm_state(record: Mapping[str, Any], notice_days: float, *, is_raised: bool) -> AlarmState:
    """Return what the alarm of a capacity shall be.

    Args:
        record: The capacity.
        notice_days: How many days before exhaustion it shall be known; 0: only by the threshold.
        is_raised: There is an alarm already: it is over only when things are clearly better.
    """
    threshold, share = float(record["threshold"]), float(record["utilization"])
    if not threshold:
        return AlarmState(is_raised=False)
    days = record.get("daysToExhaustion")
    over = share >= threshold - (THRESHOLD_HYSTERESIS if is_raised else 0)
    near = days is not None and days <= notice_days * (NOTICE_HYSTERESIS if is_raised else 1)
    if not (over or near):
        return AlarmState(is_raised=False)
    text = f"{record['name']}: {share:.0%} of {_capacity_text(record)} used or reserved"
    if share >= threshold:
        text += f", the threshold is {threshold:.0%}"
    if days is not None:
        text += f"; exhausted in {days:.0f} days if it goes on like this"
    severity = "major" if share >= max(MAJOR_SHARE, threshold) else "minor" if over else "warning"
    return AlarmState(is_raised=True, severity=severity, text=text)


def alarm_report(record: Mapping[str, Any], target_state: AlarmState, now: datetime) -> AlarmReport:
    """Return what assurance is told: one problem a thing, whatever its severity."""
    return AlarmReport(
        key=f"{record['element']}/{SPECIFIC_PROBLEM}/{record['series']}",
        element=str(record["element"]),
        port="",
        effect=Effect.RAISE if target_state.is_raised else Effect.CLEAR,
        alarm_type="qualityOfServiceAlarm",
        probable_cause="thresholdCrossed",
        severity=target_state.severity,
        specific_problem=SPECIFIC_PROBLEM,
        text=target_state.text,
        event_time=now,
        uptime=None,
        boots=None,
        self_clearing=False,
        needs_resync=False,
        administratively_down=False,
        event_id="",
    )


def _capacity_text(record: Mapping[str, Any]) -> str:
    return f"{record['capacity']:g} {record['unit']}"
