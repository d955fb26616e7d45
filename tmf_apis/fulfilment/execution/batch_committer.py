"""Writes the outcome of a batch into the inventories and the order; every write is idempotent."""

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.design.order_subjects import missing_subject
from tmf_apis.fulfilment.execution import fallout, order_updates
from tmf_apis.fulfilment.execution.batch_graph import (
    CANCELLATION_REASON,
    BatchGraph,
    reorder_moves,
)
from tmf_apis.fulfilment.execution.cancellation_requests import refuse_requests
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
from tmf_apis.fulfilment.execution.public_texts import NETWORK_FAILED, public_update
from tmf_apis.fulfilment.order_rights import OrderRights, order_rights, owner_of_order
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.fulfilment.values import Allocation, OrderKey
from tmf_apis.inventory import resource_state
from tmf_apis.ordering.rules import is_past_point_of_no_return
from tmf_apis.ordering.states import CANCELLATION_STATES
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

#: Failed attempts in a row after which the order gets an alert that it waits for its element.
ALERT_AFTER_ATTEMPTS = 2
#: Part of the reservation time after which a reservation is renewed.
_RENEWAL_FRACTION = 1 / 3
#: Longest pause before a batch that waits for no known event runs again, in seconds.
MAX_PAUSE = 30.0
#: Pause before a batch continues after its goal was changed, in seconds; 0 would mean that only a
#: wake-up helps.
_IMMEDIATELY = 0.001
#: Failure reason of an item whose reservation expired while it waited.
RESERVATION_LOST = "the reservation of its resources was lost while it waited"

log = logging.getLogger(__name__)


class BatchCommitter:
    """Brings inventories and order in line with the state of the network."""

    def __init__(
        self,
        repositories: RepositoryFactory,
        journal: Journal,
        claims: Claims,
        reservation_time: timedelta = reservations.RESERVATION_TIME,
        *,
        has_parties: bool = True,
    ) -> None:
        """Store the collaborators.

        Args:
            repositories: Give access to the resources.
            journal: The record of planned and completed work.
            claims: The claims of orders on products and services.
            reservation_time: Lifetime of a reservation that is not renewed.
            has_parties: Clients act for parties (authentication is on); an order that one can read
                quotes no element.
        """
        self._has_parties = has_parties
        self.reservation_time = reservation_time
        self.renewal_interval = reservation_time.total_seconds() * _RENEWAL_FRACTION
        self._repositories = repositories
        self._journal = journal
        self._claims = claims

    def load_batch(self, key: OrderKey, number: int) -> Batch:
        """Return a batch with decisions and a cancellation applied and reservations renewed."""
        batch = self._journal.batch(key, number)
        rights = self.rights_of(batch)
        batch.order_state = self._journal.order_state(key)
        self._compensate_cancelled(rights.operator, batch)
        self._compensate_foreign(rights, batch)
        self._apply_decisions(rights.operator, batch)
        self._renew_reservations(rights.operator, batch)
        return batch

    def has_party_readers(
        self, key: OrderKey, order: Resource, owner: frozenset[str] | None
    ) -> bool:
        """Return whether a party can read an order, because it placed it or is named by it."""
        return self._has_parties and order_kinds.kind_of(key).has_party_readers(order, owner)

    def rights_of(self, batch: Batch) -> OrderRights:
        """Return the rights of the order of a batch."""
        owner = batch.owner
        if not batch.has_owner_recorded:
            owner = owner_of_order(self._repositories, batch.key)
        return order_rights(self._repositories, batch.key, owner, batch.rights)

    def _compensate_foreign(self, rights: OrderRights, batch: Batch) -> bool:
        """Compensate the open units that change what the orderer does not own any more.

        Returns:
            Whether there was such a unit.
        """
        changed_ids = {
            item.plan.product.id: item
            for item in batch.items
            if item.state == "open" and item.goal == FORWARD
            if item.plan and item.plan.product and item.plan.action not in {"add", "noChange"}
        }
        if rights.parties is None or not changed_ids:
            return False
        kind = order_kinds.kind_of(batch.key).subject_kind
        graph, changed = BatchGraph(batch), list[ItemEntry | TaskEntry]()
        for id in sorted(changed_ids.keys() - rights.visible_ids(kind, changed_ids)):
            item = changed_ids[id]
            reason = missing_subject(batch.key.kind, id)
            changed += graph.compensate(item.unit, reason, item.item_id)
            context = {"order": batch.key.order, "tenant": batch.key.tenant, "kind": kind}
            log.warning("the subject of an order changed hands", extra={**context, "resource": id})
        self.save_compensation(rights.operator, changed)
        return bool(changed)

    def _renew_reservations(self, repository: Repository, batch: Batch) -> None:
        """Renew the reservations of waiting tasks; compensate a unit that has lost one."""
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
        """Compensate the open units of a cancelled or deleted order; return whether any changed.

        An order past its point of no return is left alone.
        """
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
        for unit in {item.unit for item in batch.items if item.state == "open"}:
            changed += graph.compensate(unit, CANCELLATION_REASON)
        self.save_compensation(repository, changed)
        return bool(changed)

    def save_compensation(
        self, repository: Repository, changed: Iterable[ItemEntry | TaskEntry]
    ) -> None:
        """Save entries whose goal is now compensation; withdraw their open fallout tasks."""
        changed = list(changed)
        items = [entry for entry in changed if isinstance(entry, ItemEntry)]
        tasks = [entry for entry in changed if isinstance(entry, TaskEntry)]
        for entry in tasks:
            if entry.state == "waiting":
                fallout.withdraw(repository, entry)
                entry.state = entry.state_before_fallout
        self._journal.save(items, "goal", "reason", "public_reason")
        self._journal.save(tasks, "goal", "cause", "state", "attempts", "failing_since", "retry_at")

    def _apply_decisions(self, repository: Repository, batch: Batch) -> None:
        graph = BatchGraph(batch)
        entries = {entry.id: entry for entry in batch.entries}
        for id, decision in fallout.decisions(repository, batch.entries).items():
            entry = entries[id]
            entry.attempts, entry.failing_since, entry.retry_at = 0, 0.0, 0.0
            entry.state = entry.state_before_fallout
            explanation = f"{decision.decided_by} decided: {decision.reason or decision.action}"
            if decision.action == fallout.SKIP:
                entry.state = "restored" if entry.goal == COMPENSATE else "verified"
                entry.skip_reason = explanation
            elif decision.action == fallout.CANCEL and entry.goal == COMPENSATE:
                entry.state = "restored"
                entry.quarantine_reason = f"{entry.reason}; {explanation}"
            elif decision.action == fallout.CANCEL:
                reason = f"{entry.reason}; {explanation}"
                compensated = graph.compensate(
                    entry.unit, reason, entry.task.item, public_reason=NETWORK_FAILED
                )
                self.save_compensation(repository, compensated)
            elif decision.action == fallout.FORCE:
                entry.forced = True
                if entry.goal == FORWARD:
                    entry.state, entry.plan, entry.transaction = "reserved", None, None
            self._journal.save(
                [entry],
                *("attempts", "failing_since", "retry_at", "state", "plan", "transaction"),
                *("skip_reason", "quarantine_reason", "forced"),
            )

    def replace_carrier(self, batch: Batch, entry: TaskEntry, reason: str) -> None:
        """Mark the carrier of a task as taken on its element, and reserve another one.

        If there is no other one, the unit is compensated.
        """
        assert entry.allocation is not None  # noqa: S101
        rights, key, taken = self.rights_of(batch), batch.key, entry.allocation
        carrier, holder = taken.resources[taken.carrier_slot], taken.holder
        with suppress(NotFound):
            rights.network.change(
                "Resource", carrier, lambda old: resource_state.quarantine(old, holder, reason)
            )
        others = {slot: id for slot, id in taken.resources.items() if id != carrier}
        rest = replace(taken, resources=others)
        reservations.release(rights.network, key, entry.task, rest)
        context = {"order": key.order, "tenant": key.tenant, "resource": carrier, "error": reason}
        log.warning("a resource turned out to be taken on its element", extra=context)
        try:
            allocation = reservations.reserve(
                rights.network, key, entry.task, rights.orderer, duration=self.reservation_time
            )
        except Unfulfillable as error:
            named = any(each.is_carrier and each.identifier for each in entry.task.requirements)
            detail = reason if named else f"{reason}; {error}"
            changed = BatchGraph(batch).compensate(
                entry.unit, detail, entry.task.item, public_reason=NETWORK_FAILED
            )
            self.save_compensation(rights.operator, changed)
            return
        retry_at = time.time() + _IMMEDIATELY
        self._journal.update(entry, allocation=allocation, attempts=0, retry_at=retry_at)
        self._journal.save(reorder_moves(batch), "task")

    def create_fallout_task(self, key: OrderKey, entry: TaskEntry, *, outage: bool = False) -> None:
        """Create a fallout task for an entry; the entry waits until a person has decided."""
        entry.fallout_count += 1
        state = entry.state_before_fallout if entry.state == "waiting" else entry.state
        order_path = self._repositories.path_of(key.kind, key.order)
        id = fallout.create_task(
            self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant),
            key,
            entry,
            order_path,
            outage=outage,
        )
        self._journal.update(
            entry,
            state="waiting",
            state_before_fallout=state,
            fallout_task=id,
            fallout_count=entry.fallout_count,
            reason=entry.reason,
            attempts=entry.attempts,
        )

    def commit(self, batch: Batch) -> BatchProgress:
        """Write the results of a batch so far; return its progress."""
        rights = self.rights_of(batch)
        repository = rights.operator
        order = self._get_order(repository, batch.key)
        state = batch.order_state = str(order.get("state", ""))
        if self._compensate_cancelled(repository, batch) or self._compensate_foreign(rights, batch):
            return BatchProgress(incomplete=True, retry_in=_IMMEDIATELY)
        if state == "held" and self._mark_held(batch.key):
            return BatchProgress(incomplete=True)
        self._release(repository, batch)
        if self._activate_units(rights, batch):
            return BatchProgress(incomplete=True, retry_in=_IMMEDIATELY)
        inventory_writer = order_kinds.kind_of(batch.key).inventory_writer(rights, order)
        update = OrderUpdate(
            is_reserved=any(entry.allocation and entry.goal == FORWARD for entry in batch.entries)
        )
        finished = self._complete_items(inventory_writer, batch, update)
        finished += self._fail_items(inventory_writer, batch, update)
        self._collect_waits(batch, update)
        if self.has_party_readers(batch.key, order, rights.parties):
            update = public_update(update, batch)
        if state:
            state = self._update_order(repository, batch.key, order, update)
        for item in finished:
            item.state = "done" if item.goal == FORWARD else "failed"
        progress = self._progress(batch, order_updates.priority_key(order))
        if progress.incomplete or not order_updates.is_final(state):
            self._journal.save(finished, "state")
            self._refuse_cancellation(repository, batch.key, state)
            return progress
        created = {
            item.plan.product.id
            for item in batch.items
            if item.plan and item.plan.product and item.plan.action == "add"
        }
        woken = self.finish_order(batch.key, created.union(batch.claims), finished)
        return replace(progress, orders_to_wake=woken)

    def _refuse_cancellation(self, repository: Repository, key: OrderKey, state: str) -> None:
        """Refuse to cancel an order as soon as a service is in operation."""
        kind = order_kinds.kind_of(key)
        if state in CANCELLATION_STATES and is_past_point_of_no_return(
            self._get_order(repository, key), kind.schema
        ):
            refuse_requests(repository, kind, key.order)

    def _mark_held(self, key: OrderKey) -> bool:
        """Record that the batch stopped because the order is held; return whether it still is."""
        self._journal.update_head(key, held=True)
        return self._journal.order_state(key) == "held"

    def _get_order(self, repository: Repository, key: OrderKey) -> Resource:
        try:
            return repository.get(key.kind, key.order)
        except NotFound:  # deleted meanwhile
            return {"id": key.order}

    def _release(self, repository: Repository, batch: Batch) -> None:
        """Release the resources of compensated tasks that left nothing on the element."""
        compensated = [
            entry
            for entry in batch.entries
            if entry.goal == COMPENSATE and entry.state in {"designed", "reserved", "restored"}
        ]
        for entry in compensated:
            reservations.release(
                repository, batch.key, entry.task, entry.allocation, entry.quarantine_reason
            )
            entry.state = "undone" if entry.allocation else "failed"
        self._journal.save(compensated, "state")

    def _activate_units(self, rights: OrderRights, batch: Batch) -> bool:
        """Assign the resources of complete units to their services.

        An activated unit is never compensated: the journal records that before the products are
        written.

        Returns:
            Whether a unit was compensated instead, because a reservation was lost.
        """
        graph, successors = BatchGraph(batch), _successors(batch)
        for unit in graph.complete_units():
            items, entries = graph.members(unit)
            try:
                for entry in entries:
                    if entry.allocation is not None:
                        reservations.activate(rights.network, entry.allocation, successors)
            except Unfulfillable as error:
                log.warning(
                    "a unit has lost a resource and is compensated",
                    extra={"order": batch.key.order, "error": str(error)},
                )
                compensated = graph.compensate(unit, error.public_message)
                self.save_compensation(rights.operator, compensated)
                return True
            for item in items:
                item.state = CLOSING
            for entry in entries:
                entry.state = "active"
            self._journal.save([*items, *entries], "state")
        return False

    @staticmethod
    def _complete_items(
        inventory_writer: InventoryWriter, batch: Batch, update: OrderUpdate
    ) -> list[ItemEntry]:
        """Write the products and services of completed items; return those items."""
        closing = [item for item in batch.items if item.state == CLOSING]
        for item in closing:
            entries = [entry for entry in batch.entries if entry.task.item == item.item_id]
            inventory_writer.write_completed(item, entries)
            if item.plan is not None:
                allocations = [entry.allocation for entry in entries if entry.allocation]
                update.completed_items[item.item_id] = (item.plan, allocations)
        return closing

    @staticmethod
    def _fail_items(
        inventory_writer: InventoryWriter, batch: Batch, update: OrderUpdate
    ) -> list[ItemEntry]:
        """Write the products and services of compensated items; return those items."""
        graph, failed = BatchGraph(batch), list[ItemEntry]()
        for unit in graph.compensated_units():
            items, entries = graph.members(unit)
            for item in items:
                if item.state != "open":
                    continue
                is_cancelled = item.reason == CANCELLATION_REASON
                inventory_writer.write_failed(item, cancelled=is_cancelled)
                if is_cancelled:
                    update.cancelled_items.add(item.item_id)
                reasons = [
                    entry.quarantine_reason
                    for entry in entries
                    if entry.task.item == item.item_id and entry.quarantine_reason
                ]
                quarantine = f"; its resources are quarantined: {'; '.join(reasons)}"
                update.failure_reasons[item.item_id] = item.reason + (quarantine if reasons else "")
                failed.append(item)
        return failed

    def _collect_waits(self, batch: Batch, update: OrderUpdate) -> None:
        """Add the elements and fallout tasks that the order waits for, and notes, to an update."""
        for entry in batch.entries:
            item = entry.task.item
            if entry.state == "waiting":
                update.fallout_items[item] = (entry.fallout_task, entry.explanation)
            elif entry.attempts >= ALERT_AFTER_ATTEMPTS:
                update.unreachable_items[item] = (entry.element, entry.explanation)
            if entry.fallout_count and entry.state != "waiting":
                update.resumed_items.add(item)
        update.resumed_items -= set(update.fallout_items)
        update.notes += [
            f"task {entry.task.id} ({entry.task.action} {entry.task.service} on {entry.element})"
            f" was skipped: {entry.skip_reason}"
            for entry in batch.entries
            if entry.skip_reason
        ]

    def _update_order(
        self, repository: Repository, key: OrderKey, order: Resource, update: OrderUpdate
    ) -> str:
        """Apply an update to the order, unless it changes nothing; return the order's state."""
        apply = partial(
            order_updates.with_update,
            update=update,
            now=repository.now,
            schema=order_kinds.kind_of(key).schema,
        )
        if apply(order) == order:
            return str(order.get("state", ""))
        changed = repository.change(key.kind, key.order, apply)
        return str(changed.get("state", ""))

    def _progress(self, batch: Batch, priority: int) -> BatchProgress:
        if all(item.state not in {"open", CLOSING} for item in batch.items):
            return BatchProgress()
        now = time.time()
        delays = [entry.retry_at - now for entry in batch.entries if entry.retry_at > now]
        if delays:
            retry_in = max(min(delays), _IMMEDIATELY)
        elif any(entry.state == "waiting" for entry in batch.entries):
            retry_in = self.renewal_interval
        else:
            retry_in = MAX_PAUSE
        return BatchProgress(incomplete=True, retry_in=retry_in, priority=priority)

    def finish_order(
        self, key: OrderKey, claims: Iterable[str], finished: Iterable[ItemEntry] = ()
    ) -> tuple[OrderKey, ...]:
        """Mark an order as finished in the journal; return the orders that waited for it.

        Args:
            key: The order.
            claims: Ids of the products that it claimed, and of those that it provided.
            finished: Items of the order whose final state is not saved yet.
        """
        self._journal.finish(key, finished)
        return tuple(self._claims.release(key, claims))


def _successors(batch: Batch) -> dict[str, str]:
    """Return the holders that get resources which other tasks of a batch release, by resource."""
    return {
        entry.allocation.resources[slot]: entry.allocation.holder
        for entry in batch.entries
        if entry.allocation and entry.goal == FORWARD
        for slot in entry.allocation.inherited_slots
    }
