"""Many new documents at once: one command a batch, those that are there already left alone."""

from collections.abc import Sequence

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import Document, ResourceStore

#: MongoDB error code: the key is taken.
DUPLICATE_KEY = 11000
#: Documents of one command.
BATCH_SIZE = 1000


def insert(resources: ResourceStore, kind: str, documents: Sequence[Document]) -> set[str]:
    """Write new documents, and return the keys of those that were there already.

    Totals follow by the change stream, as with writes of other processes.

    Raises:
        Unavailable: The database does not answer; some may be written (HTTP 503).
    """
    if not documents:
        return set()
    with translate_errors():
        try:
            resources.collection(kind).insert_many(documents, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            others = [one for one in details["writeErrors"] if one["code"] != DUPLICATE_KEY]
            if others or details.get("writeConcernErrors"):
                raise
            return {documents[one["index"]]["_id"] for one in details["writeErrors"]}
    return set()


def replace(resources: ResourceStore, kind: str, documents: Sequence[Document]) -> None:
    """Write documents over those that have the same keys; their versions go on counting.

    What waits to be delivered of them stays.

    Raises:
        Unavailable: The database does not answer; some may be written (HTTP 503).
    """
    changes = [
        UpdateOne(
            {"_id": one["_id"]},
            {
                "$set": {name: v for name, v in one.items() if name not in {"_id", "rev"}},
                "$inc": {"rev": 1},
            },
            upsert=True,
        )
        for one in documents
    ]
    if changes:
        with translate_errors():
            resources.collection(kind).bulk_write(changes, ordered=False)
