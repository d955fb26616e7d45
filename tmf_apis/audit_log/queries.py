"""Queries of the audit log: criteria, pages and streams of entries."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tmf_apis.audit_log.entries import resource_of_entry
from tmf_apis.audit_log.log import AuditLog

Document = dict[str, Any]

#: Entries that are read from the database at a time by ``stream``.
BATCH_SIZE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCriteria:
    """Criteria that select entries; an empty text and None do not restrict the selection.

    Attributes:
        tenant: The tenant.
        subject, operation, kind, resource, outcome, address, cause: Values of these members.
        party: One of the parties for which the client acted.
        request_id: Id of the request.
        since: Only entries of this time and later.
        before: Only entries before this time.
    """

    tenant: str = ""
    subject: str = ""
    party: str = ""
    operation: str = ""
    kind: str = ""
    resource: str = ""
    outcome: str = ""
    address: str = ""
    cause: str = ""
    request_id: str = ""
    since: datetime | None = None
    before: datetime | None = None

    def query(self) -> Document:
        """Return the MongoDB query."""
        members = {
            "tenant": self.tenant,
            "subject": self.subject,
            "parties": self.party,
            "operation": self.operation,
            "kind": self.kind,
            "resource": self.resource,
            "outcome": self.outcome,
            "address": self.address,
            "cause": self.cause,
            "requestId": self.request_id,
        }
        query: Document = {name: value for name, value in members.items() if value}
        bounds = {"$gte": self.since, "$lt": self.before}
        if times := {operator: time for operator, time in bounds.items() if time is not None}:
            query["time"] = times
        return query


def find_entries(
    log: AuditLog, criteria: EntryCriteria, *, limit: int, offset: int = 0
) -> tuple[list[Document], int]:
    """Return entries as clients see them, newest first, and their total number."""
    query = criteria.query()
    cursor = log.entries.find(query).sort([("time", -1), ("_id", 1)])
    rows = list(cursor.skip(offset).limit(limit))
    return [resource_of_entry(row) for row in rows], log.entries.count_documents(query)


def stream_entries(log: AuditLog, criteria: EntryCriteria) -> Iterator[Document]:
    """Yield all entries that match, oldest first, in constant memory."""
    cursor = log.entries.find(criteria.query()).sort([("time", 1), ("_id", -1)])
    with cursor.batch_size(BATCH_SIZE):
        for row in cursor:
            yield resource_of_entry(row)
