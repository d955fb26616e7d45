"""Entries of refused requests.

They are aggregated in memory: of equal ones within a minute, the first has an entry within
a second, and the others have one entry with their number. So a flood of refused requests cannot
fill the database, and the requests do not wait for it. A process that is killed loses those of the
last second at most, and the number of repetitions of the last minute.
"""

import logging
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError

from tmf_apis.audit_log.entries import client_facts, new_entry
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import RequestOrigin

log = logging.getLogger(__name__)

#: Time for which equal entries are aggregated, and pause between two flushes, in seconds.
WINDOW, FLUSH_INTERVAL = 60.0, 1.0
#: Most different entries in one window; further ones share one for each tenant and status.
MAX_KEYS = 1000
#: Statuses that are refusals of any request, and of requests that would have changed something.
REFUSALS, WRITE_REFUSALS = frozenset({401, 403, 429}), frozenset({409, 412, 422})
NOT_FOUND = 404
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: An id that the server has made. A client can invent any other id of a resource that is not there.
_SERVER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Document = dict[str, Any]
Key = tuple[str, ...]


def is_recorded_refusal(method: str, status: int, identity: Identity | None) -> bool:
    """Return whether the audit log has an entry of a refused request.

    A resource that a party cannot see is 404 for it; the 404 of staff is no refusal.
    """
    if status in REFUSALS:
        return True
    if status == NOT_FOUND:
        return identity is not None and identity.parties is not None
    return status in WRITE_REFUSALS and method not in READ_METHODS


@dataclass(slots=True)
class _Aggregate:
    """Equal entries of one window.

    Attributes:
        members: The members of the first of them.
        started: Begin of the window, on the monotonic clock.
        count: Number of those that are not stored yet.
        until: Time of the last of them, in UTC.
        is_stored: The first of them is stored.
    """

    members: Document
    started: float
    count: int = 0
    until: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_stored: bool = False


class RefusalRecorder:
    """Records refused requests; its methods may be called in any thread."""

    def __init__(self, audit_log: AuditLog, default_tenant: str) -> None:
        """Create a recorder; the first refusal starts its thread.

        Args:
            audit_log: The audit log.
            default_tenant: Tenant of the requests whose client is not known.
        """
        self._log = audit_log
        self._default_tenant = default_tenant
        self._lock = threading.Lock()
        self._aggregates: dict[Key, _Aggregate] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._losing = LastingCondition(
            log, "audit entries are lost", "audit entries are kept again"
        )

    def count_refusal(
        self,
        origin: RequestOrigin,
        identity: Identity | None,
        operation: str,
        status: int,
        **members: object,
    ) -> None:
        """Record a refused request, aggregated.

        Args:
            origin: Its address and id.
            identity: The client; None: not authenticated.
            operation: Name of the operation.
            status: The HTTP status of the response.
            **members: Further members of the entry: kind, resource.
        """
        resource = str(members.get("resource") or "")
        if status == NOT_FOUND and not _SERVER_ID.fullmatch(resource):
            members["resource"] = ""
        members |= {"outcome": "refused", "status": status}
        self._count(origin, identity, operation, members)

    def close(self) -> None:
        """Store all that is not stored yet, and end the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._try_flush(at_end=True)

    def flush(self, *, at_end: bool = False) -> None:
        """Store what is due; ``at_end``: also what could still be aggregated."""
        now = time.monotonic()
        entries = []
        with self._lock:
            for key, aggregate in list(self._aggregates.items()):
                is_over = at_end or now - aggregate.started > WINDOW
                if aggregate.count and (is_over or not aggregate.is_stored):
                    entries.append(_aggregated_entry(aggregate))
                    aggregate.count, aggregate.is_stored = 0, True
                if is_over:
                    del self._aggregates[key]
        if entries:
            self._log.append(entries)

    def _count(
        self,
        origin: RequestOrigin,
        identity: Identity | None,
        operation: str,
        members: Document,
    ) -> None:
        status = str(members["status"])
        tenant = identity.tenant if identity else self._default_tenant
        subject = identity.subject if identity else ""
        key = (tenant, subject, origin.address, operation, status)
        with self._lock:
            aggregate = self._aggregates.get(key)
            if aggregate is None and len(self._aggregates) >= MAX_KEYS:
                subject, origin, identity = "", RequestOrigin(), None
                members = {k: v for k, v in members.items() if k in {"outcome", "status"}}
                key = (tenant, "", "", "", status)
                aggregate = self._aggregates.get(key)
            if aggregate is None:
                facts = client_facts(origin, subject, identity.parties if identity else None)
                shown = {name: value for name, value in members.items() if value}
                members = {**facts, **shown, "operation": operation, "tenant": tenant}
                aggregate = self._aggregates[key] = _Aggregate(members, time.monotonic())
            aggregate.count += 1
            aggregate.until = datetime.now(UTC)
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_INTERVAL):
            self._try_flush()

    def _try_flush(self, *, at_end: bool = False) -> None:
        try:
            self.flush(at_end=at_end)
        except PyMongoError as error:
            self._losing.report(error=str(error)[:300])
        else:
            self._losing.clear()


def _aggregated_entry(aggregate: _Aggregate) -> Document:
    members = {k: v for k, v in aggregate.members.items() if k not in {"tenant", "operation"}}
    entry = new_entry(aggregate.members["tenant"], aggregate.members["operation"], members)
    if aggregate.count > 1 or aggregate.is_stored:
        until = aggregate.until
        entry["count"] = aggregate.count
        entry["until"] = until.replace(microsecond=until.microsecond // 1000 * 1000)
        entry.pop("requestId", None)
    return entry
