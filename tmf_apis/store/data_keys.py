"""Data keys: one for each data subject, wrapped by the master key.

Collection ``personal_keys``::

    _id        id of the key, which sealed values name
    tenant     the tenant
    subject    "Customer:<id>" or "party:<id>"; "tenant" for resources of nobody; "blind" for the
               blind index
    state      "active"; "retired" while what it encrypts is encrypted anew; "destroyed" after an
               erasure
    wrapped    the key, encrypted by the master key; absent once it is destroyed
    master     name of that master key
    created, destroyed

A subject has at most one active key. A process caches keys. Before it uses one, it reads the
counter of erasures in ``meta``, at most once a second: an erasure takes effect in every process
within a second, without a message between the processes.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import digest
from typing import Any

from bson import Binary
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo import ASCENDING, IndexModel, UpdateOne
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from tmf_apis.errors import Unavailable
from tmf_apis.security.master_keys import KEY_BYTES, NONCE_BYTES, KeyProvider, KeyUnavailable
from tmf_apis.store.bulk import insert_new
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.indexes import META_COLLECTION

COLLECTION = "personal_keys"
#: Subjects of the keys that belong to a tenant.
TENANT_SUBJECT, BLIND_SUBJECT = "tenant", "blind"
#: States of a key besides "active".
RETIRED, DESTROYED = "retired", "destroyed"
#: Most cached keys of one process.
CACHE_SIZE = 50_000
#: Age of the counter of destroyed keys up to which cached keys are used, in seconds.
MAX_AGE = 1.0
#: Length of a token of the blind index, in bytes.
TOKEN_BYTES = 16

INDEXES = (
    IndexModel(
        [("tenant", ASCENDING), ("subject", ASCENDING)],
        name="active",
        unique=True,
        partialFilterExpression={"state": "active"},
    ),
    IndexModel([("master", ASCENDING)], name="master"),
)
_STATE_KEY = {"_id": "personal"}
_UNCONFIRMED = WriteConcern(w=1)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one subject.

    Attributes:
        id: Its id.
        secret: The key itself, 32 bytes.
        cipher: Encrypts with the key (AES-256-GCM).
    """

    id: str
    secret: bytes
    cipher: AESGCM

    def seal(self, value: bytes, context: str) -> bytes:
        """Return a value, encrypted; ``open`` must repeat the context."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, value, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return a sealed value.

        Raises:
            ValueError: The value was changed, or belongs to another context.
        """
        try:
            return self.cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except InvalidTag:
            raise ValueError(f"a sealed value does not belong to {context}") from None

    def token(self, text: bytes) -> bytes:
        """Return the token of a text in the blind index."""
        return digest(self.secret, text, "sha256")[:TOKEN_BYTES]


class DataKeys:
    """The data keys of one database.

    Attributes:
        opened_count: Number of keys that were unwrapped.
        announce: Called after each erasure by this process, for the other processes of its server.
    """

    def __init__(self, database: MongoDatabase, make_provider: Callable[[], KeyProvider]) -> None:
        """Create the access to the keys; nothing is read yet.

        Args:
            database: The database of the keys.
            make_provider: Returns the provider of master keys; called when the first key is needed.
        """
        self._database = database
        self._make_provider = make_provider
        self._provider: KeyProvider | None = None
        self._lock = threading.Lock()
        self._keys: dict[str, DataKey | None] = {}
        self._active: dict[tuple[str, str], str] = {}
        self._checked_at = -MAX_AGE
        self._state: Document = {}
        self.opened_count = 0
        self.announce: Callable[[], None] = lambda: None

    @property
    def collection(self) -> Collection[Document]:
        """Return the collection of the keys."""
        return self._database[COLLECTION]

    @property
    def provider(self) -> KeyProvider:
        """The provider of master keys.

        Raises:
            KeyUnavailable: It has no usable key.
        """
        with self._lock:
            if self._provider is None:
                self._provider = self._make_provider()
            return self._provider

    def prepare(self) -> None:
        """Create the indexes, and check that the master keys fit the database.

        Raises:
            KeyUnavailable: A master key that wraps data keys is not configured.
        """
        self.collection.create_indexes(list(INDEXES))
        wrapped = {"wrapped": {"$exists": True}}
        for master_id in self.collection.distinct("master", wrapped):
            document = self.collection.find_one({"master": master_id, **wrapped})
            if document:
                self.provider.unwrap(document["wrapped"], document["_id"].encode(), master_id)

    def table_fingerprint(self) -> str:
        """Return the fingerprint of the table by which all documents are sealed; "" if not all."""
        self._refresh()
        return str(self._state.get("table", ""))

    def set_table_fingerprint(self, fingerprint: str) -> None:
        """Store that all documents are sealed by a table of personal attributes."""
        with translate_errors():
            self._database[META_COLLECTION].update_one(
                _STATE_KEY, {"$set": {"table": fingerprint}}, upsert=True
            )
        self._checked_at = -MAX_AGE

    def generation(self) -> object:
        """Return a value that changes with each erasure, a second later at most."""
        self._refresh()
        return self._generation

    def get_many(self, ids: Iterable[str]) -> Mapping[str, DataKey | None]:
        """Return keys by id, read in one query; None: the key is destroyed.

        Raises:
            Unavailable: The database or the provider of master keys does not answer (HTTP 503).
        """
        self._refresh()
        keys, cache, generation = {}, self._keys, self._generation
        missing = []
        for id in ids:
            try:
                keys[id] = cache[id]
            except KeyError:
                missing.append(id)
        if missing:
            with translate_errors():
                documents = list(self.collection.find({"_id": {"$in": missing}}))
            loaded = {document["_id"]: self._unwrap(document) for document in documents}
            for id in missing:
                keys[id] = loaded.get(id)
                self._cache(id, keys[id], generation)
        return keys

    def active_many(
        self, tenant: str, subjects: Iterable[str], *, are_new: bool = False
    ) -> dict[str, DataKey]:
        """Return the active key of each subject; create those that do not exist.

        Args:
            tenant: The tenant.
            subjects: The subjects.
            are_new: Most of them have no key yet, so it is not looked for first.

        Raises:
            Unavailable: The database or the provider of master keys does not answer (HTTP 503).
        """
        self._refresh()
        keys: dict[str, DataKey] = {}
        missing = []
        for subject in dict.fromkeys(subjects):
            key = self._keys.get(self._active.get((tenant, subject), ""))
            if key is None:
                missing.append(subject)
            else:
                keys[subject] = key
        if missing and not are_new:
            keys |= self._find_active(tenant, missing)
            missing = [subject for subject in missing if subject not in keys]
        return keys | self._create(tenant, missing) if missing else keys

    def _create(self, tenant: str, subjects: Sequence[str]) -> dict[str, DataKey]:
        """Create the active keys of subjects, unless another process has just done so.

        The write is not confirmed by a majority: the document that is written next is, and with it
        everything before.
        """
        generation = self._generation
        documents = {subject: self._new_document(tenant, subject) for subject in subjects}
        with translate_errors():
            collection = self.collection.with_options(write_concern=_UNCONFIRMED)
            existing = insert_new(collection, list(documents.values()))
        keys, others = {}, []
        for subject, document in documents.items():
            if document["_id"] in existing:
                others.append(subject)
            elif key := self._unwrap(document):
                keys[subject] = key
                self._cache(key.id, key, generation, (tenant, subject))
        return keys | self._find_active(tenant, others) if others else keys

    def active(self, tenant: str, subject: str) -> DataKey:
        """Return the active key of a subject; create it if it does not exist."""
        return self.active_many(tenant, [subject])[subject]

    def destroy(self, tenant: str, subjects: Iterable[str]) -> list[Document]:
        """Destroy the keys of subjects; return their documents. Safe to repeat.

        All processes stop using the keys within a second.
        """
        query = {"tenant": tenant, "subject": {"$in": list(subjects)}}
        existing = {**query, "state": {"$ne": DESTROYED}}
        change = {
            "$set": {"state": DESTROYED, "destroyed": datetime.now(UTC)},
            "$unset": {"wrapped": ""},
        }
        with translate_errors():
            self.collection.update_many(existing, change)
            self._forget_everywhere()
            return list(self.collection.find({**query, "state": DESTROYED}))

    def retire_all(self) -> None:
        """Make new keys for everything that is written from now on; the old ones still decrypt."""
        with translate_errors():
            query = {"state": "active", "subject": {"$ne": BLIND_SUBJECT}}
            self.collection.update_many(query, {"$set": {"state": RETIRED}})
            self._forget_everywhere()

    def retired_ids(self) -> set[str]:
        """Return the ids of the retired keys."""
        with translate_errors():
            return {row["_id"] for row in self.collection.find({"state": RETIRED}, {"_id": 1})}

    def delete_retired(self, ids: Iterable[str]) -> int:
        """Delete retired keys that encrypt nothing any more; return their number."""
        with translate_errors():
            query = {"_id": {"$in": list(ids)}, "state": RETIRED}
            return self.collection.delete_many(query).deleted_count

    def _forget_everywhere(self) -> None:
        """Make every process read the keys again."""
        self._database[META_COLLECTION].update_one(
            _STATE_KEY, {"$inc": {"destroyed": 1}}, upsert=True
        )
        self.announce()
        self.expire()
        self._refresh()

    def expire(self) -> None:
        """Read the state of the database before the next use of a key."""
        self._checked_at = -MAX_AGE

    def rewrap(self, batch_size: int = 500) -> int:
        """Wrap every active key with the current master key; return how many were changed."""
        current, count = self.provider.current_id, 0
        query = {"wrapped": {"$exists": True}, "master": {"$ne": current}}
        while documents := list(self.collection.find(query).limit(batch_size)):
            writes = []
            for document in documents:
                if (key := self._unwrap(document)) is None:
                    continue
                wrapped = Binary(self.provider.wrap(key.secret, key.id.encode()))
                change = {"$set": {"wrapped": wrapped, "master": current}}
                writes.append(UpdateOne({"_id": key.id, "wrapped": {"$exists": True}}, change))
            self.collection.bulk_write(writes, ordered=False)
            count += len(writes)
        return count

    def _find_active(self, tenant: str, subjects: list[str]) -> dict[str, DataKey]:
        generation = self._generation
        query = {"tenant": tenant, "subject": {"$in": subjects}, "state": "active"}
        with translate_errors():
            documents = list(self.collection.find(query))
        keys = {}
        for document in documents:
            if key := self._unwrap(document):
                keys[document["subject"]] = key
                self._cache(key.id, key, generation, (tenant, document["subject"]))
        return keys

    def _new_document(self, tenant: str, subject: str) -> Document:
        id = uuid.uuid4().hex
        try:
            wrapped = self.provider.wrap(secrets.token_bytes(KEY_BYTES), id.encode())
        except KeyUnavailable as error:
            raise Unavailable(str(error)) from error
        return {
            "_id": id,
            "tenant": tenant,
            "subject": subject,
            "state": "active",
            "wrapped": Binary(wrapped),
            "master": self.provider.current_id,
            "created": datetime.now(UTC),
        }

    def _unwrap(self, document: Document) -> DataKey | None:
        if "wrapped" not in document:
            return None
        id = document["_id"]
        try:
            secret = self.provider.unwrap(document["wrapped"], id.encode(), document["master"])
        except KeyUnavailable as error:
            raise Unavailable(str(error)) from error
        self.opened_count += 1
        return DataKey(id, secret, AESGCM(secret))

    @property
    def _generation(self) -> object:
        """The number of erasures so far."""
        return self._state.get("destroyed")

    def _cache(
        self,
        id: str,
        key: DataKey | None,
        generation: object,
        active_subject: tuple[str, str] | None = None,
    ) -> None:
        """Cache a key that was read in a generation, unless keys were destroyed since."""
        with self._lock:
            if generation != self._generation:
                return
            while len(self._keys) >= CACHE_SIZE:
                del self._keys[next(iter(self._keys))]
            if len(self._active) >= CACHE_SIZE:
                self._active.clear()
            self._keys[id] = key
            if active_subject:
                self._active[active_subject] = id

    def _refresh(self) -> None:
        """Read the state of the database if it is too old; forget all keys after an erasure."""
        now = time.monotonic()
        if now - self._checked_at < MAX_AGE:
            return
        with translate_errors():
            state = self._database[META_COLLECTION].find_one(_STATE_KEY) or {}
        with self._lock:
            if state.get("destroyed") != self._state.get("destroyed"):
                self._keys, self._active = {}, {}
            self._state = state
            self._checked_at = now
