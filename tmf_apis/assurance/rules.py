"""From what an element reports to what an alarm says: X.733 as a table, pure, no I/O.

Source: ITU-T X.733; RFC 3877 (alarms over SNMP); the probable causes are those of
IANA-ITU-ALARM-TC-MIB. Severities are this operator's choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from adapters import mib
from adapters.observations import RawFault
from adapters.traps import Notification

Value = int | bytes | str | None


class Effect(StrEnum):
    """What a report does to the alarm with its key."""

    RAISE = "raise"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of report is read.

    Attributes:
        problem: The alarm's ``specificProblem``; with element and port it is the alarm's key, so
            that the report of a problem and of its end share one.
        effect: Whether it raises or clears.
        alarm_type: X.733 event type, as TMF642 spells it (and splits its security type).
        cause: X.733 probable cause.
        severity: X.733 perceived severity when it raises.
        ported: The key has the port, which the report must name.
        passing: Clears by itself: nothing will report its end.
        resync: After it the element's conditions must be read anew.
    """

    problem: str
    effect: Effect
    alarm_type: str
    cause: str
    severity: str
    ported: bool = False
    passing: bool = False
    resync: bool = False


_LINK = ("linkDown", "communicationsAlarm", "lossOfSignal", "major")
_START = ("processingErrorAlarm", "softwareProgramAbnormallyTerminated", "warning")

RULES: Mapping[str, Rule] = {
    mib.LINK_DOWN: Rule(_LINK[0], Effect.RAISE, *_LINK[1:], ported=True),
    mib.LINK_UP: Rule(_LINK[0], Effect.CLEAR, *_LINK[1:], ported=True),
    mib.COLD_START: Rule("coldStart", Effect.RAISE, *_START, passing=True, resync=True),
    mib.WARM_START: Rule("warmStart", Effect.RAISE, *_START, passing=True, resync=True),
    mib.AUTHENTICATION_FAILURE: Rule(
        "authenticationFailure",
        Effect.RAISE,
        "securityService",
        "authenticationFailure",
        "warning",
        passing=True,
    ),
}
#: The element does not answer the server itself.
SILENCE = Rule(
    "elementUnreachable", Effect.RAISE, "communicationsAlarm", "communicationsSubsystemFailure",
    "major",
)  # fmt: skip
#: What no rule knows is an alarm all the same: a report is never dropped.
#: TMF642 has no alarm type for "other".
UNMAPPED = Rule("unmapped trap", Effect.RAISE, "equipmentAlarm", "indeterminate", "indeterminate")


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """What an alarm says, and which alarm it is.

    Attributes:
        key: One alarm a key: element, problem, and port or other instance.
        element: Name of the element.
        port: Natural key of the port; empty: the element itself.
        effect: Raises or clears the alarm with this key.
        alarm_type: TMF642 ``alarmType``.
        cause: TMF642 ``probableCause``.
        severity: TMF642 ``perceivedSeverity``; "cleared" where it clears.
        problem: TMF642 ``specificProblem``.
        text: TMF642 ``alarmDetails``.
        at: TMF642 ``alarmRaisedTime`` or ``alarmClearedTime``.
        uptime: Of the element, in seconds: orders reports that overtook each other; None where
            it is not known. A clear that is older than its alarm must not clear it.
        boots: Starts of the element, the higher part of that order; None where not known.
        passing: Clears by itself.
        resync: Conditions must be read anew.
        deliberate: The operator switched the port off: a change of state and no fault.
        repeat: Reports with the same value are one and the same event, sent more than once.
    """

    key: str
    element: str
    port: str
    effect: Effect
    alarm_type: str
    cause: str
    severity: str
    problem: str
    text: str
    at: datetime
    uptime: float | None
    boots: int | None
    passing: bool
    resync: bool
    deliberate: bool
    repeat: str


def of_notification(one: Notification, ports: Mapping[int, str]) -> AlarmFacts:
    """Return what a notification says.

    Args:
        one: The notification.
        ports: ifIndex -> name of the element's ports now; where it lacks one, the name in the
            notification counts, and at last the index itself.
    """
    rule = RULES.get(one.trap, UNMAPPED)
    instance = _port(one, ports) if rule.ported else ""
    deliberate = one.trap == mib.LINK_DOWN and _column(one, mib.IF_ADMIN_STATUS) == mib.DOWN
    effect = Effect.CLEAR if deliberate else rule.effect
    problem = f"{rule.problem} {one.trap}" if rule is UNMAPPED else rule.problem
    return AlarmFacts(
        key=f"{one.element}/{problem}/{instance}",
        element=one.element,
        port=instance,
        effect=effect,
        alarm_type=rule.alarm_type,
        cause=rule.cause,
        severity=rule.severity if effect is Effect.RAISE else "cleared",
        problem=problem,
        text=_text(one, problem, instance),
        at=one.received_at,
        uptime=one.uptime,
        boots=one.boots,
        passing=rule.passing,
        resync=rule.resync,
        deliberate=deliberate,
        repeat=f"{one.element}/{one.trap}/{instance}/{one.boots}/{one.uptime:.2f}",
    )


def of_condition(one: RawFault) -> AlarmFacts:
    """Return what a condition says that was found by looking at the element."""
    rule = RULES.get(one.condition, UNMAPPED)
    problem = f"{rule.problem} {one.condition}" if rule is UNMAPPED else rule.problem
    effect = Effect.RAISE if one.active else Effect.CLEAR
    return AlarmFacts(
        key=f"{one.element}/{problem}/{one.port}",
        element=one.element,
        port=one.port,
        effect=effect,
        alarm_type=rule.alarm_type,
        cause=rule.cause,
        severity=rule.severity if one.active else "cleared",
        problem=problem,
        text=f"{problem} on {f'{one.element} {one.port}'.strip()}, found by polling",
        at=one.seen_at,
        uptime=None,
        boots=None,
        passing=False,
        resync=False,
        deliberate=False,
        repeat=f"{one.element}/{one.condition}/{one.port}/{one.seen_at.isoformat()}",
    )


def of_silence(element: str, at: datetime, *, silent: bool) -> AlarmFacts:
    """Return what it means that an element is left alone, or answers again."""
    text = "does not answer and is left alone; it is tried again and again"
    return AlarmFacts(
        key=f"{element}/{SILENCE.problem}/",
        element=element,
        port="",
        effect=Effect.RAISE if silent else Effect.CLEAR,
        alarm_type=SILENCE.alarm_type,
        cause=SILENCE.cause,
        severity=SILENCE.severity if silent else "cleared",
        problem=SILENCE.problem,
        text=f"{element} {text}",
        at=at,
        uptime=None,
        boots=None,
        passing=False,
        resync=False,
        deliberate=False,
        repeat=f"{element}/{SILENCE.problem}/{at.isoformat()}",
    )


def _column(one: Notification, column: str) -> Value:
    """Return the value of the first variable of a column, whatever its instance."""
    for oid, value in one.variables.items():
        if oid.startswith(f"{column}."):
            return value
    return None


def _index(one: Notification) -> int | None:
    """Return the ifIndex: from an instance, which cannot lie, or else from the value."""
    for column in (mib.IF_INDEX, mib.IF_ADMIN_STATUS, mib.IF_OPER_STATUS, mib.IF_DESCR):
        for oid in one.variables:
            if oid.startswith(f"{column}.") and (arc := oid.rpartition(".")[2]) != "0":
                return int(arc)
    value = _column(one, mib.IF_INDEX)
    return value if isinstance(value, int) else None


def _port(one: Notification, ports: Mapping[int, str]) -> str:
    index = _index(one)
    if index is not None and index in ports:
        return ports[index]
    for column in (mib.IF_NAME, mib.IF_DESCR):
        if isinstance(name := _column(one, column), bytes) and name:
            return name.decode("utf-8", "replace")
    return "unknown port" if index is None else f"ifIndex {index}"


def _text(one: Notification, problem: str, instance: str) -> str:
    place = f"{one.element} {instance}".strip()
    said = ", ".join(f"{oid}={_shown(value)}" for oid, value in one.variables.items())
    return f"{problem} on {place}, reported by {one.source}" + (f": {said}" if said else "")


def _shown(value: Value) -> str:
    if not isinstance(value, bytes):
        return str(value)
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() else value.hex()
