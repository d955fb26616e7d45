"""Bringing a batch as far as it goes: elements side by side, one task at a time on each."""

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial

from adapters.errors import Conflict, ElementError, PartiallyApplied
from tmf_apis.errors import TmfError
from tmf_apis.fulfilment.execution.journal import BACK, Batch, Entry, Journal, Superseded
from tmf_apis.fulfilment.execution.provisioning import Provisioning, in_thread, word
from tmf_apis.fulfilment.execution.settling import Settling
from tmf_apis.fulfilment.execution.steps import Part, Report
from tmf_apis.fulfilment.execution.units import Graph
from tmf_apis.ordering.states import CANCELLING
from tmf_apis.rest.desk import Desks
from tmf_apis.settings import Settings

log = logging.getLogger(__name__)

#: First and longest pause before an element is tried again, in seconds.
PAUSES = (0.5, 30.0)
#: How much longer than to do a task is tried to take it back.
UNDO = 4
#: How often a task is tried that meets somebody else's lock or change.
CONFLICTS = 3
#: Words of ``TMF_FULFILMENT_FALLOUT`` beside the errors' own: what cannot be taken back.
TAKING_BACK = "undo"


class Advancing:
    """Works on batches."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        desks: Desks,
        journal: Journal,
        provisioning: Provisioning,
        settling: Settling,
        threads: Executor,
        settings: Settings,
    ) -> None:
        """Take what it works with.

        Args:
            desks: Give access to the resources.
            journal: What was done so far.
            provisioning: Does tasks on elements.
            settling: Tells inventories and order.
            threads: Where the database is waited for.
            settings: Patience, and what goes to a person.
        """
        self._desks = desks
        self._journal = journal
        self._provisioning = provisioning
        self._settling = settling
        self._threads = threads
        self._patience = settings.fulfilment_patience
        self._people = frozenset(settings.fulfilment_fallout)

    async def advance(self, part: Part, *, again: bool = False) -> Report:
        """Do what can be done now of a batch; may be called at any time and any number of times.

        Args:
            part: The batch.
            again: Somebody was at it and gave no sign of life any more; if he has one, he is not
                to write anything further.
        """
        return await self.go_on(
            await in_thread(self._threads, partial(self._look, part, again=again))
        )

    async def go_on(self, batch: Batch) -> Report:
        """Do what can be done now of a batch that is as the journal has it."""
        while True:
            await self._go(batch)
            report = await in_thread(self._threads, partial(self._settling.settle, batch))
            if not 0 < report.wait < PAUSES[0] / 10:
                return report

    def _look(self, part: Part, *, again: bool) -> Batch:
        if again:
            self._journal.own(part.key, part.number)
        batch, now = self._settling.look(part.key, part.number), time.time()
        for entry in batch.entries:
            entry.since = min(entry.since, now)
            if entry.again > now + PAUSES[1]:  # no pause is so long: the clock was set back
                entry.again = 0.0
        return batch

    async def _go(self, batch: Batch) -> None:
        """Do every task that can be done, level by level."""
        graph, tried = Graph(batch), set[tuple[str, str]]()
        while some := [one for one in graph.ready(time.time()) if (one.id, one.goal) not in tried]:
            if await self._is_held(batch, some, again=bool(tried)):
                return
            tried |= {(one.id, one.goal) for one in some}
            elements: dict[str, list[Entry]] = {}
            for entry in some:
                elements.setdefault(entry.element, []).append(entry)
            await asyncio.gather(*(self._on_one(batch, one) for one in elements.values()))

    async def _on_one(self, batch: Batch, entries: list[Entry]) -> None:
        """Do tasks of one element; when it cannot be reached, the others wait with the first."""
        for place, entry in enumerate(entries):
            if place and await self._is_held(batch, [entry], again=True):
                return
            try:
                await self._provisioning.do(entry)
            except (TmfError, Superseded):
                raise
            except Exception as error:  # an adapter of somebody else's may fail in any way
                if not isinstance(error, ElementError):
                    log.exception("an adapter failed", extra={"element": entry.element})
                await self._failed(batch, entry, error)
                if word(error) == "unreachable":
                    for other in entries[place + 1 :]:
                        await self._failed(batch, other, error)
                    return

    async def _is_held(self, batch: Batch, entries: Iterable[Entry], *, again: bool) -> bool:
        """Return whether the order is not to go on now; ``again``: look at it once more."""
        if all(one.goal == BACK for one in entries):
            return False
        if again:
            state = partial(self._journal.state, batch.key)
            batch.state = await in_thread(self._threads, state)
        return batch.state == "held" or (again and batch.state in CANCELLING)

    async def _failed(self, batch: Batch, entry: Entry, error: Exception) -> None:
        """Decide how a task goes on: later, to a person, or back with its unit."""
        now = time.time()
        entry.attempts += 1
        entry.since = entry.since or now
        entry.reason = str(error)
        patience = self._patience * (UNDO if entry.goal == BACK else 1)
        if _again(entry, error) and now - entry.since < patience:
            entry.again = now + min(PAUSES[0] * 2 ** (entry.attempts - 1), PAUSES[1], patience)
            await self._save(entry)
            return
        await self._save(entry)
        await in_thread(self._threads, partial(self._give_up, batch, entry, word(error)))

    async def _save(self, entry: Entry) -> None:
        kept = ("attempts", "since", "again", "reason")
        await in_thread(self._threads, partial(self._journal.save, [entry], *kept))

    def _give_up(self, batch: Batch, entry: Entry, what: str) -> None:
        back = entry.goal == BACK
        if what == "unexpected" or (TAKING_BACK if back else what) in self._people:
            self._settling.ask(batch.key, entry)
        elif back:
            entry.state, entry.doubt = "restored", entry.reason
            self._journal.save([entry], "state", "doubt")
        else:
            desk = self._desks.staff(batch.key.tenant)
            changed = Graph(batch).turned(entry.unit, entry.reason, entry.task.item)
            self._settling.turn(desk, changed)


def _again(entry: Entry, error: Exception) -> bool:
    """Return whether a task may succeed later without anybody acting."""
    if not isinstance(error, ElementError) or not error.again:
        return False
    cause = error.failure if isinstance(error, PartiallyApplied) else error
    return not isinstance(cause, Conflict) or entry.attempts < CONFLICTS
