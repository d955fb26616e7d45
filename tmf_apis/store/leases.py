"""Leases: exclusive rights among any number of processes, on the database server's clock.

The fencing token rises each time a lease changes hands. A write that checks it is refused if the
writer's lease has expired and another process has acquired it since.
"""

import time
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

#: Leases of single tasks: of a kind's outbox by the kind's name, of the capacity poller.
LEASE_COLLECTION = "leases"
#: Leases of network elements, by element.
ELEMENT_LEASE_COLLECTION = "element_leases"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """An exclusive right that lasts for a limited time.

    Attributes:
        fencing_token: Higher than that of every earlier holder.
        until: End of the lease on this process's monotonic clock, in seconds; never later than
            the end on the server's clock.
        document: The leased document at the time when the lease was acquired.
    """

    fencing_token: int
    until: float
    document: Document

    def is_valid_for(self, seconds: float) -> bool:
        """Return whether the lease lasts for at least so many more seconds."""
        return time.monotonic() + seconds < self.until


def acquire(
    collection: Collection[Document], id: str, owner: str, seconds: float, **conditions: object
) -> Lease | None:
    """Acquire or renew the lease in the document ``id``; return None while another owner holds it.

    The document must exist. Its member ``lease`` is {owner, until, fence}. A renewal keeps the
    fencing token.

    Args:
        collection: The collection of the leased document.
        id: Its ``_id``.
        owner: Name of the holder, unique among all processes.
        seconds: Duration of the lease from now.
        conditions: Further conditions on the document, as in a MongoDB query.
    """
    requested_at = time.monotonic()
    is_owner = {"$eq": ["$lease.owner", owner]}
    is_held = {"$gt": [{"$ifNull": ["$lease.until", 0]}, "$$NOW"]}
    fence = {"$ifNull": ["$lease.fence", 0]}
    next_fence = {"$cond": [{"$and": [is_owner, is_held]}, fence, {"$add": [fence, 1]}]}
    document = collection.find_one_and_update(
        {"_id": id, "$expr": {"$or": [is_owner, {"$not": [is_held]}]}, **conditions},
        [
            {
                "$set": {
                    "lease.fence": next_fence,
                    "lease.owner": {"$literal": owner},
                    "lease.until": {"$add": ["$$NOW", int(seconds * 1000)]},
                }
            }
        ],
        return_document=ReturnDocument.AFTER,
    )
    return Lease(document["lease"]["fence"], requested_at + seconds, document) if document else None


def release(collection: Collection[Document], id: str, owner: str) -> None:
    """Release a lease; do nothing if another owner holds it."""
    collection.update_one(
        {"_id": id, "lease.owner": owner}, {"$unset": {"lease.owner": "", "lease.until": ""}}
    )


def create_if_absent(collection: Collection[Document], id: str) -> None:
    """Create the document that stores a lease, unless it exists."""
    try:
        collection.update_one({"_id": id}, {"$setOnInsert": {"lease": {"fence": 0}}}, upsert=True)
    except DuplicateKeyError:
        return
