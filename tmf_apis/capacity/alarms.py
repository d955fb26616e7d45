"""The alarms of capacities: one a thing, raised, made more or less severe, cleared."""

import logging
from collections.abc import Iterable
from datetime import datetime

from pymongo.collection import Collection

from tmf_apis.alarms import AlarmKey, find_open
from tmf_apis.capacity import rules
from tmf_apis.capacity.records import CapacityRecord, CapacityRecords
from tmf_apis.errors import NotFound
from tmf_apis.fault_management.alarm_writer import PROBLEMS_COLLECTION
from tmf_apis.fault_management.deduplication import AlarmSubject, record_alarm
from tmf_apis.inventory.ports import service_of
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.store.connection import MongoDatabase

log = logging.getLogger(__name__)


class CapacityAlarms:
    """Raises and clears; safe to repeat, also by several at once."""

    def __init__(
        self,
        database: MongoDatabase,
        repositories: RepositoryFactory,
        records: CapacityRecords,
        *,
        notice_days: float,
    ) -> None:
        """Take what it works with.

        Args:
            database: Where it is written which alarm stands for which problem.
            repositories: Give access to alarms and resources.
            records: Note which alarm is theirs.
            notice_days: How many days before exhaustion an alarm is raised; 0: only by the threshold.
        """
        self._problems: Collection[dict[str, object]] = database[PROBLEMS_COLLECTION]
        self._repositories = repositories
        self._records = records
        self._notice_days = notice_days

    def update(self, tenant: str, records: Iterable[CapacityRecord], now: datetime) -> None:
        """Bring the alarms of some capacities in step with them."""
        desk = self._repositories.for_tenant(tenant)
        for figure in records:
            raised = bool(figure.get("alarm"))
            wanted = rules.alarm_state(figure, self._notice_days, is_raised=raised)
            if wanted.is_raised or raised:
                self._update_alarm(desk, figure, wanted, now)

    def clear(self, tenant: str, records: Iterable[CapacityRecord], now: datetime) -> None:
        """Clear the alarms of what is not there any more."""
        desk = self._repositories.for_tenant(tenant)
        for figure in records:
            if figure.get("alarm"):
                self._update_alarm(desk, figure, rules.AlarmState(is_raised=False), now)

    def _update_alarm(
        self,
        repository: Repository,
        capacity_record: CapacityRecord,
        target_state: rules.AlarmState,
        now: datetime,
    ) -> None:
        facts = rules.alarm_report(capacity_record, target_state, now)
        key = AlarmKey(facts.element, facts.key)
        open_ = find_open(repository, key)
        if open_ is None or not target_state.is_raised:
            resource = _resource(repository, capacity_record)
            if target_state.is_raised or open_ is not None:
                record_alarm(
                    repository, self._problems, facts, AlarmSubject(resource, service_of(resource))
                )
                log.info(
                    "capacity alarm %s",
                    facts.effect.value,
                    extra={"resource": capacity_record["id"]},
                )
            open_ = find_open(repository, key) if target_state.is_raised else None
        elif open_.get("perceivedSeverity") != target_state.severity:
            more = {"perceivedSeverity": target_state.severity, "alarmDetails": target_state.text}
            repository.change("Alarm", open_["id"], lambda alarm: {**alarm, **more})
        id = str(open_["id"]) if open_ else ""
        if id != capacity_record.get("alarm", ""):
            self._records.set_alarm(capacity_record["_id"], id)


def _resource(repository: Repository, record: CapacityRecord) -> Resource:
    try:
        return repository.get("Resource", record["id"])
    except NotFound:
        return {"@type": "Resource", "id": record["id"], "name": record["name"]}
