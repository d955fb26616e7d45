"""Rules of capacity alarms: when they are raised, their severity, when they are cleared; no I/O.

Source: ITU-T X.733 (qualityOfServiceAlarm, thresholdCrossed).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tmf_apis.fault_management.rules import AlarmReport, Effect

#: An alarm is cleared when the utilisation is this far below the threshold, and exhaustion is
#: farther away than the notice period times this factor.
THRESHOLD_HYSTERESIS, NOTICE_HYSTERESIS = 0.05, 1.5
SPECIFIC_PROBLEM = "capacity"
#: Utilisation from which an alarm is major.
MAJOR_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class AlarmState:
    """The target state of the alarm of a capacity object.

    Attributes:
        is_raised: The alarm is raised.
        severity: Its ``perceivedSeverity``.
        text: Its reason, for people.
    """

    is_raised: bool
    severity: str = "cleared"
    text: str = ""


def alarm_state(record: Mapping[str, Any], notice_days: float, *, is_raised: bool) -> AlarmState:
    """Return the target state of the alarm of a capacity record.

    Args:
        record: The record.
        notice_days: Raise the alarm this number of days before exhaustion; 0: only at the
            threshold.
        is_raised: The alarm is raised already, so the hysteresis applies.
    """
    threshold, share = float(record["threshold"]), float(record["utilization"])
    if not threshold:
        return AlarmState(is_raised=False)
    days = record.get("daysToExhaustion")
    is_over_threshold = share >= threshold - (THRESHOLD_HYSTERESIS if is_raised else 0)
    notice = notice_days * (NOTICE_HYSTERESIS if is_raised else 1)
    is_near_exhaustion = days is not None and days <= notice
    if not (is_over_threshold or is_near_exhaustion):
        return AlarmState(is_raised=False)
    text = f"{record['name']}: {share:.0%} of {_capacity_text(record)} used or reserved"
    if share >= threshold:
        text += f", the threshold is {threshold:.0%}"
    if days is not None:
        text += f"; exhausted in {days:.0f} days at this rate"
    if share >= max(MAJOR_SHARE, threshold):
        severity = "major"
    else:
        severity = "minor" if is_over_threshold else "warning"
    return AlarmState(is_raised=True, severity=severity, text=text)


def alarm_report(record: Mapping[str, Any], target_state: AlarmState, now: datetime) -> AlarmReport:
    """Return the report for fault management; its key does not depend on the severity."""
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
    )


def _capacity_text(record: Mapping[str, Any]) -> str:
    return f"{record['capacity']:g} {record['unit']}"
