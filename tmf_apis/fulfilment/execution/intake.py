"""Taking an order up: when its time has come, alone for its products, planned once and reserved."""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.fulfilment.execution import order_updates, progress
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_graph import BatchGraph, reorder_moves, split_into_batches
from tmf_apis.fulfilment.execution.claims import Claims
from tmf_apis.fulfilment.execution.journal import FORWARD, Batch, ItemEntry, Journal, TaskEntry
from tmf_apis.fulfilment.execution.payloads import BatchRef, IntakeResult
from tmf_apis.fulfilment.reservation import refusals, reservations
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

log = logging.getLogger(__name__)

#: Tasks of one batch at least; a large order has about so many batches.
MIN_BATCH_SIZE, TARGET_BATCH_COUNT = 25, 10


class OrderIntake:
    """Takes orders up; every deed is safe to repeat."""

    def __init__(
        self,
        repositories: RepositoryFactory,
        journal: Journal,
        claims: Claims,
        committer: BatchCommitter,
        designer: OrderDesigner,
    ) -> None:
        """Take what it works with.

        Args:
            repositories: Give access to the resources.
            journal: Keeps what is planned.
            claims: Keep orders for the same product apart.
            committer: Ends what comes to nothing.
            designer: Designs orders.
        """
        self._repositories = repositories
        self._journal = journal
        self._claims = claims
        self._committer = committer
        self._designer = designer

    def accept(self, key: OrderKey) -> tuple[IntakeResult, Batch | None]:
        """Plan an order, say that it is in progress and, where it is small, reserve for it.

        Returns:
            What there is to do; and its only batch, if it was planned now and is reserved.
        """
        head = self._journal.head(key)
        if head and "ended" in head:
            return IntakeResult(
                orders_to_wake=tuple(self._claims.release(key, head["claims"]))
            ), None
        desk = self._repositories.for_tenant(key.tenant)
        try:
            order = desk.get(key.kind, key.order)
        except NotFound:
            order = {"id": key.order}
        if head is None:
            taken = self._plan(desk, key, order)
            if isinstance(taken, IntakeResult):
                return taken, None
            batches, first = taken
        else:
            batches, first = self._load_batches(key, head), False
        count, fresh = len(batches), None
        begun = self._mark_in_progress(desk, key, batches)
        if count == 1 and begun is not None:
            self._reserve_batch(desk, batches[0], begun, first_attempt=first)
            if first:
                fresh = batches[0]
                fresh.order_state, fresh.repository = str(begun.get("state", "")), desk
        due = _seconds_until(order.get("requestedCompletionDate"))
        rank = order_updates.priority_key(order)
        work = IntakeResult(
            batches=count, reserved=count == 1, due_in=max(due, 0.0), priority=rank,
            maybe_running=not first,
        )  # fmt: skip
        return work, fresh

    def _load_batches(self, key: OrderKey, head: Mapping[str, Any]) -> list[Batch]:
        return [self._journal.batch(key, number) for number in range(head["batches"])]

    def _plan(
        self, repository: Repository, key: OrderKey, order: Resource
    ) -> IntakeResult | tuple[list[Batch], bool]:
        """Return the batches of an order that is planned now, or why it is not.

        With the batches comes whether nobody else has taken the order up at the same moment.
        """
        kind = order_kinds.kind_of(key)
        claimed = kind.changed_ids(order)
        if order.get("state") not in order_updates.OPEN_STATES:
            return self._dismiss(key, claimed)
        if order["state"] == "acknowledged":
            wait = _seconds_until(order.get("requestedStartDate"))
            if wait > 0:
                return IntakeResult(start_in=wait)
        if holder := self._claims.acquire(key, claimed, self._is_finished):
            self._warn_blocked(repository, key, holder)
            return IntakeResult(blocked=True)
        design = self._designer.design(repository, key, order)
        if design.is_empty:
            return self._dismiss(key, claimed)
        size = max(MIN_BATCH_SIZE, len(design.items) // TARGET_BATCH_COUNT)
        batches = split_into_batches(key, kind.as_product_order(order), design, size)
        due = canonical_timestamp(order.get("requestedCompletionDate"))
        facts = {"batches": len(batches), "claims": sorted(claimed), "due": due}
        head = self._journal.create(key, batches, facts)
        if not head["fresh"]:
            return self._load_batches(key, head), False
        own = tuple(sorted(claimed))
        return [Batch(key, n, some, tasks, own) for n, (some, tasks) in enumerate(batches)], True

    def _dismiss(self, key: OrderKey, products: Iterable[str]) -> IntakeResult:
        self._journal.finish(key)
        return IntakeResult(orders_to_wake=tuple(self._claims.release(key, products)))

    def _is_finished(self, holder: OrderKey) -> bool:
        return order_updates.is_final(self._journal.order_state(holder))

    def _warn_blocked(self, repository: Repository, key: OrderKey, holder: OrderKey) -> None:
        readers = self._repositories.for_readers(key.tenant, key.kind, key.order)
        mine = all(refusals.can_read_order(one, holder.order, holder.kind) for one in readers)
        other = f"order {holder.order}" if mine else "another order"
        form = order_kinds.kind_of(key).schema
        alert = (
            other,
            progress.WAITING_FOR_ORDER,
            f"{other} works on the same {form.subject} and goes first",
        )

        def warn(order: Resource) -> Resource:
            if order.get("state") not in order_updates.OPEN_STATES:
                return order
            return progress.with_alert(order, alert, repository.now, schema=form)

        repository.change(key.kind, key.order, warn)

    @staticmethod
    def _mark_in_progress(
        repository: Repository, key: OrderKey, batches: list[Batch]
    ) -> Resource | None:
        """Say that an order is in progress, and return it; None: it is gone."""
        plans = {item.item_id: item.plan for batch in batches for item in batch.items}

        def begin(order: Resource) -> Resource:
            if order.get("state") not in order_updates.OPEN_STATES:
                return order
            return order_updates.with_items_started(
                order, plans, repository.now, order_kinds.kind_of(key).schema
            )

        try:
            return repository.change(key.kind, key.order, begin)
        except NotFound:  # deleted meanwhile: what is kept goes back
            return None

    def reserve(self, batch_ref: BatchRef) -> None:
        """Reserve what a batch needs, and write into the inventories what is to come."""
        desk = self._repositories.for_tenant(batch_ref.key.tenant)
        try:
            order = desk.get(batch_ref.key.kind, batch_ref.key.order)
        except NotFound:
            return
        self._reserve_batch(desk, self._journal.batch(batch_ref.key, batch_ref.number), order)

    def _reserve_batch(
        self, repository: Repository, batch: Batch, order: Resource, *, first_attempt: bool = False
    ) -> None:
        if order.get("state") not in order_updates.OPEN_STATES | {"held"}:
            return
        key = batch.key
        owner = self._owner_repository(repository, batch)
        graph, changed = BatchGraph(batch), list[ItemEntry | TaskEntry]()
        done: list[TaskEntry] = []
        for entry in batch.entries:
            if entry.goal != FORWARD or entry.state != "designed":
                continue
            try:
                entry.allocation = reservations.reserve(
                    repository,
                    key,
                    entry.task,
                    owner,
                    duration=self._committer.reservation_time,
                    first_attempt=first_attempt,
                )
            except Unfulfillable as error:
                entry.reason = str(error)
                readers = self._repositories.for_readers(key.tenant, key.kind, key.order)
                said = refusals.message_for(error, readers)
                changed += graph.compensate(entry.unit, said, entry.task.item)
                facts = {"order": key.order, "task": entry.task.id, "tenant": key.tenant}
                log.info("a task cannot be done: %s", error, extra=facts)
                self._journal.save([entry], "reason")
            else:
                entry.state, entry.renewed_at = "reserved", time.time()
                done.append(entry)
        self._journal.save(done, "state", "allocation", "renewed_at")
        self._journal.save(reorder_moves(batch), "task")
        self._committer.save_compensation(repository, changed)
        books = order_kinds.kind_of(key).inventory_writer(repository, order)
        forward = [one for one in batch.items if one.goal == FORWARD and one.state == "open"]
        self._journal.save(
            [one for one in forward if books.record_previous_states(one)], "previous_states"
        )
        for item in forward:
            books.write_pending(item)

    def _owner_repository(self, repository: Repository, batch: Batch) -> Repository:
        """Return a desk that sees what whoever placed the order may see, where that matters."""
        if all(one.task.action == "provide" for one in batch.entries):
            return repository
        return self._repositories.for_owner(batch.key.tenant, batch.key.kind, batch.key.order)

    def check_due_date(self, key: OrderKey) -> float:
        """Say that an order is late, if it is; return the seconds until it may be; 0: never."""
        desk = self._repositories.for_tenant(key.tenant)
        try:
            order = desk.get(key.kind, key.order)
        except NotFound:
            return 0.0
        wait = _seconds_until(order.get("requestedCompletionDate"))
        self._journal.update_head(
            key, due=canonical_timestamp(order.get("requestedCompletionDate"))
        )
        if order_updates.is_final(str(order.get("state"))) or not order.get(
            "requestedCompletionDate"
        ):
            return 0.0
        if wait > 0:
            return wait

        def warn(order: Resource) -> Resource:
            if order_updates.is_final(str(order.get("state"))):
                return order
            wanted = order.get("requestedCompletionDate")
            alert = (f"late {wanted}", progress.UNAVOIDABLE_DELAY, f"it was wanted until {wanted}")
            return progress.with_alert(
                order, alert, desk.now, schema=order_kinds.kind_of(key).schema
            )

        desk.change(key.kind, key.order, warn)
        return 0.0


def _seconds_until(date: object) -> float:
    """Return the seconds until a date of an order; 0 where it has none."""
    wanted = canonical_timestamp(date) if date else None
    return (datetime.fromisoformat(wanted) - datetime.now(UTC)).total_seconds() if wanted else 0.0
