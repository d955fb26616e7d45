"""Intake of orders: wait for the start date, claim the products, plan once and reserve."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.fulfilment.execution import order_updates, progress
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_graph import BatchGraph, reorder_moves, split_into_batches
from tmf_apis.fulfilment.execution.journal import FORWARD, Batch, ItemEntry, Journal, TaskEntry
from tmf_apis.fulfilment.execution.order_queue import OrderQueue
from tmf_apis.fulfilment.execution.payloads import BatchRef, IntakeResult
from tmf_apis.fulfilment.order_rights import OrderRights, order_rights
from tmf_apis.fulfilment.reservation import refusals, reservations
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory, ScopedRepository

log = logging.getLogger(__name__)

#: Minimum number of items or tasks in a batch; approximate number of batches of a large order.
MIN_BATCH_SIZE, TARGET_BATCH_COUNT = 25, 10


def _utc_now() -> datetime:
    return datetime.now(UTC)


class OrderIntake:
    """Plans orders and reserves their resources; every method is safe to repeat."""

    def __init__(  # noqa: PLR0913
        self,
        repositories: RepositoryFactory,
        journal: Journal,
        queue: OrderQueue,
        committer: BatchCommitter,
        designer: OrderDesigner,
        *,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Store the collaborators.

        Args:
            repositories: Give access to the resources.
            journal: Stores the plan.
            queue: Runs orders for the same product one after another.
            committer: Saves the compensation of tasks that cannot be reserved.
            designer: Designs orders.
            clock: Returns the time, with a zone.
        """
        self._repositories = repositories
        self._journal = journal
        self._queue = queue
        self._committer = committer
        self._designer = designer
        self._clock = clock

    def accept(self, key: OrderKey) -> tuple[IntakeResult, Batch | None]:
        """Plan an order, mark it as in progress and, if it has one batch, reserve for it.

        Returns:
            The result, and the order's only batch if it was planned and reserved by this call.
        """
        head = self._journal.head(key)
        if head and "ended" in head:
            return IntakeResult(orders_to_wake=self._queue.leave(key, head["claims"])), None
        repository = self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant)
        try:
            order = repository.get(key.kind, key.order)
        except NotFound:
            order = {"id": key.order}
        rights = order_rights(self._repositories, key, self._owner(repository, key))
        if head is None:
            outcome = self._plan(rights, key, order)
            if isinstance(outcome, IntakeResult):
                return outcome, None
            batches, is_first = outcome
        else:
            batches, is_first = self._load_batches(key, head), False
        batch_count, new_batch = len(batches), None
        started = self._mark_in_progress(rights.operator, key, batches)
        if batch_count == 1 and started is not None:
            self._reserve_batch(rights, batches[0], started, first_attempt=is_first)
            if is_first:
                new_batch = batches[0]
                new_batch.order_state = str(started.get("state", ""))
                new_batch.rights = rights
        result = IntakeResult(
            batches=batch_count,
            reserved=batch_count == 1,
            due_in=max(self._seconds_until(order.get("requestedCompletionDate")), 0.0),
            priority=order_updates.priority_key(order),
            maybe_running=not is_first,
        )
        return result, new_batch

    @staticmethod
    def _owner(repository: ScopedRepository, key: OrderKey) -> frozenset[str] | None:
        """Return the parties of the client that placed an order; None: the operator's staff."""
        try:
            return repository.owner_of(key.kind, key.order)
        except NotFound:
            return None

    def _load_batches(self, key: OrderKey, head: Mapping[str, Any]) -> list[Batch]:
        return [self._journal.batch(key, number) for number in range(head["batches"])]

    def _plan(
        self, rights: OrderRights, key: OrderKey, order: Resource
    ) -> IntakeResult | tuple[list[Batch], bool]:
        """Plan an order and store its batches in the journal.

        Returns:
            The batches, and whether this call stored them (False: a concurrent call did); or the
            result for an order that cannot be planned now, or at all.
        """
        kind = order_kinds.kind_of(key)
        products = self._queue.changed_ids(rights, key, order)
        if order.get("state") not in order_updates.OPEN_STATES:
            return self._dismiss(key, products, is_deleted="state" not in order)
        if order["state"] == "acknowledged":
            start_in = self._seconds_until(order.get("requestedStartDate"))
            if start_in > 0:
                return IntakeResult(start_in=start_in)
        holder, woken = self._queue.enter(rights, key, order, products)
        if holder:
            self._queue.warn(rights.operator, key, holder)
            return IntakeResult(blocked=True, orders_to_wake=woken)
        design = self._designer.design(rights, key, order)
        if design.is_rejected:
            self._reject(rights.operator, key, design.rejections)
        if design.is_empty or design.is_rejected:
            return self._dismiss(key, products)
        size = max(MIN_BATCH_SIZE, len(design.items) // TARGET_BATCH_COUNT)
        batches = split_into_batches(key, kind.as_product_order(order), design, size)
        claims = sorted(products)
        due = canonical_timestamp(order.get("requestedCompletionDate"))
        owner = None if rights.parties is None else sorted(rights.parties)
        fields = {"batches": len(batches), "claims": claims, "due": due, "owner": owner}
        head = self._journal.create(key, batches, fields)
        if not head["fresh"]:
            return self._load_batches(key, head), False
        planned = [
            Batch(key, number, items, tasks, tuple(claims), owner=rights.parties)
            for number, (items, tasks) in enumerate(batches)
        ]
        return planned, True

    def _dismiss(
        self, key: OrderKey, products: Iterable[str], *, is_deleted: bool = False
    ) -> IntakeResult:
        """Finish an order that fulfilment has nothing to do for."""
        self._journal.finish(key)
        leave = self._queue.leave
        woken = self._queue.leave_deleted(key) if is_deleted else leave(key, products)
        return IntakeResult(orders_to_wake=woken)

    @staticmethod
    def _reject(repository: Repository, key: OrderKey, reasons: Mapping[str, str]) -> None:
        """Reject an order that can never be fulfilled."""
        schema = order_kinds.kind_of(key).schema

        def reject(order: Resource) -> Resource:
            return order_updates.with_rejection(order, reasons, repository.now, schema=schema)

        with suppress(NotFound):  # deleted meanwhile
            repository.change(key.kind, key.order, reject)

    @staticmethod
    def _mark_in_progress(
        repository: Repository, key: OrderKey, batches: list[Batch]
    ) -> Resource | None:
        """Mark an order and its items as in progress; return it, or None if it was deleted."""
        plans = {item.item_id: item.plan for batch in batches for item in batch.items}
        schema = order_kinds.kind_of(key).schema

        def start(order: Resource) -> Resource:
            if order.get("state") not in order_updates.OPEN_STATES:
                return order
            return order_updates.with_items_started(order, plans, repository.now, schema=schema)

        try:
            return repository.change(key.kind, key.order, start)
        except NotFound:  # deleted meanwhile: its batches are compensated later
            return None

    def reserve(self, batch_ref: BatchRef) -> None:
        """Reserve the resources of a batch and write its pending products and services."""
        key = batch_ref.key
        repository = self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant)
        try:
            order = repository.get(key.kind, key.order)
        except NotFound:
            return
        batch = self._journal.batch(key, batch_ref.number)
        self._reserve_batch(self._committer.rights_of(batch), batch, order)

    def _reserve_batch(
        self, rights: OrderRights, batch: Batch, order: Resource, *, first_attempt: bool = False
    ) -> None:
        if order.get("state") not in order_updates.OPEN_STATES | {"held"}:
            return
        self._reserve_tasks(rights, batch, first_attempt=first_attempt)
        inventory_writer = order_kinds.kind_of(batch.key).inventory_writer(rights, order)
        items = [item for item in batch.items if item.goal == FORWARD and item.state == "open"]
        self._journal.save(
            [item for item in items if inventory_writer.record_previous_states(item)],
            "previous_states",
        )
        for item in items:
            inventory_writer.write_pending(item)

    def _reserve_tasks(self, rights: OrderRights, batch: Batch, *, first_attempt: bool) -> None:
        """Reserve the resources of the designed tasks; compensate units that lack one."""
        key = batch.key
        graph, compensated = BatchGraph(batch), list[ItemEntry | TaskEntry]()
        reserved: list[TaskEntry] = []
        tasks = [entry.task for entry in batch.entries]
        for entry in batch.entries:
            if entry.goal != FORWARD or entry.state != "designed":
                continue
            try:
                entry.allocation = reservations.reserve(
                    rights.network,
                    key,
                    entry.task,
                    rights.orderer,
                    duration=self._committer.reservation_time,
                    first_attempt=first_attempt,
                    releasing_tasks=reservations.releasing_tasks(entry.task, tasks),
                )
            except Unfulfillable as error:
                entry.reason = str(error)
                readers = self._repositories.for_readers(key.tenant, key.kind, key.order)
                message = refusals.message_for(error, readers)
                compensated += graph.compensate(entry.unit, message, entry.task.item)
                if isinstance(error, reservations.ReleaseNotPossible):
                    items = {task.item for task in error.predecessors}
                    units = sorted(each.unit for each in batch.items if each.item_id in items)
                    for unit in units:
                        compensated += graph.compensate(unit, message, entry.task.item)
                context = {"order": key.order, "task": entry.task.id, "tenant": key.tenant}
                context["error"] = str(error)
                log.info("the resources of a task cannot be reserved", extra=context)
                self._journal.save([entry], "reason")
            else:
                entry.state, entry.renewed_at = "reserved", time.time()
                reserved.append(entry)
        self._journal.save(reserved, "state", "allocation", "renewed_at")
        self._journal.save(reorder_moves(batch), "task")
        self._committer.save_compensation(rights.operator, compensated)

    def check_due_date(self, key: OrderKey) -> float:
        """Add an alert to an order that is late.

        Returns:
            The seconds until the order may be late; 0 if no further check is needed.
        """
        repository = self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant)
        try:
            order = repository.get(key.kind, key.order)
        except NotFound:
            return 0.0
        requested = order.get("requestedCompletionDate")
        self._journal.update_head(key, due=canonical_timestamp(requested))
        if order_updates.is_final(str(order.get("state"))) or not requested:
            return 0.0
        due_in = self._seconds_until(requested)
        if due_in > 0:
            return due_in
        schema = order_kinds.kind_of(key).schema

        def with_alert(order: Resource) -> Resource:
            if order_updates.is_final(str(order.get("state"))):
                return order
            date = order.get("requestedCompletionDate")
            alert = (f"late {date}", progress.UNAVOIDABLE_DELAY, f"it was requested for {date}")
            return progress.with_alert(order, alert, repository.now, schema=schema)

        repository.change(key.kind, key.order, with_alert)
        return 0.0

    def _seconds_until(self, date: object) -> float:
        """Return the seconds until a date of an order; 0 if there is no date."""
        timestamp = canonical_timestamp(date) if date else None
        if not timestamp:
            return 0.0
        return (datetime.fromisoformat(timestamp) - self._clock()).total_seconds()
