"""Alarms and operational states, written from the reports and the polled state of elements."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from adapters import condition_types
from adapters.observations import CHANGED, RawFault
from adapters.values import Inventory
from tmf_apis.alarms import AlarmKey, find_open
from tmf_apis.fault_management.deduplication import REPORTING_SYSTEM_ID, AlarmSubject, record_alarm
from tmf_apis.fault_management.element_registry import Element
from tmf_apis.fault_management.rules import (
    RULES,
    AlarmReport,
    Effect,
    reachability_report,
    report_from_condition,
)
from tmf_apis.inventory.elements import ports_by_key
from tmf_apis.inventory.ports import PORT, service_of, usage_state
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.store.connection import MongoDatabase, translate_errors

#: Collection that maps each problem to the id of its alarm.
PROBLEMS_COLLECTION = "problems"
#: Collection of the elements that do not answer.
UNREACHABLE_COLLECTION = "silent_elements"
#: Maximum number of open alarms of one element that are compared with its conditions.
MAX_OPEN_ALARMS = 10_000
_KIND = "Resource"
_LINK_DOWN = RULES[condition_types.LINK_DOWN].specific_problem
log = logging.getLogger(__name__)


class AlarmWriter:
    """Writes alarms and port states. Its methods block: call them in an executor."""

    def __init__(self, database: MongoDatabase, repositories: RepositoryFactory) -> None:
        """Create a writer.

        Args:
            database: Holds the problems and the unreachable elements.
            repositories: Give access to alarms and inventory by tenant.
        """
        self._problems = database[PROBLEMS_COLLECTION]
        self._unreachable = database[UNREACHABLE_COLLECTION]
        self._repositories = repositories

    def write_report(self, element: Element, report: AlarmReport) -> None:
        """Write the alarm of a report, then the operational state of the port."""
        repository = self._repositories.for_tenant(element.tenant)
        port = (
            ports_by_key(repository, element.resource_id).get(report.port) if report.port else None
        )
        self._record(repository, element, port, report)
        if port is not None and report.specific_problem == _LINK_DOWN:
            is_up = report.effect is Effect.CLEAR and not report.administratively_down
            _set_operational_state(repository, port, enabled=is_up)

    def record_unreachable(self, element: Element, *, unreachable: bool) -> None:
        """Raise or clear the alarm of an unreachable element, and list or unlist the element."""
        repository = self._repositories.for_tenant(element.tenant)
        report = reachability_report(
            element.target.name, datetime.now(UTC), unreachable=unreachable
        )
        open_alarm = find_open(repository, AlarmKey(report.element, report.key))
        if unreachable == (open_alarm is None):
            self._record(repository, element, None, report)
        with translate_errors():
            if unreachable:
                self._unreachable.replace_one(
                    {"_id": element.key}, {"at": report.event_time}, upsert=True
                )
            else:
                self._unreachable.delete_one({"_id": element.key})

    def resynchronise(
        self, element: Element, inventory: Inventory, conditions: Iterable[RawFault]
    ) -> None:
        """Bring alarms and operational states in line with the current state of an element.

        A port that was never up may wait for its cable, and a spare port may be down for months:
        neither raises an alarm. What is neither up nor down (RFC 2863: dormant, notPresent) neither
        raises nor clears one.
        """
        repository = self._repositories.for_tenant(element.tenant)
        ports = ports_by_key(repository, element.resource_id)
        active = {
            (report := report_from_condition(condition)).key: (report, condition)
            for condition in conditions
        }
        undecided = {
            port.name
            for port in inventory.ports
            if (port.enabled and not port.up) or {"up", "enabled"} & port.unread
        }
        is_complete = not any(table.part == "ports" for table in inventory.unread)
        known = {port.name for port in inventory.ports}.union(ports if is_complete else ())
        decided = known - undecided
        for alarm in self._open_alarms(repository, element):
            key = alarm["externalAlarmId"]
            if key not in active and _port_of_alarm(element, key) in decided:
                self._clear_alarm(repository, element, ports, key, inventory)
        for report, condition in active.values():
            port = ports.get(report.port)
            if port is not None and _is_fault(port, condition):
                self._raise_once(repository, element, port, report)
        for observed_port in inventory.ports:
            if observed_port.name in ports and "up" not in observed_port.unread:
                _set_operational_state(
                    repository, ports[observed_port.name], enabled=observed_port.up
                )

    def _open_alarms(self, repository: Repository, element: Element) -> list[Resource]:
        query = {
            "sourceSystemId": element.target.name,
            "reportingSystemId": REPORTING_SYSTEM_ID,
            "specificProblem": _LINK_DOWN,
            "state": {"$ne": "cleared"},
        }
        network = repository.for_network(None)  # a party cannot imitate an alarm of it
        return network.find("Alarm", query, limit=MAX_OPEN_ALARMS)

    def _clear_alarm(
        self,
        repository: Repository,
        element: Element,
        ports: Mapping[str, Resource],
        key: str,
        inventory: Inventory,
    ) -> None:
        port = _port_of_alarm(element, key)
        cleared_fault = RawFault(
            element.target.name,
            condition_types.LINK_DOWN,
            port,
            active=False,
            seen_at=inventory.taken_at,
        )
        self._record(repository, element, ports.get(port), report_from_condition(cleared_fault))

    def _raise_once(
        self, repository: Repository, element: Element, port: Resource, report: AlarmReport
    ) -> None:
        """Raise the alarm unless it is open already: polling again does not count as a repeat."""
        open_keys = {alarm["externalAlarmId"] for alarm in self._open_alarms(repository, element)}
        if report.key not in open_keys:
            self._record(repository, element, port, report)

    def _record(
        self, repository: Repository, element: Element, port: Resource | None, report: AlarmReport
    ) -> None:
        resource = port or repository.get(_KIND, element.resource_id)
        subject = AlarmSubject(resource, service_of(resource))
        record_alarm(repository, self._problems, report, subject)
        log.info(
            "alarm raised" if report.effect is Effect.RAISE else "alarm cleared",
            extra={
                "problem": report.specific_problem,
                "element": element.target.name,
                "port": report.port,
                "resource": resource["id"],
            },
        )


def _port_of_alarm(element: Element, key: str) -> str:
    return key.removeprefix(f"{element.target.name}/{_LINK_DOWN}/")


def _is_fault(port: Resource, condition: RawFault) -> bool:
    """Return whether a port that is down was up before and is in use."""
    was_up = port.get("operationalState") == "enabled"
    if service_of(port):
        return was_up or bool(condition.attributes.get(CHANGED))
    return was_up and port.get("category") == PORT


def _set_operational_state(repository: Repository, port: Resource, *, enabled: bool) -> None:
    """Set the operational state of a port and the usage state that follows from it."""
    state = "enabled" if enabled else "disabled"
    if port.get("operationalState") == state:
        return

    def edit(old: Resource) -> Resource:
        new = {**old, "operationalState": state}
        return {**new, "usageState": usage_state(new)}

    repository.change(_KIND, port["id"], edit)
