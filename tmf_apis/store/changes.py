"""What other processes write, read from the database's change stream by a thread of ours."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

from bson import Timestamp
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

from tmf_apis.store.connection import Documents

logger = logging.getLogger(__name__)

#: Longest wait of one read of the stream, in milliseconds.
AWAIT = 250
#: Pause after a batch, so that the next one is worth its round trip, in seconds.
GATHER = 0.1
#: A stream that was not read for so long is not to be relied on, in seconds.
STALE = 5.0
#: Pause before a broken stream is opened again, in seconds.
PAUSE = 0.5
#: First byte of a resume token's text: a time follows (8 bytes, as bson.Timestamp has them).
TOKEN_TIME = "82"  # noqa: S105 - not a secret

#: Kinds only (their names begin with a capital); of updates those of a resource, not of its outbox.
PIPELINE: list[dict[str, Any]] = [
    {
        "$match": {
            "$or": [
                {
                    "ns.coll": {"$regex": "^[A-Z]"},
                    "operationType": {"$in": ["insert", "delete", "replace"]},
                },
                {
                    "ns.coll": {"$regex": "^[A-Z]"},
                    "operationType": "update",
                    "updateDescription.updatedFields.rev": {"$exists": True},
                },
                {
                    "ns.coll": {"$regex": "^[A-Z]"},
                    "operationType": "update",
                    "updateDescription.updatedFields.tenant": {"$exists": True},
                },
                {"operationType": {"$in": ["drop", "rename", "dropDatabase", "invalidate"]}},
            ]
        }
    },
    {
        "$project": {
            "operationType": 1,
            "clusterTime": 1,
            "ns.coll": 1,
            "documentKey": 1,
            "fullDocument.tenant": 1,
            "updateDescription.updatedFields.tenant": 1,
        }
    },
]


@dataclass(frozen=True, slots=True)
class Change:
    """One write to one document of a kind.

    Attributes:
        what: "insert", "update", "replace", "delete"; anything else is a change of the database.
        kind: The kind.
        key: The document's ``_id``.
        tenant: The tenant that an insert or replacement has, or that an update sets; or empty.
        at: When, on the database's clock.
    """

    what: str
    kind: str
    key: str
    tenant: str
    at: Timestamp


class Listener(Protocol):
    """Who is told of changes; called from the reader's thread, one call at a time."""

    def opened(self, at: Timestamp) -> None:
        """Every change after ``at`` will be told from now on."""

    def happened(self, change: Change) -> None:
        """Something was written."""

    def reached(self, at: Timestamp) -> None:
        """Every change up to ``at`` has been told."""

    def quiet(self, asked: float) -> None:
        """There is nothing to tell: all was told that was acknowledged before ``asked``.

        That is a time of ``time.monotonic``.
        """

    def broken(self) -> None:
        """Nothing is told until the next ``opened``; changes in between are not told at all."""


class Reader:
    """Reads the change stream in a thread of its own, and opens it again whenever it breaks."""

    def __init__(self, database: Documents, listener: Listener) -> None:
        self._database = database.with_options(read_preference=ReadPreference.PRIMARY)
        self._listener = listener
        self._read_at = 0.0
        self._stopped = threading.Event()
        self._again = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the stream was read lately."""
        return time.monotonic() - self._read_at < STALE

    def start(self) -> None:
        """Begin to read."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop reading; waits for the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(AWAIT / 1000 + 5)

    def again(self) -> None:
        """Have the stream opened again: what it told is not to be relied on."""
        self._again.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read()
            except PyMongoError as error:
                if self._read_at:  # once an outage
                    logger.warning("change stream broken", extra={"error": str(error)[:300]})
            self._read_at = 0.0
            self._listener.broken()
            self._stopped.wait(PAUSE)

    def _read(self) -> None:
        """Read until stopped; the commands themselves, for a whole batch costs little more."""
        database = self._database
        with database.client.start_session(causal_consistency=False) as session:
            began = database.command("ping", session=session)["operationTime"]
            stage = {"$changeStream": {"startAtOperationTime": began}}
            opened = {"aggregate": 1, "pipeline": [stage, *PIPELINE], "cursor": {}}
            cursor = database.command(opened, session=session)["cursor"]
            more = {"getMore": cursor["id"], "collection": "$cmd.aggregate", "maxTimeMS": AWAIT}
            self._again.clear()
            self._read_at = asked = time.monotonic()
            self._listener.opened(began)
            last = self._tell(cursor, cursor["firstBatch"], began, asked)
            while cursor["id"] and not self._stopped.is_set() and not self._again.is_set():
                asked = time.monotonic()
                cursor = database.command(more, session=session)["cursor"]
                self._read_at = time.monotonic()
                last = self._tell(cursor, cursor["nextBatch"], last, asked)
            if cursor["id"]:  # not where the connection broke: that would wait for a new one
                kill = {"killCursors": "$cmd.aggregate", "cursors": [cursor["id"]]}
                database.command(kill, session=session)

    def _tell(
        self, cursor: dict[str, Any], batch: list[dict[str, Any]], last: Timestamp, asked: float
    ) -> Timestamp:
        """Tell one batch; return the time of the last event."""
        for event in batch:
            if event["clusterTime"] > last:  # several of one transaction have one time
                self._listener.reached(last)
                last = event["clusterTime"]
            self._listener.happened(change_of(event))
        if batch:
            self._stopped.wait(GATHER)
        else:
            self._listener.reached(position(cursor.get("postBatchResumeToken")) or last)
            self._listener.quiet(asked)
        return last


def change_of(event: dict[str, Any]) -> Change:
    """Return a change stream's event as a value."""
    update = event.get("updateDescription", {}).get("updatedFields", {})
    return Change(
        what=event["operationType"],
        kind=event.get("ns", {}).get("coll", ""),
        key=str(event.get("documentKey", {}).get("_id", "")),
        tenant=event.get("fullDocument", update).get("tenant") or "",
        at=event["clusterTime"],
    )


def position(token: dict[str, Any] | None) -> Timestamp | None:
    """Return the time up to which a stream has been read, from its resume token."""
    text = str(token.get("_data", "")) if token else ""
    if not text.startswith(TOKEN_TIME) or len(text) < 18:  # noqa: PLR2004 - see TOKEN_TIME
        return None
    return Timestamp(int(text[2:10], 16), int(text[10:18], 16))
