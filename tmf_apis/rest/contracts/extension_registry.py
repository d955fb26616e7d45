"""The extension types of a database, and every process that works on it told of a change.

Collection ``extension``: one document a type, its schema as text (MongoDB has its own use for
names that begin with ``$``). A counter in ``meta`` says that something changed; each process reads
it once a second.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pymongo.errors import PyMongoError

from tmf_apis.errors import NotFound, TmfError, TooManyRequests
from tmf_apis.rest.contracts import extensions
from tmf_apis.rest.contracts.extensions import Extensions, Schema
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.indexes import META_COLLECTION

log = logging.getLogger(__name__)

COLLECTION = "extension"
#: Pause between two looks at the counter, in seconds.
POLL_INTERVAL = 1.0
#: Most extension types.
MAX_TYPES = 500

_REVISION_KEY = {"_id": "extensions"}


@dataclass(frozen=True, slots=True)
class ExtensionType:
    """An extension type as it was registered.

    Attributes:
        type: Its name, what stands in ``@type``.
        schema: Its JSON Schema, as it was sent.
        subject: Who registered it.
        changed_at: When, in UTC.
    """

    type: str
    schema: Schema
    subject: str
    changed_at: datetime


class ExtensionRegistry:
    """The extension types of one database."""

    def __init__(self, database: MongoDatabase, on_change: Callable[[Extensions], None]) -> None:
        """Take the database.

        Args:
            database: Where they lie.
            on_change: Told of all types when they are read first and whenever they changed.
        """
        self._database = database
        self._on_change = on_change
        self._revision = 0
        self._lock = threading.Lock()
        self._stop_event = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look for changes of other processes."""
        self._thread = threading.Thread(target=self._poll, name="extensions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no longer."""
        self._stop_event.set()
        if self._thread:
            self._thread.join(POLL_INTERVAL + 5)

    def list(self) -> list[ExtensionType]:
        """Return every type, by name."""
        with translate_errors():
            return [
                _extension_type(one) for one in self._database[COLLECTION].find().sort("_id", 1)
            ]

    def get(self, type: str) -> ExtensionType:
        """Return one type.

        Raises:
            NotFound: There is none of this name (HTTP 404).
        """
        with translate_errors():
            found = self._database[COLLECTION].find_one({"_id": type})
        if found is None:
            raise NotFound(f"there is no extension type {type[:80]!r}")
        return _extension_type(found)

    def put(self, type: str, schema: Schema, subject: str) -> bool:
        """Register a type, in place of what had its name; return whether it is new.

        Raises:
            TooManyRequests: There are as many as there may be (HTTP 429).
        """
        collection = self._database[COLLECTION]
        content = {
            "schema": orjson.dumps(schema).decode(),
            "subject": subject,
            "changed": datetime.now(UTC),
        }
        with translate_errors():
            if collection.count_documents({"_id": {"$ne": type}}) >= MAX_TYPES:
                raise TooManyRequests(f"there are at most {MAX_TYPES} extension types")
            result = collection.replace_one({"_id": type}, content, upsert=True)
            self._increment_revision()
        self.refresh()
        return result.upserted_id is not None

    def delete(self, type: str) -> None:
        """Drop a type; resources of it stay as they are.

        Raises:
            NotFound: There is none of this name (HTTP 404).
        """
        with translate_errors():
            gone = self._database[COLLECTION].delete_one({"_id": type}).deleted_count
            if gone:
                self._increment_revision()
        if not gone:
            raise NotFound(f"there is no extension type {type[:80]!r}")
        self.refresh()

    def refresh(self) -> None:
        """Tell of the types if they are not those that were told last."""
        with self._lock, translate_errors():
            note: dict[str, Any] = self._database[META_COLLECTION].find_one(_REVISION_KEY) or {}
            count = note.get("count", 0)
            if count == self._revision:
                return
            found = {one["_id"]: one["schema"] for one in self._database[COLLECTION].find()}
            usable = {type: _schema_or_empty(type, text) for type, text in found.items()}
            self._on_change({type: schema for type, schema in usable.items() if schema})
            self._revision = count

    def _increment_revision(self) -> None:
        self._database[META_COLLECTION].update_one(
            _REVISION_KEY, {"$inc": {"count": 1}}, upsert=True
        )

    def _poll(self) -> None:
        while not self._stop_event.wait(POLL_INTERVAL):
            try:
                self.refresh()
            except (PyMongoError, TmfError) as error:
                log.debug("extension types cannot be read", extra={"why": str(error)[:200]})


def _schema_or_empty(type: str, text: str) -> Schema:
    try:
        return extensions.dereferenced_schema(orjson.loads(text))
    except (TmfError, ValueError, KeyError) as error:  # written by another release
        log.warning("extension type is not used", extra={"type": type, "why": str(error)[:200]})
        return {}


def _extension_type(document: dict[str, Any]) -> ExtensionType:
    return ExtensionType(
        document["_id"],
        orjson.loads(document["schema"]),
        document["subject"],
        document["changed"],
    )
