"""Routing of requests to the operations of the contracts, which run in a thread pool.

``ContractRoutingMiddleware`` replaces connexion's routing, security, validation and exception
middlewares. These rebuild decorators and pass a request between threads several times; measured,
that took three quarters of the time of a read. connexion's ``Specification`` and
``ConnexionMiddleware`` are still used: they load and check each contract and call ``add_api``.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from connexion.middleware.abstract import SpecMiddleware
from connexion.spec import Specification
from pymongo.errors import PyMongoError

from tmf_apis.errors import (
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    TmfError,
    UriTooLong,
    quoted,
    shortened,
)
from tmf_apis.rest.http import bulk
from tmf_apis.rest.http.access_log import ACCESS_RECORD
from tmf_apis.rest.http.asgi import (
    ClientDisconnected,
    Receive,
    Scope,
    Send,
    read_body,
    send_response,
)
from tmf_apis.rest.http.fair_pool import FairThreadPool, Origin, PoolLimits
from tmf_apis.rest.http.headers import request_headers
from tmf_apis.rest.http.messages import Request, Response, error_response
from tmf_apis.rest.pipeline.patching import ACCEPT_PATCH
from tmf_apis.security.csrf import reject_cross_site
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import current_origin
from tmf_apis.settings import Settings
from tmf_apis.store.connection import tmf_error

OperationDispatcher = Callable[[str, Request], Response]
ResponseReporter = Callable[[str, str, int, Request | None], None]

log = logging.getLogger(__name__)

#: Names below the mount path of a contract that the console serves.
PAGE_NAMES = frozenset({"", "docs", "openapi.json", "openapi.yaml"})
#: Most requests that wait for a thread; further requests are refused with 503.
_MAX_QUEUED_REQUESTS = 2000
#: Member of the scope with the tenant and client that a request counts for.
ACCOUNT = "tmf_apis.account"
_NO_ACCOUNT = ("", "")
#: Parameters of lists that use an index, and the length up to which their values are cheap: two
#: digits of a limit, four of an offset.
_CHEAP_PARAMETERS = {
    b"limit": 2, b"offset": 4, b"fields": 8192, b"after": 8192, b"before": 8192
}  # fmt: skip
#: The default size of a page: clients that name it get what those get that do not.
_DEFAULT_LIMIT = b"limit=100"
#: A valid Host header: host and optional port.
HOST_PATTERN = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)
#: The parameter of a media range that the client does not accept.
_ZERO_QUALITY = re.compile(r"q\s*=\s*0(\.0*)?")
_ANONYMOUS = Identity("anonymous", "")
#: A path whose last segment has an encoded slash; a slash may end the path.
_ENCODED_SLASH = re.compile(rb"([^%?]*)/([^/?]*%2[Ff][^/?]*)/?(?:\?.*)?", re.DOTALL)
_METHODS = ("get", "post", "put", "patch", "delete")


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
        self._prefixes: list[str] = []
        self._page_paths: set[str] = set()
        self._pool = FairThreadPool(_pool_limits(settings))

    def add_api(self, specification: Specification, *, base_path: str, **_: object) -> None:
        """Add the operations of a contract below one of its mount paths."""
        self._prefixes.append(f"{base_path}/")
        self._page_paths.update(f"{base_path}/{name}" for name in PAGE_NAMES)
        for path, methods in specification["paths"].items():
            for method, operation in methods.items():
                if method in _METHODS:
                    routes = self._routes.setdefault(base_path + path, {})
                    routes[method.upper()] = operation["x-operation"]
            if bulk_name := methods.get("x-bulk"):
                self._routes[base_path + path]["PATCH"] = bulk_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the path of a contract; pass all others to the next application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        route, id = self._find_route(path, scope.get("raw_path") or b"")
        if route is None and self._is_outside_contracts(path):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        name, request = "", None
        try:
            if scope["method"] == "OPTIONS" and route is not None:
                await send_response(send, _options_response(route, is_collection=not id))
                return
            name = self._operation_name(route, scope, path)
            request = await self._read_request(scope, receive, id)
            origin = self._origin(scope, id)
            response = await self._pool.run(origin, self._dispatch_safely, name, request)
        except TmfError as error:
            response = error_response(error)
        except ClientDisconnected:
            return
        if (record := scope.get(ACCESS_RECORD)) is not None:
            record.operation = name
            record.identity = request.identity if request else None
        await send_response(send, response, head=scope["method"] == "HEAD")
        self._observe(name, scope["method"], response.status, time.perf_counter() - started)
        if response.status >= BadRequest.status:
            self._report(name, scope["method"], response.status, request)

    def _is_outside_contracts(self, path: str) -> bool:
        """Return whether a path without an operation belongs to the next application."""
        return path in self._page_paths or not path.startswith(tuple(self._prefixes))

    def _find_route(self, path: str, raw_path: bytes) -> tuple[Mapping[str, str] | None, str]:
        """Return the methods of a path and the id in it; the id may have an encoded slash."""
        if b"%2" in raw_path and (encoded := _ENCODED_SLASH.fullmatch(raw_path)):
            collection, id = (unquote(part.decode("latin-1")) for part in encoded.groups())
            return self._routes.get(collection + "/{id}"), id
        if len(path) > 1 and path[-1] == "/":
            path = path[:-1]
        if (route := self._routes.get(path)) is not None:
            return route, ""
        collection, _, id = path.rpartition("/")
        return self._routes.get(collection + "/{id}"), id

    def _operation_name(self, route: Mapping[str, str] | None, scope: Scope, path: str) -> str:
        method = scope["method"]
        if route is None:
            raise NotFound(f"no contract has the path {shortened(path, 200)}")
        name = route.get("GET" if method == "HEAD" else method)
        if name is None:
            allowed = _allowed_methods(route)
            raise MethodNotAllowed(
                f"{shortened(path, 200)} does not support {shortened(method)}; allowed: {allowed}",
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

    def _origin(self, scope: Scope, id: str) -> Origin:
        tenant, client = scope.get(ACCOUNT, _NO_ACCOUNT)
        query = scope["query_string"]
        return Origin(tenant, client, is_search=bool(query) and not id and is_search(query))

    def _base_url(self, scope: Scope, headers: Mapping[str, str]) -> str:
        if self._settings.public_url:
            return self._settings.public_url.rstrip("/")
        host = headers.get("host", "localhost")
        if not HOST_PATTERN.fullmatch(host):
            raise BadRequest("the Host header is not a host and port")
        return f"{scope['scheme']}://{host}"

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


def _pool_limits(settings: Settings) -> PoolLimits:
    return PoolLimits(
        threads=settings.threads,
        search_threads=min(settings.search_threads, settings.threads),
        contended_threads=min(settings.contended_threads, settings.threads),
        waiting=_MAX_QUEUED_REQUESTS,
        seconds=settings.queue_seconds,
    )


def is_search(query_string: bytes) -> bool:
    """Return whether a query string of a list makes the database search, sort, skip or read much.

    >>> is_search(b"limit=20&fields=name"), is_search(b"limit=5&offset=20000"), is_search(b"a=1")
    (False, True, True)
    >>> is_search(b"limit=100"), is_search(b"limit=999")
    (False, True)
    """
    for parameter in query_string.split(b"&"):
        if parameter == _DEFAULT_LIMIT:
            continue
        name, _, value = parameter.partition(b"=")
        if len(value) > _CHEAP_PARAMETERS.get(name, -1):
            return True
    return False


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
    raise NotAcceptable(
        f"responses are application/json, which Accept {quoted(accept, 100)} excludes"
    )


def _allowed_methods(route: Mapping[str, str]) -> str:
    """Return the value of ``Allow``: the methods that work at a path.

    >>> _allowed_methods({"GET": "listCategory", "PATCH": "bulk category"})
    'GET, HEAD, OPTIONS, PATCH'
    """
    return ", ".join(sorted({*route, "OPTIONS", *({"HEAD"} if "GET" in route else ())}))


def _options_response(route: Mapping[str, str], *, is_collection: bool) -> Response:
    """Return the response to OPTIONS: the methods of a path (RFC 9110, section 9.3.7)."""
    headers = {"Allow": _allowed_methods(route)}
    if "PATCH" in route:
        headers["Accept-Patch"] = ", ".join(bulk.ACCEPT_PATCH if is_collection else ACCEPT_PATCH)
    return Response(204, headers=headers)


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
