"""What the inventories and the order are told of a batch; deeds at the database, safe to repeat."""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment import kinds
from tmf_apis.fulfilment.execution import fallout, orders
from tmf_apis.fulfilment.execution.bookkeeping import Books
from tmf_apis.fulfilment.execution.claims import Claims
from tmf_apis.fulfilment.execution.journal import (
    BACK,
    CLOSING,
    FORWARD,
    Batch,
    Entry,
    Item,
    Journal,
)
from tmf_apis.fulfilment.execution.orders import News
from tmf_apis.fulfilment.execution.steps import Report
from tmf_apis.fulfilment.execution.units import CANCELLED, Graph
from tmf_apis.fulfilment.reservation import reserving
from tmf_apis.fulfilment.values import OrderKey, Refused, Taken
from tmf_apis.ordering.rules import past_no_return
from tmf_apis.ordering.states import CANCELLING
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource

#: An element is said to be waited for when it has failed so often in a row.
NEWSWORTHY = 2
#: What is reserved is held for longer as often as this part of its time is over.
_OFTEN = 1 / 3
#: Longest pause before a batch is looked at again of which nobody knows why it waits, in seconds.
LOOK = 30.0


log = logging.getLogger(__name__)

#: Why an item fails that waited for too long.
LOST = "what was reserved for it was taken by somebody else while it waited"


class Settling:
    """Brings inventories and order in line with what was done on the network."""

    def __init__(
        self,
        desks: Desks,
        journal: Journal,
        claims: Claims,
        hold: timedelta = reserving.HOLD,
    ) -> None:
        self.hold, self.often = hold, hold.total_seconds() * _OFTEN
        self._desks = desks
        self._journal = journal
        self._claims = claims

    def look(self, key: OrderKey, number: int) -> Batch:
        """Return a batch as it shall go on: people's decisions and a cancellation are in it."""
        batch = self._journal.batch(key, number)
        desk = self._desks.staff(key.tenant)
        batch.state = self._journal.state(key)
        self._turn_cancelled(desk, batch)
        self._decide(desk, batch)
        self._renew(desk, batch)
        return batch

    def _renew(self, desk: Desk, batch: Batch) -> None:
        """Hold for longer what is reserved for tasks that have to wait."""
        graph, now = Graph(batch), time.time()
        for entry in batch.entries:
            if entry.taken is None or entry.goal == BACK or entry.state == "active":
                continue
            if entry.held and now - entry.held < self.often / 2:
                continue
            if entry.held and not self._holds(desk, entry.taken) and entry.state == "reserved":
                self.turn(desk, graph.turned(entry.unit, LOST, entry.task.item))
            self._journal.note(entry, held=now)

    def _holds(self, desk: Desk, taken: Taken) -> bool:
        return reserving.renew(desk, taken, self.hold)

    def _turn_cancelled(self, desk: Desk, batch: Batch) -> bool:
        """Turn everything back that is not done where the customer does not want it any more."""
        state = batch.state
        if not (orders.is_final(state) or state in CANCELLING):
            return False
        order = desk.get(batch.key.kind, batch.key.order) if state in CANCELLING else {}
        if past_no_return(order, kinds.of(batch.key).form):
            return False
        changed: list[Item | Entry] = []
        graph = Graph(batch)
        for unit in {one.unit for one in batch.items if one.state == "open"}:
            changed += graph.turned(unit, CANCELLED)
        self.turn(desk, changed)
        return bool(changed)

    def turn(self, desk: Desk, changed: Iterable[Item | Entry]) -> None:
        """Keep what was turned back, and what waits for a person does so no longer."""
        some = list(changed)
        for one in some:
            if isinstance(one, Entry) and one.state == "waiting":
                fallout.withdraw(desk, one)
                one.state = one.was
        self._journal.save([one for one in some if isinstance(one, Item)], "goal", "reason")
        entries = [one for one in some if isinstance(one, Entry)]
        self._journal.save(entries, "goal", "state", "attempts", "since", "again")

    def _decide(self, desk: Desk, batch: Batch) -> None:
        graph = Graph(batch)
        by_id = {one.id: one for one in batch.entries}
        for id, decision in fallout.decisions(desk, batch.entries).items():
            entry = by_id[id]
            entry.attempts, entry.since, entry.again, entry.state = 0, 0.0, 0.0, entry.was
            why = f"{decision.who} decided: {decision.reason or decision.what}"
            if decision.what == fallout.SKIP:
                entry.state = "restored" if entry.goal == BACK else "verified"
                entry.skipped = why
            elif decision.what == fallout.CANCEL and entry.goal == BACK:
                entry.state, entry.doubt = "restored", f"{entry.reason}; {why}"
            elif decision.what == fallout.CANCEL:
                reason = f"{entry.reason}; {why}"
                self.turn(desk, graph.turned(entry.unit, reason, entry.task.item))
            self._journal.save([entry], "attempts", "since", "again", "state", "skipped", "doubt")

    def ask(self, key: OrderKey, entry: Entry) -> None:
        """Give a task to a person."""
        entry.people += 1
        was = entry.was if entry.state == "waiting" else entry.state
        id = fallout.ask(self._desks.staff(key.tenant), key, entry)
        self._journal.note(
            entry, state="waiting", was=was, fallout=id, people=entry.people,
            reason=entry.reason, attempts=entry.attempts,
        )  # fmt: skip

    def settle(self, batch: Batch) -> Report:
        """Write what has come of a batch so far; return how it goes on."""
        desk = self._desks.staff(batch.key.tenant, mind=batch.desk)
        order = self._order(desk, batch.key)
        state = batch.state = str(order.get("state", ""))
        if self._turn_cancelled(desk, batch):
            return Report(open=True, wait=0.001)
        if state == "held" and self._is_held(batch.key):
            return Report(open=True)
        self._release(desk, batch)
        if self._commit(desk, batch):
            return Report(open=True, wait=0.001)
        books = kinds.of(batch.key).ledger(desk, order)
        news = News(reserved=any(one.taken and one.goal == FORWARD for one in batch.entries))
        finished = self._complete(books, batch, news)
        finished += self._fail(books, batch, news, cancelled=orders.is_cancelling(order))
        self._mention(batch, news)
        if state:
            state = self._tell(desk, batch.key, order, news)
        for one in finished:
            one.state = "done" if one.goal == FORWARD else "failed"
        report = self._report(batch, orders.rank(order))
        if report.open or not orders.is_final(state):
            self._journal.save(finished, "state")
            return report
        return replace(report, wake=self.end(batch.key, batch.claims, finished))

    def _is_held(self, key: OrderKey) -> bool:
        """Say that the order waits to be let go on; return whether it still has to."""
        self._journal.mark(key, held=True)
        return self._journal.state(key) == "held"

    def _order(self, desk: Desk, key: OrderKey) -> Resource:
        try:
            return desk.get(key.kind, key.order)
        except NotFound:  # deleted meanwhile
            return {"id": key.order}

    def _release(self, desk: Desk, batch: Batch) -> None:
        """Give back what was taken for tasks of which the element knows nothing any more."""
        back = [
            one
            for one in batch.entries
            if one.goal == BACK and one.state in {"designed", "reserved", "restored"}
        ]
        for one in back:
            reserving.release(desk, batch.key, one.task, one.taken, one.doubt)
            one.state = "undone" if one.taken else "failed"
        self._journal.save(back, "state")

    def _commit(self, desk: Desk, batch: Batch) -> bool:
        """Give to services what was taken for them; return whether something was turned back.

        From here on a unit does not go back any more: the journal says so before the products are
        told.
        """
        graph = Graph(batch)
        for unit in graph.complete():
            some, entries = graph.in_unit(unit)
            try:
                for entry in entries:
                    if entry.taken is not None:
                        reserving.activate(desk, entry.taken)
            except Refused as error:
                log.warning("a unit goes back: %s", error, extra={"order": batch.key.order})
                self.turn(desk, graph.turned(unit, error.neutral))
                return True
            for one in some:
                one.state = CLOSING
            for entry in entries:
                entry.state = "active"
            self._journal.save([*some, *entries], "state")
        return False

    @staticmethod
    def _complete(books: Books, batch: Batch, news: News) -> list[Item]:
        """Write which products and services are as ordered now."""
        closing = [one for one in batch.items if one.state == CLOSING]
        for item in closing:
            entries = [one for one in batch.entries if one.task.item == item.item]
            books.done(item, entries)
            if item.plan is not None:
                taken = [one.taken for one in entries if one.taken]
                news.done[item.item] = (item.plan, taken)
        return closing

    @staticmethod
    def _fail(books: Books, batch: Batch, news: News, *, cancelled: bool) -> list[Item]:
        """Write of which products and services nothing came."""
        graph, failed = Graph(batch), list[Item]()
        for unit in graph.cleared():
            some, entries = graph.in_unit(unit)
            for item in some:
                if item.state != "open":
                    continue
                books.failed(item, cancelled=cancelled)
                doubts = [one.doubt for one in entries if one.task.item == item.item and one.doubt]
                doubt = f"; what was taken is in doubt and kept out of use: {'; '.join(doubts)}"
                news.failed[item.item] = item.reason + (doubt if doubts else "")
                failed.append(item)
        return failed

    def _mention(self, batch: Batch, news: News) -> None:
        """Say who or what is waited for."""
        for one in batch.entries:
            if one.state == "waiting":
                news.waiting[one.task.item] = (one.fallout, one.reason)
            elif one.attempts >= NEWSWORTHY:
                news.late[one.task.item] = (one.element, one.reason)
            if one.people and one.state != "waiting":
                news.resumed.add(one.task.item)
        news.resumed -= set(news.waiting)
        news.notes += [
            f"task {one.task.id} ({one.task.action} {one.task.service} on {one.element}) was"
            f" skipped: {one.skipped}"
            for one in batch.entries
            if one.skipped
        ]

    def _tell(self, desk: Desk, key: OrderKey, order: Resource, news: News) -> str:
        told = partial(orders.told, news=news, now=desk.now, form=kinds.of(key).form)
        if told(order) == order:
            return str(order.get("state", ""))
        written = desk.change(key.kind, key.order, told)
        return str(written.get("state", ""))

    def _report(self, batch: Batch, priority: int) -> Report:
        if any(one.state in {"open", CLOSING} for one in batch.items):
            now = time.time()
            later = [one.again - now for one in batch.entries if one.again > now]
            people = any(one.state == "waiting" for one in batch.entries)
            wait = max(min(later), 0.001) if later else self.often if people else LOOK
            return Report(open=True, wait=wait, priority=priority)
        return Report()

    def end(
        self, key: OrderKey, claims: Iterable[str], finished: Iterable[Item] = ()
    ) -> tuple[OrderKey, ...]:
        """Say that an order is finished; return those that waited for it.

        Args:
            key: Which order.
            claims: Ids of the products that it worked on.
            finished: Its items whose last state is not kept yet.
        """
        self._journal.end(key, finished)
        return tuple(self._claims.free(key, claims))
