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
from tmf_apis.assurance.rules import AlarmFacts, Effect
from tmf_apis.errors import Conflict, NotFound
from tmf_apis.rest.ids import new_id
from tmf_apis.rest.law import Desk, Resource, rfc3339
from tmf_apis.store.connection import translated

#: ``reportingSystemId`` of our alarms.
REPORTER = "tmf-apis"
#: A problem that clears by itself and comes again so soon is the same one, counted.
TOGETHER = timedelta(minutes=5)
_COUNT = re.compile(r" \(reported (\d+) times\)$")
_KIND = "Alarm"
_CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alarm is about.

    Attributes:
        resource: The inventory's resource: the port, or the element where the port is not known.
        service: Id of the service that is on it; empty: none.
    """

    resource: Mapping[str, Any]
    service: str = ""


def record(
    desk: Desk, problems: Collection[dict[str, Any]], facts: AlarmFacts, subject: Subject
) -> None:
    """Raise, count or clear the alarm of a problem; safe to repeat.

    Args:
        desk: Of the tenant.
        problems: Which alarm stands for which problem.
        facts: What is reported.
        subject: What it is about.
    """
    open_ = find_open(desk, AlarmKey(facts.element, facts.key))
    if facts.effect is Effect.CLEAR:
        if open_ is not None:
            desk.change(_KIND, open_["id"], lambda alarm: _cleared(alarm, facts))
    elif open_ is not None:
        desk.change(_KIND, open_["id"], lambda alarm: _counted(alarm, facts))
    else:
        while not _raise(desk, problems, facts, subject):
            pass  # another worker was faster: look again


def _raise(
    desk: Desk, problems: Collection[dict[str, Any]], facts: AlarmFacts, subject: Subject
) -> bool:
    """Take one step towards the alarm of a problem; return whether it is there."""
    key = f"{desk.tenant}:{facts.key}"
    known = _claimed(problems, key)
    current = _present(desk, known) if known else None
    if current is not None and _again(current, facts):
        desk.change(_KIND, current["id"], lambda alarm: _counted(alarm, facts))
        return True
    if not known or current is not None:
        _claim(problems, key, known)
        return False
    try:
        desk.create(_KIND, {"id": known, **_raised(facts, subject)})
    except Conflict:
        return False
    return True


def _claimed(problems: Collection[dict[str, Any]], key: str) -> str:
    with translated():
        found = problems.find_one({"_id": key})
    return str(found["alarm"]) if found else ""


def _claim(problems: Collection[dict[str, Any]], key: str, before: str) -> None:
    """Let a new alarm stand for a problem, unless somebody else was faster."""
    with translated(DuplicateKeyError):
        if before:
            problems.update_one({"_id": key, "alarm": before}, {"$set": {"alarm": new_id()}})
            return
        with suppress(DuplicateKeyError):
            problems.insert_one({"_id": key, "alarm": new_id()})


def _present(desk: Desk, id: str) -> Resource | None:
    try:
        return desk.get(_KIND, id)
    except NotFound:
        return None


def _again(alarm: Mapping[str, Any], facts: AlarmFacts) -> bool:
    """Return whether a report belongs to an alarm that is there already."""
    if alarm.get("state") != _CLEARED:
        return True
    return facts.passing and str(alarm.get("alarmRaisedTime", "")) > rfc3339(facts.at - TOGETHER)


def _raised(facts: AlarmFacts, subject: Subject) -> Resource:
    resource = subject.resource
    alarm: Resource = {
        "@type": _KIND,
        "externalAlarmId": facts.key,
        "sourceSystemId": facts.element,
        "reportingSystemId": REPORTER,
        "alarmType": facts.alarm_type,
        "probableCause": facts.cause,
        "perceivedSeverity": facts.severity,
        "specificProblem": facts.problem,
        "alarmDetails": facts.text,
        "alarmRaisedTime": rfc3339(facts.at),
        "state": "raised",
        "alarmedObjectType": str(resource.get("@type", "Resource")),
        "alarmedObject": {
            "@type": "AlarmedObjectRef",
            "id": resource["id"],
            "name": str(resource.get("name", resource["id"])),
            "@referredType": str(resource.get("@type", "Resource")),
        },
    }
    if subject.service:
        service = {"@type": "ServiceRef", "id": subject.service, "@referredType": "Service"}
        alarm |= {"affectedService": [service], "serviceAffecting": True}
    if facts.passing:
        alarm |= {"state": _CLEARED, "alarmClearedTime": rfc3339(facts.at)}
    return alarm


def _counted(alarm: Resource, facts: AlarmFacts) -> Resource:
    """Return an alarm that was reported once more; the number stands in ``alarmDetails``."""
    said = str(alarm.get("alarmDetails", facts.text))
    found = _COUNT.search(said)
    times = int(found[1]) + 1 if found else 2
    text = _COUNT.sub("", said)
    return {
        **alarm,
        "alarmDetails": f"{text} (reported {times} times)",
        "alarmChangedTime": rfc3339(facts.at),
    }


def _cleared(alarm: Resource, facts: AlarmFacts) -> Resource:
    if alarm.get("state") == _CLEARED:
        return alarm
    at = max(rfc3339(facts.at), str(alarm.get("alarmRaisedTime", "")))
    return {**alarm, "state": _CLEARED, "alarmClearedTime": at, "clearSystemId": REPORTER}
