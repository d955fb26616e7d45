"""The tasks of an order for the operator's staff: what was planned and changed on the elements."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING

from tmf_apis.fulfilment.execution.journal import TASKS, Document, TaskEntry
from tmf_apis.fulfilment.execution.journal_sealing import JournalSealer
from tmf_apis.fulfilment.values import Allocation, OrderKey
from tmf_apis.inventory.resource_state import ResourceUsage
from tmf_apis.security.personal_attributes import MASK, PersonalAttributes
from tmf_apis.serialization import from_document
from tmf_apis.store.connection import MongoDatabase, translate_errors

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskReader:
    """Reads the tasks of orders from the journal.

    Attributes:
        database: Has the journal.
        sealer: Opens personal values.
        table: The personal attributes.
        sees_personal_data: Whether the reader may see personal values; otherwise they are masked.
    """

    database: MongoDatabase
    sealer: JournalSealer
    table: PersonalAttributes
    sees_personal_data: bool

    def read(self, key: OrderKey, *, limit: int, offset: int) -> tuple[list[Report], int] | None:
        """Return some tasks of an order and the number of all; None if the order is not planned.

        Args:
            key: The order, in the tenant of the reader.
            limit: Largest number of tasks.
            offset: Number of tasks that are skipped.
        """
        tasks = self.database[TASKS]
        head = {"_id": key.qualified_id, "what": "order"}
        owner = {"tenant": key.tenant, "order": key.order, "kind": key.kind}
        query = {"of": key.qualified_id, "what": "task"}
        with translate_errors():
            if tasks.find_one({**head, **owner}, {"_id": 1}) is None:
                return None
            total = tasks.count_documents(query)
            order = [("batch", ASCENDING), ("place", ASCENDING)]
            documents = list(tasks.find(query).sort(order).skip(offset).limit(limit))
        if self.sees_personal_data:
            self.sealer.open(documents)
        return [self._report(document) for document in documents], total

    def _report(self, document: Document) -> Report:
        entry = from_document(TaskEntry, {"id": document["_id"], **document})
        task, allocation = entry.task, entry.allocation
        settings = allocation.settings if allocation else task.settings
        report: Report = {
            "@type": "FulfilmentTask",
            "id": task.id,
            "orderItemId": task.item,
            "action": task.action,
            "state": entry.state,
            "isCompensated": entry.goal != "forward",
            "product": task.product,
            "service": task.service,
            "dependsOn": list(task.depends_on),
            "settingBefore": self._visible(_previous_settings(allocation)),
            "settingAfter": self._visible(settings),
            "change": [
                {
                    "attribute": step.attribute,
                    **self._visible({"before": step.before, "after": step.after}, step.attribute),
                }
                for step in (entry.plan.steps if entry.plan else ())
            ],
            "reason": self._visible_text(entry.reason, settings),
            "attempts": entry.attempts,
            "falloutTask": entry.fallout_task,
            "skipReason": entry.skip_reason,
            "quarantineReason": self._visible_text(entry.quarantine_reason, settings),
        }
        if allocation:
            report |= self._network(allocation)
        return {name: value for name, value in report.items() if value not in ("", None)}

    def _network(self, allocation: Allocation) -> Report:
        """Return the reserved resources and the element, without its address and credentials."""
        network: Report = {
            "resource": [
                {
                    "role": slot,
                    "id": id,
                    "name": self._value(slot.partition(".")[0], allocation.names.get(slot, "")),
                }
                for slot, id in allocation.resources.items()
            ]
        }
        if allocation.target:
            carrier = allocation.carrier_slot.partition(".")[0]
            network["element"] = {
                "id": allocation.element,
                "name": allocation.target.name,
                "adapter": allocation.target.adapter,
                "port": self._value(carrier, allocation.port),
            }
        return network

    def _visible(self, values: Mapping[str, Any], name: str = "") -> Report:
        """Return values by name, personal ones masked; ``name`` stands for all names."""
        return {key: self._value(name or key, value) for key, value in values.items()}

    def _value(self, name: str, value: Any) -> Any:  # noqa: ANN401
        return MASK if self._is_masked(name) else value

    def _visible_text(self, text: str, settings: Mapping[str, Any]) -> str:
        """Return a message; masked if it may quote a personal setting."""
        return MASK if text and any(map(self._is_masked, settings)) else text

    def _is_masked(self, name: str) -> bool:
        return not self.sees_personal_data and self.table.is_personal_characteristic(name)


def _previous_settings(allocation: Allocation | None) -> Mapping[str, Any]:
    """Return the settings of the service before the task, as the inventory had them."""
    if allocation is None:
        return {}
    return allocation.previous_usage.get(allocation.carrier_slot, ResourceUsage()).settings
