"""The audit log over HTTP: pages, export and checkpoint, for administrators of a tenant."""

from collections.abc import Iterator
from datetime import datetime

import orjson
from flask import Blueprint, Response

from tmf_apis.audit_log.entries import resource_of_entry
from tmf_apis.audit_log.queries import EntryCriteria, find_entries, stream_entries
from tmf_apis.console.admin import PAGE_PARAMETERS, AdminViews, json_response, with_time_limit
from tmf_apis.console.page_context import PageContext
from tmf_apis.errors import InvalidQuery, NotFound

NDJSON = "application/x-ndjson"
#: Query parameters that are the criterion of the same name.
_MEMBERS = (*("subject", "party", "operation", "kind", "resource", "outcome", "address", "cause"),)
_CRITERIA = (*_MEMBERS, "requestId", "from", "to")


def blueprint(context: PageContext) -> Blueprint:
    """Return the routes below ``/admin/audit-log``."""
    pages = Blueprint("audit_log", __name__, url_prefix="/admin/audit-log")
    views = AuditLogViews(context)
    for path, view in (
        ("", views.list_entries),
        ("/export", views.export_entries),
        ("/checkpoint", views.get_checkpoint),
        ("/<id>", views.get_entry),
    ):
        pages.add_url_rule(path, view.__name__, with_time_limit(context, view), methods=["GET"])
    return pages


class AuditLogViews(AdminViews):
    """The views of the audit log; an administrator sees the entries of its own tenant."""

    def list_entries(self) -> Response:
        """GET /admin/audit-log: newest first."""
        engine, identity, parameters = self._authorize(*_CRITERIA, *PAGE_PARAMETERS)
        page = self._page(parameters)
        rows, total = find_entries(
            engine.audit_log,
            _criteria(identity.tenant, parameters),
            limit=page.limit or 1,
            offset=page.offset,
        )
        return self._list_response(rows, page, total)

    def get_entry(self, id: str) -> Response:
        """GET /admin/audit-log/{id}."""
        engine, identity, _ = self._authorize()
        row = engine.audit_log.entries.find_one({"_id": id, "tenant": identity.tenant})
        if row is None:
            raise NotFound(f"there is no audit entry {id[:80]}")
        return json_response(200, resource_of_entry(row))

    def export_entries(self) -> Response:
        """GET /admin/audit-log/export: all entries that match as NDJSON, oldest first."""
        engine, identity, parameters = self._authorize(*_CRITERIA)
        criteria = _criteria(identity.tenant, parameters)
        engine.audit_log.record(identity, "export", kind="AuditLog")

        def lines() -> Iterator[bytes]:
            for entry in stream_entries(engine.audit_log, criteria):
                yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)

        return Response(lines(), content_type=NDJSON)

    def get_checkpoint(self) -> Response:
        """GET /admin/audit-log/checkpoint: the end of the tenant's chain."""
        engine, identity, _ = self._authorize()
        log, tenant = engine.audit_log, identity.tenant
        head = log.head(tenant, log.last_block(tenant))
        checkpoint = {"tenant": tenant, "block": head.number, "sequence": head.last}
        return json_response(
            200, {**checkpoint, "hash": head.hash, "checkpoint": head.checkpoint()}
        )


def _criteria(tenant: str, parameters: dict[str, str]) -> EntryCriteria:
    return EntryCriteria(
        tenant=tenant,
        request_id=parameters.get("requestId", ""),
        since=_time(parameters, "from"),
        before=_time(parameters, "to"),
        **{name: parameters[name] for name in _MEMBERS if name in parameters},
    )


def _time(parameters: dict[str, str], name: str) -> datetime | None:
    """Return the time in a parameter; None: it is absent.

    Raises:
        InvalidQuery: It is not an RFC 3339 time with an offset (HTTP 400).
    """
    if (text := parameters.get(name)) is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InvalidQuery(f"{name}: expected a time with an offset, as 2026-01-31T12:00:00Z")
    return instant
