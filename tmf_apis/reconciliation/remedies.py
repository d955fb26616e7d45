"""Remedies for a difference: correct the network, accept it into the inventory, or open a task.

The difference is read again before a remedy is applied. If it has disappeared or changed, nothing
is done. A port is reserved while it is corrected, so that no order changes it.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters import base, planning
from adapters.base import Adapter
from adapters.errors import ElementError, PartiallyApplied
from adapters.values import Intent, Verdict
from tmf_apis.element_access.connections import Connections
from tmf_apis.errors import Conflict, NotFound, TmfError, Unfulfillable
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.elements import carrier_key, ports_by_key, target_of
from tmf_apis.inventory.resource_state import ReservationMark
from tmf_apis.reconciliation.acceptance import accept
from tmf_apis.reconciliation.auditor import Auditor
from tmf_apis.reconciliation.comparison import (
    ACCEPT_INTO_INVENTORY,
    CORRECT_NETWORK,
    PORT_DIFFERS,
    UNKNOWN_ON_ELEMENT,
    Difference,
)
from tmf_apis.rest.pipeline.policy import Repository, Resource

OUTCOME_DONE, OUTCOME_NO_LONGER_THERE, OUTCOME_FAILED = "done", "noLongerThere", "failed"
#: Maximum duration of the reservation of a port that is corrected.
RESERVATION_TIME = timedelta(minutes=10)
#: Time after which an element rolls back an unconfirmed change by itself, in seconds.
CONFIRM_TIMEOUT = 60.0
_KIND = "Resource"


@dataclass(frozen=True, slots=True)
class RemedyOutcome:
    """The outcome of a remedy.

    Attributes:
        status: "done", "noLongerThere" or "failed".
        message: Result or reason, for people.
    """

    status: str
    message: str = ""


class RemedyExecutor:
    """Applies remedies to the differences of one audit."""

    def __init__(self, repository: Repository, connections: Connections, audit_id: str) -> None:
        """Create an executor.

        Args:
            repository: Repository of the whole tenant.
            connections: Connections to the elements.
            audit_id: Id of the audit; marks its reservations and tasks.
        """
        self._repository = repository
        self._connections = connections
        self._audit_id = audit_id
        self._auditor = Auditor(repository, connections)

    async def apply(self, element: Resource, difference: Difference, remedy: str) -> RemedyOutcome:
        """Apply a remedy to a difference; safe to repeat."""
        try:
            current = await self._auditor.recheck(element, difference.key)
            if current is None:
                return RemedyOutcome(OUTCOME_NO_LONGER_THERE, "inventory and element agree now")
            if not current.is_same_as(difference):
                return RemedyOutcome(
                    OUTCOME_NO_LONGER_THERE, f"the difference has changed: {current.message}"
                )
            return await self._apply_remedy(element, current, remedy)
        except ElementError as error:
            return RemedyOutcome(OUTCOME_FAILED, str(error))
        except TmfError as error:
            return RemedyOutcome(OUTCOME_FAILED, error.message)
        except Unfulfillable as error:
            return RemedyOutcome(OUTCOME_FAILED, str(error))

    async def _apply_remedy(
        self, element: Resource, difference: Difference, remedy: str
    ) -> RemedyOutcome:
        if remedy not in difference.remedies:
            return RemedyOutcome(OUTCOME_FAILED, f"{difference.type} has no remedy {remedy}")
        if remedy == CORRECT_NETWORK:
            return await self._correct_network(element, difference)
        action = accept if remedy == ACCEPT_INTO_INVENTORY else self._open_task
        return RemedyOutcome(
            OUTCOME_DONE, await asyncio.to_thread(action, self._repository, element, difference)
        )

    async def _correct_network(self, element: Resource, difference: Difference) -> RemedyOutcome:
        holder = f"{self._audit_id}/{difference.service}#audit"
        reserved_ids = await asyncio.to_thread(self._reserve_ports, element, difference, holder)
        try:
            target = target_of(element, self._repository.tenant)
            async with self._connections.acquire(target, exclusive=True) as adapter:
                return await _correct_element(adapter, difference)
        finally:
            await asyncio.to_thread(self._release_ports, reserved_ids, holder)

    def _reserve_ports(self, element: Resource, difference: Difference, holder: str) -> list[str]:
        """Reserve the ports of a difference and return their ids.

        Raises:
            Unfulfillable: An order has reserved one of them.
        """
        ports = ports_by_key(self._repository, element["id"])
        observed_port = ports.get(str(difference.observed.get("port", difference.port)))
        ports_by_id = {port["id"]: port for port in (difference.resource, observed_port) if port}
        reserved: list[str] = []
        try:
            for id, port in sorted(ports_by_id.items()):
                service = resource_state.service_use(port).usage.service
                mark = ReservationMark.for_duration(
                    holder, datetime.now(UTC), RESERVATION_TIME, service
                )
                self._repository.change(_KIND, id, _reservation_edit(mark))
                reserved.append(id)
        except BaseException:
            self._release_ports(reserved, holder)
            raise
        return reserved

    def _release_ports(self, ids: list[str], holder: str) -> None:
        for id in ids:
            with suppress(NotFound):
                self._repository.change(_KIND, id, lambda old: resource_state.release(old, holder))

    def _open_task(self, repository: Repository, element: Resource, difference: Difference) -> str:
        name = f"{repository.tenant}:{self._audit_id}:{element['id']}:{difference.key}"
        id = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
        location = f"port {difference.port}" + (
            f", service {difference.service}" if difference.service else ""
        )
        task = {
            "@type": "FalloutTask",
            "id": id,
            "task": f"{difference.type}: {location}",
            "element": str(element.get("name") or element["id"]),
            "reason": f"{location}: {difference.message}",
            "attempts": 0,
        }
        with suppress(Conflict):  # the task exists already
            repository.create("FalloutTask", task)
        return f"fallout task {id}"


def _reservation_edit(mark: ReservationMark) -> Callable[[Resource], Resource]:
    return lambda old: resource_state.reserve(old, mark)


def _intent(difference: Difference) -> Intent:
    settings: Mapping[str, Any] = {k: v for k, v in difference.expected.items() if k != "port"}
    port = carrier_key(difference.resource) if difference.resource else difference.port
    return Intent(difference.service, port, dict(settings))


async def _correct_element(adapter: Adapter, difference: Difference) -> RemedyOutcome:
    if difference.type == UNKNOWN_ON_ELEMENT:
        await adapter.remove(difference.service)
        if await adapter.read(difference.service) is not None:
            return RemedyOutcome(
                OUTCOME_FAILED, "the element confirmed the removal but still has the service"
            )
        return RemedyOutcome(OUTCOME_DONE)
    removed = await adapter.remove(difference.service) if difference.type == PORT_DIFFERS else None
    try:
        verdict = await _apply_intent(adapter, _intent(difference))
    except ElementError:
        if removed:
            await adapter.rollback(removed)
        raise
    if verdict.good:
        return RemedyOutcome(OUTCOME_DONE)
    if removed:
        await adapter.rollback(removed)
    return RemedyOutcome(OUTCOME_FAILED, f"{verdict.element}: {verdict.difference}")


async def _apply_intent(adapter: Adapter, intent: Intent) -> Verdict:
    """Apply an intent to an element, roll back on failure, and return the verification."""
    confirmed = base.CONFIRMED in adapter.capabilities
    plan = await adapter.plan(intent)
    try:
        transaction = await adapter.apply(
            plan, **({"confirm_within": CONFIRM_TIMEOUT} if confirmed else {})
        )
    except PartiallyApplied as error:
        await adapter.rollback(error.transaction)
        raise
    verdict = await adapter.verify(intent)
    if verdict.good:
        await adapter.confirm(transaction)
    else:
        await adapter.rollback(planning.with_stored(transaction, verdict))
    return verdict
