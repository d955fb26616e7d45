"""Decrypts the personal attributes of documents for those who may read them, and masks the rest.

``sealing`` has the form of the documents. A document whose data key is destroyed stays masked.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
from bson import Binary
from cryptography.exceptions import InvalidTag
from pymongo.database import Database

from tmf_apis.rest.pipeline.personal_queries import KindBlindIndex
from tmf_apis.security.identity import Identity
from tmf_apis.security.master_keys import NONCE_BYTES
from tmf_apis.security.personal_attributes import AttributeRules, Leaf, PersonalAttributes, restored
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.data_keys import DataKey, DataKeys

Document = dict[str, Any]
#: Returns the JSON of each version of a document with another body.
Renderer = Callable[[str, Document, Document], dict[str, bytes]]
#: Member of a query result: the version whose JSON is rendered from the masked body.
_TEXT_VERSION = "textVersion"
#: Most recently decrypted JSON texts of a process, and the longest one that is cached, in bytes.
MAX_RECENT_TEXTS, MAX_RECENT_LENGTH = 5000, 4096
#: First byte of encrypted JSON, which no JSON begins with; then key, nonce and encrypted text.
SEALED = b"\x01"
_HEAD = slice(17 + NONCE_BYTES)
_ID = slice(1, 17)
_SEALED_VALUE = slice(17, None)
_NONCE = slice(17, 17 + NONCE_BYTES)
_CIPHERTEXT = slice(17 + NONCE_BYTES, None)


class RecentTexts:
    """The JSON texts that were decrypted since the last erasure.

    They are found by key, nonce and document, so a changed document is never found.
    """

    def __init__(self) -> None:
        self._generation: object = None
        self._texts: dict[bytes, bytes] = {}

    def of(self, generation: object) -> dict[bytes, bytes]:
        """Return the texts of a generation of data keys; a new generation has none."""
        if generation != self._generation:
            self._generation, self._texts = generation, {}
        return self._texts


class DocumentOpener:
    """Opens and masks the documents of all kinds.

    Attributes:
        keys: The data keys.
        table: The personal attributes of each kind.
        fingerprint: Fingerprint of the table.
    """

    def __init__(
        self,
        database: Database[Document],
        keys: DataKeys,
        table: PersonalAttributes,
        render: Renderer,
        *,
        encrypt: bool,
    ) -> None:
        """Create the codec.

        Args:
            database: The database of the documents.
            keys: The data keys.
            table: The personal attributes of each kind.
            render: Returns the JSON of a kind's document with another body.
            encrypt: Encrypt what is written; otherwise it is only masked when it is read.
        """
        self.keys = keys
        self.table = table
        self._database = database
        self._render = render
        self._encrypt = encrypt
        self._recent_texts = RecentTexts()
        self.fingerprint = hashlib.sha256(table.fingerprint.encode()).hexdigest()[:16]

    @property
    def is_complete(self) -> bool:
        """Return whether all documents are sealed by the current table."""
        return self._encrypt and self.keys.table_fingerprint() == self.fingerprint

    def read_projection(
        self, kind: str, projection: Mapping[str, Any] | None, *, masked: bool
    ) -> Mapping[str, Any] | None:
        """Return the projection that reads what ``decode`` needs for a projection."""
        if projection is None or self.table.rules(kind) is None:
            return projection
        versions = [name for name in projection if name.startswith("text.")]
        if masked and versions:
            return self._masked_projection(projection, versions)
        if masked or not any(name == "body" or name.startswith("body.") for name in projection):
            return projection
        return {**projection, "seal.key": 1, "seal.body": 1, "seal.table": 1}

    def _masked_projection(
        self, projection: Mapping[str, Any], versions: Sequence[str]
    ) -> Mapping[str, Any]:
        """Return the projection that reads masked JSON, or the body that it is rendered from."""
        if self.is_complete:
            masked = {
                name: {"$ifNull": [name.replace("text.", "$seal.masked."), f"${name}"]}
                for name in versions
            }
            return {**projection, **masked}
        others = {name: value for name, value in projection.items() if name not in versions}
        version = versions[0].removeprefix("text.")
        return {
            **others,
            "body": 1,
            "loose": 1,
            "reshaped": 1,
            _TEXT_VERSION: {"$literal": version},
        }

    def decode(self, kind: str, documents: Sequence[Document], *, masked: bool) -> None:
        """Decode documents in place; those of a destroyed key stay masked."""
        if (rules := self.table.rules(kind)) is None:
            return
        if masked:
            if not self.is_complete:
                self._mask(kind, rules, documents)
            return
        if documents and "text" in documents[0] and "body" not in documents[0]:
            self._open_texts(kind, documents)
            return
        holders = [
            (document["_id"], holder)
            for document in documents
            for holder in _sealed_holders(document)
        ]
        if holders:
            self._open_all(kind, holders)

    def _open_all(self, kind: str, holders: Sequence[tuple[str, Document]]) -> None:
        """Open the sealed parts of documents in place; the keys are read in one query."""
        keys = self.keys.get_many({holder["seal"]["key"] for _, holder in holders})
        erased = {}
        for document_key, holder in holders:
            if key := keys[holder["seal"]["key"]]:
                self._open(kind, document_key, holder, key)
            elif "text" in holder:
                erased[document_key] = holder
        if erased:
            self._read_masked_text(kind, erased)

    def _open_texts(self, kind: str, documents: Sequence[Document]) -> None:
        """Decrypt the JSON of documents in place, those that were not decrypted recently."""
        [version] = documents[0]["text"]
        recent = self._recent_texts.of(self.keys.generation())
        missing = []
        for document in documents:
            text = document["text"]
            value = text[version]
            if value[:1] == SEALED:
                name = value[_HEAD] + document["_id"].encode()
                if (json := recent.get(name)) is None:
                    missing.append((document, value, name))
                else:
                    text[version] = json
        if missing:
            self._decrypt(kind, version, missing, recent)

    def _decrypt(
        self,
        kind: str,
        version: str,
        sealed: Sequence[tuple[Document, bytes, bytes]],
        recent: dict[bytes, bytes],
    ) -> None:
        """Decrypt the JSON of documents in place; the loop is as short as possible."""
        keys = self.keys.get_many({value[_ID].hex() for _, value, _ in sealed})
        prefix, suffix = f"{kind} ".encode(), f" {version}".encode()
        erased = {}
        if len(recent) + len(sealed) > MAX_RECENT_TEXTS:
            recent.clear()
        try:
            for document, value, name in sealed:
                if (key := keys[value[_ID].hex()]) is None:
                    erased[document["_id"]] = document
                    continue
                context = prefix + document["_id"].encode() + suffix
                json = key.cipher.decrypt(value[_NONCE], value[_CIPHERTEXT], context)
                document["text"][version] = json
                if len(json) <= MAX_RECENT_LENGTH:
                    recent[name] = json
        except InvalidTag:
            raise ValueError(f"a sealed {kind} does not belong to its document") from None
        if erased:
            self._read_masked_text(kind, erased)

    def blind_index(self, kind: str, identity: Identity) -> KindBlindIndex | None:
        """Return the blind index of a kind for a client; None: the kind has no personal values."""
        if (rules := self.table.rules(kind)) is None:
            return None
        return KindBlindIndex(
            kind,
            rules,
            self.keys,
            identity.tenant,
            is_permitted=identity.sees_personal_data,
            is_complete=self.is_complete,
            with_prefixes=self.table.with_names,
        )

    def open_event(self, event: Mapping[str, Any], *, masked: bool) -> Document:
        """Return the body of a pending event, masked or complete."""
        kind, body = event["kind"], event["body"]
        rules = self.table.rules(kind)
        if rules is None:
            return dict(body)
        if masked:
            return rules.masked(body)
        if seal := event.get("seal"):
            holder = {"body": orjson.loads(orjson.dumps(body)), "seal": seal}
            if key := self.keys.get_many([seal["key"]])[seal["key"]]:
                self._open(kind, f"{event['tenant']}:{event['resource']}", holder, key)
            body = holder["body"]
        return dict(body)

    def open_texts(
        self, kind: str, document_key: str, holder: Mapping[str, Any]
    ) -> Mapping[str, bytes]:
        """Return the complete JSON of a response that is stored with an Idempotency-Key."""
        text: Mapping[str, bytes] = holder["text"]
        sealed = {version: value for version, value in text.items() if value[:1] == SEALED}
        keys = self.keys.get_many({value[_ID].hex() for value in sealed.values()})
        opened = {
            version: key.open(value[_SEALED_VALUE], f"{kind} {document_key} {version}")
            for version, value in sealed.items()
            if (key := keys[value[_ID].hex()])
        }
        plain = {version: value for version, value in text.items() if version not in sealed}
        return plain | opened

    @staticmethod
    def _open(kind: str, document_key: str, holder: Document, key: DataKey) -> None:
        """Put the personal values back into the holder of a seal, in place."""
        seal = holder["seal"]
        name = "old" if "old" in holder else "body"
        if "body" in seal and name in holder:
            values = orjson.loads(key.open(seal["body"], f"{kind} {document_key} body"))
            restored(holder[name], [Leaf(pointer, value) for pointer, value in values])
        for version, value in holder.get("text", {}).items():
            context = f"{kind} {document_key} {version}"
            holder["text"][version] = key.open(value[_SEALED_VALUE], context)
        if name == "old":
            del holder["seal"]  # it is plain now, and sealed again when it is written

    def _mask(self, kind: str, rules: AttributeRules, documents: Iterable[Document]) -> None:
        """Mask documents that are not sealed, in place."""
        for document in documents:
            if body := document.get("body"):
                document["body"] = rules.masked(body)
            if version := document.pop(_TEXT_VERSION, ""):
                text = self._render(kind, document, document.get("body") or {})
                document["text"] = {version: text[version]}

    def _read_masked_text(self, kind: str, documents: Mapping[str, Document]) -> None:
        """Read the masked JSON of documents, by their keys, whose data key is destroyed."""
        with translate_errors():
            query = {"_id": {"$in": list(documents)}}
            rows = list(self._database[kind].find(query, {"text": 1, "seal.masked": 1}))
        for row in rows:
            text = row.get("seal", {}).get("masked") or row.get("text")
            documents[row["_id"]]["text"] = text


def sealed_text(key: DataKey, json: bytes, context: str) -> Binary:
    """Return encrypted JSON with the id of its data key."""
    return Binary(SEALED + bytes.fromhex(key.id) + key.seal(json, context))


def _sealed_holders(document: Document) -> Iterable[Document]:
    """Yield a document and its pending side effect, those that are sealed."""
    if "key" in document.get("seal", ()):
        yield document
    if "key" in document.get("todo", {}).get("seal", ()):
        yield document["todo"]
