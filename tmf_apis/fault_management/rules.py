"""Mapping from the reports of elements to alarms, as a table of X.733; no I/O.

Source: ITU-T X.733; RFC 3877 (alarms over SNMP). The probable causes are those of
IANA-ITU-ALARM-TC-MIB. The severities are a choice of this program.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from adapters import condition_types
from adapters.observations import RawFault
from adapters.snmp import mib
from adapters.snmp.traps import Notification
from tmf_apis.fault_management.port_names import PortNames, VariableValue, first_value


class Effect(StrEnum):
    """The effect of a report on the alarm with its key."""

    RAISE = "raise"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """Mapping of one kind of report to an alarm.

    Attributes:
        specific_problem: ``specificProblem`` of the alarm. Together with element and port it is the
            key of the alarm, so the reports that raise and clear a problem have the same key.
        effect: Raises or clears the alarm.
        alarm_type: X.733 event type as spelled by TMF642, which splits the security type.
        probable_cause: X.733 probable cause.
        severity: X.733 perceived severity of a report that raises the alarm.
        has_port: The key includes the port, which the report must name.
        self_clearing: The alarm is cleared at once because no report announces its end.
        needs_resync: The conditions of the element must be read again after the report.
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
    condition_types.LINK_DOWN: AlarmRule(
        _LINK_DOWN_ALARM[0], Effect.RAISE, *_LINK_DOWN_ALARM[1:], has_port=True
    ),
    condition_types.LINK_UP: AlarmRule(
        _LINK_DOWN_ALARM[0], Effect.CLEAR, *_LINK_DOWN_ALARM[1:], has_port=True
    ),
    condition_types.COLD_START: AlarmRule(
        "coldStart", Effect.RAISE, *_RESTART_ALARM, self_clearing=True, needs_resync=True
    ),
    condition_types.WARM_START: AlarmRule(
        "warmStart", Effect.RAISE, *_RESTART_ALARM, self_clearing=True, needs_resync=True
    ),
    condition_types.AUTHENTICATION_FAILURE: AlarmRule(
        "authenticationFailure",
        Effect.RAISE,
        "securityService",
        "authenticationFailure",
        "warning",
        self_clearing=True,
    ),
}
#: The element does not answer this server.
UNREACHABLE_RULE = AlarmRule(
    "elementUnreachable", Effect.RAISE, "communicationsAlarm", "communicationsSubsystemFailure",
    "major",
)  # fmt: skip
#: Reports without a rule raise an alarm too: no report is dropped.
#: TMF642 has no alarm type for "other".
UNMAPPED_RULE = AlarmRule(
    "unmapped trap", Effect.RAISE, "equipmentAlarm", "indeterminate", "indeterminate"
)


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """A report in the terms of TMF642.

    Attributes:
        key: Key of the alarm: element, problem, and port or other instance.
        element: Name of the element.
        port: Natural key of the port; empty: the element itself.
        effect: Raises or clears the alarm with this key.
        alarm_type: TMF642 ``alarmType``.
        probable_cause: TMF642 ``probableCause``.
        severity: TMF642 ``perceivedSeverity``; "cleared" where it clears.
        specific_problem: TMF642 ``specificProblem``.
        text: TMF642 ``alarmDetails``.
        event_time: TMF642 ``alarmRaisedTime`` or ``alarmClearedTime``.
        uptime: Uptime of the element in seconds; None: unknown. It orders reports that arrive out
            of order: a clear that is older than its alarm must not clear it.
        boots: Number of starts of the element, which comes before ``uptime`` in that order; None:
            unknown.
        self_clearing: The alarm is cleared at once.
        needs_resync: The conditions of the element must be read again.
        administratively_down: The operator switched the port off, which is no fault.
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


def names_port(notification: Notification) -> bool:
    """Return whether a notification is about a port."""
    return RULES.get(notification.trap, UNMAPPED_RULE).has_port


def report_from_notification(
    notification: Notification,
    ports: Mapping[int, str],
    descriptions: Mapping[int, str] = MappingProxyType({}),
) -> AlarmReport:
    """Return the report of a notification.

    Args:
        notification: The notification.
        ports: Names of the element's ports by ifIndex; see ``PortNames``.
        descriptions: ifDescr of the ports by ifIndex.
    """
    rule = RULES.get(notification.trap, UNMAPPED_RULE)
    port_names = PortNames(ports, descriptions)
    instance = port_names.port_name(notification) if rule.has_port else ""
    switched_off = (
        notification.trap == condition_types.LINK_DOWN
        and first_value(notification, mib.IF_ADMIN_STATUS) == mib.DOWN
    )
    effect = Effect.CLEAR if switched_off else rule.effect
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
        administratively_down=switched_off,
    )


def report_from_condition(fault: RawFault) -> AlarmReport:
    """Return the report of a condition that polling has found."""
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
    )


def reachability_report(element: str, event_time: datetime, *, unreachable: bool) -> AlarmReport:
    """Return the report that an element does not answer, or that it answers again."""
    text = "does not answer; connections are suspended and retried at intervals"
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
    )


def _alarm_text(notification: Notification, problem: str, instance: str) -> str:
    location = f"{notification.element} {instance}".strip()
    variables = ", ".join(
        f"{oid}={_printable(value)}" for oid, value in notification.variables.items()
    )
    return f"{problem} on {location}, reported by {notification.source}" + (
        f": {variables}" if variables else ""
    )


def _printable(value: VariableValue) -> str:
    if not isinstance(value, bytes):
        return str(value)
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() else value.hex()
