"""One alarm a problem, however many workers hear of it: raised once, counted, cleared.

Which alarm stands for a problem is written down before the alarm is made, by compare-and-set, so
that two workers that hear of a problem at the same moment make the same alarm, and one that is
killed between the two writes leaves nothing to repair.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from tmf_apis.alarms import AlarmKey, find_open
from tmf_apis.errors import Conflict
from tmf_apis.fault_management.rules import AlarmReport, Effect
from tmf_apis.rest.pipeline.ids import new_id
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339
from tmf_apis.store.connection import translate_errors

#: ``reportingSystemId`` of our alarms.
REPORTING_SYSTEM_ID = "tmf-apis"
#: A problem that clears by itself and comes again so soon is the same one, counted.
RECURRENCE_WINDOW = timedelta(minutes=5)
_REPEAT_COUNT = re.compile(r" \(reported (\d+) times\)$")
_KIND = "Alarm"
_STATE_CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class AlarmSubject:
    """What an alarm is about.

    Attributes:
        resource: The inventory's resource: the port, or the element where the port is not known.
        service_id: Id of the service that is on it; empty: none.
    """

    resource: Mapping[str, Any]
    service_id: str = ""


def record_alarm(
    repository: Repository,
    problems: Collection[dict[str, Any]],
    report: AlarmReport,
    subject: AlarmSubject,
) -> None:
    """Raise, count or clear the alarm of a problem; safe to repeat.

    Args:
        repository: Of the tenant.
        problems: Which alarm stands for which problem.
        report: What is reported.
        subject: What it is about.
    """
    open_ = find_open(repository, AlarmKey(report.element, report.key))
    if report.effect is Effect.CLEAR:
        if open_ is not None:
            repository.change(_KIND, open_["id"], lambda alarm: _cleared_alarm(alarm, report))
    elif open_ is not None:
        repository.change(_KIND, open_["id"], lambda alarm: _repeated_alarm(alarm, report))
    else:
        while not _try_raise(repository, problems, report, subject):
            pass  # another worker was faster: look again


def _try_raise(
    repository: Repository,
    problems: Collection[dict[str, Any]],
    report: AlarmReport,
    subject: AlarmSubject,
) -> bool:
    """Take one step towards the alarm of a problem; return whether it is there."""
    key = f"{repository.tenant}:{report.key}"
    known = _claimed_alarm_id(problems, key)
    current = get_or_none(repository, _KIND, known) if known else None
    if current is not None and _is_recurrence(current, report):
        repository.change(_KIND, current["id"], lambda alarm: _repeated_alarm(alarm, report))
        return True
    if not known or current is not None:
        _claim_problem(problems, key, known)
        return False
    try:
        repository.create(_KIND, {"id": known, **_new_alarm(report, subject)})
    except Conflict:
        return False
    return True


def _claimed_alarm_id(problems: Collection[dict[str, Any]], key: str) -> str:
    with translate_errors():
        found = problems.find_one({"_id": key})
    return str(found["alarm"]) if found else ""


def _claim_problem(problems: Collection[dict[str, Any]], key: str, previous_alarm_id: str) -> None:
    """Let a new alarm stand for a problem, unless somebody else was faster."""
    with translate_errors(DuplicateKeyError):
        if previous_alarm_id:
            problems.update_one(
                {"_id": key, "alarm": previous_alarm_id}, {"$set": {"alarm": new_id()}}
            )
            return
        with suppress(DuplicateKeyError):
            problems.insert_one({"_id": key, "alarm": new_id()})


def _is_recurrence(alarm: Mapping[str, Any], report: AlarmReport) -> bool:
    """Return whether a report belongs to an alarm that is there already."""
    if alarm.get("state") != _STATE_CLEARED:
        return True
    return report.self_clearing and str(alarm.get("alarmRaisedTime", "")) > rfc3339(
        report.event_time - RECURRENCE_WINDOW
    )


def _new_alarm(report: AlarmReport, subject: AlarmSubject) -> Resource:
    resource = subject.resource
    alarm: Resource = {
        "@type": _KIND,
        "externalAlarmId": report.key,
        "sourceSystemId": report.element,
        "reportingSystemId": REPORTING_SYSTEM_ID,
        "alarmType": report.alarm_type,
        "probableCause": report.probable_cause,
        "perceivedSeverity": report.severity,
        "specificProblem": report.specific_problem,
        "alarmDetails": report.text,
        "alarmRaisedTime": rfc3339(report.event_time),
        "state": "raised",
        "alarmedObjectType": str(resource.get("@type", "Resource")),
        "alarmedObject": {
            "@type": "AlarmedObjectRef",
            "id": resource["id"],
            "name": str(resource.get("name", resource["id"])),
            "@referredType": str(resource.get("@type", "Resource")),
        },
    }
    if subject.service_id:
        service = {"@type": "ServiceRef", "id": subject.service_id, "@referredType": "Service"}
        alarm |= {"affectedService": [service], "serviceAffecting": True}
    if report.self_clearing:
        alarm |= {"state": _STATE_CLEARED, "alarmClearedTime": rfc3339(report.event_time)}
    return alarm


def _repeated_alarm(alarm: Resource, report: AlarmReport) -> Resource:
    """Return an alarm that was reported once more; the number stands in ``alarmDetails``."""
    said = str(alarm.get("alarmDetails", report.text))
    found = _REPEAT_COUNT.search(said)
    times = int(found[1]) + 1 if found else 2
    text = _REPEAT_COUNT.sub("", said)
    return {
        **alarm,
        "alarmDetails": f"{text} (reported {times} times)",
        "alarmChangedTime": rfc3339(report.event_time),
    }


def _cleared_alarm(alarm: Resource, report: AlarmReport) -> Resource:
    if alarm.get("state") == _STATE_CLEARED:
        return alarm
    at = max(rfc3339(report.event_time), str(alarm.get("alarmRaisedTime", "")))
    return {
        **alarm,
        "state": _STATE_CLEARED,
        "alarmClearedTime": at,
        "clearSystemId": REPORTING_SYSTEM_ID,
    }
