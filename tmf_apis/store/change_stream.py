"""What other processes write, read from the database's change stream by a thread of ours."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

from bson import Timestamp
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

from tmf_apis.store.connection import MongoDatabase

logger = logging.getLogger(__name__)

#: Longest wait of one read of the stream, in milliseconds.
MAX_AWAIT_MS = 250
#: Pause after a batch, so that the next one is worth its round trip, in seconds.
BATCH_PAUSE = 0.1
#: A stream that was not read for so long is not to be relied on, in seconds.
STALE_AFTER = 5.0
#: Pause before a broken stream is opened again, in seconds.
REOPEN_PAUSE = 0.5
#: First byte of a resume token's text: a time follows (8 bytes, as bson.Timestamp has them).
RESUME_TOKEN_TIMESTAMP = "82"  # noqa: S105 - not a secret

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
        operation: "insert", "update", "replace", "delete"; anything else is a change of the database.
        kind: The kind.
        key: The document's ``_id``.
        tenant: The tenant that an insert or replacement has, or that an update sets; or empty.
        at: When, on the database's clock.
    """

    operation: str
    kind: str
    key: str
    tenant: str
    at: Timestamp


class ChangeListener(Protocol):
    """Who is told of changes; called from the reader's thread, one call at a time."""

    def on_open(self, at: Timestamp) -> None:
        """Every change after ``at`` will be told from now on."""

    def on_change(self, change: Change) -> None:
        """Something was written."""

    def on_watermark(self, at: Timestamp) -> None:
        """Every change up to ``at`` has been told."""

    def on_idle(self, polled_at: float) -> None:
        """There is nothing to tell: all was told that was acknowledged before ``polled_at``.

        That is a time of ``time.monotonic``.
        """

    def on_disconnect(self) -> None:
        """Nothing is told until the next ``on_open``; changes in between are not told at all."""


class ChangeStreamReader:
    """Reads the change stream in a thread of its own, and opens it again whenever it breaks."""

    def __init__(self, database: MongoDatabase, listener: ChangeListener) -> None:
        self._database = database.with_options(read_preference=ReadPreference.PRIMARY)
        self._listener = listener
        self._last_read_at = 0.0
        self._stop_requested = threading.Event()
        self._reopen_requested = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the stream was read lately."""
        return time.monotonic() - self._last_read_at < STALE_AFTER

    def start(self) -> None:
        """Begin to read."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop reading; waits for the thread."""
        self._stop_requested.set()
        if self._thread is not None:
            self._thread.join(MAX_AWAIT_MS / 1000 + 5)

    def reopen(self) -> None:
        """Have the stream opened again: what it told is not to be relied on."""
        self._reopen_requested.set()

    def _run(self) -> None:
        while not self._stop_requested.is_set():
            try:
                self._read_stream()
            except PyMongoError as error:
                if self._last_read_at:  # once an outage
                    logger.warning("change stream broken", extra={"error": str(error)[:300]})
            self._last_read_at = 0.0
            self._listener.on_disconnect()
            self._stop_requested.wait(REOPEN_PAUSE)

    def _read_stream(self) -> None:
        """Read until stopped; the commands themselves, for a whole batch costs little more."""
        database = self._database
        with database.client.start_session(causal_consistency=False) as session:
            began = database.command("ping", session=session)["operationTime"]
            stage = {"$changeStream": {"startAtOperationTime": began}}
            opened = {"aggregate": 1, "pipeline": [stage, *PIPELINE], "cursor": {}}
            cursor = database.command(opened, session=session)["cursor"]
            more = {
                "getMore": cursor["id"],
                "collection": "$cmd.aggregate",
                "maxTimeMS": MAX_AWAIT_MS,
            }
            self._reopen_requested.clear()
            self._last_read_at = asked = time.monotonic()
            self._listener.on_open(began)
            last = self._dispatch(cursor, cursor["firstBatch"], began, asked)
            while (
                cursor["id"]
                and not self._stop_requested.is_set()
                and not self._reopen_requested.is_set()
            ):
                asked = time.monotonic()
                cursor = database.command(more, session=session)["cursor"]
                self._last_read_at = time.monotonic()
                last = self._dispatch(cursor, cursor["nextBatch"], last, asked)
            if cursor["id"]:  # not where the connection broke: that would wait for a new one
                kill = {"killCursors": "$cmd.aggregate", "cursors": [cursor["id"]]}
                database.command(kill, session=session)

    def _dispatch(
        self, cursor: dict[str, Any], batch: list[dict[str, Any]], last: Timestamp, polled_at: float
    ) -> Timestamp:
        """Tell one batch; return the time of the last event."""
        for event in batch:
            if event["clusterTime"] > last:  # several of one transaction have one time
                self._listener.on_watermark(last)
                last = event["clusterTime"]
            self._listener.on_change(parse_change(event))
        if batch:
            self._stop_requested.wait(BATCH_PAUSE)
        else:
            self._listener.on_watermark(
                resume_token_time(cursor.get("postBatchResumeToken")) or last
            )
            self._listener.on_idle(polled_at)
        return last


def parse_change(event: dict[str, Any]) -> Change:
    """Return a change stream's event as a value."""
    update = event.get("updateDescription", {}).get("updatedFields", {})
    return Change(
        operation=event["operationType"],
        kind=event.get("ns", {}).get("coll", ""),
        key=str(event.get("documentKey", {}).get("_id", "")),
        tenant=event.get("fullDocument", update).get("tenant") or "",
        at=event["clusterTime"],
    )


def resume_token_time(token: dict[str, Any] | None) -> Timestamp | None:
    """Return the time up to which a stream has been read, from its resume token."""
    text = str(token.get("_data", "")) if token else ""
    if not text.startswith(RESUME_TOKEN_TIMESTAMP) or len(text) < 18:  # noqa: PLR2004 - see TOKEN_TIME
        return None
    return Timestamp(int(text[2:10], 16), int(text[10:18], 16))
