"""Resources in MongoDB: one document a resource, one write a change.

Raw collections, not mongoengine objects: hydrating one costs twenty times what reading it does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from bson import Int64
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from tmf_apis.errors import Conflict
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.model import DELETED_TENANT, PURGEABLE

Document = dict[str, Any]


class ResourceStore:
    """Reads and single-document writes of every kind."""

    def __init__(
        self, database: Database[Document], counts: CountCache, *, query_time: int
    ) -> None:
        """Take the database.

        Args:
            database: Where the collections are; one a kind.
            counts: Totals; told of every local insert and delete.
            query_time: Longest time of one query in the database, in milliseconds.
        """
        self.database = database
        self.counts = counts
        self._query_time = query_time
        self._collections: dict[str, Collection[Document]] = {}

    def collection(self, kind: str) -> Collection[Document]:
        """Return a kind's collection."""
        if (found := self._collections.get(kind)) is None:
            found = self._collections[kind] = self.database[kind]
        return found

    def find_one(
        self, kind: str, access: Mapping[str, Any], id: str, projection: Mapping[str, Any]
    ) -> Document | None:
        """Return one document of those that ``access`` reaches, or None.

        Args:
            kind: The kind.
            access: The identity's part of the query: tenant and parties.
            id: The resource's id.
            projection: What to read of it.
        """
        query = {"_id": f"{access['tenant']}:{id}", **access}
        found = self._run_find(kind, {"filter": query, "projection": projection, "limit": 1})
        return found[0] if found else None

    def find_many(  # noqa: PLR0913
        self,
        kind: str,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | None = None,
        *,
        sort: Iterable[tuple[str, int]] = (("_id", 1),),
        skip: int = 0,
        limit: int = 0,
    ) -> list[Document]:
        """Return documents in order."""
        parts: Document = {"filter": query, "sort": dict(sort), "skip": skip}
        if projection:
            parts["projection"] = projection
        if limit:
            parts |= {"limit": limit, "batchSize": limit + 1}
        return self._run_find(kind, parts)

    def _run_find(self, kind: str, parts: Document) -> list[Document]:
        """Return what a find command finds, all of it.

        The command itself, because pymongo's cursors cost a third more; what they would do
        beside it, one more try after a lost connection, is done here.
        """
        command = {"find": kind, **parts, "maxTimeMS": self._query_time}
        with translate_errors():
            try:
                cursor = self.database.command(command)["cursor"]
            except AutoReconnect:
                cursor = self.database.command(command)["cursor"]
            found: list[Document] = cursor["firstBatch"]
            while cursor["id"]:
                more = {"getMore": Int64(cursor["id"]), "collection": kind}
                cursor = self.database.command(more)["cursor"]
                found.extend(cursor["nextBatch"])
        return found

    def insert(self, kind: str, document: Document) -> None:
        """Write a new document.

        Raises:
            DuplicateKeyError: The id or the idempotency key is taken.
            Unavailable: The database does not answer (HTTP 503).
        """
        with translate_errors():
            self.collection(kind).insert_one(document)
        self.counts.record_insert(kind, document["_id"], document["tenant"])

    def replace(
        self, kind: str, old: Document, changes: Mapping[str, Any], events: list[Document]
    ) -> bool:
        """Change a document that is still at its version; False when it no longer is.

        Args:
            kind: The kind.
            old: The document that the change was made from: ``_id``, ``rev`` and ``body``.
            changes: Fields to set; of ``body`` only the attributes that differ are sent.
                ``rev`` is raised by one.
            events: What happened, added to what is already waiting.
        """
        with translate_errors():
            query, update = _replacement(old, changes, events)
            result = self.collection(kind).update_one(query, update)
        if result.matched_count:
            self.counts.record_update(kind)
        return result.matched_count == 1

    def replace_many(
        self, kind: str, replacements: Sequence[tuple[Document, Mapping[str, Any], list[Document]]]
    ) -> bool:
        """Change documents as ``replace`` does; False when not all are at their versions still."""
        if not replacements:
            return True
        writes = [UpdateOne(*_replacement(*one)) for one in replacements]
        with translate_errors():
            result = self.collection(kind).bulk_write(writes, ordered=False)
        if result.matched_count:
            self.counts.record_update(kind)
        return result.matched_count == len(replacements)

    def remove(
        self,
        kind: str,
        key: str,
        rev: int,
        events: list[Document],
        pending_side_effect: Document | None = None,
    ) -> bool:
        """Take a document that is still at ``rev`` out of its tenant; False when it no longer is.

        The document itself goes when its last events have been handed on, and what ``pending_side_effect`` notes
        is done.
        """
        tenant = key.partition(":")[0]
        change = {
            "tenant": DELETED_TENANT,
            "rev": rev + 1,
            **({"todo": pending_side_effect} if pending_side_effect else {}),
        }
        with translate_errors():
            result = self.collection(kind).update_one(
                {"_id": key, "rev": rev, "tenant": {"$ne": DELETED_TENANT}},
                {
                    "$set": change,
                    "$unset": {"text": "", "idem": ""},
                    "$push": {"events": {"$each": events}},
                },
            )
        if result.matched_count:
            self.counts.record_delete(kind, key, tenant)
        return result.matched_count == 1

    def clear_side_effect(self, kind: str, key: str, rev: int) -> None:
        """Note that the follow-up of a write is done; a document that is gone may go now."""
        collection = self.collection(kind)
        with translate_errors():
            collection.update_one({"_id": key, "todo.rev": rev}, {"$unset": {"todo": ""}})
            collection.delete_one({"_id": key, **PURGEABLE})


def _replacement(
    old: Document, changes: Mapping[str, Any], events: list[Document]
) -> tuple[Document, Document]:
    rev = old["rev"]
    update: Document = _minimal_update(old["body"], {**changes, "rev": rev + 1})
    if events:
        update["$push"] = {"events": {"$each": events}}
    return {"_id": old["_id"], "rev": rev, "tenant": {"$ne": DELETED_TENANT}}, update


def is_same_json(first: object, second: object) -> bool:
    """Return whether two JSON values are the same to a reader of JSON: 1, 1.0 and true are not.

    >>> is_same_json({"a": 1}, {"a": True}), is_same_json({"a": 1}, {"a": 1})
    (False, True)
    """
    return first is second or (first == second and orjson.dumps(first) == orjson.dumps(second))


def _minimal_update(before: Document, changes: Document) -> Document:
    """Return the update that makes the changes, the body attribute by attribute.

    An attribute with a dot in its name cannot be named in an update; then the body goes whole.
    """
    body = changes["body"]
    if any("." in name for name in (*before, *body)):
        return {"$set": changes}
    differing = {
        f"body.{name}": value
        for name, value in body.items()
        if name not in before or not is_same_json(before[name], value)
    }
    update: Document = {"$set": {**changes, **differing}}
    del update["$set"]["body"]
    if gone := {f"body.{name}": "" for name in before if name not in body}:
        update["$unset"] = gone
    return update


def duplicate_id(kind: str, id: str) -> Conflict:
    """Return the error of a second resource with the same id."""
    return Conflict(f"there is already a {kind} {id}")
