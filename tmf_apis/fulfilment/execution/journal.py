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
from tmf_apis.fulfilment.values import Allocation, ItemPlan, OrderKey, Task
from tmf_apis.rest.pipeline.policy import Repository
from tmf_apis.serialization import from_document, stored_as, stored_names, to_document
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT as DELETED

TASKS = "fulfilment_tasks"
#: What an order has left behind is forgotten so long after its end, in seconds.
RETENTION = 30 * 24 * 3600
INDEXES = (
    IndexModel([("of", ASCENDING), ("batch", ASCENDING), ("place", ASCENDING)], name="batch"),
    IndexModel([("what", ASCENDING), ("state", ASCENDING)], name="state"),
    IndexModel([("ended", ASCENDING)], name="ended", expireAfterSeconds=RETENTION),
)

FORWARD, COMPENSATE = "forward", "back"
#: State of an item that is on the network whole, while inventory and order are told.
CLOSING = "closing"
#: States of a task that the element may know of.
ELEMENT_STATES = frozenset({"planned", "applied", "verified"})
#: States of a request to cancel that has no answer yet.
OPEN_REQUEST_STATES = frozenset({"accepted", "acknowledged", "inProgress"})
#: States of a task that needs nothing more.
DONE_STATES, UNDONE_STATES = frozenset({"verified", "active"}), frozenset({"undone", "failed"})

Document = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class TaskEntry:
    """A task as the journal has it.

    Attributes:
        id: Of the document.
        unit: What it stands and falls with.
        task: What is to be done.
        state: How far it is; the module's docstring has the states.
        goal: ``forward``, or ``back`` once its unit has failed.
        allocation: What is reserved for it.
        plan: What changes on the element; kept before it is touched.
        transaction: What was done, where the element has to confirm or stopped in the middle.
        state_before_fallout: The state in which it began to wait for a person.
        attempts: How often it was tried without success, since the last success.
        failing_since: When that began, in seconds since 1970; 0: all went well.
        retry_at: When it is tried again, likewise; 0: at once.
        renewed_at: Since when what is taken is reserved, or when that was renewed, likewise.
        reason: Why it was not done, for people.
        fallout_task: Id of the last task that a person was given for it.
        fallout_count: How many there were.
        quarantine_reason: Why the element may not be as the inventory says; nobody gets what was taken.
        skip_reason: Why a person said that it is to be taken as done.
        fencing_token: Whose it is, where one who worked on it was taken for dead; see ``Journal.fence``.
    """

    id: str
    unit: str
    task: Task
    state: str = "designed"
    goal: str = FORWARD
    allocation: Allocation | None = field(default=None, metadata=stored_as("taken"))
    plan: Plan | None = None
    transaction: Transaction | None = None
    state_before_fallout: str = field(default="", metadata=stored_as("was"))
    attempts: int = 0
    failing_since: float = field(default=0.0, metadata=stored_as("since"))
    retry_at: float = field(default=0.0, metadata=stored_as("again"))
    renewed_at: float = field(default=0.0, metadata=stored_as("held"))
    reason: str = ""
    fallout_task: str = field(default="", metadata=stored_as("fallout"))
    fallout_count: int = field(default=0, metadata=stored_as("people"))
    quarantine_reason: str = field(default="", metadata=stored_as("doubt"))
    skip_reason: str = field(default="", metadata=stored_as("skipped"))
    fencing_token: str = field(default="", metadata=stored_as("by"))

    @property
    def element(self) -> str:
        """Name of the element; empty: it is on none."""
        return self.allocation.target.name if self.allocation and self.allocation.target else ""


@dataclass(slots=True, kw_only=True)
class ItemEntry:
    """An item of an order as the journal has it.

    Attributes:
        id: Of the document.
        item_id: The item's id in the order.
        unit: What it stands and falls with.
        state: ``open_orders``; ``closing`` once it does not go back any more; ``done`` or ``failed`` when
            inventory and order say so, too.
        goal: ``forward``, or ``back``.
        plan: What becomes of it; None: it was refused, or nothing is known of it.
        reason: Why it goes back, for the customer.
        previous_states: From kind and id of products and services to their state before.
        fencing_token: As of an entry.
    """

    id: str
    item_id: str = field(metadata=stored_as("item"))
    unit: str
    state: str = "open"
    goal: str = FORWARD
    plan: ItemPlan | None = None
    reason: str = ""
    previous_states: dict[str, str] = field(default_factory=dict, metadata=stored_as("before"))
    fencing_token: str = field(default="", metadata=stored_as("by"))


class FencedOff(Exception):
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
        order_state: The order's state when it was looked at; empty: it is gone.
        repository: Has its resources in mind, where the same process has made or read them just now.
    """

    key: OrderKey
    number: int
    items: list[ItemEntry]
    entries: list[TaskEntry]
    claims: tuple[str, ...] = ()
    order_state: str = ""
    repository: Repository | None = None


class Journal:
    """The collection; every method raises Unavailable where the database does not answer."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._tasks = database[TASKS]

    def create_indexes(self) -> None:
        """Make the indexes."""
        with translate_errors():
            self._tasks.create_indexes(list(INDEXES))

    def create(
        self,
        key: OrderKey,
        batches: Iterable[tuple[list[ItemEntry], list[TaskEntry]]],
        head_fields: Mapping[str, object],
    ) -> Document:
        """Keep what an order wants; what is there already stays.

        Returns:
            The head; ``fresh`` says whether it is this one.
        """
        of = key.qualified_id
        with translate_errors():
            made = [
                {**one, "of": of, "batch": number}
                for number, (items, entries) in enumerate(batches)
                for one in (*_documents("item", items), *_documents("task", entries))
            ]
            whose = {"tenant": key.tenant, "order": key.order, "kind": key.kind}
            head = {
                "_id": of,
                "of": of,
                "what": "order",
                "batch": -1,
                "place": 0,
                **whose,
                **head_fields,
            }
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
        with translate_errors():
            return self._tasks.find_one({"_id": key.qualified_id})

    def enqueue(self, key: OrderKey) -> None:
        """Keep that an order is to be taken up, until it has ended or turns out to be none of ours.

        An order that was loaded is not among them: another system works on it, or has.
        """
        start = {
            "_id": f"{key.qualified_id}/start",
            "of": key.qualified_id,
            "what": "start",
            "batch": -2,
        }
        whose = {"tenant": key.tenant, "order": key.order, "kind": key.kind}
        with translate_errors(), suppress(DuplicateKeyError):
            self._tasks.insert_one({**start, **whose})

    def open_orders(self) -> list[OrderKey]:
        """Return the orders that are to be taken up, or were, and have not ended."""
        query = {"what": {"$in": ["start", "order"]}, "ended": {"$exists": False}}
        with translate_errors():
            found = self._tasks.find(query, {"tenant": 1, "order": 1, "kind": 1})
            keys = [OrderKey(one["tenant"], one["order"], one["kind"]) for one in found]
        return list(dict.fromkeys(keys))

    def open_cancellations(self, kind: str) -> list[tuple[str, str]]:
        """Return tenant and id of each request to cancel of a kind that has no answer yet."""
        query = {"body.state": {"$in": sorted(OPEN_REQUEST_STATES)}, "tenant": {"$ne": DELETED}}
        with translate_errors():
            found = self._database[kind].find(query, {"tenant": 1, "id": 1})
            return [(one["tenant"], one["id"]) for one in found]

    def update_head(self, key: OrderKey, **fields: object) -> None:
        """Write something into the head of an order."""
        with translate_errors():
            self._tasks.update_one({"_id": key.qualified_id}, {"$set": fields})

    def fence(self, key: OrderKey, number: int) -> None:
        """Let nobody who has looked at a batch until now write of it any more.

        For whoever takes it over from one who does not answer, but may not be dead.
        """
        with translate_errors():
            query = {"of": key.qualified_id, "batch": number}
            self._tasks.update_many(query, {"$set": {"by": uuid.uuid4().hex}})

    def batch(self, key: OrderKey, number: int) -> Batch:
        """Return a batch as it is now."""
        with translate_errors():
            query = {"of": key.qualified_id, "batch": {"$in": [-1, number]}}
            found = list(self._tasks.find(query).sort("place", 1))
        claims = next((one["claims"] for one in found if one["what"] == "order"), ())
        items = [_item_entry(one) for one in found if one["what"] == "item"]
        entries = [_task_entry(one) for one in found if one["what"] == "task"]
        return Batch(key, number, items, entries, tuple(claims))

    def update(self, entry: TaskEntry | ItemEntry, **changes: object) -> None:
        """Change an entry, here and in the database."""
        self.update_all([entry], **changes)

    def update_all(self, entries: Iterable[TaskEntry | ItemEntry], **changes: object) -> None:
        """Change several of a batch in the same way.

        Raises:
            Superseded: The batch is another's by now.
        """
        changed = []
        for one in entries:
            for attribute, new in changes.items():
                setattr(one, attribute, new)
            changed.append(one)
        if changed:
            stored = stored_names(type(changed[0]))
            update = {"$set": {stored[key]: to_document(new) for key, new in changes.items()}}
            ids = [one.id for one in changed]
            query = {"_id": ids[0] if len(ids) == 1 else {"$in": ids}, **_fencing_query(changed[0])}
            with translate_errors():
                done = self._tasks.update_many(query, update)
            _check_fencing(done.matched_count, ids)

    def save(self, entries: Iterable[TaskEntry | ItemEntry], *attributes: str) -> None:
        """Write attributes that differ from one to the other.

        Raises:
            Superseded: The batch is another's by now.
        """
        ids, updates = _updates(entries, attributes)
        if updates:
            with translate_errors():
                done = self._tasks.bulk_write(updates, ordered=False)
            _check_fencing(done.matched_count, ids)

    def finish(self, key: OrderKey, finished: Iterable[ItemEntry] = ()) -> None:
        """Say that an order is finished: what is kept of it may go one day.

        Args:
            key: Which order.
            finished: Items of it whose state is to be kept with that.
        """
        _, updates = _updates(finished, ("state",))
        over = UpdateMany({"of": key.qualified_id}, {"$set": {"ended": datetime.now(UTC)}})
        with translate_errors():
            self._tasks.bulk_write([*updates, over], ordered=False)

    def order_state(self, key: OrderKey) -> str:
        """Return the state of an order as it is now; empty where it is gone."""
        query = {"_id": f"{key.tenant}:{key.order}", "tenant": key.tenant}
        with translate_errors():
            found = self._database[key.kind].find_one(query, {"body.state": 1})
        return str(found["body"].get("state", "")) if found else ""


def _updates(
    entries: Iterable[TaskEntry | ItemEntry], attributes: Sequence[str]
) -> tuple[list[str], list[UpdateOne | UpdateMany]]:
    """Return the ids of what changes, and the updates that write some of its attributes."""
    ids, updates = list[str](), list[UpdateOne | UpdateMany]()
    for one in entries:
        stored = stored_names(type(one))
        change = {"$set": {stored[a]: to_document(getattr(one, a)) for a in attributes}}
        updates.append(UpdateOne({"_id": one.id, **_fencing_query(one)}, change))
        ids.append(one.id)
    return ids, updates


def _fencing_query(entry: TaskEntry | ItemEntry) -> Document:
    return {
        "by": entry.fencing_token or {"$in": ["", None]}
    }  # what an older release has kept has none


def _check_fencing(matched: int, ids: Sequence[str]) -> None:
    if matched < len(ids):
        raise FencedOff(f"another works on {', '.join(ids[:3])} by now")


def _documents(what: str, entries: Iterable[TaskEntry | ItemEntry]) -> Iterator[Document]:
    for place, one in enumerate(entries):
        made: Document = to_document(one)
        yield {"_id": made.pop("id"), **made, "what": what, "place": place}


def _task_entry(document: Document) -> TaskEntry:
    return from_document(TaskEntry, {"id": document["_id"], **document})


def _item_entry(document: Document) -> ItemEntry:
    return from_document(ItemEntry, {"id": document["_id"], **document})
