"""Migration of stored owners: the parties of each document after a change of the owning roles.

Earlier releases stored every related party as an owner, in any role, also of network elements,
which are for staff only. The parties are computed again when the roles of the setting differ from
those of the stored documents. It runs before the first request and is safe to repeat; a document
that is written meanwhile already has its new parties.
"""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from pymongo import UpdateOne

from tmf_apis.rest.pipeline.documents import DocumentBuilder, resource_of
from tmf_apis.rest.pipeline.party_guard import is_public
from tmf_apis.store.bulk import BATCH_SIZE
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.indexes import META_COLLECTION
from tmf_apis.store.model import DELETED_TENANT

log = logging.getLogger(__name__)

#: Key of the document with the roles by which the stored parties were computed.
_META_KEY = "ownerRoles"
_MEMBERS = dict.fromkeys(("id", "rev", "body", "owner", "parties"), 1)


def update_parties(database: MongoDatabase, builder: DocumentBuilder, kinds: Iterable[str]) -> int:
    """Compute the parties of all documents again if the owning roles have changed.

    Args:
        database: The database.
        builder: Computes the parties of a document.
        kinds: The kinds to migrate.

    Returns:
        The number of changed documents.

    Raises:
        Unavailable: The database does not answer (HTTP 503).
    """
    fingerprint = builder.owner_roles.fingerprint
    with translate_errors():
        meta = database[META_COLLECTION]
        stored = meta.find_one({"_id": _META_KEY}) or {}
        if stored.get("roles") == fingerprint:
            return 0
        existing = set(database.list_collection_names())
        count = sum(
            _update_kind(database, builder, kind)
            for kind in kinds
            if kind in existing and not is_public(builder.policy_of(kind))
        )
        meta.update_one({"_id": _META_KEY}, {"$set": {"roles": fingerprint}}, upsert=True)
    if count:
        log.info("owners of stored resources updated", extra={"count": count})
    return count


def _update_kind(database: MongoDatabase, builder: DocumentBuilder, kind: str) -> int:
    documents = database[kind].find({"tenant": {"$ne": DELETED_TENANT}}, _MEMBERS)
    updates = _updates(builder, kind, documents)
    count = 0
    while batch := list(islice(updates, BATCH_SIZE)):
        database[kind].bulk_write(batch, ordered=False)
        count += len(batch)
    return count


def _updates(
    builder: DocumentBuilder, kind: str, documents: Iterable[dict[str, object]]
) -> Iterator[UpdateOne]:
    for document in documents:
        parties = builder.parties_after(kind, document, resource_of(document))
        if parties != document.get("parties", []):
            query = {"_id": document["_id"], "rev": document["rev"]}
            yield UpdateOne(query, {"$set": {"parties": parties}})
