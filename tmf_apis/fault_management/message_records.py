"""Records of SNMPv3 messages in MongoDB, by which replays are refused after a restart, too.

The collection ``SnmpEngine`` has the newest time of each element's engine::

    _id      "<element>/<engine id in hexadecimal>"
    element  key of the element
    boots    number of starts of the engine
    time     seconds since its last start, in the newest message
    at       when this message arrived, UTC

A message that is not older than the time window could still be repeated. The collection
``SnmpMessage`` has the digests of the messages of that time.

Source: RFC 3414, section 2.2.3 and section 3.2, step 7.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from adapters.snmp.traps import EngineRecord
from adapters.snmp.wire.usm import EngineTime
from tmf_apis.errors import Unavailable
from tmf_apis.store.connection import MongoDatabase

ENGINE_COLLECTION, MESSAGE_COLLECTION = "SnmpEngine", "SnmpMessage"
#: How long the digests of messages are kept, in seconds: several times the time window.
DIGEST_LIFETIME = 900
_DUPLICATE_KEY = 11000


class MessageRecords:
    """The times of engines and the digests of messages, shared by all workers."""

    def __init__(self, database: MongoDatabase) -> None:
        self._engines = database[ENGINE_COLLECTION]
        self._messages = database[MESSAGE_COLLECTION]

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
