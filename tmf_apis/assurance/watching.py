"""What elements report, and what looking at them shows, written into alarms and inventory."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from adapters import mib
from adapters.observations import RawFault
from adapters.values import Inventory
from tmf_apis.alarms import AlarmKey, find_open
from tmf_apis.assurance.network import Element
from tmf_apis.assurance.problems import REPORTER, Subject, record
from tmf_apis.assurance.rules import RULES, AlarmFacts, Effect, of_condition, of_silence
from tmf_apis.fulfilment.elements import ports_of
from tmf_apis.fulfilment.reservation.ports import PORT, service_of, usage
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.store.connection import Documents, translated

#: Which alarm stands for which problem.
PROBLEMS = "problems"
#: Collection of the elements that do not answer.
SILENT = "silent_elements"
#: Most open alarms of one element that are compared with what it says.
OPEN = 10_000
_KIND = "Resource"
_LINK = RULES[mib.LINK_DOWN].problem
log = logging.getLogger(__name__)


class Watching:
    """Writes what is known of elements; waits for the database, so it is called in threads."""

    def __init__(self, database: Documents, desks: Desks) -> None:
        """Take where it writes."""
        self._problems = database[PROBLEMS]
        self._silent = database[SILENT]
        self._desks = desks

    def report(self, element: Element, facts: AlarmFacts) -> None:
        """Write what an element has reported: the alarm, then the state of the port."""
        desk = self._desks.staff(element.tenant)
        port = ports_of(desk, element.gateway).get(facts.port) if facts.port else None
        self._record(desk, element, port, facts)
        if port is not None and facts.problem == _LINK:
            works = facts.effect is Effect.CLEAR and not facts.deliberate
            _set_operation(desk, port, works=works)

    def silence(self, element: Element, *, silent: bool) -> None:
        """Write that an element is left alone because it does not answer, or that it answers."""
        desk = self._desks.staff(element.tenant)
        facts = of_silence(element.target.name, datetime.now(UTC), silent=silent)
        known = find_open(desk, AlarmKey(facts.element, facts.key))
        if silent == (known is None):
            self._record(desk, element, None, facts)
        with translated():
            if silent:
                self._silent.replace_one({"_id": element.key}, {"at": facts.at}, upsert=True)
            else:
                self._silent.delete_one({"_id": element.key})

    def compare(self, element: Element, seen: Inventory, lasting: Iterable[RawFault]) -> None:
        """Bring alarms and states in step with what an element says of itself now.

        A port without a service may be dark for months: no alarm is raised for it.
        """
        desk = self._desks.staff(element.tenant)
        ports = ports_of(desk, element.gateway)
        active = {(facts := of_condition(one)).key: facts for one in lasting}
        for alarm in self._open(desk, element):
            if alarm["externalAlarmId"] not in active:
                self._over(desk, element, ports, alarm, seen)
        for facts in active.values():
            port = ports.get(facts.port)
            if port is not None and (service_of(port) or port.get("category") == PORT):
                self._record_once(desk, element, port, facts)
        for one in seen.ports:
            if one.name in ports:
                _set_operation(desk, ports[one.name], works=one.up)

    def _open(self, desk: Desk, element: Element) -> list[Resource]:
        query = {
            "sourceSystemId": element.target.name,
            "reportingSystemId": REPORTER,
            "specificProblem": _LINK,
            "state": {"$ne": "cleared"},
        }
        return desk.find("Alarm", query, limit=OPEN)

    def _over(
        self,
        desk: Desk,
        element: Element,
        ports: Mapping[str, Resource],
        alarm: Resource,
        seen: Inventory,
    ) -> None:
        port = str(alarm["externalAlarmId"]).removeprefix(f"{element.target.name}/{_LINK}/")
        gone = RawFault(
            element.target.name, mib.LINK_DOWN, port, active=False, seen_at=seen.taken_at
        )
        self._record(desk, element, ports.get(port), of_condition(gone))

    def _record_once(self, desk: Desk, element: Element, port: Resource, facts: AlarmFacts) -> None:
        """Raise what nobody has raised yet; looking again is no report to be counted."""
        known = {one["externalAlarmId"] for one in self._open(desk, element)}
        if facts.key not in known:
            self._record(desk, element, port, facts)

    def _record(
        self, desk: Desk, element: Element, port: Resource | None, facts: AlarmFacts
    ) -> None:
        resource = port or desk.get(_KIND, element.gateway)
        subject = Subject(resource, service_of(resource))
        record(desk, self._problems, facts, subject)
        log.info(
            "%s %s",
            facts.problem,
            "raised" if facts.effect is Effect.RAISE else "cleared",
            extra={"element": element.target.name, "port": facts.port, "resource": resource["id"]},
        )


def _set_operation(desk: Desk, port: Resource, *, works: bool) -> None:
    """Let a port's operational state follow, and with it whether its service uses it."""
    state = "enabled" if works else "disabled"
    if port.get("operationalState") == state:
        return

    def edit(old: Resource) -> Resource:
        new = {**old, "operationalState": state}
        return {**new, "usageState": usage(new)}

    desk.change(_KIND, port["id"], edit)
