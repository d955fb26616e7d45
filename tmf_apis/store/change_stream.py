"""Reads the database's change stream in a thread, to learn of writes by other processes."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

from bson import Timestamp
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.store.connection import MongoDatabase

log = logging.getLogger(__name__)

#: Longest wait of one read, in milliseconds.
MAX_AWAIT_MS = 250
#: Pause after a batch, so that the next read returns many changes at once, in seconds.
BATCH_PAUSE = 0.1
#: Time since the last read after which the stream is considered dead, in seconds.
STALE_AFTER = 5.0
#: Pause before the stream is reopened after an error, in seconds.
REOPEN_PAUSE = 0.5
#: First byte of a resume token in hexadecimal; a timestamp of 8 bytes follows.
RESUME_TOKEN_TIMESTAMP = "82"  # noqa: S105 - not a secret

#: Selects the collections of kinds (their names begin with a capital). Of updates it selects those
#: of a resource, not those of its outbox.
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
    """A write to one document of a kind.

    Attributes:
        operation: "insert", "update", "replace" or "delete"; any other value is a change of the
            whole collection or database.
        kind: The kind.
        key: The document's ``_id``.
        tenant: Tenant of the inserted or replacing document, or the tenant that an update sets;
            empty: the write does not set it.
        at: Time of the write, on the database's clock.
    """

    operation: str
    kind: str
    key: str
    tenant: str
    at: Timestamp


class ChangeListener(Protocol):
    """Receives changes; called from the reader's thread, one call at a time."""

    def on_open(self, at: Timestamp) -> None:
        """Note that the stream is open: every change after ``at`` will be reported."""

    def on_change(self, change: Change) -> None:
        """Receive a change."""

    def on_watermark(self, at: Timestamp) -> None:
        """Note that every change up to ``at`` has been reported."""

    def on_idle(self, polled_at: float) -> None:
        """Note that every write acknowledged before ``polled_at`` has been reported.

        Args:
            polled_at: Time of the read that returned no changes, on the monotonic clock.
        """

    def on_disconnect(self) -> None:
        """Note that changes are not reported until the next ``on_open``."""


class ChangeStreamReader:
    """Reads the change stream in a thread of its own and reopens it after errors."""

    def __init__(self, database: MongoDatabase, listener: ChangeListener) -> None:
        self._database = database.with_options(read_preference=ReadPreference.PRIMARY)
        self._listener = listener
        self._broken = LastingCondition(log, "change stream broken", "change stream open again")
        self._last_read_at = 0.0
        self._stop_requested = threading.Event()
        self._reopen_requested = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Return whether the stream was read recently."""
        return time.monotonic() - self._last_read_at < STALE_AFTER

    def start(self) -> None:
        """Start the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its end."""
        self._stop_requested.set()
        if self._thread is not None:
            self._thread.join(MAX_AWAIT_MS / 1000 + 5)

    def reopen(self) -> None:
        """Request that the stream is reopened, because its changes are unreliable."""
        self._reopen_requested.set()

    def _run(self) -> None:
        while not self._stop_requested.is_set():
            try:
                self._read_stream()
            except PyMongoError as error:
                self._broken.report(error=str(error)[:300])
            self._last_read_at = 0.0
            self._listener.on_disconnect()
            self._stop_requested.wait(REOPEN_PAUSE)

    def _read_stream(self) -> None:
        """Read the stream until stopped.

        Runs the commands themselves, because a whole batch then costs hardly more than one change.
        """
        database = self._database
        with database.client.start_session(causal_consistency=False) as session:
            start = database.command("ping", session=session)["operationTime"]
            stage = {"$changeStream": {"startAtOperationTime": start}}
            open_stream = {"aggregate": 1, "pipeline": [stage, *PIPELINE], "cursor": {}}
            cursor = database.command(open_stream, session=session)["cursor"]
            get_more = {
                "getMore": cursor["id"],
                "collection": "$cmd.aggregate",
                "maxTimeMS": MAX_AWAIT_MS,
            }
            self._reopen_requested.clear()
            self._last_read_at = polled_at = time.monotonic()
            self._broken.clear()
            self._listener.on_open(start)
            watermark = self._dispatch(cursor, cursor["firstBatch"], start, polled_at)
            while (
                cursor["id"]
                and not self._stop_requested.is_set()
                and not self._reopen_requested.is_set()
            ):
                polled_at = time.monotonic()
                cursor = database.command(get_more, session=session)["cursor"]
                self._last_read_at = time.monotonic()
                watermark = self._dispatch(cursor, cursor["nextBatch"], watermark, polled_at)
            if cursor["id"]:  # not after a connection error: this would wait for a new connection
                kill = {"killCursors": "$cmd.aggregate", "cursors": [cursor["id"]]}
                database.command(kill, session=session)

    def _dispatch(
        self,
        cursor: dict[str, Any],
        batch: list[dict[str, Any]],
        watermark: Timestamp,
        polled_at: float,
    ) -> Timestamp:
        """Report a batch to the listener; return the time of its last change."""
        for event in batch:
            if event["clusterTime"] > watermark:  # the changes of a transaction have the same time
                self._listener.on_watermark(watermark)
                watermark = event["clusterTime"]
            self._listener.on_change(parse_change(event))
        if batch:
            self._stop_requested.wait(BATCH_PAUSE)
        else:
            self._listener.on_watermark(
                resume_token_time(cursor.get("postBatchResumeToken")) or watermark
            )
            self._listener.on_idle(polled_at)
        return watermark


def parse_change(event: dict[str, Any]) -> Change:
    """Return the change that a change stream event describes."""
    update = event.get("updateDescription", {}).get("updatedFields", {})
    return Change(
        operation=event["operationType"],
        kind=event.get("ns", {}).get("coll", ""),
        key=str(event.get("documentKey", {}).get("_id", "")),
        tenant=event.get("fullDocument", update).get("tenant") or "",
        at=event["clusterTime"],
    )


def resume_token_time(token: dict[str, Any] | None) -> Timestamp | None:
    """Return the time up to which a stream was read, from its resume token; None: unknown."""
    text = str(token.get("_data", "")) if token else ""
    if not text.startswith(RESUME_TOKEN_TIMESTAMP) or len(text) < 18:  # noqa: PLR2004 - 9 bytes
        return None
    return Timestamp(int(text[2:10], 16), int(text[10:18], 16))
