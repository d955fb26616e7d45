"""What the inventories and the order are told of a batch; deeds at the database, safe to repeat."""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution import fallout, order_updates
from tmf_apis.fulfilment.execution.batch_graph import CANCELLATION_REASON, BatchGraph
from tmf_apis.fulfilment.execution.claims import Claims
from tmf_apis.fulfilment.execution.inventory_writer import InventoryWriter
from tmf_apis.fulfilment.execution.journal import (
    CLOSING,
    COMPENSATE,
    FORWARD,
    Batch,
    ItemEntry,
    Journal,
    TaskEntry,
)
from tmf_apis.fulfilment.execution.order_updates import OrderUpdate
from tmf_apis.fulfilment.execution.payloads import BatchProgress
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.fulfilment.values import Allocation, OrderKey
from tmf_apis.ordering.rules import is_past_point_of_no_return
from tmf_apis.ordering.states import CANCELLATION_STATES
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

#: An element is said to be waited for when it has failed so often in a row.
ALERT_AFTER_ATTEMPTS = 2
#: What is reserved is held for longer as often as this part of its time is over.
_RENEWAL_FRACTION = 1 / 3
#: Longest pause before a batch is looked at again of which nobody knows why it waits, in seconds.
MAX_PAUSE = 30.0


log = logging.getLogger(__name__)

#: Why an item fails that waited for too long.
RESERVATION_LOST = "what was reserved for it was taken by somebody else while it waited"


class BatchCommitter:
    """Brings inventories and order in line with what was done on the network."""

    def __init__(
        self,
        repositories: RepositoryFactory,
        journal: Journal,
        claims: Claims,
        reservation_time: timedelta = reservations.RESERVATION_TIME,
    ) -> None:
        self.reservation_time, self.renewal_interval = (
            reservation_time,
            reservation_time.total_seconds() * _RENEWAL_FRACTION,
        )
        self._repositories = repositories
        self._journal = journal
        self._claims = claims

    def load_batch(self, key: OrderKey, number: int) -> Batch:
        """Return a batch as it shall go on: people's decisions and a cancellation are in it."""
        batch = self._journal.batch(key, number)
        desk = self._repositories.for_tenant(key.tenant)
        batch.order_state = self._journal.order_state(key)
        self._compensate_cancelled(desk, batch)
        self._apply_decisions(desk, batch)
        self._renew_reservations(desk, batch)
        return batch

    def _renew_reservations(self, repository: Repository, batch: Batch) -> None:
        """Hold for longer what is reserved for tasks that have to wait."""
        graph, now = BatchGraph(batch), time.time()
        for entry in batch.entries:
            if entry.allocation is None or entry.goal == COMPENSATE or entry.state == "active":
                continue
            if entry.renewed_at and now - entry.renewed_at < self.renewal_interval / 2:
                continue
            if (
                entry.renewed_at
                and not self._renew_allocation(repository, entry.allocation)
                and entry.state == "reserved"
            ):
                self.save_compensation(
                    repository, graph.compensate(entry.unit, RESERVATION_LOST, entry.task.item)
                )
            self._journal.update(entry, renewed_at=now)

    def _renew_allocation(self, repository: Repository, allocation: Allocation) -> bool:
        return reservations.renew(repository, allocation, self.reservation_time)

    def _compensate_cancelled(self, repository: Repository, batch: Batch) -> bool:
        """Turn everything back that is not done where the customer does not want it any more."""
        state = batch.order_state
        if not (order_updates.is_final(state) or state in CANCELLATION_STATES):
            return False
        order = (
            repository.get(batch.key.kind, batch.key.order) if state in CANCELLATION_STATES else {}
        )
        if is_past_point_of_no_return(order, order_kinds.kind_of(batch.key).schema):
            return False
        changed: list[ItemEntry | TaskEntry] = []
        graph = BatchGraph(batch)
        for unit in {one.unit for one in batch.items if one.state == "open"}:
            changed += graph.compensate(unit, CANCELLATION_REASON)
        self.save_compensation(repository, changed)
        return bool(changed)

    def save_compensation(
        self, repository: Repository, changed: Iterable[ItemEntry | TaskEntry]
    ) -> None:
        """Keep what was turned back, and what waits for a person does so no longer."""
        some = list(changed)
        for one in some:
            if isinstance(one, TaskEntry) and one.state == "waiting":
                fallout.withdraw(repository, one)
                one.state = one.state_before_fallout
        self._journal.save([one for one in some if isinstance(one, ItemEntry)], "goal", "reason")
        entries = [one for one in some if isinstance(one, TaskEntry)]
        self._journal.save(entries, "goal", "state", "attempts", "failing_since", "retry_at")

    def _apply_decisions(self, repository: Repository, batch: Batch) -> None:
        graph = BatchGraph(batch)
        by_id = {one.id: one for one in batch.entries}
        for id, decision in fallout.decisions(repository, batch.entries).items():
            entry = by_id[id]
            entry.attempts, entry.failing_since, entry.retry_at, entry.state = (
                0,
                0.0,
                0.0,
                entry.state_before_fallout,
            )
            why = f"{decision.decided_by} decided: {decision.reason or decision.action}"
            if decision.action == fallout.SKIP:
                entry.state = "restored" if entry.goal == COMPENSATE else "verified"
                entry.skip_reason = why
            elif decision.action == fallout.CANCEL and entry.goal == COMPENSATE:
                entry.state, entry.quarantine_reason = "restored", f"{entry.reason}; {why}"
            elif decision.action == fallout.CANCEL:
                reason = f"{entry.reason}; {why}"
                self.save_compensation(
                    repository, graph.compensate(entry.unit, reason, entry.task.item)
                )
            self._journal.save(
                [entry],
                "attempts",
                "failing_since",
                "retry_at",
                "state",
                "skip_reason",
                "quarantine_reason",
            )

    def create_fallout_task(self, key: OrderKey, entry: TaskEntry) -> None:
        """Give a task to a person."""
        entry.fallout_count += 1
        was = entry.state_before_fallout if entry.state == "waiting" else entry.state
        order_path = self._repositories.path_of(key.kind, key.order)
        id = fallout.create_task(self._repositories.for_tenant(key.tenant), key, entry, order_path)
        self._journal.update(
            entry, state="waiting", state_before_fallout=was, fallout_task=id, fallout_count=entry.fallout_count,
            reason=entry.reason, attempts=entry.attempts,
        )  # fmt: skip

    def commit(self, batch: Batch) -> BatchProgress:
        """Write what has come of a batch so far; return how it goes on."""
        desk = self._repositories.for_tenant(batch.key.tenant, previous=batch.repository)
        order = self._get_order(desk, batch.key)
        state = batch.order_state = str(order.get("state", ""))
        if self._compensate_cancelled(desk, batch):
            return BatchProgress(incomplete=True, retry_in=0.001)
        if state == "held" and self._mark_held(batch.key):
            return BatchProgress(incomplete=True)
        self._release(desk, batch)
        if self._activate_units(desk, batch):
            return BatchProgress(incomplete=True, retry_in=0.001)
        books = order_kinds.kind_of(batch.key).inventory_writer(desk, order)
        news = OrderUpdate(
            is_reserved=any(one.allocation and one.goal == FORWARD for one in batch.entries)
        )
        finished = self._complete_items(books, batch, news)
        finished += self._fail_items(
            books, batch, news, cancelled=order_updates.is_cancelling(order)
        )
        self._collect_waits(batch, news)
        if state:
            state = self._update_order(desk, batch.key, order, news)
        for one in finished:
            one.state = "done" if one.goal == FORWARD else "failed"
        report = self._progress(batch, order_updates.priority_key(order))
        if report.incomplete or not order_updates.is_final(state):
            self._journal.save(finished, "state")
            return report
        return replace(report, orders_to_wake=self.finish_order(batch.key, batch.claims, finished))

    def _mark_held(self, key: OrderKey) -> bool:
        """Say that the order waits to be let go on; return whether it still has to."""
        self._journal.update_head(key, held=True)
        return self._journal.order_state(key) == "held"

    def _get_order(self, repository: Repository, key: OrderKey) -> Resource:
        try:
            return repository.get(key.kind, key.order)
        except NotFound:  # deleted meanwhile
            return {"id": key.order}

    def _release(self, repository: Repository, batch: Batch) -> None:
        """Give back what was taken for tasks of which the element knows nothing any more."""
        back = [
            one
            for one in batch.entries
            if one.goal == COMPENSATE and one.state in {"designed", "reserved", "restored"}
        ]
        for one in back:
            reservations.release(
                repository, batch.key, one.task, one.allocation, one.quarantine_reason
            )
            one.state = "undone" if one.allocation else "failed"
        self._journal.save(back, "state")

    def _activate_units(self, repository: Repository, batch: Batch) -> bool:
        """Give to services what was taken for them; return whether something was turned back.

        From here on a unit does not go back any more: the journal says so before the products are
        told.
        """
        graph = BatchGraph(batch)
        for unit in graph.complete_units():
            some, entries = graph.members(unit)
            try:
                for entry in entries:
                    if entry.allocation is not None:
                        reservations.activate(repository, entry.allocation)
            except Unfulfillable as error:
                log.warning("a unit goes back: %s", error, extra={"order": batch.key.order})
                self.save_compensation(repository, graph.compensate(unit, error.public_message))
                return True
            for one in some:
                one.state = CLOSING
            for entry in entries:
                entry.state = "active"
            self._journal.save([*some, *entries], "state")
        return False

    @staticmethod
    def _complete_items(
        inventory_writer: InventoryWriter, batch: Batch, update: OrderUpdate
    ) -> list[ItemEntry]:
        """Write which products and services are as ordered now."""
        closing = [one for one in batch.items if one.state == CLOSING]
        for item in closing:
            entries = [one for one in batch.entries if one.task.item == item.item_id]
            inventory_writer.write_completed(item, entries)
            if item.plan is not None:
                taken = [one.allocation for one in entries if one.allocation]
                update.completed_items[item.item_id] = (item.plan, taken)
        return closing

    @staticmethod
    def _fail_items(
        inventory_writer: InventoryWriter, batch: Batch, update: OrderUpdate, *, cancelled: bool
    ) -> list[ItemEntry]:
        """Write of which products and services nothing came."""
        graph, failed = BatchGraph(batch), list[ItemEntry]()
        for unit in graph.compensated_units():
            some, entries = graph.members(unit)
            for item in some:
                if item.state != "open":
                    continue
                inventory_writer.write_failed(item, cancelled=cancelled)
                doubts = [
                    one.quarantine_reason
                    for one in entries
                    if one.task.item == item.item_id and one.quarantine_reason
                ]
                doubt = f"; what was taken is in doubt and kept out of use: {'; '.join(doubts)}"
                update.failure_reasons[item.item_id] = item.reason + (doubt if doubts else "")
                failed.append(item)
        return failed

    def _collect_waits(self, batch: Batch, update: OrderUpdate) -> None:
        """Say who or what is waited for."""
        for one in batch.entries:
            if one.state == "waiting":
                update.fallout_items[one.task.item] = (one.fallout_task, one.reason)
            elif one.attempts >= ALERT_AFTER_ATTEMPTS:
                update.unreachable_items[one.task.item] = (one.element, one.reason)
            if one.fallout_count and one.state != "waiting":
                update.resumed_items.add(one.task.item)
        update.resumed_items -= set(update.fallout_items)
        update.notes += [
            f"task {one.task.id} ({one.task.action} {one.task.service} on {one.element}) was"
            f" skipped: {one.skip_reason}"
            for one in batch.entries
            if one.skip_reason
        ]

    def _update_order(
        self, repository: Repository, key: OrderKey, order: Resource, update: OrderUpdate
    ) -> str:
        told = partial(
            order_updates.with_update,
            update=update,
            now=repository.now,
            schema=order_kinds.kind_of(key).schema,
        )
        if told(order) == order:
            return str(order.get("state", ""))
        written = repository.change(key.kind, key.order, told)
        return str(written.get("state", ""))

    def _progress(self, batch: Batch, priority: int) -> BatchProgress:
        if any(one.state in {"open", CLOSING} for one in batch.items):
            now = time.time()
            later = [one.retry_at - now for one in batch.entries if one.retry_at > now]
            people = any(one.state == "waiting" for one in batch.entries)
            wait = (
                max(min(later), 0.001) if later else self.renewal_interval if people else MAX_PAUSE
            )
            return BatchProgress(incomplete=True, retry_in=wait, priority=priority)
        return BatchProgress()

    def finish_order(
        self, key: OrderKey, claims: Iterable[str], finished: Iterable[ItemEntry] = ()
    ) -> tuple[OrderKey, ...]:
        """Say that an order is finished; return those that waited for it.

        Args:
            key: Which order.
            claims: Ids of the products that it worked on.
            finished: Its items whose last state is not kept yet.
        """
        self._journal.finish(key, finished)
        return tuple(self._claims.release(key, claims))
