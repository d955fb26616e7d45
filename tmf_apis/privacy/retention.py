"""Retention: personal data of resources that ended long ago is overwritten.

``TMF_RETENTION`` has the days for each kind. They count from the end of a resource: the first of
``END_ATTRIBUTES`` that it has. A resource whose lifecycle has not ended is left as it is. Received
events (``Notification``) are deleted.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tmf_apis.events import inbox
from tmf_apis.privacy.overwriting import Overwriter
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.security.identity import Identity
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT

#: The attributes that say when a resource ended, in order of preference.
END_ATTRIBUTES = (
    *("completionDate", "cancellationDate", "terminationDate", "endDate", "validFor.endDateTime"),
    *("effectiveQualificationDate", "paymentDueDate", "billDate", "statusDate", "lastUpdate"),
    *("orderDate", "creationDate", "startDate"),
)
#: Resources that one run overwrites of each kind.
BATCH_SIZE = 1000


class Retention:
    """Overwrites personal data whose retention time is over."""

    def __init__(
        self,
        database: MongoDatabase,
        writer: ResourceWriter,
        overwriter: Overwriter,
        days: Mapping[str, float],
    ) -> None:
        """Store the collaborators.

        Args:
            database: The database.
            writer: Writes resources.
            overwriter: Returns resources without their person.
            days: Days that the personal data of each kind is kept.
        """
        self._database = database
        self._writer = writer
        self._overwriter = overwriter
        self._days = days

    def run(self, now: datetime | None = None) -> int:
        """Overwrite what is due; return the number of resources and received events."""
        now = now or datetime.now(UTC)
        count = 0
        for kind, days in self._days.items():
            before = now - timedelta(days=days)
            if kind == inbox.COLLECTION:
                query = {"received": {"$lt": before}}
                with translate_errors():
                    count += self._database[kind].delete_many(query).deleted_count
            else:
                count += self._overwrite(kind, before)
        return count

    def _overwrite(self, kind: str, before: datetime) -> int:
        end: Any = None
        for name in reversed(END_ATTRIBUTES):
            end = {"$ifNull": [f"$body.{name}", end]}
        query: dict[str, Any] = {
            "tenant": {"$ne": DELETED_TENANT},
            "seal.key": {"$exists": True},
            "$expr": {"$and": [{"$ne": [end, None]}, {"$lt": [end, rfc3339(before)]}]},
        }
        if lifecycle := self._writer.policy_of(kind).lifecycle:
            states = sorted(lifecycle.final_states)
            query[f"body.{lifecycle.attribute}"] = {"$in": states}
        rows = self._writer.resources.find_many(
            kind, query, {"id": 1, "tenant": 1, "parties": 1}, limit=BATCH_SIZE
        )
        for row in rows:
            self._overwrite_one(kind, row["tenant"], row["id"], row.get("parties") or ())
        return len(rows)

    def _overwrite_one(self, kind: str, tenant: str, id: str, ids: Iterable[str]) -> None:
        identity = Identity("retention", tenant)
        context = self._writer.request_context(identity, system=True)
        parties = {*ids, id}
        self._writer.change(
            identity,
            kind,
            id,
            lambda resource: self._overwriter.overwritten(kind, resource, parties),
            context,
        )
