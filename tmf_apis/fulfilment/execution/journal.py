"""The journal of fulfilment: planned and completed work, stored beside the resources.

The collection ``fulfilment_tasks`` has four types of documents (``what``)::

    start   an order that is to be planned, perhaps after its start date or after another order
    order   the head of a planned order: number of batches, claimed products, due date, end, owner
    item    one item of an order: its plan, state and goal (forward, or compensation)
    task    one task on the network: its state, its allocation and the plan of the element

A task is ``designed``, then ``reserved``, then ``planned`` (the plan is saved before the element is
touched; from now on the element may have changed), ``applied`` (waiting to be verified),
``verified`` and ``active``. Compensation leads to ``restored`` (the element is as before), then
``undone``. A ``failed`` task never reached the element; a ``waiting`` one waits for a fallout task.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, IndexModel, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from adapters.values import Plan, Transaction
from tmf_apis.fulfilment.execution.journal_sealing import JournalSealer
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.values import Allocation, ItemPlan, OrderKey, Task
from tmf_apis.serialization import from_document, stored_as, stored_names, to_document
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT as DELETED

TASKS = "fulfilment_tasks"
#: Time for which the documents of a finished order are kept, in seconds.
RETENTION = 30 * 24 * 3600
INDEXES = (
    IndexModel([("of", ASCENDING), ("batch", ASCENDING), ("place", ASCENDING)], name="batch"),
    IndexModel([("what", ASCENDING), ("state", ASCENDING)], name="state"),
    IndexModel([("ended", ASCENDING)], name="ended", expireAfterSeconds=RETENTION),
)

FORWARD, COMPENSATE = "forward", "back"
#: State of an item whose tasks are all active while inventory and order are being written.
CLOSING = "closing"
#: States of a task that may have changed the element.
ELEMENT_STATES = frozenset({"planned", "applied", "verified"})
#: States of a request to cancel that is not answered yet.
OPEN_REQUEST_STATES = frozenset({"accepted", "acknowledged", "inProgress"})
#: Last states of a task: of one that is done, and of one that is compensated.
DONE_STATES, UNDONE_STATES = frozenset({"verified", "active"}), frozenset({"undone", "failed"})

Document = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class TaskEntry:
    """A task in the journal.

    Attributes:
        id: Id of the document.
        unit: The unit that the task belongs to.
        task: The task.
        state: The progress; the module's docstring has the states.
        goal: ``FORWARD``, or ``COMPENSATE`` once its unit has failed.
        allocation: The reserved resources.
        plan: The changes on the element; saved before it is touched.
        transaction: The applied changes, if the element waits for a confirmation or has stopped in
            the middle.
        state_before_fallout: The state in which it began to wait for a fallout task.
        attempts: Number of failed attempts since the last success.
        failing_since: Time of the first of those attempts, in seconds since 1970; 0 if none failed.
        retry_at: Time of the next attempt, in seconds since 1970; 0 for at once.
        renewed_at: Time of the reservation or its last renewal, in seconds since 1970.
        reason: Why it failed, for people.
        cause: Why its unit is compensated; empty while it is not.
        fallout_task: Id of its last fallout task.
        fallout_count: Number of its fallout tasks.
        quarantine_reason: Why the element may differ from the inventory, so that the resources are
            quarantined; empty if they are not.
        skip_reason: Why a person decided to skip it; empty if nobody did.
        forced: A person has decided to assert its state whatever is on the element.
        fencing_token: Token of the worker that has taken the batch over; see ``Journal.fence``.
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
    cause: str = ""
    fallout_task: str = field(default="", metadata=stored_as("fallout"))
    fallout_count: int = field(default=0, metadata=stored_as("people"))
    quarantine_reason: str = field(default="", metadata=stored_as("doubt"))
    skip_reason: str = field(default="", metadata=stored_as("skipped"))
    forced: bool = False
    fencing_token: str = field(default="", metadata=stored_as("by"))

    @property
    def element(self) -> str:
        """Name of the element; empty if the task needs none."""
        return self.allocation.target.name if self.allocation and self.allocation.target else ""

    @property
    def explanation(self) -> str:
        """Why it failed; while it is compensated, after the reason for that."""
        if self.goal == COMPENSATE and self.cause:
            return f"{self.cause}; it cannot be undone yet: {self.reason}"
        return self.reason


@dataclass(slots=True, kw_only=True)
class ItemEntry:
    """An item of an order in the journal.

    Attributes:
        id: Id of the document.
        item_id: The item's id in the order.
        unit: The unit that the item belongs to.
        state: ``open``; ``CLOSING`` once it cannot be compensated any more; ``done`` or ``failed``
            once inventory and order are written.
        goal: ``FORWARD`` or ``COMPENSATE``.
        plan: The plan of the item; None if it was rejected.
        reason: Why it is compensated.
        public_reason: The reason for customers, if it differs.
        previous_states: The earlier states of its product and services, by ``<kind>:<id>``.
        fencing_token: Token of the worker that has taken the batch over; see ``Journal.fence``.
    """

    id: str
    item_id: str = field(metadata=stored_as("item"))
    unit: str
    state: str = "open"
    goal: str = FORWARD
    plan: ItemPlan | None = None
    reason: str = ""
    public_reason: str = ""
    previous_states: dict[str, str] = field(default_factory=dict, metadata=stored_as("before"))
    fencing_token: str = field(default="", metadata=stored_as("by"))


class FencedOff(Exception):
    """Another worker has taken the batch over; this one must not write to it any more."""


@dataclass(slots=True)
class Batch:
    """A part of an order that is run together: whole units, with all units that they depend on.

    Attributes:
        key: The order.
        number: Number of the batch, from 0.
        items: Its items.
        entries: Its tasks.
        claims: Ids of the products that the order has claimed.
        order_state: The order's state when it was read last; empty if it was deleted.
        owner: The parties of the client that placed the order; None: the operator's staff.
        has_owner_recorded: Whether ``owner`` is known; earlier releases did not record it.
        rights: The repositories that have the batch's resources in their identity maps, if the same
            process has just read or created them.
    """

    key: OrderKey
    number: int
    items: list[ItemEntry]
    entries: list[TaskEntry]
    claims: tuple[str, ...] = ()
    order_state: str = ""
    owner: frozenset[str] | None = None
    has_owner_recorded: bool = True
    rights: OrderRights | None = None


class Journal:
    """The journal; every method raises Unavailable if the database does not answer."""

    def __init__(self, database: MongoDatabase, sealer: JournalSealer) -> None:
        self._database = database
        self._sealer = sealer
        self._tasks = database[TASKS]

    def create_indexes(self) -> None:
        """Create the indexes."""
        with translate_errors():
            self._tasks.create_indexes(list(INDEXES))

    def create(
        self,
        key: OrderKey,
        batches: Iterable[tuple[list[ItemEntry], list[TaskEntry]]],
        head_fields: Mapping[str, object],
    ) -> Document:
        """Store the plan of an order, unless one is stored already.

        Args:
            key: The order.
            batches: Items and tasks of each batch.
            head_fields: Further members of the head.

        Returns:
            The stored head; its member ``fresh`` says whether this call has stored it.
        """
        order_id = key.qualified_id
        documents = [
            self._sealer.seal(key.tenant, {**document, "of": order_id, "batch": number})
            for number, (items, entries) in enumerate(batches)
            for document in (*_documents("item", items), *_documents("task", entries))
        ]
        head = {
            "_id": order_id,
            "of": order_id,
            "what": "order",
            "batch": -1,
            "place": 0,
            **_order_fields(key),
            **head_fields,
        }
        with translate_errors():
            try:  # in this order: a head means that the plan is complete
                self._tasks.insert_many([*documents, head])
            except BulkWriteError:
                existing = self._tasks.find_one({"_id": order_id})
                if existing:  # a concurrent call was first
                    return {**existing, "fresh": False}
                self._tasks.delete_many({"of": order_id})  # the rest of an interrupted attempt
                self._tasks.insert_many([*documents, head])
        return {**head, "fresh": True}

    def head(self, key: OrderKey) -> Document | None:
        """Return the head of an order; None if it is not planned."""
        with translate_errors():
            return self._tasks.find_one({"_id": key.qualified_id})

    def is_expected(self, key: OrderKey) -> bool:
        """Return whether fulfilment works on an order, or is going to decide whether it does.

        That is so until the order is finished or dismissed, beginning before its first event is
        processed.
        """
        ids = [key.qualified_id, f"{key.qualified_id}/start"]
        with translate_errors():
            documents = list(self._tasks.find({"_id": {"$in": ids}}, {"ended": 1}))
            if documents:
                return all("ended" not in document for document in documents)
            query = {"_id": f"{key.tenant}:{key.order}", "tenant": key.tenant}
            order = self._database[key.kind].find_one(query, {"events": {"$slice": 1}})
        return bool(order and order.get("events"))

    def enqueue(self, key: OrderKey) -> None:
        """Record that an order is to be planned, until it is finished or dismissed.

        Bulk-loaded orders are not recorded: another system works on them, or has finished them.
        """
        start = {
            "_id": f"{key.qualified_id}/start",
            "of": key.qualified_id,
            "what": "start",
            "batch": -2,
            **_order_fields(key),
        }
        with translate_errors(), suppress(DuplicateKeyError):
            self._tasks.insert_one(start)

    def open_orders(self) -> list[OrderKey]:
        """Return the orders that are recorded or planned, and not finished."""
        query = {"what": {"$in": ["start", "order"]}, "ended": {"$exists": False}}
        with translate_errors():
            documents = self._tasks.find(query, {"tenant": 1, "order": 1, "kind": 1})
            keys = [
                OrderKey(document["tenant"], document["order"], document["kind"])
                for document in documents
            ]
        return list(dict.fromkeys(keys))

    def open_cancellations(self, kind: str) -> list[tuple[str, str]]:
        """Return tenant and id of the unanswered requests to cancel of a kind."""
        query = {"body.state": {"$in": sorted(OPEN_REQUEST_STATES)}, "tenant": {"$ne": DELETED}}
        with translate_errors():
            requests = self._database[kind].find(query, {"tenant": 1, "id": 1})
            return [(request["tenant"], request["id"]) for request in requests]

    def update_head(self, key: OrderKey, **fields: object) -> None:
        """Set members of the head of an order."""
        with translate_errors():
            self._tasks.update_one({"_id": key.qualified_id}, {"$set": fields})

    def fence(self, key: OrderKey, number: int) -> None:
        """Fence off every worker that has loaded a batch before: its writes raise ``FencedOff``.

        Call this before you take a batch over from a worker that does not answer but may be alive.
        """
        with translate_errors():
            query = {"of": key.qualified_id, "batch": number}
            self._tasks.update_many(query, {"$set": {"by": uuid.uuid4().hex}})

    def batch(self, key: OrderKey, number: int) -> Batch:
        """Return a batch in its present state."""
        with translate_errors():
            query = {"of": key.qualified_id, "batch": {"$in": [-1, number]}}
            documents = list(self._tasks.find(query).sort("place", 1))
        self._sealer.open(documents)
        head = next((document for document in documents if document["what"] == "order"), {})
        items = [_item_entry(document) for document in documents if document["what"] == "item"]
        tasks = (document for document in documents if document["what"] == "task")
        entries = [_with_tenant(_task_entry(document), key.tenant) for document in tasks]
        claims = tuple(head.get("claims", ()))
        owner = head.get("owner")
        return Batch(
            key,
            number,
            items,
            entries,
            claims,
            owner=None if owner is None else frozenset(owner),
            has_owner_recorded="owner" in head,
        )

    def update(self, entry: TaskEntry | ItemEntry, **changes: object) -> None:
        """Set attributes of an entry, in memory and in the database.

        Raises:
            FencedOff: Another worker has taken the batch over.
        """
        for attribute, value in changes.items():
            setattr(entry, attribute, value)
        self.save([entry], *changes)

    def save(self, entries: Iterable[TaskEntry | ItemEntry], *attributes: str) -> None:
        """Write attributes of entries to the database.

        Raises:
            FencedOff: Another worker has taken the batch over.
        """
        ids, updates = _updates(entries, attributes, self._sealer.masked)
        if updates:
            with translate_errors():
                result = self._tasks.bulk_write(updates, ordered=False)
            _check_fencing(result.matched_count, ids)

    def finish(self, key: OrderKey, finished: Iterable[ItemEntry] = ()) -> None:
        """Mark an order as finished; its documents are deleted after ``RETENTION``.

        Args:
            key: The order.
            finished: Items whose state is saved with it.
        """
        _, updates = _updates(finished, ("state",), self._sealer.masked)
        end = UpdateMany({"of": key.qualified_id}, {"$set": {"ended": datetime.now(UTC)}})
        with translate_errors():
            self._tasks.bulk_write([*updates, end], ordered=False)

    def order_state(self, key: OrderKey) -> str:
        """Return the present state of an order; empty if it was deleted."""
        query = {"_id": f"{key.tenant}:{key.order}", "tenant": key.tenant}
        with translate_errors():
            order = self._database[key.kind].find_one(query, {"body.state": 1})
        return str(order["body"].get("state", "")) if order else ""


def _order_fields(key: OrderKey) -> Document:
    return {"tenant": key.tenant, "order": key.order, "kind": key.kind}


def _with_tenant(entry: TaskEntry, tenant: str) -> TaskEntry:
    """Return an entry whose target names its tenant; earlier releases did not store it."""
    allocation = entry.allocation
    if allocation and allocation.target and not allocation.target.tenant:
        target = replace(allocation.target, tenant=tenant)
        entry.allocation = replace(allocation, target=target)
    return entry


def _updates(
    entries: Iterable[TaskEntry | ItemEntry],
    attributes: Sequence[str],
    mask: Callable[[Any], Any],
) -> tuple[list[str], list[UpdateOne | UpdateMany]]:
    """Return the ids of entries, and the updates that write some of their attributes.

    Personal values are left out: they do not change after the document was created.
    """
    ids, updates = list[str](), list[UpdateOne | UpdateMany]()
    for entry in entries:
        stored = stored_names(type(entry))
        members = {stored[name]: to_document(getattr(entry, name)) for name in attributes}
        change = {"$set": {name: mask(member) for name, member in members.items()}}
        updates.append(UpdateOne({"_id": entry.id, **_fencing_query(entry)}, change))
        ids.append(entry.id)
    return ids, updates


def _fencing_query(entry: TaskEntry | ItemEntry) -> Document:
    # Documents of older releases have no token.
    return {"by": entry.fencing_token or {"$in": ["", None]}}


def _check_fencing(matched: int, ids: Sequence[str]) -> None:
    if matched < len(ids):
        raise FencedOff(f"another worker has taken over {', '.join(ids[:3])}")


def _documents(what: str, entries: Iterable[TaskEntry | ItemEntry]) -> Iterator[Document]:
    for place, entry in enumerate(entries):
        document: Document = to_document(entry)
        yield {"_id": document.pop("id"), **document, "what": what, "place": place}


def _task_entry(document: Document) -> TaskEntry:
    return from_document(TaskEntry, {"id": document["_id"], **document})


def _item_entry(document: Document) -> ItemEntry:
    return from_document(ItemEntry, {"id": document["_id"], **document})
