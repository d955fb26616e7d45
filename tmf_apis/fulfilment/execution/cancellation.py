"""Answers requests to cancel orders that have no work left to undo."""

import logging
from collections.abc import Iterable

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution import order_updates
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_graph import CANCELLATION_REASON
from tmf_apis.fulfilment.execution.cancellation_requests import end_items, resolve_cancellation
from tmf_apis.fulfilment.execution.journal import COMPENSATE, Journal, TaskEntry
from tmf_apis.fulfilment.execution.payloads import BatchProgress, Cancellation
from tmf_apis.fulfilment.execution.public_texts import UNDONE
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.repository import RepositoryFactory, ScopedRepository

log = logging.getLogger(__name__)


class CancellationResolver:
    """Answers requests to cancel once all batches of their order have ended; safe to repeat."""

    def __init__(
        self, repositories: RepositoryFactory, journal: Journal, committer: BatchCommitter
    ) -> None:
        self._repositories = repositories
        self._journal = journal
        self._committer = committer

    def resolve(self, cancellation: Cancellation) -> BatchProgress:
        """Answer a request to cancel and finish its order; return the orders to wake."""
        key = cancellation.order
        repository = self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant)
        head = self._journal.head(key) or {"batches": 0}
        batches = [self._journal.batch(key, number) for number in range(head["batches"])]
        undo_texts = list(undo_descriptions(entry for batch in batches for entry in batch.entries))
        compensated_items = [
            item for batch in batches for item in batch.items if item.state == "failed"
        ]
        kind = order_kinds.kind_of(key)
        has_party_readers = self._has_party_readers(repository, key)
        if undo_texts and has_party_readers:
            log.info("an order is undone", extra={"order": key.order, "undone": undo_texts})
            undo_texts = [UNDONE]
        resolve_cancellation(repository, kind, cancellation.task, undo_texts)
        reasons = {
            item.item_id: (has_party_readers and item.public_reason) or item.reason
            for item in compensated_items
            if item.reason != CANCELLATION_REASON
        }
        cancelled_ids = {item.item_id for item in compensated_items} - reasons.keys()
        end_items(repository, kind.schema, key.order, cancelled_ids, reasons)
        if order_updates.is_final(self._journal.order_state(key)):
            return BatchProgress(
                orders_to_wake=self._committer.finish_order(key, head.get("claims", ()))
            )
        return BatchProgress()

    def _has_party_readers(self, repository: ScopedRepository, key: OrderKey) -> bool:
        try:
            order = repository.get(key.kind, key.order)
            owner = repository.owner_of(key.kind, key.order)
            return self._committer.has_party_readers(key, order, owner)
        except NotFound:
            return False


def undo_descriptions(entries: Iterable[TaskEntry]) -> Iterable[str]:
    """Yield a description of each compensated task, for people."""
    for entry in entries:
        if entry.goal != COMPENSATE or entry.allocation is None:
            continue
        names = ", ".join(sorted(entry.allocation.names.values())) or "its resources"
        if entry.skip_reason:
            yield f"{names}: the compensation was skipped; {entry.skip_reason}"
        elif entry.quarantine_reason:
            yield f"{names}: quarantined; {entry.quarantine_reason}"
        elif entry.plan and entry.plan.steps:
            yield f"{names}: restored on {entry.element} and released"
        else:
            yield f"{names}: released; nothing was changed on the network"
