"""Bulk writes of resources: one command for each batch of documents."""

from collections.abc import Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from tmf_apis.store.connection import DUPLICATE_KEY, translate_errors
from tmf_apis.store.resources import Document, ResourceStore
from tmf_apis.store.usage import body_size
from tmf_apis.store.write_times import with_insert_time

#: Number of documents in one command.
BATCH_SIZE = 1000


def insert(resources: ResourceStore, kind: str, documents: Sequence[Document]) -> set[str]:
    """Insert new resources; return the keys of those that exist already and stay unchanged.

    The cached totals are updated by the change stream, as after writes of other processes.

    Raises:
        Unavailable: The database does not answer; some documents may be written (HTTP 503).
    """
    encoded = resources.codec.encode_new(kind, documents)
    with translate_errors():
        existing = insert_new(
            resources.collection(kind), [with_insert_time(document) for document in encoded]
        )
    for document in documents:
        if document["_id"] not in existing:
            resources.record_bytes(document["tenant"], body_size(document["body"]))
    return existing


def insert_new(collection: Collection[Document], documents: Sequence[Document]) -> set[Any]:
    """Insert documents; return the keys of those that exist already and stay unchanged.

    Raises:
        BulkWriteError: A document cannot be written for another reason.
    """
    if not documents:
        return set()
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        errors = details.get("writeErrors", [])
        if details.get("writeConcernErrors") or any(e["code"] != DUPLICATE_KEY for e in errors):
            raise
        return {documents[e["index"]]["_id"] for e in errors}
    return set()


def replace(resources: ResourceStore, kind: str, documents: Sequence[Document]) -> None:
    """Write resources; overwrite those that exist and increment their revision.

    Pending events of overwritten resources are kept.

    Raises:
        Unavailable: The database does not answer; some documents may be written (HTTP 503).
    """
    changes = [
        UpdateOne(
            {"_id": document["_id"]},
            {
                "$set": {name: v for name, v in document.items() if name not in {"_id", "rev"}},
                "$unset": dict.fromkeys({"seal", "blind"} - document.keys(), ""),
                "$inc": {"rev": 1},
            },
            upsert=True,
        )
        for document in resources.codec.encode_new(kind, documents)
    ]
    if changes:
        with translate_errors():
            resources.collection(kind).bulk_write(changes, ordered=False)
