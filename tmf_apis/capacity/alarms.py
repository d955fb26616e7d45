"""Capacity alarms: at most one per capacity object, raised, changed in severity and cleared."""

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
    """Raises and clears capacity alarms; safe to repeat, also concurrently."""

    def __init__(
        self,
        database: MongoDatabase,
        repositories: RepositoryFactory,
        records: CapacityRecords,
        *,
        notice_days: float,
    ) -> None:
        """Create the capacity alarms.

        Args:
            database: Holds the ids of the alarms by problem.
            repositories: Give access to alarms and resources by tenant.
            records: The capacity records, which refer to their alarms.
            notice_days: Raise an alarm this number of days before exhaustion; 0: only at the
                threshold.
        """
        self._problems: Collection[dict[str, object]] = database[PROBLEMS_COLLECTION]
        self._repositories = repositories
        self._records = records
        self._notice_days = notice_days

    def update(self, tenant: str, records: Iterable[CapacityRecord], now: datetime) -> None:
        """Raise, change or clear the alarms of capacity records."""
        repository = self._repositories.for_tenant(tenant)
        for record in records:
            is_raised = bool(record.get("alarm"))
            target_state = rules.alarm_state(record, self._notice_days, is_raised=is_raised)
            if target_state.is_raised or is_raised:
                self._update_alarm(repository, record, target_state, now)

    def clear(self, tenant: str, records: Iterable[CapacityRecord], now: datetime) -> None:
        """Clear the alarms of records that have been deleted."""
        repository = self._repositories.for_tenant(tenant)
        for record in records:
            if record.get("alarm"):
                self._update_alarm(repository, record, rules.AlarmState(is_raised=False), now)

    def _update_alarm(
        self,
        repository: Repository,
        capacity_record: CapacityRecord,
        target_state: rules.AlarmState,
        now: datetime,
    ) -> None:
        report = rules.alarm_report(capacity_record, target_state, now)
        key = AlarmKey(report.element, report.key)
        open_alarm = find_open(repository, key)
        if open_alarm is None or not target_state.is_raised:
            resource = _resource(repository, capacity_record)
            if target_state.is_raised or open_alarm is not None:
                record_alarm(
                    repository, self._problems, report, AlarmSubject(resource, service_of(resource))
                )
                log.info(
                    "capacity alarm raised" if target_state.is_raised else "capacity alarm cleared",
                    extra={"resource": capacity_record["id"]},
                )
            open_alarm = find_open(repository, key) if target_state.is_raised else None
        elif open_alarm.get("perceivedSeverity") != target_state.severity:
            changes = {
                "perceivedSeverity": target_state.severity,
                "alarmDetails": target_state.text,
            }
            repository.change("Alarm", open_alarm["id"], lambda alarm: {**alarm, **changes})
        id = str(open_alarm["id"]) if open_alarm else ""
        if id != capacity_record.get("alarm", ""):
            self._records.set_alarm(capacity_record["_id"], id)


def _resource(repository: Repository, record: CapacityRecord) -> Resource:
    try:
        return repository.get("Resource", record["id"])
    except NotFound:
        return {"@type": "Resource", "id": record["id"], "name": record["name"]}
