"""Records of SNMPv3 messages in MongoDB, by which replays are refused after a restart, too.

The collection ``SnmpEngine`` has the newest time of each element's engine::

    _id      "<element>/<engine id in hexadecimal>"
    element  key of the element
    boots    number of starts of the engine
    time     seconds since its last start, in the newest message
    at       when this message arrived, UTC

A message that is not older than the time window could still be repeated. The collection
``SnmpMessage`` has the digests of the messages of that time.

The collection ``SnmpReceiver`` has one document: the engine that elements send informs to::

    _id      "local"
    engine   its identity in hexadecimal
    started  when its time was zero, UTC

Its time continues over restarts, and all receivers of the system have the same.

Source: RFC 3414, section 2.2.3 and section 3.2, step 7; RFC 3411, section 5 (SnmpEngineID).
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from adapters.snmp.local_engine import LocalEngine
from adapters.snmp.traps import EngineRecord
from adapters.snmp.wire.usm import EngineTime
from tmf_apis.errors import Unavailable
from tmf_apis.store.connection import MongoDatabase

ENGINE_COLLECTION, MESSAGE_COLLECTION = "SnmpEngine", "SnmpMessage"
#: How long the digests of messages are kept, in seconds: several times the time window.
DIGEST_LIFETIME = 900
_DUPLICATE_KEY = 11000
#: Collection of the numbers of datagrams by outcome and reason, of all workers together.
COUNTS_COLLECTION = "SnmpDatagrams"
RECEIVER_COLLECTION, _LOCAL = "SnmpReceiver", "local"
#: RFC 3411 SnmpEngineID: the first bit and a private enterprise number, then 5: octets follow.
_ENGINE_ID_PREFIX, _ENGINE_ID_OCTETS = (0x80000000 | 64999).to_bytes(4, "big") + b"\x05", 12


class MessageRecords:
    """The times of engines and the digests of messages, shared by all workers."""

    def __init__(self, database: MongoDatabase) -> None:
        self._engines = database[ENGINE_COLLECTION]
        self._messages = database[MESSAGE_COLLECTION]
        self._receivers = database[RECEIVER_COLLECTION]
        self._counts = database[COUNTS_COLLECTION]

    def local_engine(self) -> LocalEngine:
        """Return the engine that elements send informs to; create it the first time.

        Raises:
            Unavailable: The database does not answer.
        """
        new_id = _ENGINE_ID_PREFIX + secrets.token_bytes(_ENGINE_ID_OCTETS)
        new = {"engine": new_id.hex(), "started": datetime.now(UTC)}
        try:
            row: Any = self._receivers.find_one_and_update(
                {"_id": _LOCAL},
                {"$setOnInsert": new},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except PyMongoError as error:
            raise _unavailable(error) from error
        return LocalEngine(bytes.fromhex(row["engine"]), row["started"].timestamp())

    def create_indexes(self) -> None:
        """Create the index that deletes old digests.

        Raises:
            Unavailable: The database does not answer.
        """
        try:
            self._messages.create_index("at", expireAfterSeconds=DIGEST_LIFETIME)
        except PyMongoError as error:
            raise _unavailable(error) from error

    def load(self) -> list[EngineRecord]:
        """Return the newest time of each engine.

        Raises:
            Unavailable: The database does not answer.
        """
        try:
            rows = list(self._engines.find())
        except PyMongoError as error:
            raise _unavailable(error) from error
        return [
            EngineRecord(
                row["element"],
                bytes.fromhex(row["_id"].rpartition("/")[2]),
                EngineTime(row["boots"], row["time"], row["at"].timestamp()),
            )
            for row in rows
        ]

    def save(self, records: Iterable[EngineRecord]) -> None:
        """Store times, unless another worker has stored newer ones.

        Raises:
            Unavailable: The database does not answer.
        """
        updates = [_update(record) for record in records]
        if not updates:
            return
        try:
            self._engines.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            codes = {failure["code"] for failure in error.details["writeErrors"]}
            if codes != {_DUPLICATE_KEY}:  # a newer time is stored
                raise _unavailable(error) from error
        except PyMongoError as error:
            raise _unavailable(error) from error

    def add_counts(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Add numbers of datagrams by outcome and reason.

        Raises:
            Unavailable: The database does not answer; nothing may be added, or all.
        """
        updates = [
            UpdateOne(
                {"_id": f"{outcome}/{reason}"},
                {"$inc": {"count": count}, "$set": {"outcome": outcome, "reason": reason}},
                upsert=True,
            )
            for (outcome, reason), count in counts.items()
            if count
        ]
        if not updates:
            return
        try:
            self._counts.bulk_write(updates, ordered=False)
        except PyMongoError as error:
            raise _unavailable(error) from error

    def is_claimed(self, digest: str) -> bool:
        """Return whether a message has been handled by any worker.

        Raises:
            Unavailable: The database does not answer.
        """
        try:
            return self._messages.find_one({"_id": digest}) is not None
        except PyMongoError as error:
            raise _unavailable(error) from error

    def claim(self, digest: str) -> bool:
        """Return whether a message has not been handled by any worker, and note that it is now.

        Raises:
            Unavailable: The database does not answer.
        """
        try:
            self._messages.insert_one({"_id": digest, "at": datetime.now(UTC)})
        except DuplicateKeyError:
            return False
        except PyMongoError as error:
            raise _unavailable(error) from error
        return True


def _update(record: EngineRecord) -> UpdateOne:
    """Return the update that stores a time if the stored one is older or there is none."""
    boots, engine_time, at = record.time
    is_older = [{"boots": {"$lt": boots}}, {"boots": boots, "time": {"$lt": engine_time}}]
    return UpdateOne(
        {"_id": f"{record.element}/{record.engine_id.hex()}", "$or": is_older},
        {
            "$set": {
                "element": record.element,
                "boots": boots,
                "time": engine_time,
                "at": datetime.fromtimestamp(at, UTC),
            }
        },
        upsert=True,
    )


def _unavailable(error: PyMongoError) -> Unavailable:
    return Unavailable(f"the database does not answer: {error}"[:300])
