"""The Flask application of every path that no contract has: pages for people, administration.

Bodies are read whole before Flask sees them, so that a slow client holds no thread.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, request
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from tmf_apis.console import admin, browsable, index, states
from tmf_apis.console.office import Office
from tmf_apis.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    TmfError,
    TooLarge,
    UnsupportedMediaType,
    UriTooLong,
)
from tmf_apis.rest.contracts import Contract
from tmf_apis.rest.messages import error_response
from tmf_apis.rest.routing import ClientGone, Receive, Scope, Send, send_response, whole_body
from tmf_apis.security.tokens import Gate
from tmf_apis.settings import Settings
from tmf_apis.store.connection import translation

log = logging.getLogger(__name__)

#: Nothing from elsewhere, no script or style inside a page, no framing. Swagger UI and its style
#: sheet carry their icons as data URLs.
_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_BY_STATUS: Mapping[int, type[TmfError]] = {
    error.status: error
    for error in (BadRequest, NotFound, MethodNotAllowed, TooLarge, UnsupportedMediaType)
}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class Pages:
    """An ASGI application around Flask.

    Attributes:
        office: What the pages show and work on; its ``application`` is set once there is one.
    """

    def __init__(
        self, settings: Settings, contracts: list[Contract], gate: Gate, folder: Path
    ) -> None:
        """Make the pages.

        Args:
            settings: Limits, and the URL that clients use.
            contracts: The APIs.
            gate: Tells who asks.
            folder: Where the contracts' files are.
        """
        self._settings = settings
        self.office = Office(settings, contracts, gate)
        app: Any = flask_application(self.office, folder)
        self._app: Any = WSGIMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except TmfError as error:
            await send_response(send, error_response(error), head=scope["method"] == "HEAD")
        except ClientGone:
            return
        else:
            await self._app(scope, _once(body), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self._settings.uri_limit
        if len(scope["query_string"]) + len(scope["path"]) > limit:
            raise UriTooLong(f"path and query are longer than {limit} bytes")
        if not scope["query_string"].isascii():
            raise BadRequest("the query string has bytes that are not ASCII")
        if scope["method"] in _BODILESS:
            return b""
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        return await whole_body(headers, receive, self._settings.body_limit)


def flask_application(office: Office, folder: Path) -> Flask:
    """Return the Flask application."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    app.register_error_handler(TmfError, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(PyMongoError, _database)
    app.register_error_handler(Exception, _unexpected)
    app.before_request(_ignoring(office.base))
    app.after_request(_guarded)
    for blueprint in (
        index.blueprint(office),
        browsable.blueprint(office, folder),
        states.blueprint(office),
        admin.blueprint(office),
    ):
        app.register_blueprint(blueprint)
    return app


def _ignoring(check: Callable[[], object]) -> Callable[[], None]:
    """Return a check whose result is not an answer."""

    def checked() -> None:
        check()

    return checked


def _once(body: bytes) -> Callable[[], Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _guarded(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _refused(error: TmfError) -> Response:
    made = error_response(error)
    return Response(made.body, made.status, made.headers, content_type=made.media_type)


def _http(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, in the one form that errors have."""
    if error.response is not None or (error.code or 500) < 400:  # noqa: PLR2004 - a redirect
        return error.get_response()  # type: ignore[return-value]
    if error.code == MethodNotAllowed.status:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        text = f"{request.method} is not possible here; allowed: {allowed}"
        return _refused(MethodNotAllowed(text, headers={"Allow": allowed}))
    if error.code == NotFound.status:
        return _refused(NotFound(f"there is nothing at {request.path[:200]}"))
    kind = _BY_STATUS.get(error.code or 500)
    return _refused(kind(str(error.description)[:200])) if kind else _unexpected(error)


def _database(error: PyMongoError) -> Response:
    meaning = translation(error)
    return _refused(meaning) if meaning else _unexpected(error)


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error, extra={"path": request.path})
    return _refused(TmfError())
