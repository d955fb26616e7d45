"""What elements report, and what looking at them shows, written into alarms and inventory."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from adapters.observations import RawFault
from adapters.snmp import mib
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

#: Which alarm stands for which problem.
PROBLEMS_COLLECTION = "problems"
#: Collection of the elements that do not answer.
UNREACHABLE_COLLECTION = "silent_elements"
#: Most open alarms of one element that are compared with what it says.
MAX_OPEN_ALARMS = 10_000
_KIND = "Resource"
_LINK_DOWN = RULES[mib.LINK_DOWN].specific_problem
log = logging.getLogger(__name__)


class AlarmWriter:
    """Writes what is known of elements; waits for the database, so it is called in threads."""

    def __init__(self, database: MongoDatabase, repositories: RepositoryFactory) -> None:
        """Take where it writes."""
        self._problems = database[PROBLEMS_COLLECTION]
        self._unreachable = database[UNREACHABLE_COLLECTION]
        self._repositories = repositories

    def write_report(self, element: Element, report: AlarmReport) -> None:
        """Write what an element has reported: the alarm, then the state of the port."""
        desk = self._repositories.for_tenant(element.tenant)
        port = ports_by_key(desk, element.resource_id).get(report.port) if report.port else None
        self._record(desk, element, port, report)
        if port is not None and report.specific_problem == _LINK_DOWN:
            works = report.effect is Effect.CLEAR and not report.administratively_down
            _set_operational_state(desk, port, enabled=works)

    def record_unreachable(self, element: Element, *, unreachable: bool) -> None:
        """Write that an element is left alone because it does not answer, or that it answers."""
        desk = self._repositories.for_tenant(element.tenant)
        facts = reachability_report(element.target.name, datetime.now(UTC), unreachable=unreachable)
        known = find_open(desk, AlarmKey(facts.element, facts.key))
        if unreachable == (known is None):
            self._record(desk, element, None, facts)
        with translate_errors():
            if unreachable:
                self._unreachable.replace_one(
                    {"_id": element.key}, {"at": facts.event_time}, upsert=True
                )
            else:
                self._unreachable.delete_one({"_id": element.key})

    def resynchronise(
        self, element: Element, inventory: Inventory, conditions: Iterable[RawFault]
    ) -> None:
        """Bring alarms and states in step with what an element says of itself now.

        A port without a service may be dark for months: no alarm is raised for it.
        """
        desk = self._repositories.for_tenant(element.tenant)
        ports = ports_by_key(desk, element.resource_id)
        active = {(facts := report_from_condition(one)).key: facts for one in conditions}
        for alarm in self._open_alarms(desk, element):
            if alarm["externalAlarmId"] not in active:
                self._clear_alarm(desk, element, ports, alarm, inventory)
        for facts in active.values():
            port = ports.get(facts.port)
            if port is not None and (service_of(port) or port.get("category") == PORT):
                self._raise_once(desk, element, port, facts)
        for one in inventory.ports:
            if one.name in ports:
                _set_operational_state(desk, ports[one.name], enabled=one.up)

    def _open_alarms(self, repository: Repository, element: Element) -> list[Resource]:
        query = {
            "sourceSystemId": element.target.name,
            "reportingSystemId": REPORTING_SYSTEM_ID,
            "specificProblem": _LINK_DOWN,
            "state": {"$ne": "cleared"},
        }
        return repository.find("Alarm", query, limit=MAX_OPEN_ALARMS)

    def _clear_alarm(
        self,
        repository: Repository,
        element: Element,
        ports: Mapping[str, Resource],
        alarm: Resource,
        inventory: Inventory,
    ) -> None:
        port = str(alarm["externalAlarmId"]).removeprefix(f"{element.target.name}/{_LINK_DOWN}/")
        gone = RawFault(
            element.target.name, mib.LINK_DOWN, port, active=False, seen_at=inventory.taken_at
        )
        self._record(repository, element, ports.get(port), report_from_condition(gone))

    def _raise_once(
        self, repository: Repository, element: Element, port: Resource, report: AlarmReport
    ) -> None:
        """Raise what nobody has raised yet; looking again is no report to be counted."""
        known = {one["externalAlarmId"] for one in self._open_alarms(repository, element)}
        if report.key not in known:
            self._record(repository, element, port, report)

    def _record(
        self, repository: Repository, element: Element, port: Resource | None, report: AlarmReport
    ) -> None:
        resource = port or repository.get(_KIND, element.resource_id)
        subject = AlarmSubject(resource, service_of(resource))
        record_alarm(repository, self._problems, report, subject)
        log.info(
            "%s %s",
            report.specific_problem,
            "raised" if report.effect is Effect.RAISE else "cleared",
            extra={"element": element.target.name, "port": report.port, "resource": resource["id"]},
        )


def _set_operational_state(repository: Repository, port: Resource, *, enabled: bool) -> None:
    """Let a port's operational state follow, and with it whether its service uses it."""
    state = "enabled" if enabled else "disabled"
    if port.get("operationalState") == state:
        return

    def edit(old: Resource) -> Resource:
        new = {**old, "operationalState": state}
        return {**new, "usageState": usage_state(new)}

    repository.change(_KIND, port["id"], edit)
