"""Administration over HTTP: deliveries, subscriptions, the inbox, extension types.

Every path needs the scope ``admin`` and shows the token's own tenant only.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import orjson
import pymongo
from flask import Blueprint, Response, request
from pymongo import DESCENDING

from tmf_apis.console.office import Engine, Office
from tmf_apis.errors import Forbidden, InvalidQuery, NotFound, UnsupportedMediaType
from tmf_apis.events import admin as events
from tmf_apis.events import subscriptions
from tmf_apis.events.admin import Chosen
from tmf_apis.events.deliveries import COLLECTION as DELIVERIES
from tmf_apis.rest import bodies, extensions, paging
from tmf_apis.rest.filtering import Pair
from tmf_apis.rest.hub import INBOX
from tmf_apis.rest.law import rfc3339
from tmf_apis.rest.messages import Request
from tmf_apis.rest.paging import Page, Shown
from tmf_apis.rest.registry import Registered
from tmf_apis.security.identity import Identity

Document = dict[str, Any]

SCOPE = "admin"
#: Longest value of a parameter, in characters.
_LONGEST = 512
_PAGE = ("limit", "offset")
_HEARD = ("api", "version", "eventType", "eventId", "subject")


def blueprint(office: Office) -> Blueprint:
    """Return everything below ``/admin``."""
    pages = Blueprint("admin", __name__, url_prefix="/admin")
    counter = Counter(office)
    for path, method, view in (
        ("/deliveries", "GET", counter.deliveries),
        ("/deliveries/<id>", "GET", counter.delivery),
        ("/deliveries/<id>/replay", "POST", counter.replay),
        ("/subscriptions", "GET", counter.subscriptions),
        ("/subscriptions/<id>/replay", "POST", counter.replay_parked),
        ("/subscriptions/<id>/enable", "POST", counter.enable),
        ("/notifications", "GET", counter.notifications),
        ("/schemas", "GET", counter.schemas),
        ("/schemas/<type>", "GET", counter.schema),
        ("/schemas/<type>", "PUT", counter.put_schema),
        ("/schemas/<type>", "DELETE", counter.delete_schema),
    ):
        pages.add_url_rule(path, view.__name__, _bounded(office, view), methods=[method])
    return pages


class Counter:
    """Where administrators are served."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def _enter(self, *allowed: str) -> tuple[Engine, Identity, dict[str, str]]:
        """Return the engine, who asks, and the parameters, which are among those ``allowed``."""
        identity = self._office.identity([SCOPE])
        return self._office.engine(), identity, _parameters(allowed)

    def deliveries(self) -> Response:
        """GET /admin/deliveries: newest first, with their last attempts."""
        names = ("subscription", "state", "event", "type", "resource")
        engine, identity, given = self._enter(*names, *_PAGE)
        if given.get("state", "parked") not in events.STATES:
            raise InvalidQuery(f"state is one of {', '.join(events.STATES)}")
        page = paging.page(_only(given, _PAGE), (), self._office.settings)
        chosen = Chosen(tenant=identity.tenant, **_only(given, names))
        rows, total = events.deliveries(
            engine.database, chosen, limit=page.limit or 1, offset=page.offset
        )
        return self._list([_shown(row) for row in rows], page, total)

    def delivery(self, id: str) -> Response:
        """GET /admin/deliveries/{id}: one, with the notification as it is sent."""
        engine, identity, _ = self._enter()
        found = engine.database[DELIVERIES].find_one(
            {"_id": id, "tenant": identity.tenant}, {**events.VIEW, "payload": 1}
        )
        if found is None:
            raise NotFound(f"there is no delivery {id[:200]}")
        payload = orjson.loads(found.pop("payload"))
        return _json(200, _shown({"id": found.pop("_id"), **found, "body": payload}))

    def replay(self, id: str) -> Response:
        """POST /admin/deliveries/{id}/replay: send it again."""
        engine, identity, _ = self._enter()
        return _json(202, {"replayed": events.replay(engine.database, id, identity.tenant)})

    def subscriptions(self) -> Response:
        """GET /admin/subscriptions: every one of the tenant, and what waits for it."""
        engine, identity, given = self._enter("api", "version", "state", *_PAGE)
        page = paging.page(_only(given, _PAGE), (), self._office.settings)
        query = {"tenant": identity.tenant, **_only(given, ("api", "version", "state"))}
        collection = engine.database[subscriptions.COLLECTION]
        cursor = collection.find(query, _SUBSCRIPTION).sort("created", DESCENDING)
        rows = list(cursor.skip(page.offset).limit(page.limit or 1))
        waiting = events.by_subscription(engine.database, [row["_id"] for row in rows])
        total = collection.count_documents(query)
        shown = [_subscription(row, waiting.get(row["_id"], {})) for row in rows]
        return self._list(shown, page, total)

    def replay_parked(self, id: str) -> Response:
        """POST /admin/subscriptions/{id}/replay: send all that is parked again."""
        engine, identity, _ = self._enter()
        count = events.replay_parked(engine.database, id, identity.tenant)
        return _json(202, {"replayed": count})

    def enable(self, id: str) -> Response:
        """POST /admin/subscriptions/{id}/enable: let a disabled one receive again."""
        engine, identity, _ = self._enter()
        events.enable(engine.database, id, identity.tenant)
        return Response(status=204)

    def notifications(self) -> Response:
        """GET /admin/notifications: what other systems told, newest first."""
        engine, identity, given = self._enter(*_HEARD, *_PAGE)
        page = paging.page(_only(given, _PAGE), (), self._office.settings)
        query = {"tenant": identity.tenant, **_only(given, _HEARD)}
        collection = engine.database[INBOX]
        cursor = collection.find(query, {"_id": 0, "tenant": 0}).sort("received", DESCENDING)
        rows = list(cursor.skip(page.offset).limit(page.limit or 1))
        return self._list([_shown(row) for row in rows], page, collection.count_documents(query))

    def schemas(self) -> Response:
        """GET /admin/schemas: every extension type."""
        engine, _, _ = self._enter()
        return _json(200, [self._registered(one) for one in engine.registry.list()])

    def schema(self, type: str) -> Response:
        """GET /admin/schemas/{type}: the schema as it was sent."""
        engine, _, _ = self._enter()
        return _json(200, engine.registry.get(type).schema)

    def put_schema(self, type: str) -> Response:
        """PUT /admin/schemas/{type}: register an extension type, or change it."""
        engine, identity, _ = self._enter()
        self._keeper(identity)
        kind = bodies.media_type({name.lower(): value for name, value in request.headers})
        if kind not in {bodies.JSON, "application/schema+json"}:
            raise UnsupportedMediaType(f"{kind} is not accepted here; send {bodies.JSON}")
        schema = extensions.checked(type, request.get_data(), self._office.contracts)
        new = engine.registry.put(type, schema, identity.subject)
        location = {"Location": f"{self._office.base()}/admin/schemas/{type}"}
        return _json(201, schema, location) if new else _json(200, schema)

    def delete_schema(self, type: str) -> Response:
        """DELETE /admin/schemas/{type}: resources of the type stay as they are."""
        engine, identity, _ = self._enter()
        self._keeper(identity)
        engine.registry.delete(type)
        return Response(status=204)

    def _keeper(self, identity: Identity) -> None:
        """Refuse another tenant's administrator: the types are those of the whole server."""
        if identity.tenant != self._office.settings.default_tenant:
            raise Forbidden(
                "extension types hold for every tenant; the server's own, "
                f"{self._office.settings.default_tenant}, changes them"
            )

    def _registered(self, one: Registered) -> Document:
        return {
            "type": one.type,
            "href": f"{self._office.base()}/admin/schemas/{one.type}",
            "baseType": one.schema[extensions.BASE],
            "changed": _time(one.changed),
            "changedBy": one.subject,
            "schema": one.schema,
        }

    def _list(self, items: list[Document], page: Page, total: int) -> Response:
        items = items[: page.limit]
        headers = {"X-Total-Count": str(total), "X-Result-Count": str(len(items))}
        shown = Shown(page=page, count=len(items), total=total)
        url = self._office.base() + request.path.rstrip("/")
        if link := paging.link_header(url, _pairs(), shown, self._office.settings):
            headers["Link"] = link
        return _json(paging.status(page, len(items), total, self._office.settings), items, headers)


_SUBSCRIPTION = dict.fromkeys(
    (
        *("api", "version", "callback", "query", "subject", "parties"),
        *("created", "state", "reason", "lane.failures"),
    ),
    1,
)


def _bounded(office: Office, view: Callable[..., Response]) -> Callable[..., Response]:
    """Return a view whose database work ends in time and whose answer is never kept."""

    @wraps(view)
    def bounded(**arguments: str) -> Response:
        with pymongo.timeout(office.settings.query_time / 1000):
            response = view(**arguments)
        response.headers["Cache-Control"] = "no-store"
        return response

    return bounded


def _pairs() -> list[Pair]:
    query = request.query_string.decode("ascii")
    return Request("GET", "", "", query, {}, b"", Identity("", "")).parameters()


def _parameters(allowed: Iterable[str]) -> dict[str, str]:
    """Return the query parameters.

    Raises:
        InvalidQuery: One is not known, given twice, or too long (HTTP 400).
    """
    given: dict[str, str] = {}
    for name, value in _pairs():
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise InvalidQuery(f"unknown parameter {name[:80]!r}; known: {known}")
        if name in given:
            raise InvalidQuery(f"{name} is given twice")
        if len(value) > _LONGEST or "\0" in value:
            raise InvalidQuery(f"{name} has up to {_LONGEST} characters, none of them NUL")
        given[name] = value
    return given


def _only(given: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: given[name] for name in names if name in given}


def _json(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, content_type="application/json")


def _shown(row: Document) -> Document:
    """Return a document with its times as text."""
    return {name: _value(value) for name, value in row.items() if name != "fence"}


def _value(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, list):
        return [_value(item) for item in value]
    return _shown(value) if isinstance(value, dict) else value


def _time(moment: datetime) -> str:
    return rfc3339(moment if moment.tzinfo is None else moment.astimezone(UTC))


def _subscription(row: Document, waiting: Mapping[str, int]) -> Document:
    lane = row.pop("lane", {})
    counts = {name: waiting.get(name, 0) for name in events.STATES}
    failures = lane.get("failures", 0)
    return _shown({"id": row.pop("_id"), **row, "failures": failures, "deliveries": counts})
