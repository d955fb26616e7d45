"""Routing of requests to the operations of the contracts, which run in a thread pool.

``ContractRoutingMiddleware`` replaces connexion's routing, security, validation and exception
middlewares. These rebuild decorators and pass a request between threads several times; measured,
that took three quarters of the time of a read. connexion's ``Specification`` and
``ConnexionMiddleware`` are still used: they load and check each contract and call ``add_api``.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connexion.middleware.abstract import SpecMiddleware
from connexion.spec import Specification
from pymongo.errors import PyMongoError

from tmf_apis.errors import (
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    RequestTimeout,
    TmfError,
    TooLarge,
    Unavailable,
    UriTooLong,
)
from tmf_apis.rest.http.headers import request_headers
from tmf_apis.rest.http.messages import Request, Response, error_response
from tmf_apis.security.csrf import reject_cross_site
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import current_origin
from tmf_apis.settings import Settings
from tmf_apis.store.connection import tmf_error

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
OperationDispatcher = Callable[[str, Request], Response]
ResponseReporter = Callable[[str, str, int, Request | None], None]

log = logging.getLogger(__name__)

#: Largest part of a response that is given to the connection at once, in bytes. The next part
#: follows when the client has accepted most of it.
_PART_SIZE = 65_536
#: Names below the mount path of a contract that the console serves.
PAGE_NAMES = frozenset({"", "docs", "openapi.json", "openapi.yaml"})
#: Most requests that wait for a thread or use one; further requests are refused with 503.
_MAX_QUEUED_REQUESTS = 2000
#: A valid Host header: host and optional port.
HOST_PATTERN = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)
#: The parameter of a media range that the client does not accept.
_ZERO_QUALITY = re.compile(r"q\s*=\s*0(\.0*)?")
_ANONYMOUS = Identity("anonymous", "")
_METHODS = ("get", "post", "put", "patch", "delete")
#: Headers of every response. A browser neither guesses another media type nor tells other sites the
#: URL. Only the client itself may store a response, and it revalidates it with ``If-None-Match``.
_COMMON_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-cache"),
)


class ContractRoutingMiddleware(SpecMiddleware):  # type: ignore[misc]
    """Routes requests to operations, runs them in threads and sends their responses."""

    def __init__(
        self,
        app: Any,  # noqa: ANN401
        *,
        dispatch: OperationDispatcher,
        settings: Settings,
        observe: Callable[..., None],
        report: ResponseReporter = lambda *_: None,
    ) -> None:
        """Create the middleware; ``add_api`` adds the contracts.

        Args:
            app: The ASGI application for paths that no contract has (pages, administration).
            dispatch: Called in a thread with the name of the operation and the request; returns
                the response.
            settings: The limits of requests.
            observe: Called after each response with operation, method, status and seconds.
            report: Called after each error response with operation, method, status and request;
                without the request if it was refused before it was read.
        """
        self.app = app
        self._dispatch = dispatch
        self._settings = settings
        self._observe = observe
        self._report = report
        self._routes: dict[str, dict[str, str]] = {}
        self._bulk_operations: dict[str, str] = {}
        self._prefixes: list[str] = []
        self._page_paths: set[str] = set()
        self._executor = ThreadPoolExecutor(settings.threads, thread_name_prefix="request")
        self._queued_requests = 0

    def add_api(self, specification: Specification, *, base_path: str, **_: object) -> None:
        """Add the operations of a contract below one of its mount paths."""
        self._prefixes.append(f"{base_path}/")
        self._page_paths.update(f"{base_path}/{name}" for name in PAGE_NAMES)
        for path, methods in specification["paths"].items():
            for method, operation in methods.items():
                if method in _METHODS:
                    routes = self._routes.setdefault(base_path + path, {})
                    routes[method.upper()] = operation["x-operation"]
            if bulk := methods.get("x-bulk"):
                self._bulk_operations[base_path + path] = bulk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the path of a contract; pass all others to the next application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        route, id = self._find_route(path)
        if route is None and self._is_outside_contracts(path):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        name, request = "", None
        try:
            name = self._operation_name(route, scope, path)
            request = await self._read_request(scope, receive, id)
            response = await self._run_in_thread(name, request)
        except TmfError as error:
            response = error_response(error)
        except ClientDisconnected:
            return
        await send_response(send, response, head=scope["method"] == "HEAD")
        self._observe(name, scope["method"], response.status, time.perf_counter() - started)
        if response.status >= BadRequest.status:
            self._report(name, scope["method"], response.status, request)

    def _is_outside_contracts(self, path: str) -> bool:
        """Return whether a path without an operation belongs to the next application."""
        return path in self._page_paths or not path.startswith(tuple(self._prefixes))

    def _find_route(self, path: str) -> tuple[Mapping[str, str] | None, str]:
        if len(path) > 1 and path[-1] == "/":
            path = path[:-1]
        if (route := self._routes.get(path)) is not None:
            return route, ""
        collection, _, id = path.rpartition("/")
        return self._routes.get(collection + "/{id}"), id

    def _operation_name(self, route: Mapping[str, str] | None, scope: Scope, path: str) -> str:
        method = scope["method"]
        if route is None:
            raise NotFound(f"no contract has the path {path[:200]}")
        name = route.get("GET" if method == "HEAD" else method)
        if name is None and method == "PATCH" and _is_json_patch(scope):
            name = self._bulk_operations.get(path.rstrip("/"))
        if name is None:
            allowed = ", ".join(sorted({*route, *({"HEAD"} if "GET" in route else ())}))
            raise MethodNotAllowed(
                f"{path[:200]} does not support {method}; allowed: {allowed}",
                headers={"Allow": allowed},
            )
        return name

    async def _read_request(self, scope: Scope, receive: Receive, id: str) -> Request:
        query = scope["query_string"]
        if len(query) + len(scope["path"]) > self._settings.uri_limit:
            raise UriTooLong(f"path and query are longer than {self._settings.uri_limit} bytes")
        headers = request_headers(scope["headers"])
        if (accept := headers.get("accept")) and scope["method"] != "DELETE":
            _require_json(accept)
        if self._settings.auth == "off":
            reject_cross_site(scope["method"], headers, self._settings.public_url)
        body = b""
        if scope["method"] not in {"GET", "HEAD"}:
            body = await read_body(headers, receive, self._settings)
        return Request(
            scope["method"],
            self._base_url(scope, headers),
            scope["path"],
            query.decode("latin-1"),
            headers,
            body,
            _ANONYMOUS,
            id,
            current_origin.get(),
        )

    def _base_url(self, scope: Scope, headers: Mapping[str, str]) -> str:
        if self._settings.public_url:
            return self._settings.public_url.rstrip("/")
        host = headers.get("host", "localhost")
        if not HOST_PATTERN.fullmatch(host):
            raise BadRequest("the Host header is not a host and port")
        return f"{scope['scheme']}://{host}"

    async def _run_in_thread(self, name: str, request: Request) -> Response:
        if self._queued_requests >= _MAX_QUEUED_REQUESTS:
            raise Unavailable("too many requests at once", headers={"Retry-After": "1"})
        self._queued_requests += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, self._dispatch_safely, name, request)
        finally:
            self._queued_requests -= 1

    def _dispatch_safely(self, name: str, request: Request) -> Response:
        current_origin.set(request.origin)  # threads of a pool do not inherit it
        try:
            return self._dispatch(name, request)
        except TmfError as error:
            return error_response(error)
        except PyMongoError as error:
            if translated := tmf_error(error):
                return error_response(translated)
            log.exception("unexpected error", extra={"operation": name, "path": request.path})
            return error_response(TmfError())
        except Exception:
            log.exception("unexpected error", extra={"operation": name, "path": request.path})
            return error_response(TmfError())


class ClientDisconnected(Exception):
    """The client disconnected before its request was complete."""


async def read_body(headers: Mapping[str, str], receive: Receive, settings: Settings) -> bytes:
    """Return the body of a request.

    Args:
        headers: By lower-case name.
        receive: Returns the next ASGI message.
        settings: The limits of size and time.

    Raises:
        TooLarge: The body has more than ``body_limit`` bytes (HTTP 413).
        RequestTimeout: The body did not arrive in time (HTTP 408).
        ClientDisconnected: The client disconnected.
    """
    limit, seconds = settings.body_limit, settings.body_seconds
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge(f"the body has {length} bytes; at most {limit} are allowed")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnected
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise TooLarge(f"the body has more than {limit} bytes")
                chunks.append(chunk)
                if not message.get("more_body"):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {seconds:g} seconds") from None


def _require_json(accept: str) -> None:
    """Refuse a client that does not accept JSON.

    Source: RFC 9110, section 12.5.1.

    Raises:
        NotAcceptable: No media range of ``accept`` covers application/json (HTTP 406).
    """
    if accept in {"*/*", "application/json"}:
        return
    for media_range in accept.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        is_refused = any(_ZERO_QUALITY.fullmatch(parameter) for parameter in parameters)
        covers_json = name in {"*/*", "application/*"} or "json" in name
        if covers_json and not is_refused:
            return
    raise NotAcceptable(f"responses are application/json, which Accept {accept[:100]!r} excludes")


async def send_response(send: Send, response: Response, *, head: bool = False) -> None:
    """Send a response; to ``head`` requests without its body."""
    headers = [
        (name.lower().encode(), value.encode("latin-1", "replace"))
        for name, value in response.headers.items()
    ]
    if response.body:
        headers.append((b"content-type", response.media_type.encode()))
    if response.status not in {204, 304}:
        headers.append((b"content-length", str(len(response.body)).encode()))
    headers += _COMMON_HEADERS
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if head else response.body
    for start in range(0, len(body) - _PART_SIZE, _PART_SIZE):
        part = body[start : start + _PART_SIZE]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": body[_last_part(len(body)) :]})


def _last_part(size: int) -> int:
    """Return where the last part of a body starts.

    >>> _last_part(0), _last_part(65_536), _last_part(65_537)
    (0, 0, 65536)
    """
    return max(0, size - 1) // _PART_SIZE * _PART_SIZE


def _is_json_patch(scope: Scope) -> bool:
    media_type = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0]
    return bool(media_type.strip().lower() == b"application/json-patch+json")


def routing_document(
    document: Mapping[str, Any],
    operation_names: Mapping[tuple[str, str], str],
    bulk_names: Mapping[str, str],
) -> dict[str, Any]:
    """Return the part of a contract that routing needs: paths and operation names.

    connexion checks and resolves the document that it receives, which takes half a second for a
    whole contract; the tests check the whole contracts.

    Args:
        document: The OpenAPI document.
        operation_names: (method, path) -> name of the operation in this server, including paths
            that the document does not have (monitors).
        bulk_names: Path of each collection -> name of its bulk operation.
    """
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                paths.setdefault(path, {})[method] = {
                    "operationId": operation["operationId"],
                    "x-operation": operation_names[method.upper(), path],
                    "responses": {"default": {"description": "see the contract"}},
                }
    for (method, path), name in operation_names.items():
        if path not in document["paths"]:
            paths.setdefault(path, {})[method.lower()] = {
                "operationId": f"{method.lower()}{path}",
                "x-operation": name,
                "responses": {"default": {"description": "see the documentation"}},
            }
    for path, name in bulk_names.items():
        paths[path]["x-bulk"] = name
    return {"openapi": document["openapi"], "info": document["info"], "paths": paths}
