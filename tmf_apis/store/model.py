"""How a resource lies in the database, and the mongoengine documents that declare it.

One collection a kind (its name is the kind: ``ProductOrder``). A stored document::

    _id      "<tenant>:<id>"; a tenant's name has no colon
    tenant   whose it is; "~gone" once it is deleted and its last events are not yet delivered
    id       the resource's id
    rev      1, 2, 3 ... one more at each write; the ETag
    parties  ids of the parties that may see and change it, sorted
    body     the resource in its stored form (close to v5), without id and href
    text     {"v4": bytes, "v5": bytes}: each version's JSON, ready to send: the members after
             id and href, as ``,"name":"x"}`` (or ``}`` when there are none)
    loose    true where nested objects may lack the ``@type`` that v5 must have: its text has them
    events   what happened and is not yet handed to the subscriptions; absent when nothing
    todo     {"old", "at", "rev"}: the write whose follow-up on other resources is not done yet
    idem     {"key", "hash"}: the Idempotency-Key that made it; absent without one, and once it
             is deleted
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

from mongoengine import Document, fields

#: Tenant of documents that are deleted but whose delete event still waits for the relay.
DELETED_TENANT = "~gone"
#: Finds a document of which nothing is left to do.
PURGEABLE: Mapping[str, Any] = {
    "tenant": DELETED_TENANT,
    "events.0": {"$exists": False},
    "todo": {"$exists": False},
}


class StoredResource(Document):
    """What every kind has; a room's model adds indexes (paths into ``body``)."""

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
    """Return the document of a kind that has no model of its own."""
    return type(kind, (StoredResource,), {"meta": {"collection": kind}, "__module__": __name__})
