"""The Flask application of all paths that no contract has: the pages and the administration.

The body of a request is read completely before Flask handles it, so that a slow client does not
occupy a thread.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, g, request
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from tmf_apis.audit_log.recorder import is_recorded_refusal
from tmf_apis.console import (
    admin,
    audit_log,
    contract_pages,
    fulfilment_tasks,
    index,
    lifecycles,
    privacy_admin,
)
from tmf_apis.console.page_context import PageContext
from tmf_apis.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    TmfError,
    TooLarge,
    UnsupportedMediaType,
    UriTooLong,
    shortened,
)
from tmf_apis.rest.http.asgi import (
    ClientDisconnected,
    Receive,
    Scope,
    Send,
    read_body,
    send_response,
)
from tmf_apis.rest.http.headers import request_headers
from tmf_apis.rest.http.messages import error_response
from tmf_apis.security.request_origin import current_origin
from tmf_apis.store.connection import tmf_error

log = logging.getLogger(__name__)

#: No content from other origins, no inline script or style, no framing. Images may be data URLs,
#: because Swagger UI contains its icons in this form.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ERRORS_BY_STATUS: Mapping[int, type[TmfError]] = {
    error.status: error
    for error in (BadRequest, NotFound, MethodNotAllowed, TooLarge, UnsupportedMediaType)
}
_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class ConsoleApplication:
    """An ASGI application around the Flask application."""

    def __init__(self, context: PageContext) -> None:
        """Create the application.

        Args:
            context: The context of the pages.
        """
        self._settings = context.settings
        app: Any = create_flask_app(context)
        self._app: Any = WSGIMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read_request_body(scope, receive)
        except TmfError as error:
            await send_response(send, error_response(error), head=scope["method"] == "HEAD")
        except ClientDisconnected:
            return
        else:
            await self._app(scope, _body_receiver(body), send)

    async def _read_request_body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self._settings.uri_limit
        if len(scope["query_string"]) + len(scope["path"]) > limit:
            raise UriTooLong(f"path and query are longer than {limit} bytes")
        if not scope["query_string"].isascii():
            raise BadRequest("the query string has bytes that are not ASCII")
        headers = request_headers(scope["headers"])
        if scope["method"] in _METHODS_WITHOUT_BODY:
            return b""
        return await read_body(headers, receive, self._settings)


def create_flask_app(context: PageContext) -> Flask:
    """Return the Flask application."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    app.register_error_handler(TmfError, _tmf_error_response)
    app.register_error_handler(HTTPException, _http_error_response)
    app.register_error_handler(PyMongoError, _database_error_response)
    app.register_error_handler(Exception, _unexpected_error_response)
    app.before_request(partial(_check_host, context))
    app.after_request(_set_security_headers)
    app.after_request(partial(_record_refusal, context))
    for blueprint in (
        index.blueprint(context),
        contract_pages.blueprint(context),
        lifecycles.blueprint(context),
        admin.blueprint(context),
        audit_log.blueprint(context),
        fulfilment_tasks.blueprint(context),
        privacy_admin.blueprint(context),
    ):
        app.register_blueprint(blueprint)
    return app


def _check_host(context: PageContext) -> None:
    """Refuse a request whose Host header is not a host and port.

    Raises:
        BadRequest: The Host header is not a host and port (HTTP 400).
    """
    context.base_url()


def _body_receiver(body: bytes) -> Callable[[], Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _set_security_headers(response: Response) -> Response:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _record_refusal(context: PageContext, response: Response) -> Response:
    """Add a refused request of the administration to the audit log."""
    identity, status = g.get("identity"), response.status_code
    if (
        request.path.startswith("/admin")
        and (engine := context.readiness.engine) is not None
        and is_recorded_refusal(request.method, status, identity)
    ):
        operation = f"{request.method} {request.url_rule or '/admin'}"
        engine.refusal_recorder.count_refusal(current_origin.get(), identity, operation, status)
    return response


def _tmf_error_response(error: TmfError) -> Response:
    response = error_response(error)
    return Response(
        response.body, response.status, response.headers, content_type=response.media_type
    )


def _http_error_response(error: HTTPException) -> Response:
    """Return the response to an error that Flask raised, with the body of TMF630."""
    if error.response is not None or (error.code or 500) < 400:  # noqa: PLR2004 - a redirect
        return error.get_response()  # type: ignore[return-value]
    if error.code == MethodNotAllowed.status:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        message = f"{request.method} is not possible here; allowed: {allowed}"
        return _tmf_error_response(MethodNotAllowed(message, headers={"Allow": allowed}))
    if error.code == NotFound.status:
        return _tmf_error_response(NotFound(f"there is nothing at {shortened(request.path)}"))
    error_class = _ERRORS_BY_STATUS.get(error.code or 500)
    if error_class is None:
        return _unexpected_error_response(error)
    return _tmf_error_response(error_class(str(error.description)[:200]))


def _database_error_response(error: PyMongoError) -> Response:
    translated = tmf_error(error)
    return _tmf_error_response(translated) if translated else _unexpected_error_response(error)


def _unexpected_error_response(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error, extra={"path": request.path})
    return _tmf_error_response(TmfError())
