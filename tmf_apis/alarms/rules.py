"""Lifecycles of alarms and of their tasks, and the alarm attributes that the server maintains.

Source: TMF642 v4.0.0 and v5.0.0, Alarm; ITU-T X.733; 3GPP TS 32.111-2 (acknowledgement, clearing).
"""

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.party_rules import Access, PartyRules, Setter
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

ALARM_LIFECYCLE = Lifecycle(
    attribute="state",
    transitions={
        "raised": frozenset({"updated", "cleared"}),
        "updated": frozenset({"raised", "cleared"}),
        "cleared": frozenset({"raised"}),
    },
    initial_states=("raised", "updated", "cleared"),
    source="TMF642 v5.0.0, Alarm.state (in v4 free text, of which only these states are accepted)",
)

TASK_LIFECYCLE = Lifecycle(
    attribute="state",
    transitions={
        "acknowledged": frozenset(),
        "inProgress": frozenset(),
        "done": frozenset(),
        "terminatedWithError": frozenset(),
        "cancel": frozenset(),
        "canceled": frozenset(),
    },
    initial_states=("acknowledged",),
    system_transitions={
        "acknowledged": frozenset({"inProgress", "done", "terminatedWithError", "cancel"}),
        "inProgress": frozenset({"done", "terminatedWithError", "cancel"}),
        "cancel": frozenset({"canceled"}),
    },
    source="TMF642 v5.0.0, AckAlarm.state",
    server_sets_initial=True,
)


#: A party acknowledges, comments and groups its alarms; only who raised one says what it is. The
#: object of an alarm may be in another system.
PARTY_RULES = PartyRules(
    references={
        "parentAlarm": Access.OWN,
        "correlatedAlarm": Access.OWN,
        "alarmedObject": Access.ANYWHERE,
    },
    setters=dict.fromkeys(
        (
            *("state", "perceivedSeverity", "alarmType", "probableCause", "specificProblem"),
            *("alarmRaisedTime", "alarmClearedTime", "alarmReportingTime", "alarmDetails"),
            *("alarmedObject", "alarmedObjectType", "affectedService", "serviceAffecting"),
            *("sourceSystemId", "reportingSystemId", "externalAlarmId", "isRootCause"),
            *("crossedThresholdInformation", "plannedOutageIndicator", "alarmEscalation"),
            *("proposedRepairedActions", "place", "clearSystemId", "clearUserId"),
        ),
        Setter.CREATOR,
    ),
    deleted_by=Setter.CREATOR,
)
#: A task finds its alarms by patterns, with the rights of the client.
TASK_PARTY_RULES = PartyRules(
    references=dict.fromkeys(
        (
            *("alarmPattern", "*.alarmPattern.parentAlarm", "*.alarmPattern.correlatedAlarm"),
            *("*.alarmPattern.affectedService", "parentAlarm", "*.parentAlarm.correlatedAlarm"),
            *("*.parentAlarm.affectedService", "correlatedAlarm"),
            *("*.correlatedAlarm.parentAlarm", "*.correlatedAlarm.affectedService"),
        ),
        Access.TASK,
    )
)

#: Severity of an alarm that is raised without one. Source: ITU-T X.733 clause 8.1.2.3.
DEFAULT_SEVERITY = "indeterminate"
_CLEAR_ATTRIBUTES = ("alarmClearedTime", "clearUserId", "clearSystemId")


def on_create(alarm: Resource, context: RequestContext) -> Resource:
    """Return a new alarm with its times, acknowledgement and comments complete.

    Raises:
        InvalidBody: The alarm is cleared before it is raised (HTTP 400).
    """
    new = {
        "alarmRaisedTime": context.timestamp,
        "alarmReportingTime": context.timestamp,
        "ackState": "unacknowledged",
        **alarm,
    }
    if is_cleared(new) or _is_cleared_text(new.get("perceivedSeverity")):
        new = _cleared_alarm(new, context)
    else:
        new = _without(new, _CLEAR_ATTRIBUTES)
    if new["ackState"] == "acknowledged":
        new.setdefault("ackUserId", context.subject)
    return _with_comments({}, new, context)


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the changed alarm, with consistent state and severity, acknowledger and comments.

    Raises:
        InvalidBody: The alarm is cleared before it is raised (HTTP 400).
    """
    new = _with_consistent_severity(old, new, context)
    if new.get("ackState") != old.get("ackState"):
        new = _with_acknowledger(old, new, context)
    new = _with_comments(old, new, context)
    if new != old and new.get("alarmChangedTime") == old.get("alarmChangedTime"):
        return {**new, "alarmChangedTime": context.timestamp}
    return new


def on_create_task(task: Resource, context: RequestContext) -> Resource:
    """Return a new task; a comment in it gets its author and time."""
    if isinstance(comment := task.get("comment"), dict):
        return {**task, "comment": _comment(comment, context)}
    return task


def is_cleared(alarm: Resource) -> bool:
    """Return whether an alarm is cleared."""
    return _is_cleared_text(alarm.get("state"))


def _is_cleared_text(text: object) -> bool:
    """Return whether a state or severity means cleared, in the spelling of any release."""
    return isinstance(text, str) and text.lower() == "cleared"


def _with_consistent_severity(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the alarm with state and severity in agreement; the one that changed decides."""
    severity = new.get("perceivedSeverity")
    state_changed = new.get("state") != old.get("state")
    severity_changed = severity != old.get("perceivedSeverity")
    if not is_cleared(old):
        if is_cleared(new) or _is_cleared_text(severity):
            return _cleared_alarm(new, context, old)
        return _without(new, ("alarmClearedTime",)) if "alarmClearedTime" in new else new
    if state_changed and not is_cleared(new):
        return _raised_alarm(old, new, context)
    if severity_changed and not state_changed and not _is_cleared_text(severity):
        return _raised_alarm(old, {**new, "state": "raised"}, context)
    time = new.get("alarmClearedTime") or old.get("alarmClearedTime") or context.timestamp
    new = {**new, "perceivedSeverity": "cleared", "alarmClearedTime": time}
    _check_time_order(new)
    return new


def _cleared_alarm(
    alarm: Resource, context: RequestContext, old: Resource | None = None
) -> Resource:
    time = alarm.get("alarmClearedTime")
    if not time or time == (old or {}).get("alarmClearedTime"):
        # The raised time is in the future if the clock of the element is ahead; an alarm is never
        # cleared before it is raised.
        time = max(context.timestamp, canonical_timestamp(alarm.get("alarmRaisedTime")) or "")
    cleared = {
        **alarm,
        "state": "cleared",
        "perceivedSeverity": "cleared",
        "alarmClearedTime": time,
    }
    _check_time_order(cleared)
    return cleared


def _raised_alarm(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return a cleared alarm as raised again: with a new time, and not acknowledged."""
    raised = _without(new, _CLEAR_ATTRIBUTES)
    if raised.get("alarmRaisedTime") == old.get("alarmRaisedTime"):
        raised["alarmRaisedTime"] = context.timestamp
    if _is_cleared_text(raised.get("perceivedSeverity")):
        raised["perceivedSeverity"] = DEFAULT_SEVERITY
    if raised.get("ackState") == old.get("ackState"):
        raised["ackState"] = "unacknowledged"
    return raised


def _with_acknowledger(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the alarm with the user that changed the acknowledgement; by default, the client."""
    if new.get("ackUserId") == old.get("ackUserId"):
        new = {**new, "ackUserId": context.subject}
    if new.get("ackSystemId") == old.get("ackSystemId"):
        new = _without(new, ("ackSystemId",))
    return new


def _check_time_order(alarm: Resource) -> None:
    raised = canonical_timestamp(alarm.get("alarmRaisedTime"))
    cleared = canonical_timestamp(alarm.get("alarmClearedTime"))
    if raised and cleared and cleared < raised:
        raise InvalidBody(f"/alarmClearedTime: {cleared} is before alarmRaisedTime {raised}")


def _with_comments(old: Resource, new: Resource, context: RequestContext) -> Resource:
    """Return the alarm with all old comments, and with author and time for each new one."""
    before, after = json_objects(old.get("comment")), json_objects(new.get("comment"))
    if before == after:
        return new
    added = [_comment(comment, context) for comment in after if comment not in before]
    return {**new, "comment": [*before, *added]}


def _comment(comment: Resource, context: RequestContext) -> Resource:
    return {
        "@type": "Comment",
        "time": context.timestamp,
        "userId": context.subject,
        **comment,
    }


def _without(resource: Resource, names: tuple[str, ...]) -> Resource:
    return {key: value for key, value in resource.items() if key not in names}
