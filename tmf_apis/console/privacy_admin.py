"""Privacy over HTTP: export and erasure of customers.

Every path requires the scopes ``admin`` and ``pii``, and the operator's own staff.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import orjson
import pymongo
from flask import Blueprint, Response, request

from tmf_apis.console.admin import SCOPE
from tmf_apis.console.page_context import Engine, PageContext
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.http import bodies
from tmf_apis.security.identity import PERSONAL_DATA_SCOPE, Identity

#: Time limit of an erasure or export in the database, in seconds.
_TIME_LIMIT = 120.0


def blueprint(context: PageContext) -> Blueprint:
    """Return the routes below ``/admin/privacy``."""
    pages = Blueprint("privacy", __name__, url_prefix="/admin/privacy")
    views = PrivacyViews(context)
    for path, method, view in (
        ("/customers/<id>", "GET", views.export),
        ("/erasures", "POST", views.erase),
        ("/erasures/<id>", "GET", views.get_certificate),
    ):
        pages.add_url_rule(path, view.__name__, _with_time_limit(view), methods=[method])
    return pages


class PrivacyViews:
    """The views of the privacy functions."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def _authorize(self) -> tuple[Engine, Identity]:
        identity = self._context.authorize([SCOPE, PERSONAL_DATA_SCOPE])
        return self._context.readiness.require_engine(), identity

    def export(self, id: str) -> Response:
        """GET /admin/privacy/customers/{id}: everything that is stored about a customer."""
        engine, identity = self._authorize()
        engine.audit_log.record(identity, "exportPersonalData", kind="Customer", resource=id)
        export = engine.privacy.export(identity.tenant, id, self._context.base_url())
        return _json_response(200, export)

    def erase(self) -> Response:
        """POST /admin/privacy/erasures {"customer": id}: erase it; 201 with the certificate."""
        engine, identity = self._authorize()
        body = bodies.parse(request.get_data(), self._context.settings)
        customer = body.get("customer") if isinstance(body, dict) else None
        if not isinstance(customer, str) or not customer:
            raise InvalidBody("/customer: expected the id of a customer")
        engine.audit_log.record(
            identity, "erasePersonalData", kind="Customer", resource=customer[:256]
        )
        certificate = engine.privacy.erasure.erase(identity.tenant, customer, identity.subject)
        response = _json_response(201, certificate)
        location = f"{self._context.base_url()}/admin/privacy/erasures/{certificate['id']}"
        response.headers["Location"] = location
        return response

    def get_certificate(self, id: str) -> Response:
        """GET /admin/privacy/erasures/{id}: the certificate of an erasure."""
        engine, identity = self._authorize()
        return _json_response(200, engine.privacy.erasure.certificate(identity.tenant, id))


def _json_response(status: int, value: Mapping[str, Any]) -> Response:
    response = Response(orjson.dumps(value, default=str), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _with_time_limit(view: Callable[..., Response]) -> Callable[..., Response]:
    @wraps(view)
    def limited_view(**arguments: str) -> Response:
        with pymongo.timeout(_TIME_LIMIT):
            return view(**arguments)

    return limited_view
