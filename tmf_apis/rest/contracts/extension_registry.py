"""The extension types of a database, kept up to date in every process that uses it.

The collection ``extension`` has one document per type, with its schema as text because MongoDB
reserves names that begin with ``$``. Every change increments a counter in ``meta``, which each
process reads once a second.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from tmf_apis.audit_log.log import AuditLog
from tmf_apis.errors import NotFound, TmfError, TooManyRequests, quoted
from tmf_apis.rest.contracts import extensions
from tmf_apis.rest.contracts.extensions import Extensions, Schema
from tmf_apis.security.identity import Identity
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.indexes import META_COLLECTION

log = logging.getLogger(__name__)

COLLECTION = "extension"
#: Pause between two reads of the counter, in seconds.
POLL_INTERVAL = 1.0
#: Most extension types.
MAX_TYPES = 500

_REVISION_KEY = {"_id": "extensions"}


@dataclass(frozen=True, slots=True)
class ExtensionType:
    """A registered extension type.

    Attributes:
        type: Its name, the value of ``@type``.
        schema: Its JSON Schema, as the client sent it.
        subject: The subject of the token that registered it.
        changed_at: Time of the last change, in UTC.
    """

    type: str
    schema: Schema
    subject: str
    changed_at: datetime


class ExtensionRegistry:
    """The extension types of one database.

    Attributes:
        announce: Called after each change by this process, for the other processes of its server.
    """

    def __init__(self, database: MongoDatabase, on_change: Callable[[Extensions], None]) -> None:
        """Create the registry; ``refresh`` reads the types.

        Args:
            database: The database of the types.
            on_change: Called with all types after each change, including changes before the start.
        """
        self._database = database
        self._audit_log = AuditLog(database)
        self._on_change = on_change
        self.announce: Callable[[], None] = lambda: None
        self._revision = 0
        self._lock = threading.Lock()
        self._stop_event = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to poll for changes by other processes."""
        self._thread = threading.Thread(target=self._poll, name="extensions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stop_event.set()
        if self._thread:
            self._thread.join(POLL_INTERVAL + 5)

    def list(self) -> list[ExtensionType]:
        """Return all types, sorted by name."""
        with translate_errors():
            documents = self._database[COLLECTION].find().sort("_id", 1)
            return [_extension_type(document) for document in documents]

    def get(self, type: str) -> ExtensionType:
        """Return a type.

        Raises:
            NotFound: There is no type of this name (HTTP 404).
        """
        with translate_errors():
            document = self._database[COLLECTION].find_one({"_id": type})
        if document is None:
            raise NotFound(f"there is no extension type {quoted(type)}")
        return _extension_type(document)

    def put(self, type: str, schema: Schema, identity: Identity) -> bool:
        """Register or replace a type; return whether it is new.

        Raises:
            TooManyRequests: There are ``MAX_TYPES`` other types (HTTP 429).
        """
        collection = self._database[COLLECTION]
        content = {
            "schema": orjson.dumps(schema).decode(),
            "subject": identity.subject,
            "changed": datetime.now(UTC),
        }

        def replace(session: ClientSession) -> bool:
            result = collection.replace_one({"_id": type}, content, upsert=True, session=session)
            self._increment_revision(session)
            return result.upserted_id is not None

        with translate_errors():
            if collection.count_documents({"_id": {"$ne": type}}) >= MAX_TYPES:
                raise TooManyRequests(f"there are at most {MAX_TYPES} extension types")
            is_new = self._audit_log.record_with(
                identity, "define", replace, kind=COLLECTION, resource=type
            )
        self.announce()
        self.refresh()
        return is_new

    def delete(self, type: str, identity: Identity) -> None:
        """Delete a type; its resources are not changed.

        Raises:
            NotFound: There is no type of this name (HTTP 404).
        """
        collection = self._database[COLLECTION]

        def remove(session: ClientSession) -> None:
            if not collection.delete_one({"_id": type}, session=session).deleted_count:
                raise NotFound(f"there is no extension type {quoted(type)}")
            self._increment_revision(session)

        with translate_errors():
            self._audit_log.record_with(identity, "delete", remove, kind=COLLECTION, resource=type)
        self.announce()
        self.refresh()

    def refresh(self) -> None:
        """Read the types; call ``on_change`` with them if they have changed since the last call."""
        with self._lock, translate_errors():
            counter: dict[str, Any] = self._database[META_COLLECTION].find_one(_REVISION_KEY) or {}
            revision = counter.get("count", 0)
            if revision == self._revision:
                return
            schemas = {
                document["_id"]: _schema_or_empty(document["_id"], document["schema"])
                for document in self._database[COLLECTION].find()
            }
            self._on_change({type: schema for type, schema in schemas.items() if schema})
            self._revision = revision

    def _increment_revision(self, session: ClientSession) -> None:
        self._database[META_COLLECTION].update_one(
            _REVISION_KEY, {"$inc": {"count": 1}}, upsert=True, session=session
        )

    def _poll(self) -> None:
        while not self._stop_event.wait(POLL_INTERVAL):
            try:
                self.refresh()
            except (PyMongoError, TmfError) as error:
                log.debug("extension types cannot be read", extra={"error": str(error)[:200]})


def _schema_or_empty(type: str, text: str) -> Schema:
    """Return a stored schema; empty if this release cannot use it."""
    try:
        return extensions.dereferenced_schema(orjson.loads(text))
    except (TmfError, ValueError, KeyError) as error:  # written by another release
        log.warning("extension type is not used", extra={"type": type, "error": str(error)[:200]})
        return {}


def _extension_type(document: dict[str, Any]) -> ExtensionType:
    return ExtensionType(
        document["_id"],
        orjson.loads(document["schema"]),
        document["subject"],
        document["changed"],
    )
