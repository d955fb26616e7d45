"""Alarm deduplication: one alarm per problem, whichever worker receives the report.

A worker assigns an alarm id to a problem by compare-and-set before it creates the alarm. Therefore
two workers that receive a report at the same moment create the same alarm, and a worker that is
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
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.ids import new_id
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.store.connection import translate_errors

#: ``reportingSystemId`` of our alarms.
REPORTING_SYSTEM_ID = "tmf-apis"
#: A self-clearing problem that recurs within this time repeats its last alarm.
RECURRENCE_WINDOW = timedelta(minutes=5)
_REPEAT_COUNT = re.compile(r" \(reported (\d+) times\)$")
_KIND = "Alarm"
_STATE_CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class AlarmSubject:
    """The resource that an alarm is about.

    Attributes:
        resource: The port in the inventory, or the element if the port is unknown.
        service_id: Id of the service on the resource; empty: none.
    """

    resource: Mapping[str, Any]
    service_id: str = ""


def record_alarm(
    repository: Repository,
    problems: Collection[dict[str, Any]],
    report: AlarmReport,
    subject: AlarmSubject,
) -> None:
    """Raise, repeat or clear the alarm of a problem; safe to repeat.

    Args:
        repository: The tenant's repository.
        problems: Collection that maps each problem to its alarm.
        report: The report.
        subject: The resource that the report is about.
    """
    open_alarm = find_open(repository, AlarmKey(report.element, report.key))
    if report.effect is Effect.CLEAR:
        if open_alarm is not None:
            repository.change(_KIND, open_alarm["id"], lambda alarm: _cleared_alarm(alarm, report))
    elif open_alarm is not None:
        repository.change(_KIND, open_alarm["id"], lambda alarm: _repeated_alarm(alarm, report))
    else:
        while not _try_raise(repository, problems, report, subject):
            pass  # another worker was faster: look again


def _try_raise(
    repository: Repository,
    problems: Collection[dict[str, Any]],
    report: AlarmReport,
    subject: AlarmSubject,
) -> bool:
    """Claim the problem or raise its alarm; return whether the alarm exists now."""
    key = f"{repository.tenant}:{report.key}"
    claimed_id = _claimed_alarm_id(problems, key)
    claimed_alarm = get_or_none(repository, _KIND, claimed_id) if claimed_id else None
    if claimed_alarm is not None and _is_recurrence(claimed_alarm, report):
        repository.change(_KIND, claimed_alarm["id"], lambda alarm: _repeated_alarm(alarm, report))
        return True
    if not claimed_id or claimed_alarm is not None:
        _claim_problem(problems, key, claimed_id)
        return False
    try:
        repository.create(_KIND, {"id": claimed_id, **_new_alarm(report, subject)})
    except Conflict:
        return False
    return True


def _claimed_alarm_id(problems: Collection[dict[str, Any]], key: str) -> str:
    with translate_errors():
        problem = problems.find_one({"_id": key})
    return str(problem["alarm"]) if problem else ""


def _claim_problem(problems: Collection[dict[str, Any]], key: str, previous_alarm_id: str) -> None:
    """Assign a new alarm id to a problem, unless another worker was faster."""
    with translate_errors(DuplicateKeyError):
        if previous_alarm_id:
            problems.update_one(
                {"_id": key, "alarm": previous_alarm_id}, {"$set": {"alarm": new_id()}}
            )
            return
        with suppress(DuplicateKeyError):
            problems.insert_one({"_id": key, "alarm": new_id()})


def _is_recurrence(alarm: Mapping[str, Any], report: AlarmReport) -> bool:
    """Return whether a report repeats an existing alarm."""
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
    """Return an alarm after one more report; ``alarmDetails`` holds the number of reports."""
    details = str(alarm.get("alarmDetails", report.text))
    repeat_count = _REPEAT_COUNT.search(details)
    times = int(repeat_count[1]) + 1 if repeat_count else 2
    text = _REPEAT_COUNT.sub("", details)
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
