"""When the alarm of a capacity is raised, how severe it is, and when it is over: pure, no I/O.

Source: ITU-T X.733 (qualityOfServiceAlarm, thresholdCrossed).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tmf_apis.assurance.rules import AlarmFacts, Effect

#: How far below the threshold use must fall, and how much farther than the notice exhaustion must
#: be, before an alarm is over.
BELOW, FARTHER = 0.05, 1.5
PROBLEM = "capacity"
#: Share from which an alarm is major: hardly anything is left.
FULL = 0.95


@dataclass(frozen=True, slots=True)
class State:
    """What the alarm of a capacity shall be.

    Attributes:
        raised: There shall be one.
        severity: Its ``perceivedSeverity``.
        text: Why, for people.
    """

    raised: bool
    severity: str = "cleared"
    text: str = ""


def state(figure: Mapping[str, Any], notice: float, *, raised: bool) -> State:
    """Return what the alarm of a capacity shall be.

    Args:
        figure: The capacity.
        notice: How many days before exhaustion it shall be known; 0: only by the threshold.
        raised: There is an alarm already: it is over only when things are clearly better.
    """
    threshold, share = float(figure["threshold"]), float(figure["utilization"])
    if not threshold:
        return State(raised=False)
    days = figure.get("daysToExhaustion")
    over = share >= threshold - (BELOW if raised else 0)
    near = days is not None and days <= notice * (FARTHER if raised else 1)
    if not (over or near):
        return State(raised=False)
    text = f"{figure['name']}: {share:.0%} of {_amount(figure)} used or reserved"
    if share >= threshold:
        text += f", the threshold is {threshold:.0%}"
    if days is not None:
        text += f"; exhausted in {days:.0f} days if it goes on like this"
    severity = "major" if share >= max(FULL, threshold) else "minor" if over else "warning"
    return State(raised=True, severity=severity, text=text)


def facts(figure: Mapping[str, Any], wanted: State, now: datetime) -> AlarmFacts:
    """Return what assurance is told: one problem a thing, whatever its severity."""
    return AlarmFacts(
        key=f"{figure['element']}/{PROBLEM}/{figure['series']}",
        element=str(figure["element"]),
        port="",
        effect=Effect.RAISE if wanted.raised else Effect.CLEAR,
        alarm_type="qualityOfServiceAlarm",
        cause="thresholdCrossed",
        severity=wanted.severity,
        problem=PROBLEM,
        text=wanted.text,
        at=now,
        uptime=None,
        boots=None,
        passing=False,
        resync=False,
        deliberate=False,
        repeat="",
    )


def _amount(figure: Mapping[str, Any]) -> str:
    return f"{figure['capacity']:g} {figure['unit']}"
