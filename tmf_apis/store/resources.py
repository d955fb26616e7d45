"""The resource store: one document for each resource, one write for each change.

It uses collections directly, because creating a mongoengine object takes twenty times as long as
reading the document.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from bson import Int64
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from tmf_apis.errors import Conflict, InvalidQuery
from tmf_apis.store.codec import DocumentCodec, PlainCodec
from tmf_apis.store.commands import CommandChannel
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.model import DELETED_TENANT, PURGEABLE
from tmf_apis.store.usage import UsageCounters, body_size, bytes_key
from tmf_apis.store.write_times import update_time, with_insert_time

Document = dict[str, Any]
#: Most bytes of a batch of documents in a reply of MongoDB; only the last batch is smaller.
_BATCH_BYTES = 16 * 2**20


class ResourceStore:
    """Reads and single-document writes of every kind."""

    def __init__(
        self,
        database: Database[Document],
        counts: CountCache,
        *,
        query_time: int,
        page_bytes: int = 0,
        codec: DocumentCodec | None = None,
    ) -> None:
        """Create the store.

        Args:
            database: The database; each kind has a collection.
            counts: The cached totals; they are updated after each write.
            query_time: Time limit of a query, in milliseconds.
            page_bytes: Most bytes that a page has, to the next batch of MongoDB; 0: any number.
            codec: Encrypts personal values; None: nothing is encrypted.
        """
        self.database = database
        self.commands = CommandChannel(database)
        self.counts = counts
        self.usage = UsageCounters(database)
        self.codec: DocumentCodec = codec or PlainCodec()
        self.query_time = query_time
        self._most_batches = math.ceil(page_bytes / _BATCH_BYTES) if page_bytes else math.inf
        self._collections: dict[str, Collection[Document]] = {}

    def collection(self, kind: str) -> Collection[Document]:
        """Return the collection of a kind."""
        if (collection := self._collections.get(kind)) is None:
            collection = self._collections[kind] = self.database[kind]
        return collection

    def find_one(
        self,
        kind: str,
        access: Mapping[str, Any],
        id: str,
        projection: Mapping[str, Any],
        *,
        masked: bool = False,
    ) -> Document | None:
        """Return one document that ``access`` permits, or None.

        Args:
            kind: The kind.
            access: The identity's filter: tenant and parties.
            id: The resource's id.
            projection: The members to read.
            masked: Leave personal values out.
        """
        query = {"_id": f"{access['tenant']}:{id}", **access}
        members = self.codec.read_projection(kind, projection, masked=masked)
        documents = self._run_find(kind, {"filter": query, "projection": members, "limit": 1})
        self.codec.decode(kind, documents, masked=masked)
        return documents[0] if documents else None

    def find_many(  # noqa: PLR0913
        self,
        kind: str,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | None = None,
        *,
        sort: Iterable[tuple[str, int]] = (("_id", 1),),
        skip: int = 0,
        limit: int = 0,
        masked: bool = False,
        is_page: bool = False,
    ) -> list[Document]:
        """Return the documents that match, in order; ``masked``: without personal values.

        Raises:
            InvalidQuery: ``is_page``, and the documents are larger than a page (HTTP 400).
        """
        options: Document = {"filter": query, "sort": dict(sort), "skip": skip}
        if members := self.codec.read_projection(kind, projection, masked=masked):
            options["projection"] = members
        if limit:
            options |= {"limit": limit, "batchSize": limit + 1}
        most_batches = self._most_batches if is_page else math.inf
        documents = self._run_find(kind, options, most_batches)
        self.codec.decode(kind, documents, masked=masked)
        return documents

    def _run_find(
        self, kind: str, options: Document, most_batches: float = math.inf
    ) -> list[Document]:
        """Run a find command; return all its documents."""
        command = {"find": kind, **options, "maxTimeMS": self.query_time}
        with translate_errors():
            cursor = self.commands.read(command)["cursor"]
            documents: list[Document] = cursor["firstBatch"]
            batches = 1
            while cursor["id"]:
                batches += 1
                if batches > most_batches:
                    self.commands.read({"killCursors": kind, "cursors": [Int64(cursor["id"])]})
                    raise InvalidQuery(
                        f"the first {len(documents)} resources of the page are as large as a page"
                        " may be; use a smaller limit"
                    )
                get_more = {"getMore": Int64(cursor["id"]), "collection": kind}
                cursor = self.commands.read(get_more)["cursor"]
                documents.extend(cursor["nextBatch"])
        return documents

    def insert(self, kind: str, document: Document) -> None:
        """Insert a document.

        Raises:
            DuplicateKeyError: The id or the idempotency key exists already.
            Unavailable: The database does not answer (HTTP 503).
        """
        [encoded] = self.codec.encode_new(kind, [document])
        with translate_errors():
            self.commands.write({"insert": kind, "documents": [with_insert_time(encoded)]})
        self.record_bytes(document["tenant"], body_size(document["body"]))
        self.counts.record_insert(kind, document["_id"], document["tenant"])

    def replace(
        self, kind: str, old: Document, changes: Mapping[str, Any], events: list[Document]
    ) -> bool:
        """Update a document; return False if its revision has changed since it was read.

        Args:
            kind: The kind.
            old: The document as it was read: ``_id``, ``rev`` and ``body``.
            changes: Members to set; of ``body`` only the differing attributes are written.
                ``rev`` is incremented.
            events: Events that the change causes; they are appended to the outbox.
        """
        query, update = self._replacement(kind, old, changes, events)
        if is_written := self._update(kind, query, update):
            self.counts.record_update(kind)
            self._record_growth(old, changes)
        return is_written

    def _update(self, kind: str, query: Document, update: Document) -> bool:
        """Update one document; return False if none matches."""
        with translate_errors():
            reply = self.commands.write({"update": kind, "updates": [{"q": query, "u": update}]})
        return bool(reply["n"])

    def replace_many(
        self, kind: str, replacements: Sequence[tuple[Document, Mapping[str, Any], list[Document]]]
    ) -> bool:
        """Update documents as ``replace`` does; return False if a revision has changed."""
        if not replacements:
            return True
        writes = [UpdateOne(*self._replacement(kind, *parts)) for parts in replacements]
        with translate_errors():
            result = self.collection(kind).bulk_write(writes, ordered=False)
        if result.matched_count:
            self.counts.record_update(kind)
        is_complete = result.matched_count == len(replacements)
        if is_complete:  # otherwise the writes are repeated
            for old, changes, _ in replacements:
                self._record_growth(old, changes)
        return is_complete

    def record_bytes(self, tenant: str, size: int) -> None:
        """Count bytes that a tenant stores, or no longer stores if ``size`` is negative."""
        self.usage.add(bytes_key(tenant), size)

    def _record_growth(self, old: Document, changes: Mapping[str, Any]) -> None:
        tenant = old["_id"].partition(":")[0]
        self.record_bytes(tenant, body_size(changes["body"]) - body_size(old["body"]))

    def remove(
        self,
        kind: str,
        key: str,
        rev: int,
        events: list[Document],
        pending_side_effect: Document | None = None,
    ) -> bool:
        """Mark a document as deleted; return False if its revision has changed since it was read.

        The document itself is removed once its last events are processed and its pending side
        effect is cleared.
        """
        tenant = key.partition(":")[0]
        events, pending_side_effect = self.codec.encode_removal(
            kind, key, events, pending_side_effect
        )
        change: Document = {"tenant": DELETED_TENANT, "rev": rev + 1}
        if pending_side_effect:
            change["todo"] = pending_side_effect
        is_removed = self._update(
            kind,
            {"_id": key, "rev": rev, "tenant": {"$ne": DELETED_TENANT}},
            {
                "$set": change,
                "$unset": {"text": "", "idem": "", "seal.masked": "", "blind": ""},
                "$push": {"events": {"$each": events}},
                **update_time(rev + 1),
            },
        )
        if is_removed:
            self.counts.record_delete(kind, key, tenant)
        return is_removed

    def clear_side_effect(self, kind: str, key: str, rev: int) -> None:
        """Clear the pending side effect of a write; remove the document if it is deleted."""
        collection = self.collection(kind)
        with translate_errors():
            collection.update_one({"_id": key, "todo.rev": rev}, {"$unset": {"todo": ""}})
            collection.delete_one({"_id": key, **PURGEABLE})

    def _replacement(
        self, kind: str, old: Document, changes: Mapping[str, Any], events: list[Document]
    ) -> tuple[Document, Document]:
        """Return the query and the update of a replacement."""
        rev = old["rev"]
        encoded = self.codec.encode_update(kind, old, changes, events)
        update = _minimal_update(encoded.old_body, {**encoded.changes, "rev": rev + 1})
        if encoded.removed:
            update.setdefault("$unset", {}).update(dict.fromkeys(encoded.removed, ""))
        if encoded.events:
            update["$push"] = {"events": {"$each": encoded.events}}
            update |= update_time(rev + 1)
        return {"_id": old["_id"], "rev": rev, "tenant": {"$ne": DELETED_TENANT}}, update


def is_same_json(first: object, second: object) -> bool:
    """Return whether two values have the same JSON text; 1, 1.0 and true differ.

    >>> is_same_json({"a": 1}, {"a": True}), is_same_json({"a": 1}, {"a": 1})
    (False, True)
    """
    return first is second or (first == second and orjson.dumps(first) == orjson.dumps(second))


def _minimal_update(before: Document | None, changes: Document) -> Document:
    """Return an update that sets the differing attributes of the body only.

    If the stored body is unknown (None), or if the name of an attribute contains a dot and cannot
    be used in a path, the update sets the whole body.
    """
    body = changes["body"]
    if before is None or any("." in name for name in (*before, *body)):
        return {"$set": changes}
    differing = {
        f"body.{name}": value
        for name, value in body.items()
        if name not in before or not is_same_json(before[name], value)
    }
    update: Document = {"$set": {**changes, **differing}}
    del update["$set"]["body"]
    if removed := {f"body.{name}": "" for name in before if name not in body}:
        update["$unset"] = removed
    return update


def duplicate_id(kind: str, id: str) -> Conflict:
    """Return the error for a resource whose id exists already."""
    return Conflict(f"there is already a {kind} {id}")
