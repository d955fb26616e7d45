"""Remedies for a difference: correct the network, accept it into the inventory, or open a task.

The difference is read again before a remedy is applied. If it has disappeared or changed, nothing
is done. A port is reserved while it is corrected, so that no order changes it.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from adapters import base, planning
from adapters.administration import plan_service
from adapters.base import Adapter
from adapters.errors import ElementError, PartiallyApplied
from adapters.values import Intent, Transaction, Verdict
from tmf_apis.element_access.connections import Connections
from tmf_apis.errors import Conflict, NotFound, TmfError, Unfulfillable
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.element_identity import check_identity
from tmf_apis.inventory.elements import carrier_key, ports_by_key, target_of
from tmf_apis.inventory.resource_state import ReservationMark
from tmf_apis.reconciliation.acceptance import accept
from tmf_apis.reconciliation.auditor import Auditor
from tmf_apis.reconciliation.comparison import (
    ACCEPT_INTO_INVENTORY,
    CORRECT_NETWORK,
    PORT_DIFFERS,
    REMEDIES,
    UNKNOWN_ON_ELEMENT,
    Difference,
)
from tmf_apis.reconciliation.possible_remedies import (
    ElementView,
    inventory_chain,
    network_chain,
)
from tmf_apis.rest.pipeline.policy import Repository, Resource

OUTCOME_DONE, OUTCOME_NO_LONGER_THERE, OUTCOME_FAILED = "done", "noLongerThere", "failed"
#: Maximum duration of the reservation of a port that is corrected.
RESERVATION_TIME = timedelta(minutes=10)
#: Time after which an element rolls back an unconfirmed change by itself, in seconds.
CONFIRM_TIMEOUT = 60.0
#: Most open tasks of an element.
MAX_TASKS = 10_000
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
            differences, view = await self._auditor.recheck(element)
            current = next((each for each in differences if each.key == difference.key), None)
            if current is None:
                await asyncio.to_thread(self._close_tasks, element, [difference], "cancelled")
                return RemedyOutcome(OUTCOME_NO_LONGER_THERE, "inventory and element agree now")
            if not current.is_same_as(difference):
                return RemedyOutcome(
                    OUTCOME_NO_LONGER_THERE, f"the difference has changed: {current.message}"
                )
            return await self._apply_remedy(element, current, remedy, (differences, view))
        except ElementError as error:
            return RemedyOutcome(OUTCOME_FAILED, str(error))
        except TmfError as error:
            return RemedyOutcome(OUTCOME_FAILED, error.message)
        except Unfulfillable as error:
            return RemedyOutcome(OUTCOME_FAILED, str(error))

    async def _apply_remedy(
        self,
        element: Resource,
        difference: Difference,
        remedy: str,
        context: tuple[list[Difference], ElementView],
    ) -> RemedyOutcome:
        if remedy not in difference.remedies:
            return RemedyOutcome(OUTCOME_FAILED, f"{difference.message}: {remedy} cannot work")
        is_move = difference.type == PORT_DIFFERS
        if remedy == CORRECT_NETWORK:
            chain = network_chain(difference, *context) if is_move else [difference]
            outcome = await self._correct_network(element, chain)
            if outcome.status == OUTCOME_DONE:
                await asyncio.to_thread(self._close_tasks, element, chain)
            return outcome
        if remedy == ACCEPT_INTO_INVENTORY:
            chain = inventory_chain(difference, *context) if is_move else []
            write = partial(accept, self._repository, element, difference, chain)
            message = await asyncio.to_thread(write)
            await asyncio.to_thread(self._close_tasks, element, chain or [difference])
        else:
            open_task = partial(self._open_task, self._repository, element, difference)
            message = await asyncio.to_thread(open_task)
        return RemedyOutcome(OUTCOME_DONE, message)

    async def _correct_network(
        self, element: Resource, chain: Sequence[Difference]
    ) -> RemedyOutcome:
        holder = f"{self._audit_id}/{chain[0].service or chain[0].port}#audit"
        reserved_ids = await asyncio.to_thread(self._reserve_ports, element, chain, holder)
        try:
            target = target_of(element, self._repository.tenant)
            async with self._connections.acquire(target, exclusive=True) as adapter:
                await check_identity(adapter, element)
                return await _correct_element(adapter, chain)
        finally:
            await asyncio.to_thread(self._release_ports, reserved_ids, holder)

    def _reserve_ports(
        self, element: Resource, chain: Sequence[Difference], holder: str
    ) -> list[str]:
        """Reserve the ports of differences and return their ids.

        Raises:
            Unfulfillable: An order has reserved one of them.
        """
        ports = ports_by_key(self._repository, element["id"])
        observed = [ports.get(str(each.observed.get("port", each.port))) for each in chain]
        resources = [each.resource for each in chain]
        ports_by_id = {port["id"]: port for port in (*resources, *observed) if port}
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
        location = _location(difference)
        task = {
            "@type": "FalloutTask",
            "id": id,
            "task": _task_text(difference),
            "element": str(element.get("name") or element["id"]),
            "reason": f"{location}: {difference.message}",
            "attempts": 0,
        }
        if existing := open_tasks_of(repository, element, _task_text(difference)):
            return f"fallout task {existing[0]['id']}"
        with suppress(Conflict):  # the task exists already
            repository.create("FalloutTask", task)
        return f"fallout task {id}"

    def _close_tasks(
        self, element: Resource, chain: Iterable[Difference], state: str = "resolved"
    ) -> None:
        """Close the tasks that were opened for differences."""
        for difference in chain:
            for task in open_tasks_of(self._repository, element, _task_text(difference)):
                close_task(self._repository, task["id"], state)


def _location(difference: Difference) -> str:
    service = f", service {difference.service}" if difference.service else ""
    return f"port {difference.port}{service}"


def _task_text(difference: Difference) -> str:
    return f"{difference.type}: {_location(difference)}"


def open_tasks_of(
    repository: Repository, element: Resource, text: str | None = None
) -> list[Resource]:
    """Return the open tasks for differences of an element: those with a text, or all."""
    name = str(element.get("name") or element["id"])
    query: dict[str, Any] = {"state": "open", "element": name, "order": {"$exists": False}}
    if text is not None:
        query["task"] = text
    return list(repository.find("FalloutTask", query, limit=MAX_TASKS))


def close_task(repository: Repository, id: str, state: str) -> None:
    """Close a task whose difference is resolved or has disappeared."""
    with suppress(NotFound):
        repository.change(
            "FalloutTask",
            id,
            lambda old: {**old, "state": state} if old.get("state") == "open" else old,
        )


def close_outdated_tasks(
    repository: Repository, element: Resource, differences: Iterable[Difference]
) -> None:
    """Close the tasks of an element whose difference an audit has not found any more."""
    current = {_task_text(difference) for difference in differences}
    for task in open_tasks_of(repository, element):
        text = str(task.get("task") or "")
        if text.partition(":")[0] in REMEDIES and text not in current:
            close_task(repository, task["id"], "cancelled")


def _reservation_edit(mark: ReservationMark) -> Callable[[Resource], Resource]:
    return lambda old: resource_state.reserve(old, mark)


def _intent(difference: Difference) -> Intent:
    settings: Mapping[str, Any] = {k: v for k, v in difference.expected.items() if k != "port"}
    port = carrier_key(difference.resource) if difference.resource else difference.port
    return Intent(difference.service, port, dict(settings))


async def _correct_element(adapter: Adapter, chain: Sequence[Difference]) -> RemedyOutcome:
    """Correct a difference; services that have to move are moved together, or not at all."""
    difference = chain[0]
    if difference.type == UNKNOWN_ON_ELEMENT:
        absent = Intent(difference.service, difference.port, present=False)
        verdict, _ = await _apply_intent(adapter, absent)
    elif difference.type == PORT_DIFFERS:
        verdict = await _move_services(adapter, chain)
    else:
        verdict, _ = await _apply_intent(adapter, _intent(difference))
    if verdict.good:
        return RemedyOutcome(OUTCOME_DONE)
    return RemedyOutcome(OUTCOME_FAILED, f"{verdict.element}: {verdict.difference}")


async def _move_services(adapter: Adapter, chain: Sequence[Difference]) -> Verdict:
    """Move services to their expected ports; return the first bad verdict, or the last good one."""
    done: list[Transaction] = []
    try:
        for each in chain:
            absent = Intent(each.service, str(each.observed["port"]), present=False)
            done.append(await adapter.apply(await adapter.plan(absent)))
        for each in chain:
            verdict, transaction = await _apply_intent(adapter, _intent(each))
            if not verdict.good:
                break
            done.append(transaction)
    except ElementError:
        await _roll_back(adapter, done)
        raise
    if not verdict.good:
        await _roll_back(adapter, done)
    return verdict


async def _roll_back(adapter: Adapter, done: Iterable[Transaction]) -> None:
    for transaction in reversed(list(done)):
        await adapter.rollback(transaction)


async def _apply_intent(adapter: Adapter, intent: Intent) -> tuple[Verdict, Transaction]:
    """Apply an intent and verify it; roll back on failure."""
    confirmed = base.CONFIRMED in adapter.capabilities
    intent, plan = await plan_service(adapter, intent)
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
    return verdict, transaction
