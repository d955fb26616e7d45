"""Alarms of the demo operator and tasks on them (TMF642)."""

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

from tmf_apis.demo.builders import reference, time_before
from tmf_apis.demo.network import Network
from tmf_apis.rest.pipeline.policy import Resource

_SOURCE, _REPORTER = "element-manager-1", "alarm-collector-1"
#: Problem, alarm type, probable cause and severity by category of the alarmed resource.
_PROBLEMS = {
    "ponPort": ("lossOfSignal", "communicationsAlarm", "lossOfSignal", "major"),
    "accessPort": ("linkDown", "communicationsAlarm", "lossOfSignal", "major"),
    "card": ("cardFailure", "equipmentAlarm", "replaceableUnitProblem", "critical"),
    "chassis": ("temperatureHigh", "environmentalAlarm", "temperatureUnacceptable", "minor"),
    "cable": ("degradedSignal", "qualityOfServiceAlarm", "degradedSignal", "warning"),
    "accessGateway": ("loginFailures", "securityService", "authenticationFailure", "warning"),
}
_CHILD_COUNT = 3
_STATES = ("raised", "raised", "updated", "cleared", "cleared", "cleared")
_TASK_RESULTS = {
    "AckAlarm": "ackedAlarm",
    "UnAckAlarm": "unAckedAlarm",
    "ClearAlarm": "clearedAlarm",
    "CommentAlarm": "commentedAlarm",
    "GroupAlarm": "groupedAlarm",
    "UnGroupAlarm": "unGroupedAlarm",
}


def alarm_resources(
    network: Network, random: Random, now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield kind and body of the alarms on resources of the network, and of tasks on them."""
    by_category: dict[str, list[Resource]] = {}
    for resource in network.resources.values():
        by_category.setdefault(resource["category"], []).append(resource)
    alarms: list[Resource] = []
    for category, count in (("accessPort", 24), ("ponPort", 18), ("chassis", 6), ("cable", 6),
                            ("accessGateway", 4)):  # fmt: skip
        for resource in random.sample(by_category[category], count):
            state = _STATES[len(alarms) % len(_STATES)]
            alarms.append(_alarm(len(alarms) + 1, resource, state, random, now))
    for card in random.sample(by_category["card"], 3):
        alarms += _alarm_group(len(alarms), card, network, random, now)
    for alarm in alarms:
        yield "Alarm", alarm
    yield from _tasks(alarms, now)


def _alarm(number: int, resource: Resource, state: str, random: Random, now: datetime) -> Resource:
    problem, alarm_type, cause, severity = _PROBLEMS[resource["category"]]
    age = random.uniform(60, 60 * 24 * 20)  # minutes
    alarm: dict[str, Any] = {
        "@type": "Alarm",
        "id": f"alarm-{number:04}",
        "externalAlarmId": f"{resource['name']}/{problem}",
        "sourceSystemId": _SOURCE,
        "reportingSystemId": _REPORTER,
        "state": state,
        "alarmType": alarm_type,
        "perceivedSeverity": "cleared" if state == "cleared" else severity,
        "probableCause": cause,
        "specificProblem": problem,
        "alarmDetails": f"{problem} on {resource['name']}",
        "alarmedObjectType": resource["category"],
        "alarmedObject": reference(
            "AlarmedObjectRef", resource["id"], resource["name"], resource["@type"],
            href=f"/tmf-api/resourceInventoryManagement/v5/resource/{resource['id']}",
        ),
        "alarmRaisedTime": time_before(now, minutes=age),
        "alarmReportingTime": time_before(now, minutes=age - 0.2),
        "ackState": "unacknowledged",
        "isRootCause": True,
        "alarmEscalation": severity == "critical",
        "serviceAffecting": severity in {"critical", "major"},
        "plannedOutageIndicator": "InService",
        "proposedRepairedActions": "Check the line, then the far end",
    }  # fmt: skip
    if state == "updated" or (state == "raised" and number % 3 == 0):
        alarm |= {"ackState": "acknowledged", "ackUserId": "noc.ingrid", "ackSystemId": _REPORTER}
    if state != "raised":
        alarm["alarmChangedTime"] = time_before(now, minutes=age * 0.6)
    if state == "cleared":
        alarm |= {
            "alarmClearedTime": time_before(now, minutes=age * 0.5),
            "clearSystemId": _SOURCE,
        }
    if number % 4 == 0:
        alarm["comment"] = [
            _comment("Engineer is on the way.", time_before(now, minutes=age * 0.8))
        ]
    service = next((identifier["id"] for identifier in resource.get("externalIdentifier", ())), "")
    if service:
        alarm["affectedService"] = [
            reference("ServiceRef", service, f"Access {service}", "Service",
                      href=f"/tmf-api/serviceInventory/v5/service/{service}")
        ]  # fmt: skip
    return alarm


def _comment(text: str, time: str) -> Resource:
    return {
        "@type": "Comment",
        "comment": text,
        "time": time,
        "userId": "noc.ingrid",
        "systemId": _REPORTER,
    }


def _alarm_group(
    last_number: int, card: Resource, network: Network, random: Random, now: datetime
) -> list[Resource]:
    """Return the alarm of a card, and the alarms of its ports that it has caused."""
    parent = _alarm(last_number + 1, card, "raised", random, now)
    children = []
    for port in range(1, _CHILD_COUNT + 1):
        port_resource = network.resources[f"{card['id']}-port-{port:02}"]
        child = _alarm(last_number + 1 + port, port_resource, "raised", random, now)
        child |= {
            "isRootCause": False,
            "alarmRaisedTime": parent["alarmRaisedTime"],
            "alarmReportingTime": parent["alarmReportingTime"],
            "parentAlarm": [alarm_ref(parent)],
        }
        children.append(child)
    parent["correlatedAlarm"] = [alarm_ref(child) for child in children]
    return [parent, *children]


def alarm_ref(alarm: Resource) -> Resource:
    """Return a reference to an alarm."""
    return reference("AlarmRef", alarm["id"], alarm["specificProblem"], "Alarm")


def _tasks(alarms: list[Resource], now: datetime) -> Iterator[tuple[str, Resource]]:
    parent = next(alarm for alarm in alarms if "correlatedAlarm" in alarm)
    child = next(alarm for alarm in alarms if "parentAlarm" in alarm)
    ungrouped = [
        alarm for alarm in alarms if alarm["state"] == "raised" and "parentAlarm" not in alarm
    ]
    cleared = [alarm for alarm in alarms if alarm["state"] == "cleared"]
    acknowledged = [alarm for alarm in alarms if alarm["ackState"] == "acknowledged"]
    commented = [alarm for alarm in alarms if "comment" in alarm]
    subjects = {
        "AckAlarm": acknowledged,
        "UnAckAlarm": ungrouped,
        "ClearAlarm": cleared,
        "CommentAlarm": commented,
        "GroupAlarm": [child],
        "UnGroupAlarm": ungrouped,
    }
    acknowledgement = {
        "ackUserId": "noc.ingrid",
        "ackSystemId": _REPORTER,
        "ackTime": time_before(now, minutes=30),
    }
    group = {
        "parentAlarm": alarm_ref(parent),
        "sourceSystemId": _SOURCE,
        "alarmChangedTime": time_before(now, minutes=30),
    }
    attributes: dict[str, dict[str, Any]] = {
        "AckAlarm": acknowledgement,
        "UnAckAlarm": acknowledgement,
        "ClearAlarm": {
            "clearSystemId": _SOURCE,
            "clearUserId": "noc.ingrid",
            "alarmClearedTime": time_before(now, minutes=30),
        },
        "CommentAlarm": {
            "comment": _comment("Engineer is on the way.", time_before(now, minutes=30))
        },
        "GroupAlarm": group,
        "UnGroupAlarm": group,
    }
    for kind, result in _TASK_RESULTS.items():
        references = [alarm_ref(alarm) for alarm in subjects[kind][:2]]
        pattern = "correlatedAlarm" if "Group" in kind else "alarmPattern"
        yield (
            kind,
            {
                "@type": kind,
                "id": f"{kind.lower()}-1",
                "state": "done",
                pattern: references,
                result: references,
                **attributes[kind],
            },
        )
