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
from tmf_apis.rest import extensions
from tmf_apis.rest.extensions import Extensions, Schema
from tmf_apis.store.connection import Documents, translated
from tmf_apis.store.indexes import META

log = logging.getLogger(__name__)

COLLECTION = "extension"
#: Pause between two looks at the counter, in seconds.
PAUSE = 1.0
#: Most extension types.
LIMIT = 500

_COUNTER = {"_id": "extensions"}


@dataclass(frozen=True, slots=True)
class Registered:
    """An extension type as it was registered.

    Attributes:
        type: Its name, what stands in ``@type``.
        schema: Its JSON Schema, as it was sent.
        subject: Who registered it.
        changed: When, in UTC.
    """

    type: str
    schema: Schema
    subject: str
    changed: datetime


class Registry:
    """The extension types of one database."""

    def __init__(self, database: Documents, changed: Callable[[Extensions], None]) -> None:
        """Take the database.

        Args:
            database: Where they lie.
            changed: Told of all types when they are read first and whenever they changed.
        """
        self._database = database
        self._changed = changed
        self._known = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look for changes of other processes."""
        self._thread = threading.Thread(target=self._watch, name="extensions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no longer."""
        self._stopped.set()
        if self._thread:
            self._thread.join(PAUSE + 5)

    def list(self) -> list[Registered]:
        """Return every type, by name."""
        with translated():
            return [_registered(one) for one in self._database[COLLECTION].find().sort("_id", 1)]

    def get(self, type: str) -> Registered:
        """Return one type.

        Raises:
            NotFound: There is none of this name (HTTP 404).
        """
        with translated():
            found = self._database[COLLECTION].find_one({"_id": type})
        if found is None:
            raise NotFound(f"there is no extension type {type[:80]!r}")
        return _registered(found)

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
        with translated():
            if collection.count_documents({"_id": {"$ne": type}}) >= LIMIT:
                raise TooManyRequests(f"there are at most {LIMIT} extension types")
            result = collection.replace_one({"_id": type}, content, upsert=True)
            self._count()
        self.refresh()
        return result.upserted_id is not None

    def delete(self, type: str) -> None:
        """Drop a type; resources of it stay as they are.

        Raises:
            NotFound: There is none of this name (HTTP 404).
        """
        with translated():
            gone = self._database[COLLECTION].delete_one({"_id": type}).deleted_count
            if gone:
                self._count()
        if not gone:
            raise NotFound(f"there is no extension type {type[:80]!r}")
        self.refresh()

    def refresh(self) -> None:
        """Tell of the types if they are not those that were told last."""
        with self._lock, translated():
            note: dict[str, Any] = self._database[META].find_one(_COUNTER) or {}
            count = note.get("count", 0)
            if count == self._known:
                return
            found = {one["_id"]: one["schema"] for one in self._database[COLLECTION].find()}
            usable = {type: _usable(type, text) for type, text in found.items()}
            self._changed({type: schema for type, schema in usable.items() if schema})
            self._known = count

    def _count(self) -> None:
        self._database[META].update_one(_COUNTER, {"$inc": {"count": 1}}, upsert=True)

    def _watch(self) -> None:
        while not self._stopped.wait(PAUSE):
            try:
                self.refresh()
            except (PyMongoError, TmfError) as error:
                log.debug("extension types cannot be read", extra={"why": str(error)[:200]})


def _usable(type: str, text: str) -> Schema:
    try:
        return extensions.usable(orjson.loads(text))
    except (TmfError, ValueError, KeyError) as error:  # written by another release
        log.warning("extension type is not used", extra={"type": type, "why": str(error)[:200]})
        return {}


def _registered(document: dict[str, Any]) -> Registered:
    return Registered(
        document["_id"],
        orjson.loads(document["schema"]),
        document["subject"],
        document["changed"],
    )
