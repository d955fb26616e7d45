"""Taking an order up: when its time has come, alone for its products, planned once and reserved."""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment import kinds
from tmf_apis.fulfilment.execution import orders, progress
from tmf_apis.fulfilment.execution.claims import Claims
from tmf_apis.fulfilment.execution.journal import FORWARD, Batch, Entry, Item, Journal
from tmf_apis.fulfilment.execution.settling import Settling
from tmf_apis.fulfilment.execution.steps import Part, Work
from tmf_apis.fulfilment.execution.units import Graph, batched, breaking
from tmf_apis.fulfilment.reservation import refusals, reserving
from tmf_apis.fulfilment.values import OrderKey, Refused
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.rest.periods import moment

log = logging.getLogger(__name__)

#: Tasks of one batch at least; a large order has about so many batches.
BATCH, BATCHES = 25, 10


class Accepting:
    """Takes orders up; every deed is safe to repeat."""

    def __init__(self, desks: Desks, journal: Journal, claims: Claims, settling: Settling) -> None:
        """Take what it works with.

        Args:
            desks: Give access to the resources.
            journal: Keeps what is planned.
            claims: Keep orders for the same product apart.
            settling: Ends what comes to nothing.
        """
        self._desks = desks
        self._journal = journal
        self._claims = claims
        self._settling = settling

    def accept(self, key: OrderKey) -> tuple[Work, Batch | None]:
        """Plan an order, say that it is in progress and, where it is small, reserve for it.

        Returns:
            What there is to do; and its only batch, if it was planned now and is reserved.
        """
        head = self._journal.head(key)
        if head and "ended" in head:
            return Work(wake=tuple(self._claims.free(key, head["claims"]))), None
        desk = self._desks.staff(key.tenant)
        try:
            order = desk.get(key.kind, key.order)
        except NotFound:
            order = {"id": key.order}
        if head is None:
            taken = self._taken_up(desk, key, order)
            if isinstance(taken, Work):
                return taken, None
            batches, first = taken
        else:
            batches, first = self._batches(key, head), False
        count, fresh = len(batches), None
        begun = self._begin(desk, key, batches)
        if count == 1 and begun is not None:
            self._reserve(desk, batches[0], begun, fresh=first)
            if first:
                fresh = batches[0]
                fresh.state, fresh.desk = str(begun.get("state", "")), desk
        due = _seconds(order.get("requestedCompletionDate"))
        rank = orders.rank(order)
        work = Work(
            batches=count, reserved=count == 1, due=max(due, 0.0), priority=rank,
            begun=not first,
        )  # fmt: skip
        return work, fresh

    def _batches(self, key: OrderKey, head: Mapping[str, Any]) -> list[Batch]:
        return [self._journal.batch(key, number) for number in range(head["batches"])]

    def _taken_up(
        self, desk: Desk, key: OrderKey, order: Resource
    ) -> Work | tuple[list[Batch], bool]:
        """Return the batches of an order that is planned now, or why it is not.

        With the batches comes whether nobody else has taken the order up at the same moment.
        """
        kind = kinds.of(key)
        claimed = kind.changed(order)
        if order.get("state") not in orders.OPEN:
            return self._none_of_ours(key, claimed)
        if order["state"] == "acknowledged":
            wait = _seconds(order.get("requestedStartDate"))
            if wait > 0:
                return Work(wait=wait)
        if holder := self._claims.take(key, claimed, self._is_over):
            self._say_whose_turn_it_is(desk, key, holder)
            return Work(turn=True)
        design = kind.plan(desk, key, order)
        if design.nothing:
            return self._none_of_ours(key, claimed)
        size = max(BATCH, len(design.items) // BATCHES)
        batches = batched(key, kind.as_products(order), design, size)
        due = moment(order.get("requestedCompletionDate"))
        facts = {"batches": len(batches), "claims": sorted(claimed), "due": due}
        head = self._journal.begin(key, batches, facts)
        if not head["fresh"]:
            return self._batches(key, head), False
        own = tuple(sorted(claimed))
        return [Batch(key, n, some, tasks, own) for n, (some, tasks) in enumerate(batches)], True

    def _none_of_ours(self, key: OrderKey, claimed: Iterable[str]) -> Work:
        self._journal.end(key)
        return Work(wake=tuple(self._claims.free(key, claimed)))

    def _is_over(self, holder: OrderKey) -> bool:
        return orders.is_final(self._journal.state(holder))

    def _say_whose_turn_it_is(self, desk: Desk, key: OrderKey, holder: OrderKey) -> None:
        readers = self._desks.readers(key.tenant, key.kind, key.order)
        mine = all(refusals.visible(one, holder.order, holder.kind) for one in readers)
        other = f"order {holder.order}" if mine else "another order"
        form = kinds.of(key).form
        alert = (other, progress.TURN, f"{other} works on the same {form.subject} and goes first")

        def warn(order: Resource) -> Resource:
            if order.get("state") not in orders.OPEN:
                return order
            return progress.warned(order, alert, desk.now, form=form)

        desk.change(key.kind, key.order, warn)

    @staticmethod
    def _begin(desk: Desk, key: OrderKey, batches: list[Batch]) -> Resource | None:
        """Say that an order is in progress, and return it; None: it is gone."""
        plans = {item.item: item.plan for batch in batches for item in batch.items}

        def begin(order: Resource) -> Resource:
            if order.get("state") not in orders.OPEN:
                return order
            return orders.begun(order, plans, desk.now, kinds.of(key).form)

        try:
            return desk.change(key.kind, key.order, begin)
        except NotFound:  # deleted meanwhile: what is kept goes back
            return None

    def reserve(self, part: Part) -> None:
        """Reserve what a batch needs, and write into the inventories what is to come."""
        desk = self._desks.staff(part.key.tenant)
        try:
            order = desk.get(part.key.kind, part.key.order)
        except NotFound:
            return
        self._reserve(desk, self._journal.batch(part.key, part.number), order)

    def _reserve(self, desk: Desk, batch: Batch, order: Resource, *, fresh: bool = False) -> None:
        if order.get("state") not in orders.OPEN | {"held"}:
            return
        key = batch.key
        owner = self._owner(desk, batch)
        graph, changed = Graph(batch), list[Item | Entry]()
        done: list[Entry] = []
        for entry in batch.entries:
            if entry.goal != FORWARD or entry.state != "designed":
                continue
            try:
                entry.taken = reserving.reserve(
                    desk, key, entry.task, owner, hold=self._settling.hold, fresh=fresh
                )
            except Refused as error:
                entry.reason = str(error)
                readers = self._desks.readers(key.tenant, key.kind, key.order)
                said = refusals.told(error, readers)
                changed += graph.turned(entry.unit, said, entry.task.item)
                facts = {"order": key.order, "task": entry.task.id, "tenant": key.tenant}
                log.info("a task cannot be done: %s", error, extra=facts)
                self._journal.save([entry], "reason")
            else:
                entry.state, entry.held = "reserved", time.time()
                done.append(entry)
        self._journal.save(done, "state", "taken", "held")
        self._journal.save(breaking(batch), "task")
        self._settling.turn(desk, changed)
        books = kinds.of(key).ledger(desk, order)
        forward = [one for one in batch.items if one.goal == FORWARD and one.state == "open"]
        self._journal.save([one for one in forward if books.look(one)], "before")
        for item in forward:
            books.begin(item)

    def _owner(self, desk: Desk, batch: Batch) -> Desk:
        """Return a desk that sees what whoever placed the order may see, where that matters."""
        if all(one.task.action == "provide" for one in batch.entries):
            return desk
        return self._desks.owner(batch.key.tenant, batch.key.kind, batch.key.order)

    def late(self, key: OrderKey) -> float:
        """Say that an order is late, if it is; return the seconds until it may be; 0: never."""
        desk = self._desks.staff(key.tenant)
        try:
            order = desk.get(key.kind, key.order)
        except NotFound:
            return 0.0
        wait = _seconds(order.get("requestedCompletionDate"))
        self._journal.mark(key, due=moment(order.get("requestedCompletionDate")))
        if orders.is_final(str(order.get("state"))) or not order.get("requestedCompletionDate"):
            return 0.0
        if wait > 0:
            return wait

        def warn(order: Resource) -> Resource:
            if orders.is_final(str(order.get("state"))):
                return order
            wanted = order.get("requestedCompletionDate")
            alert = (f"late {wanted}", progress.LATE, f"it was wanted until {wanted}")
            return progress.warned(order, alert, desk.now, form=kinds.of(key).form)

        desk.change(key.kind, key.order, warn)
        return 0.0


def _seconds(date: object) -> float:
    """Return the seconds until a date of an order; 0 where it has none."""
    wanted = moment(date) if date else None
    return (datetime.fromisoformat(wanted) - datetime.now(UTC)).total_seconds() if wanted else 0.0
