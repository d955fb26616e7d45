"""Records of discoveries in MongoDB, by which workers know that they must read ports again.

The collection ``element_discoveries`` has the latest discovery of each element::

    _id  key of the element: "<tenant>:<id of its resource>"
    at   when it was read, UTC
"""

from datetime import datetime

from tmf_apis.store.connection import MongoDatabase, translate_errors

COLLECTION = "element_discoveries"


class DiscoveryRecords:
    """The latest discovery of each element, shared by all processes."""

    def __init__(self, database: MongoDatabase) -> None:
        self._discoveries = database[COLLECTION]

    def add(self, tenant: str, element_id: str) -> None:
        """Record that an element has been read and its inventory updated.

        Raises:
            Unavailable: The database does not answer (HTTP 503).
        """
        with translate_errors():
            self._discoveries.update_one(
                {"_id": f"{tenant}:{element_id}"}, {"$currentDate": {"at": True}}, upsert=True
            )

    def latest(self, element: str) -> datetime | None:
        """Return when an element was read by the latest discovery; None: by none.

        Args:
            element: Key of the element.

        Raises:
            Unavailable: The database does not answer (HTTP 503).
        """
        with translate_errors():
            row = self._discoveries.find_one({"_id": element})
        return row["at"] if row else None
