"""From what an element reports to what an alarm says: X.733 as a table, pure, no I/O.

Source: ITU-T X.733; RFC 3877 (alarms over SNMP); the probable causes are those of
IANA-ITU-ALARM-TC-MIB. Severities are this operator's choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from adapters.observations import RawFault
from adapters.snmp import mib
from adapters.snmp.traps import Notification

VariableValue = int | bytes | str | None


class Effect(StrEnum):
    """What a report does to the alarm with its key."""

    RAISE = "raise"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """How one kind of report is read.

    Attributes:
        specific_problem: The alarm's ``specificProblem``; with element and port it is the alarm's key, so
            that the report of a problem and of its end share one.
        effect: Whether it raises or clears.
        alarm_type: X.733 event type, as TMF642 spells it (and splits its security type).
        probable_cause: X.733 probable cause.
        severity: X.733 perceived severity when it raises.
        has_port: The key has the port, which the report must name.
        self_clearing: Clears by itself: nothing will report its end.
        needs_resync: After it the element's conditions must be read anew.
    """

    specific_problem: str
    effect: Effect
    alarm_type: str
    probable_cause: str
    severity: str
    has_port: bool = False
    self_clearing: bool = False
    needs_resync: bool = False


_LINK_DOWN_ALARM = ("linkDown", "communicationsAlarm", "lossOfSignal", "major")
_RESTART_ALARM = ("processingErrorAlarm", "softwareProgramAbnormallyTerminated", "warning")

RULES: Mapping[str, AlarmRule] = {
    mib.LINK_DOWN: AlarmRule(
        _LINK_DOWN_ALARM[0], Effect.RAISE, *_LINK_DOWN_ALARM[1:], has_port=True
    ),
    mib.LINK_UP: AlarmRule(_LINK_DOWN_ALARM[0], Effect.CLEAR, *_LINK_DOWN_ALARM[1:], has_port=True),
    mib.COLD_START: AlarmRule(
        "coldStart", Effect.RAISE, *_RESTART_ALARM, self_clearing=True, needs_resync=True
    ),
    mib.WARM_START: AlarmRule(
        "warmStart", Effect.RAISE, *_RESTART_ALARM, self_clearing=True, needs_resync=True
    ),
    mib.AUTHENTICATION_FAILURE: AlarmRule(
        "authenticationFailure",
        Effect.RAISE,
        "securityService",
        "authenticationFailure",
        "warning",
        self_clearing=True,
    ),
}
#: The element does not answer the server itself.
UNREACHABLE_RULE = AlarmRule(
    "elementUnreachable", Effect.RAISE, "communicationsAlarm", "communicationsSubsystemFailure",
    "major",
)  # fmt: skip
#: What no rule knows is an alarm all the same: a report is never dropped.
#: TMF642 has no alarm type for "other".
UNMAPPED_RULE = AlarmRule(
    "unmapped trap", Effect.RAISE, "equipmentAlarm", "indeterminate", "indeterminate"
)


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """What an alarm says, and which alarm it is.

    Attributes:
        key: One alarm a key: element, problem, and port or other instance.
        element: Name of the element.
        port: Natural key of the port; empty: the element itself.
        effect: Raises or clears the alarm with this key.
        alarm_type: TMF642 ``alarmType``.
        probable_cause: TMF642 ``probableCause``.
        severity: TMF642 ``perceivedSeverity``; "cleared" where it clears.
        specific_problem: TMF642 ``specificProblem``.
        text: TMF642 ``alarmDetails``.
        event_time: TMF642 ``alarmRaisedTime`` or ``alarmClearedTime``.
        uptime: Of the element, in seconds: orders reports that overtook each other; None where
            it is not known. A clear that is older than its alarm must not clear it.
        boots: Starts of the element, the higher part of that order; None where not known.
        self_clearing: Clears by itself.
        needs_resync: Conditions must be read anew.
        administratively_down: The operator switched the port off: a change of state and no fault.
        event_id: Reports with the same value are one and the same event, sent more than once.
    """

    key: str
    element: str
    port: str
    effect: Effect
    alarm_type: str
    probable_cause: str
    severity: str
    specific_problem: str
    text: str
    event_time: datetime
    uptime: float | None
    boots: int | None
    self_clearing: bool
    needs_resync: bool
    administratively_down: bool
    event_id: str


def report_from_notification(notification: Notification, ports: Mapping[int, str]) -> AlarmReport:
    """Return what a notification says.

    Args:
        notification: The notification.
        ports: ifIndex -> name of the element's ports now; where it lacks one, the name in the
            notification counts, and at last the index itself.
    """
    rule = RULES.get(notification.trap, UNMAPPED_RULE)
    instance = _port_name(notification, ports) if rule.has_port else ""
    deliberate = (
        notification.trap == mib.LINK_DOWN
        and _first_value(notification, mib.IF_ADMIN_STATUS) == mib.DOWN
    )
    effect = Effect.CLEAR if deliberate else rule.effect
    problem = (
        f"{rule.specific_problem} {notification.trap}"
        if rule is UNMAPPED_RULE
        else rule.specific_problem
    )
    return AlarmReport(
        key=f"{notification.element}/{problem}/{instance}",
        element=notification.element,
        port=instance,
        effect=effect,
        alarm_type=rule.alarm_type,
        probable_cause=rule.probable_cause,
        severity=rule.severity if effect is Effect.RAISE else "cleared",
        specific_problem=problem,
        text=_alarm_text(notification, problem, instance),
        event_time=notification.received_at,
        uptime=notification.uptime,
        boots=notification.boots,
        self_clearing=rule.self_clearing,
        needs_resync=rule.needs_resync,
        administratively_down=deliberate,
        event_id=f"{notification.element}/{notification.trap}/{instance}/{notification.boots}/{notification.uptime:.2f}",
    )


def report_from_condition(fault: RawFault) -> AlarmReport:
    """Return what a condition says that was found by looking at the element."""
    rule = RULES.get(fault.condition, UNMAPPED_RULE)
    problem = (
        f"{rule.specific_problem} {fault.condition}"
        if rule is UNMAPPED_RULE
        else rule.specific_problem
    )
    effect = Effect.RAISE if fault.active else Effect.CLEAR
    return AlarmReport(
        key=f"{fault.element}/{problem}/{fault.port}",
        element=fault.element,
        port=fault.port,
        effect=effect,
        alarm_type=rule.alarm_type,
        probable_cause=rule.probable_cause,
        severity=rule.severity if fault.active else "cleared",
        specific_problem=problem,
        text=f"{problem} on {f'{fault.element} {fault.port}'.strip()}, found by polling",
        event_time=fault.seen_at,
        uptime=None,
        boots=None,
        self_clearing=False,
        needs_resync=False,
        administratively_down=False,
        event_id=f"{fault.element}/{fault.condition}/{fault.port}/{fault.seen_at.isoformat()}",
    )


def reachability_report(element: str, event_time: datetime, *, unreachable: bool) -> AlarmReport:
    """Return what it means that an element is left alone, or answers again."""
    text = "does not answer and is left alone; it is tried again and again"
    return AlarmReport(
        key=f"{element}/{UNREACHABLE_RULE.specific_problem}/",
        element=element,
        port="",
        effect=Effect.RAISE if unreachable else Effect.CLEAR,
        alarm_type=UNREACHABLE_RULE.alarm_type,
        probable_cause=UNREACHABLE_RULE.probable_cause,
        severity=UNREACHABLE_RULE.severity if unreachable else "cleared",
        specific_problem=UNREACHABLE_RULE.specific_problem,
        text=f"{element} {text}",
        event_time=event_time,
        uptime=None,
        boots=None,
        self_clearing=False,
        needs_resync=False,
        administratively_down=False,
        event_id=f"{element}/{UNREACHABLE_RULE.specific_problem}/{event_time.isoformat()}",
    )


def _first_value(notification: Notification, column: str) -> VariableValue:
    """Return the value of the first variable of a column, whatever its instance."""
    for oid, value in notification.variables.items():
        if oid.startswith(f"{column}."):
            return value
    return None


def _if_index(notification: Notification) -> int | None:
    """Return the ifIndex: from an instance, which cannot lie, or else from the value."""
    for column in (mib.IF_INDEX, mib.IF_ADMIN_STATUS, mib.IF_OPER_STATUS, mib.IF_DESCR):
        for oid in notification.variables:
            if oid.startswith(f"{column}.") and (arc := oid.rpartition(".")[2]) != "0":
                return int(arc)
    value = _first_value(notification, mib.IF_INDEX)
    return value if isinstance(value, int) else None


def _port_name(notification: Notification, ports: Mapping[int, str]) -> str:
    index = _if_index(notification)
    if index is not None and index in ports:
        return ports[index]
    for column in (mib.IF_NAME, mib.IF_DESCR):
        if isinstance(name := _first_value(notification, column), bytes) and name:
            return name.decode("utf-8", "replace")
    return "unknown port" if index is None else f"ifIndex {index}"


def _alarm_text(notification: Notification, problem: str, instance: str) -> str:
    place = f"{notification.element} {instance}".strip()
    said = ", ".join(f"{oid}={_printable(value)}" for oid, value in notification.variables.items())
    return f"{problem} on {place}, reported by {notification.source}" + (
        f": {said}" if said else ""
    )


def _printable(value: VariableValue) -> str:
    if not isinstance(value, bytes):
        return str(value)
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() else value.hex()
