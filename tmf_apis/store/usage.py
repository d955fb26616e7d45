"""Counters of what tenants and clients use, shared by all processes through the database.

A process adds in memory and writes the sums once a second, so a counter costs a request no round
trip; it is exact for this process and a few seconds old for others. Near its limit, a counter is
written and read at once, so that the limit holds for all processes. After a kill, the additions of
the last second are lost. The stored bytes are counted again once a day.

Collection ``Usage``::

    _id       "<name>:<tenant>[ <client>]", or "recount" for the time of the last count of bytes
    value     the counter
    expires   time when the database deletes it; missing: never
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError, PyMongoError

from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.model import DELETED_TENANT

log = logging.getLogger(__name__)

COLLECTION = "Usage"
#: Pause between two writes, age at which a value is read again, and pause between two counts of
#: the stored bytes, in seconds.
_WRITE_INTERVAL, _MAX_AGE, _RECOUNT_INTERVAL = 1.0, 5.0, 86_400.0
_RECOUNT = "recount"
#: Most values that are remembered.
_MAX_VALUES = 10_000

Document = dict[str, Any]


def bytes_key(tenant: str) -> str:
    """Return the key of the counter of a tenant's stored bytes."""
    return f"bytes:{tenant}"


def body_size(body: Mapping[str, Any]) -> int:
    """Return the size of the stored form of a resource, in bytes of JSON."""
    return len(orjson.dumps(body))


@dataclass(slots=True)
class _Counter:
    """A counter as this process knows it.

    Attributes:
        value: The value in the database.
        read_at: When it was read, in seconds of the clock.
        pending: Additions of this process that are not in the database.
        expires: When the database deletes the counter; None: never.
        is_near_limit: Additions are written at once.
    """

    value: int = 0
    read_at: float = float("-inf")
    pending: int = 0
    expires: datetime | None = None
    is_near_limit: bool = False


class UsageCounters:
    """The counters of one database."""

    def __init__(
        self, database: MongoDatabase, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Create the counters; ``start`` begins to write them."""
        self._database = database
        self._collection = database[COLLECTION]
        self._clock = clock
        self._lock = threading.Lock()
        self._flush_lock = threading.Lock()
        self._counters: defaultdict[str, _Counter] = defaultdict(_Counter)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, kinds: Iterable[str]) -> None:
        """Create the index, and begin to write the counters and to count the stored bytes.

        Args:
            kinds: The kinds whose bytes count.
        """
        self._collection.create_index("expires", expireAfterSeconds=0)
        self._thread = threading.Thread(
            target=self._run, args=(tuple(kinds),), name="usage", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Write what is pending, and end."""
        self._stopping.set()
        if self._thread:
            self._thread.join(10)

    def add(self, key: str, amount: int, expires: datetime | None = None) -> None:
        """Add to a counter.

        Args:
            key: Its key.
            amount: The amount; it may be negative.
            expires: When the database deletes the counter; None: never.
        """
        with self._lock:
            counter = self._counters[key]
            counter.pending += amount
            counter.expires = expires
        if counter.is_near_limit:
            with suppress(PyMongoError):  # written with the next ones
                self.flush()

    def value(self, key: str, limit: int = 0, margin: int = 0) -> int:
        """Return the value of a counter, at most a few seconds old; near its limit, the latest.

        Args:
            key: Its key.
            limit: Its limit; 0: none.
            margin: The most that may be added while a value is used; at least 1 % of the limit.

        Raises:
            PyMongoError: The database does not answer.
        """
        counter = self._counters.get(key)
        if counter is None or self._clock() - counter.read_at > _MAX_AGE:
            counter = self._read(key)
        if limit and counter.value + counter.pending >= limit - max(margin, limit // 100):
            counter.is_near_limit = True
            self.flush()
            counter = self._read(key)
        else:
            counter.is_near_limit = False
        return max(0, counter.value + counter.pending)

    def _read(self, key: str) -> _Counter:
        """Read a counter from the database."""
        with self._flush_lock:  # a value between its write and its note would count twice
            document = self._collection.find_one({"_id": key}, {"value": 1})
            with self._lock:
                counter = self._counters[key]
                counter.value = document["value"] if document else 0
                counter.read_at = self._clock()
        return counter

    def flush(self) -> None:
        """Write the pending additions.

        Raises:
            PyMongoError: The database does not answer; some may be written.
        """
        with self._flush_lock:
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            pending = {key: c.pending for key, c in self._counters.items() if c.pending}
            writes = [
                _addition(key, amount, self._counters[key].expires)
                for key, amount in pending.items()
            ]
        if writes:
            self._collection.bulk_write(writes, ordered=False)
        with self._lock:
            for key, amount in pending.items():
                counter = self._counters[key]
                counter.pending -= amount
                counter.value += amount
            if len(self._counters) > _MAX_VALUES:
                self._forget_unused()

    def _forget_unused(self) -> None:
        now = self._clock()
        for key, counter in list(self._counters.items()):
            if not counter.pending and now - counter.read_at > _MAX_AGE:
                del self._counters[key]

    def recount_if_due(self, kinds: Iterable[str]) -> bool:
        """Count the stored bytes of all tenants, unless a process has done so today.

        Raises:
            PyMongoError: The database does not answer.
        """
        if not self._claim_recount():
            return False
        sizes: defaultdict[str, int] = defaultdict(int)
        for kind in kinds:
            for row in self._database[kind].aggregate(_size_stages(), allowDiskUse=True):
                sizes[row["_id"]] += row["size"]
        writes = [
            UpdateOne({"_id": bytes_key(tenant)}, {"$set": {"value": size}}, upsert=True)
            for tenant, size in sizes.items()
        ]
        if writes:
            self._collection.bulk_write(writes, ordered=False)
        return True

    def _claim_recount(self) -> bool:
        """Return whether this process is the one that counts today."""
        now = datetime.now(UTC)
        due = now - timedelta(seconds=_RECOUNT_INTERVAL)
        try:
            self._collection.find_one_and_update(
                {"_id": _RECOUNT, "$or": [{"at": {"$lt": due}}, {"at": {"$exists": False}}]},
                {"$set": {"at": now}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return False
        return True

    def _run(self, kinds: tuple[str, ...]) -> None:
        unwritten = LastingCondition(
            log, "cannot write the counters of usage", "the counters of usage are written again"
        )
        next_recount = self._clock()
        is_stopping = False
        while not is_stopping:
            is_stopping = self._stopping.wait(_WRITE_INTERVAL)
            try:
                self.flush()
                if self._clock() >= next_recount and not is_stopping:
                    next_recount = self._clock() + _RECOUNT_INTERVAL / 24
                    self.recount_if_due(kinds)
            except PyMongoError as error:
                unwritten.report(error=str(error)[:300])
            else:
                unwritten.clear()


def _addition(key: str, amount: int, expires: datetime | None) -> UpdateOne:
    update: Document = {"$inc": {"value": amount}}
    if expires:
        update["$setOnInsert"] = {"expires": expires}
    return UpdateOne({"_id": key}, update, upsert=True)


def _size_stages() -> list[Document]:
    return [
        {"$match": {"tenant": {"$ne": DELETED_TENANT}, "body": {"$type": "object"}}},
        {"$group": {"_id": "$tenant", "size": {"$sum": {"$bsonSize": "$body"}}}},
    ]
