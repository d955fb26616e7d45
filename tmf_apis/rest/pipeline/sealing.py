"""Encrypts the personal attributes of documents, and decrypts them for those who may read them.

A document with personal attributes is stored as::

    body    without personal values: masked
    text    the complete JSON of each version, encrypted, with the id of the data key before it
    seal    {"key": id of the data key, "table": fingerprint of the table, "body": the personal
            values with their positions, encrypted, "masked": the masked JSON of each version}
    blind   tokens of the personal values, for queries by equality

``seal.body`` is also beside the copies of the body in ``events`` and ``todo``. Each encrypted value
is bound to its kind, document and part, so it cannot be moved to another document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from bson import Binary

from tmf_apis.rest.pipeline.blind_index import tokens_of
from tmf_apis.rest.pipeline.data_subjects import CUSTOMER_KIND, subject_of
from tmf_apis.rest.pipeline.opening import DocumentOpener, sealed_text
from tmf_apis.security.personal_attributes import MASK, AttributeRules, Leaf
from tmf_apis.store.codec import EncodedUpdate
from tmf_apis.store.data_keys import BLIND_SUBJECT, DataKey

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Sealing:
    """The masked form of a body, and the encrypted personal values.

    Attributes:
        key: The data key.
        body: The masked body.
        values: The encrypted personal values.
        leaves: The personal values.
    """

    key: DataKey
    body: Document
    values: bytes
    leaves: list[Leaf]

    def members(self) -> Document:
        """Return the members of an event or of another copy of the body."""
        return {"key": self.key.id, "body": Binary(self.values)}


class SealingCodec(DocumentOpener):
    """The codec of documents with personal attributes."""

    def encode_new(self, kind: str, documents: Sequence[Document]) -> list[Document]:
        """Return new documents in the form of the database; the keys are read in one query."""
        if not self._encrypt or (rules := self.table.rules(kind)) is None:
            return list(documents)
        splits = {}
        for document in documents:
            if _may_be_personal(rules, document["text"]):
                masked, leaves = _split(rules, document["body"])
                if leaves:
                    splits[document["_id"]] = (masked, leaves)
        if not splits:
            return list(documents)
        personal = [document for document in documents if document["_id"] in splits]
        keys = self._keys_of(kind, personal, are_new=kind == CUSTOMER_KIND)
        encoded = []
        for document in documents:
            if split := splits.get(document["_id"]):
                sealing = self._sealing(kind, document["_id"], keys[document["_id"]], *split)
                encoded.append(self._sealed_document(kind, document, document, sealing))
            else:
                encoded.append(document)
        return encoded

    def encode_migrated(
        self,
        kind: str,
        document: Document,
        idem: Document | None,
        first_text: Mapping[str, bytes],
    ) -> Document | None:
        """Return the members of a stored document by the current table; None: nothing is personal.

        Args:
            kind: The kind.
            document: The decoded document.
            idem: Its idempotency key, as it is stored.
            first_text: The JSON of the first response.
        """
        [encoded] = self.encode_new(kind, [document])
        if encoded is document:
            return None
        members = {name: encoded[name] for name in ("body", "text", "seal", "blind")}
        if idem:
            key = self.keys.get_many([encoded["seal"]["key"]])[encoded["seal"]["key"]]
            text = {
                version: sealed_text(key, json, f"{kind} {document['_id']} {version}")
                for version, json in first_text.items()
                if key
            }
            members["idem"] = {**idem, "text": text}
        if marker := document.get("todo"):
            members |= self._with_sealed_marker(kind, document, {"todo": marker})
        return members

    def encode_update(
        self, kind: str, old: Document, changes: Mapping[str, Any], events: list[Document]
    ) -> EncodedUpdate:
        """Return an update in the form of the database."""
        rules = self.table.rules(kind)
        if rules is None:
            return EncodedUpdate(old["body"], changes, events)
        removed = ("seal", "blind")
        if not self._encrypt:
            return EncodedUpdate(None if "seal" in old else old["body"], changes, events, removed)
        masked: Document = changes["body"]
        leaves: list[Leaf] = []
        if _may_be_personal(rules, changes["text"]):
            masked, leaves = _split(rules, changes["body"])
        changes = self._with_sealed_marker(kind, old, changes)
        if not leaves:
            return EncodedUpdate(old["body"], changes, events, removed)
        document = {**old, **changes}
        [key] = self._keys_of(kind, [document]).values()
        sealing = self._sealing(kind, old["_id"], key, masked, leaves)
        sealed = self._sealed_document(kind, {**changes, "events": events}, document, sealing)
        events = sealed.pop("events")
        is_known = old.get("seal", {}).get("table") == self.fingerprint
        return EncodedUpdate(rules.masked(old["body"]) if is_known else None, sealed, events)

    def encode_removal(
        self, kind: str, key: str, events: list[Document], marker: Document | None
    ) -> tuple[list[Document], Document | None]:
        """Return the events and the pending side effect of a deletion."""
        if not self._encrypt or self.table.rules(kind) is None:
            return events, marker
        tenant, _, id = key.partition(":")
        holder = {"_id": key, "tenant": tenant, "id": id}
        parties: list[str] = next((event["parties"] for event in events), [])
        sealed = []
        for event in events:
            seal = self._copy_of(kind, {**holder, "parties": parties}, event["body"])
            sealed.append({**event, "body": seal.body, "seal": seal.members()} if seal else event)
        changes = {"todo": marker} if marker else {}
        changes = dict(self._with_sealed_marker(kind, {**holder, "parties": parties}, changes))
        return sealed, changes.get("todo")

    def _with_sealed_marker(
        self, kind: str, document: Document, changes: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return changes whose pending side effect has no plain copy of the old body."""
        marker = changes.get("todo")
        if not marker or not marker["old"]:
            return changes
        holder = {**document, "parties": changes.get("parties", document.get("parties", []))}
        if (seal := self._copy_of(kind, holder, marker["old"])) is None:
            return changes
        return {**changes, "todo": {**marker, "old": seal.body, "seal": seal.members()}}

    def _copy_of(self, kind: str, document: Document, body: Document) -> _Sealing | None:
        """Return the sealed form of a copy of a body; None if nothing in it is personal."""
        rules = self.table.rules(kind)
        masked, leaves = _split(rules, body) if rules else (body, [])
        if not leaves:
            return None
        [key] = self._keys_of(kind, [{**document, "body": body}]).values()
        return self._sealing(kind, document["_id"], key, masked, leaves)

    def _sealing(
        self, kind: str, document_key: str, key: DataKey, masked: Document, leaves: list[Leaf]
    ) -> _Sealing:
        values = orjson.dumps([[leaf.pointer, leaf.value] for leaf in leaves])
        return _Sealing(key, masked, key.seal(values, f"{kind} {document_key} body"), leaves)

    def _sealed_document(
        self, kind: str, members: Mapping[str, Any], document: Document, sealing: _Sealing
    ) -> Document:
        """Return the members of a document in the form of the database.

        Args:
            kind: The kind.
            members: The members to encode, ``body`` and ``text`` among them.
            document: The complete document.
            sealing: Its masked body and encrypted values.
        """
        key, document_key, body = sealing.key, document["_id"], members["body"]
        text = {
            version: sealed_text(key, json, f"{kind} {document_key} {version}")
            for version, json in members["text"].items()
        }
        masked_text = self._render(kind, document, sealing.body)
        blind = self.keys.active(document_key.partition(":")[0], BLIND_SUBJECT)
        encoded = {
            **members,
            "body": sealing.body,
            "text": text,
            "seal": {**sealing.members(), "table": self.fingerprint, "masked": masked_text},
            "blind": tokens_of(kind, sealing.leaves, blind, with_prefixes=self.table.with_names),
        }
        if "events" in members:
            copy = {"body": sealing.body, "seal": sealing.members()}
            encoded["events"] = [
                {**event, **copy} if event["body"] == body else event for event in members["events"]
            ]
        if idem := members.get("idem"):
            encoded["idem"] = {**idem, "text": text}
        return encoded

    def _keys_of(
        self, kind: str, documents: Sequence[Document], *, are_new: bool = False
    ) -> dict[str, DataKey]:
        """Return the active data key of each document, by its key."""
        subjects: dict[str, dict[str, str]] = {}
        for document in documents:
            tenant, _, id = document["_id"].partition(":")
            subject = subject_of(kind, id, document["body"], document.get("parties", ()))
            subjects.setdefault(tenant, {})[document["_id"]] = subject
        keys: dict[str, DataKey] = {}
        for tenant, by_document in subjects.items():
            active = self.keys.active_many(tenant, by_document.values(), are_new=are_new)
            keys |= {document: active[subject] for document, subject in by_document.items()}
        return keys


def _split(rules: AttributeRules, body: Document) -> tuple[Document, list[Leaf]]:
    """Return a body without its personal values, and these; a mask is what an erasure left."""
    masked, leaves = rules.split(body)
    return masked, [leaf for leaf in leaves if leaf.value != MASK]


def _may_be_personal(rules: AttributeRules, text: Mapping[str, bytes]) -> bool:
    """Return whether the JSON of a resource can have a personal attribute."""
    return any(map(rules.may_occur_in, text.values()))
