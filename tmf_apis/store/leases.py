"""Who does what among any number of processes: leases on the database server's clock.

Each taking has a higher fencing number than the one before, so that a process that slept through
its lease can be told from its successor.
"""

import time
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do something alone for a while.

    Attributes:
        fencing_token: Higher than that of every earlier holder.
        until: End of the lease on this process's monotonic clock, in seconds; never later than
            the server's own end.
        document: The leased document as it was when the lease was taken.
    """

    fencing_token: int
    until: float
    document: Document

    def is_valid_for(self, seconds: float) -> bool:
        """Return whether the lease still lasts so long."""
        return time.monotonic() + seconds < self.until


def acquire(
    collection: Collection[Document], id: str, owner: str, seconds: float, **conditions: object
) -> Lease | None:
    """Take or prolong the lease kept in the document ``id``; None while another holds it.

    The document must exist; its ``lease`` member is {owner, until, fence}. Prolonging keeps the
    fence; ``conditions`` narrows the query.
    """
    asked = time.monotonic()
    mine = {"$eq": ["$lease.owner", owner]}
    held = {"$gt": [{"$ifNull": ["$lease.until", 0]}, "$$NOW"]}
    fence = {"$ifNull": ["$lease.fence", 0]}
    found = collection.find_one_and_update(
        {"_id": id, "$expr": {"$or": [mine, {"$not": [held]}]}, **conditions},
        [
            {
                "$set": {
                    "lease.fence": {"$cond": [{"$and": [mine, held]}, fence, {"$add": [fence, 1]}]},
                    "lease.owner": {"$literal": owner},
                    "lease.until": {"$add": ["$$NOW", int(seconds * 1000)]},
                }
            }
        ],
        return_document=ReturnDocument.AFTER,
    )
    return Lease(found["lease"]["fence"], asked + seconds, found) if found else None


def release(collection: Collection[Document], id: str, owner: str) -> None:
    """Give a lease back, if it is still the owner's."""
    collection.update_one(
        {"_id": id, "lease.owner": owner}, {"$unset": {"lease.owner": "", "lease.until": ""}}
    )


def create_if_absent(collection: Collection[Document], id: str) -> None:
    """Make the document that a lease lies in, unless it is there."""
    try:
        collection.update_one({"_id": id}, {"$setOnInsert": {"lease": {"fence": 0}}}, upsert=True)
    except DuplicateKeyError:
        return
