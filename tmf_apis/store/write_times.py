"""The cluster time of each write whose events are pending.

MongoDB puts its cluster time into a document as part of the write. The time does not depend on the
clocks of servers and workers and grows from write to write, so it tells which of two writes came
first. A document has these members until the events of its writes are relayed::

    inserted   the time of the insert
    written    revision -> the time of the update

Source: MongoDB manual, "Timestamps" and "$currentDate".
"""

from collections.abc import Mapping
from typing import Any, Final

from bson import Timestamp

#: The members of a document; they are removed together with its events.
MEMBERS: Final = ("inserted", "written")
#: MongoDB replaces it by the cluster time when it inserts a document.
NOW: Final = Timestamp(0, 0)

Document = dict[str, Any]


def with_insert_time(document: Document) -> Document:
    """Return a new document that gets the time of its insert, if it has events.

    >>> with_insert_time({"_id": "a:1"})
    {'_id': 'a:1'}
    """
    return {**document, "inserted": NOW} if document.get("events") else document


def update_time(rev: int) -> Document:
    """Return the part of an update that stores the time of the write of a revision.

    >>> update_time(4)
    {'$currentDate': {'written.4': {'$type': 'timestamp'}}}
    """
    return {"$currentDate": {f"written.{rev}": {"$type": "timestamp"}}}


def write_time(document: Mapping[str, Any], rev: int) -> Timestamp | None:
    """Return the time of the write of a revision; None if an earlier release wrote it."""
    updates: Mapping[str, Timestamp] = document.get("written", {})
    inserted: Timestamp | None = document.get("inserted")
    return updates.get(str(rev)) or (inserted if rev == 1 else None)
