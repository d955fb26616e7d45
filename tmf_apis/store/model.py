"""The stored form of resources, and the mongoengine documents that declare it.

Each kind has a collection of the same name (``ProductOrder``). A stored document::

    _id      "<tenant>:<id>"; the name of a tenant contains no colon
    tenant   the tenant; "~gone" after deletion, until the last events are processed
    id       id of the resource
    rev      revision: 1, 2, 3 ...; each write increments it; the ETag
    parties  ids of the parties that can see and change it, sorted
    body     the resource in its stored form (close to v5), without id and href
    text     {"v4": bytes, "v5": bytes}: JSON of each version, ready to send: the members after
             id and href, as ``,"name":"x"}`` (or ``}`` if there are none)
    loose    true if nested objects in ``body`` may lack the ``@type`` that v5 requires; ``text``
             has it
    reshaped  the versions whose ``text`` is not ``body`` as the transforms make it, because they
             lack a value or a type; true: any version; see ``rest/views/served_forms.py``
    events   the outbox: pending events; absent if there are none
    inserted, written
             the times of the writes that caused them, see ``write_times``
    todo     {"old", "at", "rev", "parties"}: a write whose effects on other resources are not
             completed; ``parties`` only if a client of these parties wrote
    seal     the encrypted personal attributes, and ``blind`` their tokens; absent without any:
             see ``rest/pipeline/sealing.py``
    idem     {"key", "hash"}: the Idempotency-Key of the creating request; absent without one and
             after deletion
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

from mongoengine import Document, fields

#: Tenant of deleted documents whose last events are not processed yet.
DELETED_TENANT = "~gone"
#: Matches deleted documents without pending events and side effects; they can be removed.
PURGEABLE: Mapping[str, Any] = {
    "tenant": DELETED_TENANT,
    "events.0": {"$exists": False},
    "todo": {"$exists": False},
}


class StoredResource(Document):
    """The members of every kind; the model of an API module adds indexes on paths in ``body``."""

    pk_ = fields.StringField(primary_key=True, db_field="_id")
    tenant = fields.StringField(required=True)
    id_ = fields.StringField(required=True, db_field="id")
    rev = fields.IntField(required=True)
    parties = fields.ListField(fields.StringField())
    body = fields.DictField()
    text = fields.DictField()
    events = fields.ListField(fields.DictField())

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False}


@functools.cache
def document_class(kind: str) -> type[StoredResource]:
    """Return the document class of a kind that has no model of its own."""
    return type(kind, (StoredResource,), {"meta": {"collection": kind}, "__module__": __name__})
