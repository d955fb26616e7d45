"""Decrypts the personal attributes of documents for those who may read them, and masks the rest.

``sealing`` has the form of the documents. A document whose data key is destroyed stays masked.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
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
        is_sealed = bool(versions) or any(
            name == "body" or name.startswith("body.") for name in projection
        )
        if masked or not is_sealed:
            return projection
        members = ("seal.key",) if versions else ("seal.key", "seal.body", "seal.table")
        return {**projection, **dict.fromkeys(members, 1)}

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
        return {**others, "body": 1, "loose": 1, _TEXT_VERSION: {"$literal": version}}

    def decode(self, kind: str, documents: Sequence[Document], *, masked: bool) -> None:
        """Decode documents in place; those of a destroyed key stay masked."""
        if (rules := self.table.rules(kind)) is None:
            return
        if masked:
            if not self.is_complete:
                self._mask(kind, rules, documents)
            return
        if documents and "text" in documents[0] and "body" not in documents[0]:
            self._open_pages(kind, documents)
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

    def _open_pages(self, kind: str, documents: Sequence[Document]) -> None:
        """Decrypt the JSON of documents in place; the loop is as short as possible."""
        [version] = documents[0]["text"]
        sealed = [document for document in documents if "seal" in document]
        keys = self.keys.get_many({document["seal"]["key"] for document in sealed})
        prefix, suffix = f"{kind} ".encode(), f" {version}".encode()
        erased = {}
        try:
            for document in sealed:
                if (key := keys[document["seal"]["key"]]) is None:
                    erased[document["_id"]] = document
                    continue
                text = document["text"]
                value = text[version]
                context = prefix + document["_id"].encode() + suffix
                text[version] = key.cipher.decrypt(
                    value[:NONCE_BYTES], value[NONCE_BYTES:], context
                )
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
        if not (key_id := holder.get("sealedBy")):
            return text
        if (key := self.keys.get_many([key_id])[key_id]) is None:
            return {}
        return {
            version: key.open(sealed, f"{kind} {document_key} {version}")
            for version, sealed in text.items()
        }

    @staticmethod
    def _open(kind: str, document_key: str, holder: Document, key: DataKey) -> None:
        """Put the personal values back into the holder of a seal, in place."""
        seal = holder["seal"]
        name = "old" if "old" in holder else "body"
        if "body" in seal and name in holder:
            values = orjson.loads(key.open(seal["body"], f"{kind} {document_key} body"))
            restored(holder[name], [Leaf(pointer, value) for pointer, value in values])
        if text := holder.get("text"):
            for version, sealed in text.items():
                text[version] = key.open(sealed, f"{kind} {document_key} {version}")
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


def _sealed_holders(document: Document) -> Iterable[Document]:
    """Yield a document and its pending side effect, those that are sealed."""
    if "key" in document.get("seal", ()):
        yield document
    if "key" in document.get("todo", {}).get("seal", ()):
        yield document["todo"]
