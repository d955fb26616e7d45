"""What an alarm may be, and which of its attributes the server keeps true.

Source: TMF642 v4.0.0 and v5.0.0, Alarm; ITU-T X.733; 3GPP TS 32.111-2 (acknowledgement, clearing).
"""

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.law import Circumstances, Lifecycle, Resource
from tmf_apis.rest.periods import moment

ALARM = Lifecycle(
    attribute="state",
    steps={
        "raised": frozenset({"updated", "cleared"}),
        "updated": frozenset({"raised", "cleared"}),
        "cleared": frozenset({"raised"}),
    },
    initial=("raised", "updated", "cleared"),
    source="TMF642 v5.0.0, Alarm.state (free text in v4)",
    open=True,
)

TASK = Lifecycle(
    attribute="state",
    steps={
        "acknowledged": frozenset(),
        "inProgress": frozenset(),
        "done": frozenset(),
        "terminatedWithError": frozenset(),
        "cancel": frozenset(),
        "canceled": frozenset(),
    },
    initial=("acknowledged",),
    system={
        "acknowledged": frozenset({"inProgress", "done", "terminatedWithError", "cancel"}),
        "inProgress": frozenset({"done", "terminatedWithError", "cancel"}),
        "cancel": frozenset({"canceled"}),
    },
    source="TMF642 v5.0.0, AckAlarm.state",
    assigned=True,
)

#: Source: ITU-T X.733 clause 8.1.1 and X.736, as TMF642 v5 spells them.
ALARM_TYPES = frozenset(
    {
        "communicationsAlarm",
        "processingErrorAlarm",
        "environmentalAlarm",
        "qualityOfServiceAlarm",
        "equipmentAlarm",
        "integrityViolation",
        "operationalViolation",
        "physicalViolation",
        "securityService",
        "mechanismViolation",
        "timeDomainViolation",
    }
)
#: From the worst to none. Source: ITU-T X.733 clause 8.1.2.3.
SEVERITIES = ("critical", "major", "minor", "warning", "indeterminate", "cleared")
ACKNOWLEDGEMENTS = ("unacknowledged", "acknowledged")

#: What a raise that says no severity gets. Source: ITU-T X.733 clause 8.1.2.3.
UNKNOWN_SEVERITY = "indeterminate"
_OF_A_CLEAR = ("alarmClearedTime", "clearUserId", "clearSystemId")


def on_create(alarm: Resource, circumstances: Circumstances) -> Resource:
    """Return a new alarm with its times, its acknowledgement and its comments complete.

    Raises:
        InvalidBody: It is cleared before it was raised (HTTP 400).
    """
    made = {
        "alarmRaisedTime": circumstances.timestamp,
        "alarmReportingTime": circumstances.timestamp,
        "ackState": "unacknowledged",
        **alarm,
    }
    if is_cleared(made) or _says_cleared(made.get("perceivedSeverity")):
        made = _clear(made, circumstances)
    else:
        made = _without(made, _OF_A_CLEAR)
    if made["ackState"] == "acknowledged":
        made.setdefault("ackUserId", circumstances.subject)
    return _with_comments({}, made, circumstances)


def on_change(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Return what an alarm becomes: cleared or raised altogether, acknowledged by somebody.

    Raises:
        InvalidBody: It is cleared before it was raised (HTTP 400).
    """
    new = _cleared_or_raised(old, new, circumstances)
    if new.get("ackState") != old.get("ackState"):
        new = _signed(old, new, circumstances)
    new = _with_comments(old, new, circumstances)
    if new != old and new.get("alarmChangedTime") == old.get("alarmChangedTime"):
        return {**new, "alarmChangedTime": circumstances.timestamp}
    return new


def on_create_task(task: Resource, circumstances: Circumstances) -> Resource:
    """Return a new task; a comment that it brings says who and when."""
    if isinstance(comment := task.get("comment"), dict):
        return {**task, "comment": _comment(comment, circumstances)}
    return task


def is_cleared(alarm: Resource) -> bool:
    """Return whether an alarm is over."""
    return _says_cleared(alarm.get("state"))


def _says_cleared(word: object) -> bool:
    """Return whether a state or severity, free text in v4, means cleared."""
    return isinstance(word, str) and word.lower() == "cleared"


def _cleared_or_raised(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Let state and severity agree; where only one of them was changed, it decides."""
    severity = new.get("perceivedSeverity")
    by_state = new.get("state") != old.get("state")
    by_severity = severity != old.get("perceivedSeverity")
    if not is_cleared(old):
        if is_cleared(new) or _says_cleared(severity):
            return _clear(new, circumstances, old)
        return _without(new, ("alarmClearedTime",)) if "alarmClearedTime" in new else new
    if by_state and not is_cleared(new):
        return _raise(old, new, circumstances)
    if by_severity and not by_state and not _says_cleared(severity):
        return _raise(old, {**new, "state": "raised"}, circumstances)
    kept = new.get("alarmClearedTime") or old.get("alarmClearedTime") or circumstances.timestamp
    new = {**new, "perceivedSeverity": "cleared", "alarmClearedTime": kept}
    _in_order(new)
    return new


def _clear(alarm: Resource, circumstances: Circumstances, old: Resource | None = None) -> Resource:
    before = (old or {}).get("alarmClearedTime")
    said = alarm.get("alarmClearedTime")
    if not said or said == before:
        # An element whose clock is fast raises in our future; a clear is never before its raise.
        said = max(circumstances.timestamp, moment(alarm.get("alarmRaisedTime")) or "")
    cleared = {
        **alarm,
        "state": "cleared",
        "perceivedSeverity": "cleared",
        "alarmClearedTime": said,
    }
    _in_order(cleared)
    return cleared


def _raise(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Begin the alarm anew: another raise, nobody has acknowledged it yet."""
    raised = _without(new, _OF_A_CLEAR)
    if raised.get("alarmRaisedTime") == old.get("alarmRaisedTime"):
        raised["alarmRaisedTime"] = circumstances.timestamp
    if _says_cleared(raised.get("perceivedSeverity")):
        raised["perceivedSeverity"] = UNKNOWN_SEVERITY
    if raised.get("ackState") == old.get("ackState"):
        raised["ackState"] = "unacknowledged"
    return raised


def _signed(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Note who changed the acknowledgement: who the client names, or else the client."""
    if new.get("ackUserId") == old.get("ackUserId"):
        new = {**new, "ackUserId": circumstances.subject}
    if new.get("ackSystemId") == old.get("ackSystemId"):
        new = _without(new, ("ackSystemId",))
    return new


def _in_order(alarm: Resource) -> None:
    raised, cleared = moment(alarm.get("alarmRaisedTime")), moment(alarm.get("alarmClearedTime"))
    if raised and cleared and cleared < raised:
        raise InvalidBody(f"/alarmClearedTime: {cleared} is before alarmRaisedTime {raised}")


def _with_comments(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:
    """Return the alarm with every comment it ever had, and who and when with each new one."""
    before, after = _comments(old), _comments(new)
    if before == after:
        return new
    added = [_comment(one, circumstances) for one in after if one not in before]
    return {**new, "comment": [*before, *added]}


def _comments(alarm: Resource) -> list[Resource]:
    value = alarm.get("comment")
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _comment(comment: Resource, circumstances: Circumstances) -> Resource:
    made = {"@type": "Comment", "time": circumstances.timestamp, **comment}
    made.setdefault("userId", circumstances.subject)
    return made


def _without(resource: Resource, names: tuple[str, ...]) -> Resource:
    return {key: value for key, value in resource.items() if key not in names}
