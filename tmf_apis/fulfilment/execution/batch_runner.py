"""Runs the tasks of a batch: elements in parallel, one task at a time on each element."""

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial

from adapters.errors import Conflict, ElementError, PartiallyApplied, PortTaken
from tmf_apis.element_access.element_leases import ElementBusy
from tmf_apis.errors import TmfError
from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.execution.batch_graph import BatchGraph
from tmf_apis.fulfilment.execution.journal import COMPENSATE, Batch, FencedOff, Journal, TaskEntry
from tmf_apis.fulfilment.execution.payloads import BatchProgress, BatchRef
from tmf_apis.fulfilment.execution.provisioning import Provisioner, error_kind, run_in_thread
from tmf_apis.fulfilment.execution.public_texts import NETWORK_FAILED
from tmf_apis.ordering.states import CANCELLATION_STATES
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

log = logging.getLogger(__name__)

#: First and longest pause before an element is tried again, in seconds.
RETRY_PAUSES = (0.5, 30.0)
#: A batch whose next retry is due within this time continues without a new activity, in seconds.
_CONTINUE_WITHIN = RETRY_PAUSES[0] / 10
#: Factor by which compensation of a task is tried longer than the task itself.
COMPENSATION_PATIENCE = 4
#: Most attempts of a task that meets the lock or a change of another client of the element.
MAX_CONFLICT_ATTEMPTS = 3
#: Kinds of errors that a person always decides on.
ALWAYS_FALLOUT_KINDS = frozenset({"unexpected", "wrongElement"})
#: Value of ``TMF_FULFILMENT_FALLOUT``, beside the kinds of errors, for a failed compensation.
UNDO_FALLOUT = "undo"


class BatchRunner:
    """Runs batches."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        repositories: RepositoryFactory,
        journal: Journal,
        provisioner: Provisioner,
        committer: BatchCommitter,
        executor: Executor,
        settings: Settings,
    ) -> None:
        """Store the collaborators.

        Args:
            repositories: Give access to the resources.
            journal: Records the progress.
            provisioner: Does tasks on elements.
            committer: Writes results into inventories and order.
            executor: Runs blocking database calls.
            settings: The patience, and the kinds of failures that become fallout tasks.
        """
        self._repositories = repositories
        self._journal = journal
        self._provisioner = provisioner
        self._committer = committer
        self._executor = executor
        self._patience = settings.fulfilment_patience
        self._fallout_kinds = frozenset(settings.fulfilment_fallout)

    async def advance(self, batch_ref: BatchRef, *, take_over: bool = False) -> BatchProgress:
        """Load a batch and run it as far as possible now; safe to repeat at any time.

        Args:
            batch_ref: The batch.
            take_over: Fence off another worker that may still run the batch, so that it cannot
                write to the journal any more.
        """
        load = partial(self._load, batch_ref, take_over=take_over)
        return await self.run(await run_in_thread(self._executor, load))

    async def run(self, batch: Batch) -> BatchProgress:
        """Run a batch that was just loaded or planned as far as possible now."""
        while True:
            await self._run_ready_tasks(batch)
            progress = await run_in_thread(self._executor, partial(self._committer.commit, batch))
            if not 0 < progress.retry_in < _CONTINUE_WITHIN:
                return progress

    def _load(self, batch_ref: BatchRef, *, take_over: bool) -> Batch:
        if take_over:
            self._journal.fence(batch_ref.key, batch_ref.number)
        batch, now = self._committer.load_batch(batch_ref.key, batch_ref.number), time.time()
        for entry in batch.entries:
            entry.failing_since = min(entry.failing_since, now)
            if entry.retry_at > now + RETRY_PAUSES[1]:  # too far ahead: the clock was set back
                entry.retry_at = 0.0
        return batch

    async def _run_ready_tasks(self, batch: Batch) -> None:
        """Try every ready task once, level by level of the dependency graph."""
        graph, tried = BatchGraph(batch), set[tuple[str, str]]()
        while ready := [
            entry
            for entry in graph.ready_entries(time.time())
            if (entry.id, entry.goal) not in tried
        ]:
            if await self._is_held(batch, ready, refresh=bool(tried)):
                return
            tried |= {(entry.id, entry.goal) for entry in ready}
            by_element: dict[str, list[TaskEntry]] = {}
            for entry in ready:
                by_element.setdefault(entry.element, []).append(entry)
            await asyncio.gather(
                *(self._run_on_element(batch, entries) for entries in by_element.values())
            )

    async def _run_on_element(self, batch: Batch, entries: list[TaskEntry]) -> None:
        """Run tasks of one element; if it is unreachable, all remaining tasks are postponed."""
        for index, entry in enumerate(entries):
            if index and await self._is_held(batch, [entry], refresh=True):
                return
            try:
                await self._provisioner.execute(entry)
            except (TmfError, FencedOff):
                raise
            except Exception as error:  # a third-party adapter may raise anything
                if not isinstance(error, ElementError):
                    log.exception("an adapter failed", extra={"element": entry.element})
                await self._handle_failure(batch, entry, error)
                if isinstance(error, ElementBusy) or error_kind(error) == "unreachable":
                    for other in entries[index + 1 :]:
                        await self._handle_failure(batch, other, error)
                    return

    async def _is_held(self, batch: Batch, entries: Iterable[TaskEntry], *, refresh: bool) -> bool:
        """Return whether the order is held or, after a refresh, being cancelled.

        Args:
            batch: The batch.
            entries: The tasks to be done next; compensation is never held.
            refresh: Read the order's state again.
        """
        if all(entry.goal == COMPENSATE for entry in entries):
            return False
        if refresh:
            state = partial(self._journal.order_state, batch.key)
            batch.order_state = await run_in_thread(self._executor, state)
        return batch.order_state == "held" or (refresh and batch.order_state in CANCELLATION_STATES)

    async def _handle_failure(self, batch: Batch, entry: TaskEntry, error: Exception) -> None:
        """Schedule a retry of a task, or give it up."""
        now = time.time()
        if isinstance(error, ElementBusy):  # the element did not fail: its turn comes
            entry.retry_at = now + RETRY_PAUSES[0]
            return await self._save_retry(entry)
        if isinstance(error, PortTaken) and _can_change_carrier(entry):
            replace_carrier = partial(self._committer.replace_carrier, batch, entry, str(error))
            return await run_in_thread(self._executor, replace_carrier)
        entry.attempts += 1
        entry.failing_since = entry.failing_since or now
        entry.reason = str(error)
        patience = self._patience * (COMPENSATION_PATIENCE if entry.goal == COMPENSATE else 1)
        is_retried = _is_retryable(entry, error) and now - entry.failing_since < patience
        if is_retried:
            pause = RETRY_PAUSES[0] * 2 ** (entry.attempts - 1)
            entry.retry_at = now + min(pause, RETRY_PAUSES[1], patience)
        await self._save_retry(entry)
        if not is_retried:
            give_up = partial(self._give_up, batch, entry, error_kind(error))
            await run_in_thread(self._executor, give_up)
        return None

    async def _save_retry(self, entry: TaskEntry) -> None:
        attributes = ("attempts", "failing_since", "retry_at", "reason")
        await run_in_thread(self._executor, partial(self._journal.save, [entry], *attributes))

    def _give_up(self, batch: Batch, entry: TaskEntry, error_kind: str) -> None:
        """Create a fallout task, quarantine the resources, or compensate the unit."""
        is_compensation = entry.goal == COMPENSATE
        context = {"order": batch.key.order, "tenant": batch.key.tenant, "task": entry.task.id}
        context |= {"element": entry.element, "error": entry.reason}
        log.warning("a task on the network is given up", extra=context)
        fallout_kind = UNDO_FALLOUT if is_compensation else error_kind
        if error_kind in ALWAYS_FALLOUT_KINDS or fallout_kind in self._fallout_kinds:
            outage = error_kind == "unreachable" and not is_compensation
            self._committer.create_fallout_task(batch.key, entry, outage=outage)
        elif is_compensation:
            entry.state, entry.quarantine_reason = "restored", entry.reason
            self._journal.save([entry], "state", "quarantine_reason")
        else:
            repository = self._repositories.working_for(batch.key.kind, batch.key.order).for_tenant(
                batch.key.tenant
            )
            changed = BatchGraph(batch).compensate(
                entry.unit, entry.reason, entry.task.item, public_reason=NETWORK_FAILED
            )
            self._committer.save_compensation(repository, changed)


def _can_change_carrier(entry: TaskEntry) -> bool:
    """Return whether a task has not begun, and may be done on another carrier."""
    return entry.goal != COMPENSATE and entry.task.action == "provide" and entry.plan is None


def _is_retryable(entry: TaskEntry, error: Exception) -> bool:
    """Return whether a task may succeed later without intervention."""
    if not isinstance(error, ElementError) or not error.again:
        return False
    cause = error.failure if isinstance(error, PartiallyApplied) else error
    return not isinstance(cause, Conflict) or entry.attempts < MAX_CONFLICT_ATTEMPTS
