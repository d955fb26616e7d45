"""The inbox: events that other systems sent to the listeners.

An event is a document of the collection ``Notification``::

    tenant, api, version, eventType, eventId, subject, received (UTC), body
    parties   the client's parties, sorted; empty for the operator
    sealed    {"key", "body"}: the encrypted body, in place of ``body``, if encryption is on
    client    {"subject", "parties"}: the sender; ``parties`` is null for the operator

The sender chooses the ``eventId``, so an event is a duplicate only of one with the same id and type
from the same client: no client can use up the id of an event that another will send.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import Binary, ObjectId
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure

from tmf_apis.audit_log.log import AuditLog
from tmf_apis.security.identity import Identity
from tmf_apis.store.data_keys import TENANT_SUBJECT, DataKeys

COLLECTION = "Notification"
#: The members that identify an event.
_KEY = ("tenant", "client", "api", "eventType", "eventId")
#: Unique index of earlier releases, in which the first client to use an id took it from the others.
_FORMER_INDEX = "tenant_1_eventId_1"
#: MongoDB error codes: there is no such collection, or no such index.
_MISSING_CODES = frozenset({26, 27})

Document = dict[str, Any]


class Inbox:
    """The events that the listeners of one database received."""

    def __init__(self, database: Database[Document], keys: DataKeys | None = None) -> None:
        """Create the inbox.

        Args:
            database: The database.
            keys: Encrypt the bodies; None: they are stored as they are.
        """
        self._collection = database[COLLECTION]
        self._audit_log = AuditLog(database)
        self._keys = keys

    def prepare(self) -> None:
        """Create the indexes; add the sender to the events of earlier releases."""
        self._collection.update_many(
            {"client": {"$exists": False}},
            [{"$set": {"client": {"subject": "$subject", "parties": _parties_or_null()}}}],
        )
        self._collection.create_index([(name, 1) for name in _KEY], unique=True, name="event")
        self._collection.create_index([("tenant", 1), ("received", -1)])
        try:
            self._collection.drop_index(_FORMER_INDEX)
        except OperationFailure as error:
            if error.code not in _MISSING_CODES:
                raise

    def add(self, identity: Identity, event: Mapping[str, Any]) -> None:
        """Store an event, unless the client has sent it before.

        Args:
            identity: The sender.
            event: The members ``api``, ``version``, ``eventType``, ``eventId`` and ``body``.

        Raises:
            Forbidden: The client acts for no party (HTTP 403).
        """
        identity.require_owner()
        owners = identity.owners
        document = {
            "_id": ObjectId(),
            **self._sealed(identity.tenant, event),
            "tenant": identity.tenant,
            "subject": identity.subject,
            "parties": owners or [],
            "client": {"subject": identity.subject, "parties": owners},
            "received": datetime.now(UTC),
        }
        with suppress(DuplicateKeyError):
            self._audit_log.record_with(
                identity,
                "notify",
                lambda session: self._collection.insert_one(document, session=session),
                kind=COLLECTION,
                resource=str(document["_id"]),
            )

    def _sealed(self, tenant: str, event: Mapping[str, Any]) -> Document:
        """Return an event whose body is encrypted with the key of its tenant."""
        if self._keys is None:
            return dict(event)
        key = self._keys.active(tenant, TENANT_SUBJECT)
        context = seal_context({**event, "tenant": tenant})
        body = Binary(key.seal(orjson.dumps(event["body"]), context))
        others = {name: value for name, value in event.items() if name != "body"}
        return {**others, "sealed": {"key": key.id, "body": body}}


def open_bodies(notifications: Sequence[Document], tenant: str, keys: DataKeys) -> None:
    """Decrypt the bodies of events of a tenant in place."""
    sealed = [row for row in notifications if "sealed" in row]
    data_keys = keys.get_many({row["sealed"]["key"] for row in sealed})
    for row in sealed:
        seal = row.pop("sealed")
        if key := data_keys[seal["key"]]:
            row["body"] = orjson.loads(
                key.open(seal["body"], seal_context({**row, "tenant": tenant}))
            )


def seal_context(event: Mapping[str, Any]) -> str:
    """Return the text that binds an encrypted body to its event."""
    return f"notification {event['tenant']} {event['eventType']} {event['eventId']}"


def _parties_or_null() -> Document:
    """Return the expression for the parties of an event without ``client``."""
    is_operator = {"$eq": [{"$ifNull": ["$parties", []]}, []]}
    return {"$cond": [is_operator, None, "$parties"]}
