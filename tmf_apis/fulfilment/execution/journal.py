"""What fulfilment has done and is about to do, kept beside the resources: plain documents.

The collection ``fulfilment_tasks`` has four sorts of documents (``what``)::

    start   it is to be taken up, perhaps not before its day or its turn has come
    order   the head: how many batches there are, when it was taken up, which products are claimed
    item    what becomes of one item of the order, and whether that goes forward or back
    task    one thing on the network: its state, what is reserved for it, the element's plan

A task is ``designed``, then ``reserved``, then ``planned`` (from here on the element may have been
touched; its plan is kept before), ``applied`` (waiting to be verified), ``verified``, ``active``.
On the way back it is ``restored`` (the element is as before), then ``undone``. ``failed`` is one
that never got to the element; ``waiting`` one that waits for a person.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, IndexModel, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from adapters.values import Plan, Transaction
from tmf_apis.fulfilment.reservation.kept import document, value
from tmf_apis.fulfilment.values import ItemPlan, OrderKey, Taken, Task
from tmf_apis.rest.law import Desk
from tmf_apis.store.connection import Documents, translated
from tmf_apis.store.model import GONE as DELETED

TASKS = "fulfilment_tasks"
#: What an order has left behind is forgotten so long after its end, in seconds.
KEPT = 30 * 24 * 3600
INDEXES = (
    IndexModel([("of", ASCENDING), ("batch", ASCENDING), ("place", ASCENDING)], name="batch"),
    IndexModel([("what", ASCENDING), ("state", ASCENDING)], name="state"),
    IndexModel([("ended", ASCENDING)], name="ended", expireAfterSeconds=KEPT),
)

FORWARD, BACK = "forward", "back"
#: State of an item that is on the network whole, while inventory and order are told.
CLOSING = "closing"
#: States of a task that the element may know of.
TOUCHED = frozenset({"planned", "applied", "verified"})
#: States of a request to cancel that has no answer yet.
REQUESTED = frozenset({"accepted", "acknowledged", "inProgress"})
#: States of a task that needs nothing more.
DONE, GONE = frozenset({"verified", "active"}), frozenset({"undone", "failed"})

Document = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Entry:
    """A task as the journal has it.

    Attributes:
        id: Of the document.
        unit: What it stands and falls with.
        task: What is to be done.
        state: How far it is; the module's docstring has the states.
        goal: ``forward``, or ``back`` once its unit has failed.
        taken: What is reserved for it.
        plan: What changes on the element; kept before it is touched.
        transaction: What was done, where the element has to confirm or stopped in the middle.
        was: The state in which it began to wait for a person.
        attempts: How often it was tried without success, since the last success.
        since: When that began, in seconds since 1970; 0: all went well.
        again: When it is tried again, likewise; 0: at once.
        held: Since when what is taken is reserved, or when that was renewed, likewise.
        reason: Why it was not done, for people.
        fallout: Id of the last task that a person was given for it.
        people: How many there were.
        doubt: Why the element may not be as the inventory says; nobody gets what was taken.
        skipped: Why a person said that it is to be taken as done.
        by: Whose it is, where one who worked on it was taken for dead; see ``Journal.own``.
    """

    id: str
    unit: str
    task: Task
    state: str = "designed"
    goal: str = FORWARD
    taken: Taken | None = None
    plan: Plan | None = None
    transaction: Transaction | None = None
    was: str = ""
    attempts: int = 0
    since: float = 0.0
    again: float = 0.0
    held: float = 0.0
    reason: str = ""
    fallout: str = ""
    people: int = 0
    doubt: str = ""
    skipped: str = ""
    by: str = ""

    @property
    def element(self) -> str:
        """Name of the element; empty: it is on none."""
        return self.taken.target.name if self.taken and self.taken.target else ""


@dataclass(slots=True, kw_only=True)
class Item:
    """An item of an order as the journal has it.

    Attributes:
        id: Of the document.
        item: The item's id in the order.
        unit: What it stands and falls with.
        state: ``open``; ``closing`` once it does not go back any more; ``done`` or ``failed`` when
            inventory and order say so, too.
        goal: ``forward``, or ``back``.
        plan: What becomes of it; None: it was refused, or nothing is known of it.
        reason: Why it goes back, for the customer.
        before: From kind and id of products and services to their state before.
        by: As of an entry.
    """

    id: str
    item: str
    unit: str
    state: str = "open"
    goal: str = FORWARD
    plan: ItemPlan | None = None
    reason: str = ""
    before: dict[str, str] = field(default_factory=dict)
    by: str = ""


class Superseded(Exception):
    """Somebody else works on the batch: whoever did was taken for dead, or slept for too long."""


@dataclass(slots=True)
class Batch:
    """What is worked on together: whole units, with all that they wait for.

    Attributes:
        key: Which order.
        number: Which batch of it.
        items: Its items.
        entries: Its tasks.
        claims: Ids of the products that the order works on.
        state: The order's state when it was looked at; empty: it is gone.
        desk: Has its resources in mind, where the same process has made or read them just now.
    """

    key: OrderKey
    number: int
    items: list[Item]
    entries: list[Entry]
    claims: tuple[str, ...] = ()
    state: str = ""
    desk: Desk | None = None


class Journal:
    """The collection; every method raises Unavailable where the database does not answer."""

    def __init__(self, database: Documents) -> None:
        self._database = database
        self._tasks = database[TASKS]

    def prepare(self) -> None:
        """Make the indexes."""
        with translated():
            self._tasks.create_indexes(list(INDEXES))

    def begin(
        self,
        key: OrderKey,
        batches: Iterable[tuple[list[Item], list[Entry]]],
        facts: Mapping[str, object],
    ) -> Document:
        """Keep what an order wants; what is there already stays.

        Returns:
            The head; ``fresh`` says whether it is this one.
        """
        of = key.name
        with translated():
            made = [
                {**one, "of": of, "batch": number}
                for number, (items, entries) in enumerate(batches)
                for one in (*_documents("item", items), *_documents("task", entries))
            ]
            whose = {"tenant": key.tenant, "order": key.order, "kind": key.kind}
            head = {"_id": of, "of": of, "what": "order", "batch": -1, "place": 0, **whose, **facts}
            try:  # in order: the head says that all is there
                self._tasks.insert_many([*made, head])
            except BulkWriteError:
                if there := self._tasks.find_one({"_id": of}):  # another was faster
                    return {**there, "fresh": False}
                self._tasks.delete_many({"of": of})  # half of an attempt that was cut short
                self._tasks.insert_many([*made, head])
        return {**head, "fresh": True}

    def head(self, key: OrderKey) -> Document | None:
        """Return the head of an order; None where it was not taken up."""
        with translated():
            return self._tasks.find_one({"_id": key.name})

    def expect(self, key: OrderKey) -> None:
        """Keep that an order is to be taken up, until it has ended or turns out to be none of ours.

        An order that was loaded is not among them: another system works on it, or has.
        """
        start = {"_id": f"{key.name}/start", "of": key.name, "what": "start", "batch": -2}
        whose = {"tenant": key.tenant, "order": key.order, "kind": key.kind}
        with translated(), suppress(DuplicateKeyError):
            self._tasks.insert_one({**start, **whose})

    def open(self) -> list[OrderKey]:
        """Return the orders that are to be taken up, or were, and have not ended."""
        query = {"what": {"$in": ["start", "order"]}, "ended": {"$exists": False}}
        with translated():
            found = self._tasks.find(query, {"tenant": 1, "order": 1, "kind": 1})
            keys = [OrderKey(one["tenant"], one["order"], one["kind"]) for one in found]
        return list(dict.fromkeys(keys))

    def requests(self, kind: str) -> list[tuple[str, str]]:
        """Return tenant and id of each request to cancel of a kind that has no answer yet."""
        query = {"body.state": {"$in": sorted(REQUESTED)}, "tenant": {"$ne": DELETED}}
        with translated():
            found = self._database[kind].find(query, {"tenant": 1, "id": 1})
            return [(one["tenant"], one["id"]) for one in found]

    def mark(self, key: OrderKey, **facts: object) -> None:
        """Write something into the head of an order."""
        with translated():
            self._tasks.update_one({"_id": key.name}, {"$set": facts})

    def own(self, key: OrderKey, number: int) -> None:
        """Let nobody who has looked at a batch until now write of it any more.

        For whoever takes it over from one who does not answer, but may not be dead.
        """
        with translated():
            query = {"of": key.name, "batch": number}
            self._tasks.update_many(query, {"$set": {"by": uuid.uuid4().hex}})

    def batch(self, key: OrderKey, number: int) -> Batch:
        """Return a batch as it is now."""
        with translated():
            query = {"of": key.name, "batch": {"$in": [-1, number]}}
            found = list(self._tasks.find(query).sort("place", 1))
        claims = next((one["claims"] for one in found if one["what"] == "order"), ())
        items = [_item(one) for one in found if one["what"] == "item"]
        entries = [_entry(one) for one in found if one["what"] == "task"]
        return Batch(key, number, items, entries, tuple(claims))

    def note(self, one: Entry | Item, **changes: object) -> None:
        """Change an entry, here and in the database."""
        self.note_all([one], **changes)

    def note_all(self, some: Iterable[Entry | Item], **changes: object) -> None:
        """Change several of a batch in the same way.

        Raises:
            Superseded: The batch is another's by now.
        """
        changed = []
        for one in some:
            for attribute, new in changes.items():
                setattr(one, attribute, new)
            changed.append(one)
        if changed:
            update = {"$set": {key: document(new) for key, new in changes.items()}}
            ids = [one.id for one in changed]
            query = {"_id": ids[0] if len(ids) == 1 else {"$in": ids}, **_whose(changed[0])}
            with translated():
                done = self._tasks.update_many(query, update)
            _check(done.matched_count, ids)

    def save(self, some: Iterable[Entry | Item], *attributes: str) -> None:
        """Write attributes that differ from one to the other.

        Raises:
            Superseded: The batch is another's by now.
        """
        ids, updates = _updates(some, attributes)
        if updates:
            with translated():
                done = self._tasks.bulk_write(updates, ordered=False)
            _check(done.matched_count, ids)

    def end(self, key: OrderKey, finished: Iterable[Item] = ()) -> None:
        """Say that an order is finished: what is kept of it may go one day.

        Args:
            key: Which order.
            finished: Items of it whose state is to be kept with that.
        """
        _, updates = _updates(finished, ("state",))
        over = UpdateMany({"of": key.name}, {"$set": {"ended": datetime.now(UTC)}})
        with translated():
            self._tasks.bulk_write([*updates, over], ordered=False)

    def state(self, key: OrderKey) -> str:
        """Return the state of an order as it is now; empty where it is gone."""
        query = {"_id": f"{key.tenant}:{key.order}", "tenant": key.tenant}
        with translated():
            found = self._database[key.kind].find_one(query, {"body.state": 1})
        return str(found["body"].get("state", "")) if found else ""


def _updates(
    some: Iterable[Entry | Item], attributes: Sequence[str]
) -> tuple[list[str], list[UpdateOne | UpdateMany]]:
    """Return the ids of what changes, and the updates that write some of its attributes."""
    ids, updates = list[str](), list[UpdateOne | UpdateMany]()
    for one in some:
        change = {"$set": {a: document(getattr(one, a)) for a in attributes}}
        updates.append(UpdateOne({"_id": one.id, **_whose(one)}, change))
        ids.append(one.id)
    return ids, updates


def _whose(one: Entry | Item) -> Document:
    return {"by": one.by or {"$in": ["", None]}}  # what an older release has kept has none


def _check(matched: int, ids: Sequence[str]) -> None:
    if matched < len(ids):
        raise Superseded(f"another works on {', '.join(ids[:3])} by now")


def _documents(what: str, some: Iterable[Entry | Item]) -> Iterator[Document]:
    for place, one in enumerate(some):
        made: Document = document(one)
        yield {"_id": made.pop("id"), **made, "what": what, "place": place}


def _entry(found: Document) -> Entry:
    return value(Entry, {"id": found["_id"], **found})


def _item(found: Document) -> Item:
    return value(Item, {"id": found["_id"], **found})
