"""Administration over HTTP: deliveries, subscriptions, the inbox and extension types.

Every path requires the scope ``admin``. Deliveries, subscriptions and notifications are those of
the token's tenant.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any

import orjson
import pymongo
from flask import Blueprint, Response, request
from pymongo import DESCENDING

from tmf_apis.console.page_context import Engine, PageContext
from tmf_apis.errors import (
    Forbidden,
    InvalidQuery,
    NotFound,
    UnsupportedMediaType,
    quoted,
    shortened,
)
from tmf_apis.events import delivery_admin, inbox, subscriptions
from tmf_apis.events.delivery_admin import DeliveryCriteria
from tmf_apis.events.delivery_queue import COLLECTION as DELIVERIES
from tmf_apis.events.payloads import open_payloads
from tmf_apis.rest.contracts import extensions
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.contracts.extension_registry import ExtensionType
from tmf_apis.rest.http import bodies
from tmf_apis.rest.query import paging
from tmf_apis.rest.query.filtering import Pair
from tmf_apis.rest.query.paging import Page, PageResult
from tmf_apis.rest.query.parameters import parse_parameters
from tmf_apis.security.identity import Identity

Document = dict[str, Any]

SCOPE = "admin"
#: Longest value of a parameter, in characters.
_MAX_PARAMETER_LENGTH = 512
PAGE_PARAMETERS = ("limit", "offset")
#: Larger offsets, which are past the end of any list, are cut to this one.
_MAX_SKIP = 2**31 - 1
_SUBSCRIPTION_FILTERS = ("api", "version", "state")
_NOTIFICATION_FILTERS = ("api", "version", "eventType", "eventId", "subject")


def blueprint(context: PageContext) -> Blueprint:
    """Return the routes below ``/admin``."""
    pages = Blueprint("admin", __name__, url_prefix="/admin")
    views = AdminViews(context)
    for path, method, view in (
        ("/deliveries", "GET", views.list_deliveries),
        ("/deliveries/<id>", "GET", views.get_delivery),
        ("/deliveries/<id>/replay", "POST", views.replay_delivery),
        ("/subscriptions", "GET", views.list_subscriptions),
        ("/subscriptions/<id>/replay", "POST", views.replay_parked),
        ("/subscriptions/<id>/enable", "POST", views.enable_subscription),
        ("/notifications", "GET", views.list_notifications),
        ("/temporal", "GET", views.get_temporal),
        ("/schemas", "GET", views.list_schemas),
        ("/schemas/<type>", "GET", views.get_schema),
        ("/schemas/<type>", "PUT", views.put_schema),
        ("/schemas/<type>", "DELETE", views.delete_schema),
    ):
        pages.add_url_rule(path, view.__name__, with_time_limit(context, view), methods=[method])
    return pages


class AdminViews:
    """The views of the administration."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def _authorize(self, *allowed: str) -> tuple[Engine, Identity, dict[str, str]]:
        """Return the engine, the client's identity, and the query parameters.

        Raises:
            InvalidQuery: A parameter is not one of ``allowed`` (HTTP 400).
            Unauthorized: There is no valid token (HTTP 401).
            Forbidden: The client is not an administrator (HTTP 403).
            Unavailable: The server is not ready (HTTP 503).
        """
        identity = self._context.authorize([SCOPE])
        return self._context.readiness.require_engine(), identity, _query_parameters(allowed)

    def _page(self, parameters: Mapping[str, str]) -> Page:
        page = paging.page_from_parameters(
            _subset(parameters, PAGE_PARAMETERS), (), self._context.settings
        )
        return replace(page, offset=min(page.offset, _MAX_SKIP))

    def get_temporal(self) -> Response:
        """GET /admin/temporal: how Temporal and its web page can be reached."""
        self._authorize()
        settings, access = self._context.settings, self._context.temporal_access()
        body = {
            "address": access.address if access else settings.temporal_address,
            "namespace": settings.temporal_namespace,
            "pageSocket": access.page_socket if access else "",
            "page": access.page_url if access else "",
        }
        return json_response(200, {name: value for name, value in body.items() if value})

    def list_deliveries(self) -> Response:
        """GET /admin/deliveries: newest first, with their last attempts."""
        names = ("subscription", "state", "event", "type", "resource")
        engine, identity, parameters = self._authorize(*names, *PAGE_PARAMETERS)
        if parameters.get("state", "parked") not in delivery_admin.DELIVERY_STATES:
            raise InvalidQuery(f"state is one of {', '.join(delivery_admin.DELIVERY_STATES)}")
        page = self._page(parameters)
        criteria = DeliveryCriteria(tenant=identity.tenant, **_subset(parameters, names))
        rows, total = delivery_admin.find_deliveries(
            engine.database, criteria, limit=page.limit or 1, offset=page.offset
        )
        return self._list_response([_json_document(row) for row in rows], page, total)

    def get_delivery(self, id: str) -> Response:
        """GET /admin/deliveries/{id}: the delivery, with the notification as it is sent."""
        engine, identity, _ = self._authorize()
        members = {**delivery_admin.PROJECTION, "payload": 1, "key": 1}
        row = engine.database[DELIVERIES].find_one({"_id": id, "tenant": identity.tenant}, members)
        if row is None:
            raise NotFound(f"there is no delivery {shortened(id)}")
        is_erased = bool(open_payloads([row], engine.data_keys))
        row.pop("key", None)
        payload = None if is_erased else orjson.loads(row["payload"])
        kind = row["resource"].partition(":")[0]
        body = payload and self._visible(engine, identity, kind, payload)
        del row["payload"]
        return json_response(200, _json_document({"id": row.pop("_id"), **row, "body": body}))

    @staticmethod
    def _visible(engine: Engine, identity: Identity, kind: str, payload: Document) -> Document:
        """Return a notification as the client may see it."""
        if identity.sees_personal_data:
            return payload
        event = payload.get("event")
        resources = event if isinstance(event, dict) else {}
        visible = {
            name: engine.personal_attributes.masked(kind, value)
            if isinstance(value, dict)
            else value
            for name, value in resources.items()
        }
        return {**payload, "event": visible} if visible else payload

    def replay_delivery(self, id: str) -> Response:
        """POST /admin/deliveries/{id}/replay: send it again."""
        engine, identity, _ = self._authorize()
        count = engine.audit_log.record_with(
            identity,
            "replay",
            partial(delivery_admin.replay_delivery, engine.database, id, identity.tenant),
            kind="Delivery",
            resource=id[:200],
        )
        return json_response(202, {"replayed": count})

    def list_subscriptions(self) -> Response:
        """GET /admin/subscriptions: newest first, with the number of deliveries in each state."""
        engine, identity, parameters = self._authorize(*_SUBSCRIPTION_FILTERS, *PAGE_PARAMETERS)
        page = self._page(parameters)
        query = {"tenant": identity.tenant, **_subset(parameters, _SUBSCRIPTION_FILTERS)}
        collection = engine.database[subscriptions.COLLECTION]
        cursor = collection.find(query, _SUBSCRIPTION_PROJECTION).sort("created", DESCENDING)
        rows = list(cursor.skip(page.offset).limit(page.limit or 1))
        counts = delivery_admin.counts_by_subscription(
            engine.database, [row["_id"] for row in rows]
        )
        items = [_subscription_resource(row, counts.get(row["_id"], {})) for row in rows]
        return self._list_response(items, page, collection.count_documents(query))

    def replay_parked(self, id: str) -> Response:
        """POST /admin/subscriptions/{id}/replay: send all its parked deliveries again."""
        engine, identity, _ = self._authorize()
        count = engine.audit_log.record_with(
            identity,
            "replay",
            partial(delivery_admin.replay_parked, engine.database, id, identity.tenant),
            kind="Hub",
            resource=id[:200],
        )
        return json_response(202, {"replayed": count})

    def enable_subscription(self, id: str) -> Response:
        """POST /admin/subscriptions/{id}/enable: deliver to a disabled subscription again."""
        engine, identity, _ = self._authorize()
        engine.audit_log.record_with(
            identity,
            "enable",
            partial(delivery_admin.enable_subscription, engine.database, id, identity.tenant),
            kind="Hub",
            resource=id[:200],
        )
        return Response(status=204)

    def list_notifications(self) -> Response:
        """GET /admin/notifications: the events that the listeners received, newest first."""
        engine, identity, parameters = self._authorize(*_NOTIFICATION_FILTERS, *PAGE_PARAMETERS)
        page = self._page(parameters)
        query = {"tenant": identity.tenant, **_subset(parameters, _NOTIFICATION_FILTERS)}
        collection = engine.database[inbox.COLLECTION]
        cursor = collection.find(query, {"_id": 0, "tenant": 0}).sort("received", DESCENDING)
        rows = list(cursor.skip(page.offset).limit(page.limit or 1))
        inbox.open_bodies(rows, identity.tenant, engine.data_keys)
        for row in rows:
            row["body"] = self._visible(engine, identity, inbox.COLLECTION, row.get("body") or {})
        return self._list_response(
            [_json_document(row) for row in rows], page, collection.count_documents(query)
        )

    def list_schemas(self) -> Response:
        """GET /admin/schemas: every extension type."""
        engine, _, _ = self._authorize()
        types = engine.extension_registry.list()
        return json_response(200, [self._extension_resource(type) for type in types])

    def get_schema(self, type: str) -> Response:
        """GET /admin/schemas/{type}: the schema as it was sent."""
        engine, _, _ = self._authorize()
        return json_response(200, engine.extension_registry.get(type).schema)

    def put_schema(self, type: str) -> Response:
        """PUT /admin/schemas/{type}: register or replace an extension type."""
        engine, identity, _ = self._authorize()
        self._require_default_tenant(identity)
        media_type = bodies.media_type({name.lower(): value for name, value in request.headers})
        if media_type not in {bodies.JSON, "application/schema+json"}:
            raise UnsupportedMediaType(f"{media_type} is not accepted here; send {bodies.JSON}")
        schema = extensions.validated_schema(type, request.get_data(), self._context.contracts)
        if not engine.extension_registry.put(type, schema, identity):
            return json_response(200, schema)
        location = {"Location": f"{self._context.base_url()}/admin/schemas/{type}"}
        return json_response(201, schema, location)

    def delete_schema(self, type: str) -> Response:
        """DELETE /admin/schemas/{type}: resources of the type are not changed."""
        engine, identity, _ = self._authorize()
        self._require_default_tenant(identity)
        engine.extension_registry.delete(type, identity)
        return Response(status=204)

    def _require_default_tenant(self, identity: Identity) -> None:
        """Refuse administrators of other tenants, because all tenants share the types.

        Raises:
            Forbidden: The client's tenant is not the default tenant (HTTP 403).
        """
        if identity.tenant != self._context.settings.default_tenant:
            raise Forbidden(
                "extension types apply to all tenants; only administrators of the tenant "
                f"{self._context.settings.default_tenant} can change them"
            )

    def _extension_resource(self, extension_type: ExtensionType) -> Document:
        return {
            "type": extension_type.type,
            "href": f"{self._context.base_url()}/admin/schemas/{extension_type.type}",
            "baseType": extension_type.schema[extensions.BASE_TYPE_KEYWORD],
            "changed": _timestamp(extension_type.changed_at),
            "changedBy": extension_type.subject,
            "schema": extension_type.schema,
        }

    def _list_response(self, items: list[Document], page: Page, total: int) -> Response:
        if page.is_deep:
            page.check_depth(total)
        settings, items = self._context.settings, items[: page.limit]
        headers = {"X-Total-Count": str(total), "X-Result-Count": str(len(items))}
        result = PageResult(page=page, count=len(items), total=total)
        url = self._context.base_url() + request.path.rstrip("/")
        if link := paging.link_header(url, _query_pairs(), result, settings):
            headers["Link"] = link
        return json_response(paging.page_status(page, len(items), total, settings), items, headers)


_SUBSCRIPTION_PROJECTION = dict.fromkeys(
    (
        *("api", "version", "callback", "query", "subject", "parties"),
        *("created", "state", "reason", "lane.failures"),
    ),
    1,
)


def with_time_limit(context: PageContext, view: Callable[..., Response]) -> Callable[..., Response]:
    """Return a view with a limit on its database time and a response that is not cached."""

    @wraps(view)
    def limited_view(**arguments: str) -> Response:
        with pymongo.timeout(context.settings.query_time / 1000):
            response = view(**arguments)
        response.headers["Cache-Control"] = "no-store"
        return response

    return limited_view


def _query_pairs() -> list[Pair]:
    return parse_parameters(request.query_string.decode("ascii"))


def _query_parameters(allowed: Iterable[str]) -> dict[str, str]:
    """Return the query parameters.

    Raises:
        InvalidQuery: A parameter is unknown, repeated or too long (HTTP 400).
    """
    parameters: dict[str, str] = {}
    for name, value in _query_pairs():
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise InvalidQuery(f"unknown parameter {quoted(name)}; known: {known}")
        if name in parameters:
            raise InvalidQuery(f"{name} occurs more than once")
        if len(value) > _MAX_PARAMETER_LENGTH or "\0" in value:
            raise InvalidQuery(
                f"{name} has at most {_MAX_PARAMETER_LENGTH} characters, none of them NUL"
            )
        parameters[name] = value
    return parameters


def _subset(parameters: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: parameters[name] for name in names if name in parameters}


def json_response(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(orjson.dumps(value), status, headers, content_type="application/json")


def _json_document(row: Document) -> Document:
    """Return a stored document as JSON values, with its times as text."""
    return {name: _json_value(value) for name, value in row.items() if name != "fence"}


def _json_value(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, datetime):
        return _timestamp(value)
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    return _json_document(value) if isinstance(value, dict) else value


def _timestamp(instant: datetime) -> str:
    return rfc3339(instant if instant.tzinfo is None else instant.astimezone(UTC))


def _subscription_resource(row: Document, delivery_counts: Mapping[str, int]) -> Document:
    lane = row.pop("lane", {})
    counts = {name: delivery_counts.get(name, 0) for name in delivery_admin.DELIVERY_STATES}
    failures = lane.get("failures", 0)
    return _json_document({"id": row.pop("_id"), **row, "failures": failures, "deliveries": counts})
