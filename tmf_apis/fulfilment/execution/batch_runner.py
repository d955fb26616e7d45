"""Bringing a batch as far as it goes: elements side by side, one task at a time on each."""

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial

from adapters.errors import Conflict, ElementError, PartiallyApplied
from tmf_apis.errors import TmfError
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_graph import BatchGraph
from tmf_apis.fulfilment.execution.journal import COMPENSATE, Batch, FencedOff, Journal, TaskEntry
from tmf_apis.fulfilment.execution.payloads import BatchProgress, BatchRef
from tmf_apis.fulfilment.execution.provisioning import Provisioner, error_kind, run_in_thread
from tmf_apis.ordering.states import CANCELLATION_STATES
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

log = logging.getLogger(__name__)

#: First and longest pause before an element is tried again, in seconds.
RETRY_PAUSES = (0.5, 30.0)
#: How much longer than to do a task is tried to take it back.
COMPENSATION_PATIENCE = 4
#: How often a task is tried that meets somebody else's lock or change.
MAX_CONFLICT_ATTEMPTS = 3
#: Words of ``TMF_FULFILMENT_FALLOUT`` beside the errors' own: what cannot be taken back.
UNDO_FALLOUT = "undo"


class BatchRunner:
    """Works on batches."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        repositories: RepositoryFactory,
        journal: Journal,
        provisioner: Provisioner,
        committer: BatchCommitter,
        executor: Executor,
        settings: Settings,
    ) -> None:
        """Take what it works with.

        Args:
            repositories: Give access to the resources.
            journal: What was done so far.
            provisioner: Does tasks on elements.
            committer: Tells inventories and order.
            executor: Where the database is waited for.
            settings: Patience, and what goes to a person.
        """
        self._repositories = repositories
        self._journal = journal
        self._provisioner = provisioner
        self._committer = committer
        self._executor = executor
        self._patience = settings.fulfilment_patience
        self._fallout_kinds = frozenset(settings.fulfilment_fallout)

    async def advance(self, batch_ref: BatchRef, *, take_over: bool = False) -> BatchProgress:
        """Do what can be done now of a batch; may be called at any time and any number of times.

        Args:
            batch_ref: The batch.
            take_over: Somebody was at it and gave no sign of life any more; if he has one, he is not
                to write anything further.
        """
        return await self.run(
            await run_in_thread(self._executor, partial(self._load, batch_ref, take_over=take_over))
        )

    async def run(self, batch: Batch) -> BatchProgress:
        """Do what can be done now of a batch that is as the journal has it."""
        while True:
            await self._run_ready_tasks(batch)
            report = await run_in_thread(self._executor, partial(self._committer.commit, batch))
            if not 0 < report.retry_in < RETRY_PAUSES[0] / 10:
                return report

    def _load(self, batch_ref: BatchRef, *, take_over: bool) -> Batch:
        if take_over:
            self._journal.fence(batch_ref.key, batch_ref.number)
        batch, now = self._committer.load_batch(batch_ref.key, batch_ref.number), time.time()
        for entry in batch.entries:
            entry.failing_since = min(entry.failing_since, now)
            if (
                entry.retry_at > now + RETRY_PAUSES[1]
            ):  # no pause is so long: the clock was set back
                entry.retry_at = 0.0
        return batch

    async def _run_ready_tasks(self, batch: Batch) -> None:
        """Do every task that can be done, level by level."""
        graph, tried = BatchGraph(batch), set[tuple[str, str]]()
        while some := [
            one for one in graph.ready_entries(time.time()) if (one.id, one.goal) not in tried
        ]:
            if await self._is_held(batch, some, refresh=bool(tried)):
                return
            tried |= {(one.id, one.goal) for one in some}
            elements: dict[str, list[TaskEntry]] = {}
            for entry in some:
                elements.setdefault(entry.element, []).append(entry)
            await asyncio.gather(*(self._run_on_element(batch, one) for one in elements.values()))

    async def _run_on_element(self, batch: Batch, entries: list[TaskEntry]) -> None:
        """Do tasks of one element; when it cannot be reached, the others wait with the first."""
        for place, entry in enumerate(entries):
            if place and await self._is_held(batch, [entry], refresh=True):
                return
            try:
                await self._provisioner.execute(entry)
            except (TmfError, FencedOff):
                raise
            except Exception as error:  # an adapter of somebody else's may fail in any way
                if not isinstance(error, ElementError):
                    log.exception("an adapter failed", extra={"element": entry.element})
                await self._handle_failure(batch, entry, error)
                if error_kind(error) == "unreachable":
                    for other in entries[place + 1 :]:
                        await self._handle_failure(batch, other, error)
                    return

    async def _is_held(self, batch: Batch, entries: Iterable[TaskEntry], *, refresh: bool) -> bool:
        """Return whether the order is not to go on now; ``refresh``: look at it once more."""
        if all(one.goal == COMPENSATE for one in entries):
            return False
        if refresh:
            state = partial(self._journal.order_state, batch.key)
            batch.order_state = await run_in_thread(self._executor, state)
        return batch.order_state == "held" or (refresh and batch.order_state in CANCELLATION_STATES)

    async def _handle_failure(self, batch: Batch, entry: TaskEntry, error: Exception) -> None:
        """Decide how a task goes on: later, to a person, or back with its unit."""
        now = time.time()
        entry.attempts += 1
        entry.failing_since = entry.failing_since or now
        entry.reason = str(error)
        patience = self._patience * (COMPENSATION_PATIENCE if entry.goal == COMPENSATE else 1)
        if _is_retryable(entry, error) and now - entry.failing_since < patience:
            entry.retry_at = now + min(
                RETRY_PAUSES[0] * 2 ** (entry.attempts - 1), RETRY_PAUSES[1], patience
            )
            await self._save_retry(entry)
            return
        await self._save_retry(entry)
        await run_in_thread(self._executor, partial(self._give_up, batch, entry, error_kind(error)))

    async def _save_retry(self, entry: TaskEntry) -> None:
        kept = ("attempts", "failing_since", "retry_at", "reason")
        await run_in_thread(self._executor, partial(self._journal.save, [entry], *kept))

    def _give_up(self, batch: Batch, entry: TaskEntry, error_kind: str) -> None:
        back = entry.goal == COMPENSATE
        if (
            error_kind == "unexpected"
            or (UNDO_FALLOUT if back else error_kind) in self._fallout_kinds
        ):
            self._committer.create_fallout_task(batch.key, entry)
        elif back:
            entry.state, entry.quarantine_reason = "restored", entry.reason
            self._journal.save([entry], "state", "quarantine_reason")
        else:
            desk = self._repositories.for_tenant(batch.key.tenant)
            changed = BatchGraph(batch).compensate(entry.unit, entry.reason, entry.task.item)
            self._committer.save_compensation(desk, changed)


def _is_retryable(entry: TaskEntry, error: Exception) -> bool:
    """Return whether a task may succeed later without anybody acting."""
    if not isinstance(error, ElementError) or not error.again:
        return False
    cause = error.failure if isinstance(error, PartiallyApplied) else error
    return not isinstance(cause, Conflict) or entry.attempts < MAX_CONFLICT_ATTEMPTS
