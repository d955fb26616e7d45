"""Seals the documents of earlier releases, and of another table of personal attributes.

The documents are read and written in batches, while the server runs. A document that changes
meanwhile is skipped: that write seals it. An interrupted run is repeated; documents that are
sealed by the current table are left as they are.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import orjson
from bson import Binary
from pymongo import UpdateOne

from tmf_apis.events import inbox
from tmf_apis.events.delivery_queue import COLLECTION as DELIVERIES
from tmf_apis.events.payloads import sealed_payloads
from tmf_apis.rest.pipeline.sealing import SealingCodec
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.data_keys import TENANT_SUBJECT

#: Documents in one batch.
BATCH_SIZE = 200

Document = dict[str, Any]


class Resealer:
    """Seals all documents of a database by the current table."""

    def __init__(self, database: MongoDatabase, codec: SealingCodec, kinds: Iterable[str]) -> None:
        """Create the resealer.

        Args:
            database: The database of the documents.
            codec: Seals and opens documents.
            kinds: All kinds.
        """
        self._database = database
        self._codec = codec
        self._kinds = [kind for kind in kinds if codec.table.rules(kind) is not None]

    def prepare(self, *, encrypt: bool) -> None:
        """Record that an empty database has no document to seal.

        Args:
            encrypt: Documents are sealed; otherwise those that are written now will have to be.
        """
        keys = self._codec.keys
        if not encrypt:
            if keys.table_fingerprint():
                keys.set_table_fingerprint("")
        elif not keys.table_fingerprint() and not any(
            self._database[kind].find_one({}, {"_id": 1}) for kind in self._kinds
        ):
            keys.set_table_fingerprint(self._codec.fingerprint)

    def run(self) -> int:
        """Seal everything that is not sealed; return the number of changed documents."""
        if self._codec.is_complete:
            return 0
        with translate_errors():
            count = sum(self._seal_kind(kind) for kind in self._kinds)
            count += self._seal_deliveries() + self._seal_inbox()
            self._codec.keys.set_table_fingerprint(self._codec.fingerprint)
        return count

    def replace_keys(self, retired: Collection[str]) -> set[str]:
        """Encrypt with new keys what is encrypted with retired ones; return those still in use.

        Deliveries, received events and responses to repeated requests keep their key until they
        expire.
        """
        with translate_errors():
            for kind in self._kinds:
                self._seal_kind(kind, retired)
            in_use = set(self._database[DELIVERIES].distinct("key"))
            in_use |= set(self._database[inbox.COLLECTION].distinct("sealed.key"))
            for kind in self._kinds:
                for member in ("seal.key", "events.seal.key", "todo.seal.key"):
                    in_use |= set(self._database[kind].distinct(member))
        return in_use & set(retired)

    def _seal_kind(self, kind: str, retired: Collection[str] = ()) -> int:
        count = 0
        current = self._codec.fingerprint
        for documents in self._batches(kind, {}):
            stale = [
                document
                for document in documents
                if (seal := document.get("seal", {})).get("table") != current
                or seal.get("key") in retired
            ]
            writes = [write for d in stale for write in self._writes(kind, d)]
            if writes:
                self._database[kind].bulk_write(writes, ordered=True)
                count += len(writes)
        return count

    def _batches(self, collection: str, query: Mapping[str, Any]) -> Iterator[list[Document]]:
        """Yield the documents of a collection in batches, in the order of their keys."""
        last: Mapping[str, Any] = {}
        while True:
            cursor = self._database[collection].find({**query, **last}).sort("_id", 1)
            documents = list(cursor.limit(BATCH_SIZE))
            if documents:
                yield documents
            if len(documents) < BATCH_SIZE:
                return
            last = {"_id": {"$gt": documents[-1]["_id"]}}

    def _writes(self, kind: str, document: Document) -> Iterator[UpdateOne]:
        """Yield the updates that seal a document and its pending events."""
        if "text" not in document:  # it is deleted; its last events are sealed below
            yield from self._event_writes(kind, document)
            return
        was_sealed = "seal" in document
        idem = document.pop("idem", None)
        events = document.pop("events", [])
        first_text = self._codec.open_texts(kind, document["_id"], idem) if idem else {}
        self._codec.decode(kind, [document], masked=False)
        marker = document.get("todo")
        encoded = self._codec.encode_migrated(kind, document, idem, first_text)
        if was_sealed or encoded is not None:
            members = encoded or {"body": document["body"], "text": document["text"]}
            members |= {"todo": marker} if marker and "todo" not in members else {}
            removed = dict.fromkeys({"seal", "blind"} - members.keys(), "")
            query = {"_id": document["_id"], "rev": document["rev"], "tenant": document["tenant"]}
            yield UpdateOne(query, {"$set": members, "$unset": removed})
        yield from self._event_writes(kind, {**document, "events": events})

    def _event_writes(self, kind: str, document: Document) -> Iterator[UpdateOne]:
        for event in document.get("events", ()):
            full = {**event, "body": self._codec.open_event(event, masked=False)}
            [sealed], _ = self._codec.encode_removal(kind, document["_id"], [full], None)
            if sealed["body"] != event["body"]:
                change = {"events.$[event].body": sealed["body"]}
                if "seal" in sealed:
                    change["events.$[event].seal"] = sealed["seal"]
                yield UpdateOne(
                    {"_id": document["_id"]},
                    {"$set": change},
                    array_filters=[{"event.id": event["id"]}],
                )

    def _seal_deliveries(self) -> int:
        count = 0
        keys = self._codec.keys
        for rows in self._batches(DELIVERIES, {"key": {"$exists": False}}):
            personal = [row for row in rows if row["resource"].partition(":")[0] in self._kinds]
            keyed = [
                {**row, "key": keys.active(row["tenant"], TENANT_SUBJECT).id} for row in personal
            ]
            writes = [
                UpdateOne(
                    {"_id": row["_id"], "key": {"$exists": False}},
                    {"$set": {"payload": row["payload"], "key": row["key"]}},
                )
                for row in sealed_payloads(keyed, keys)
            ]
            if writes:
                self._database[DELIVERIES].bulk_write(writes, ordered=False)
                count += len(writes)
        return count

    def _seal_inbox(self) -> int:
        count = 0
        for rows in self._batches(inbox.COLLECTION, {"body": {"$exists": True}}):
            writes = []
            for row in rows:
                key = self._codec.keys.active(row["tenant"], TENANT_SUBJECT)
                body = Binary(key.seal(orjson.dumps(row["body"]), inbox.seal_context(row)))
                change = {"sealed": {"key": key.id, "body": body}}
                writes.append(
                    UpdateOne({"_id": row["_id"]}, {"$set": change, "$unset": {"body": ""}})
                )
            self._database[inbox.COLLECTION].bulk_write(writes, ordered=False)
            count += len(writes)
        return count
