"""The alarms of capacities: one a thing, raised, made more or less severe, cleared."""

import logging
from collections.abc import Iterable
from datetime import datetime

from pymongo.collection import Collection

from tmf_apis.alarms import AlarmKey, find_open
from tmf_apis.assurance.problems import Subject, record
from tmf_apis.assurance.watching import PROBLEMS
from tmf_apis.capacity import rules
from tmf_apis.capacity.figures import Figure, Figures
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.reservation.ports import service_of
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.store.connection import Documents

log = logging.getLogger(__name__)


class Alarming:
    """Raises and clears; safe to repeat, also by several at once."""

    def __init__(
        self, database: Documents, desks: Desks, figures: Figures, *, notice: float
    ) -> None:
        """Take what it works with.

        Args:
            database: Where it is written which alarm stands for which problem.
            desks: Give access to alarms and resources.
            figures: Note which alarm is theirs.
            notice: How many days before exhaustion an alarm is raised; 0: only by the threshold.
        """
        self._problems: Collection[dict[str, object]] = database[PROBLEMS]
        self._desks = desks
        self._figures = figures
        self._notice = notice

    def follow(self, tenant: str, figures: Iterable[Figure], now: datetime) -> None:
        """Bring the alarms of some capacities in step with them."""
        desk = self._desks.staff(tenant)
        for figure in figures:
            raised = bool(figure.get("alarm"))
            wanted = rules.state(figure, self._notice, raised=raised)
            if wanted.raised or raised:
                self._follow(desk, figure, wanted, now)

    def end(self, tenant: str, figures: Iterable[Figure], now: datetime) -> None:
        """Clear the alarms of what is not there any more."""
        desk = self._desks.staff(tenant)
        for figure in figures:
            if figure.get("alarm"):
                self._follow(desk, figure, rules.State(raised=False), now)

    def _follow(self, desk: Desk, figure: Figure, wanted: rules.State, now: datetime) -> None:
        facts = rules.facts(figure, wanted, now)
        key = AlarmKey(facts.element, facts.key)
        open_ = find_open(desk, key)
        if open_ is None or not wanted.raised:
            resource = _resource(desk, figure)
            if wanted.raised or open_ is not None:
                record(desk, self._problems, facts, Subject(resource, service_of(resource)))
                log.info("capacity alarm %s", facts.effect.value, extra={"resource": figure["id"]})
            open_ = find_open(desk, key) if wanted.raised else None
        elif open_.get("perceivedSeverity") != wanted.severity:
            more = {"perceivedSeverity": wanted.severity, "alarmDetails": wanted.text}
            desk.change("Alarm", open_["id"], lambda alarm: {**alarm, **more})
        id = str(open_["id"]) if open_ else ""
        if id != figure.get("alarm", ""):
            self._figures.set_alarm(figure["_id"], id)


def _resource(desk: Desk, figure: Figure) -> Resource:
    try:
        return desk.get("Resource", figure["id"])
    except NotFound:
        return {"@type": "Resource", "id": figure["id"], "name": figure["name"]}
