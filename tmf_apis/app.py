"""The ASGI application: health, metrics, the operations of every contract, and the pages.

It connects the operations of ``rest`` to the engine; ``web`` creates it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from connexion.middleware import ConnexionMiddleware
from prometheus_client import CONTENT_TYPE_LATEST

from tmf_apis.audit_log.recorder import is_recorded_refusal
from tmf_apis.capacity.collector import CapacityCollector
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.errors import (
    BadRequest,
    Forbidden,
    TmfError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from tmf_apis.events.backlog import BacklogMonitor
from tmf_apis.events.inbox import Inbox
from tmf_apis.events.signatures import SENDER_HEADER, sender_id, server_key
from tmf_apis.fault_management.collector import NotificationsCollector, UnreachableElementsCollector
from tmf_apis.health import Check, Health, HealthCollector
from tmf_apis.metrics import Metrics
from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.contracts.served_document import bulk_operations
from tmf_apis.rest.http import dry_runs, monitors
from tmf_apis.rest.http.access_log import ACCESS_RECORD, AccessLog, AccessRecord, recording_send
from tmf_apis.rest.http.admission import Admission, AdmissionMiddleware, AsgiApplication
from tmf_apis.rest.http.aliases import BasePathAliases
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.http.asgi import (
    Receive,
    Scope,
    Send,
    handle_lifespan,
    send_response,
)
from tmf_apis.rest.http.bulk import BulkHandler
from tmf_apis.rest.http.expansion import EXPANDABLE_ACTIONS, refuse_directives
from tmf_apis.rest.http.handlers import ResourceHandlers
from tmf_apis.rest.http.handling import apply_preference, note_parameters, with_handling
from tmf_apis.rest.http.headers import request_headers
from tmf_apis.rest.http.hub import HubHandlers
from tmf_apis.rest.http.messages import Request, Response, error_response, json_response
from tmf_apis.rest.http.request_spans import start_request_span
from tmf_apis.rest.http.routing import ContractRoutingMiddleware, routing_document
from tmf_apis.rest.http.shared_accounts import SharedAccounts
from tmf_apis.rest.http.spool import Spool
from tmf_apis.rest.http.unanswered import UnansweredRequests
from tmf_apis.security.request_origin import (
    CERTIFICATE_MEMBER,
    REQUEST_ID_HEADER,
    RequestOrigin,
    current_origin,
    request_origin,
)
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings
from tmf_apis.store.answer_monitor import SILENCE, AnswerMonitor
from tmf_apis.store.shared_state import SharedState

__all__ = ["CONTRACTS_DIR", "Application", "Engine", "Readiness"]

Handler = Callable[[Api, Operation, Request], Response]

_SENDER = SENDER_HEADER.lower()
#: The access log has lines of the level INFO.
_access = logging.getLogger("tmf_apis.access")
#: Scopes of which one is needed for ``/metrics``.
METRICS_SCOPES = ("metrics", "admin")
#: Status of the answers to probes that the access log leaves out.
HEALTHY = 200


class Readiness:
    """The engine once it is open, and the reason why requests are refused until then.

    Attributes:
        engine: The engine; None until it is open.
        reason: Why requests are refused now; empty if they are answered.
        awaits_siblings: Other processes of the server cannot answer requests yet. This one can, but
            the server as a whole is not ready.
        monitor: Knows whether the database answers; None until the engine is open.
        health: The state of the other parts; None until the engine is open.
    """

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.reason = "the database is starting"
        self.awaits_siblings = False
        self.monitor: AnswerMonitor | None = None
        self.health: Health | None = None

    def observe(self, engine: Engine) -> Health:
        """Observe the database of an engine and the other parts from now on."""
        self.health = Health(engine.database, engine.settings.data_dir)
        timeout = min(engine.settings.mongodb_timeout, SILENCE)
        self.monitor = AnswerMonitor(engine.database, timeout, self.health.observe)
        self.monitor.start()
        return self.health

    def last_answer(self) -> float:
        """Return when the database has last answered, as ``time.monotonic()``; now if unknown."""
        return self.monitor.last_answer if self.monitor else time.monotonic()

    def checks(self) -> dict[str, Check]:
        """Return the state of each part by its name; empty until the engine is open."""
        if self.monitor is None or self.health is None:
            return {}
        return self.health.report(is_database_answering=self.monitor.is_answering)

    def require_engine(self) -> Engine:
        """Return the engine.

        Raises:
            Unavailable: The server is not ready (HTTP 503).
        """
        if self.engine is None or self.reason:
            reason = self.reason or "the server is starting"
            raise Unavailable(reason, headers={"Retry-After": "1"})
        return self.engine

    def problem(self) -> str:
        """Return the reason why the server cannot answer requests now; empty if it can."""
        if self.engine is None or self.reason:
            return self.reason or "the server is starting"
        if self.awaits_siblings:
            return "other processes of the server are starting"
        is_answering = self.monitor is None or self.monitor.is_answering
        return "" if is_answering else "the database does not answer"


class Application:
    """The ASGI application.

    Attributes:
        settings: The configuration.
        contracts: The APIs.
        readiness: The engine, and whether requests are answered.
        metrics: The metrics of the server.
        access_log: The access log of this process.
        shared: What the HTTP processes of the server share; None: this is the only one.
    """

    def __init__(  # noqa: PLR0913
        self,
        settings: Settings,
        contracts: list[Contract],
        authenticator: TokenAuthenticator,
        pages: Any,  # noqa: ANN401
        readiness: Readiness,
        *,
        shared: SharedState | None = None,
    ) -> None:
        """Create the application; it answers 503 until ``attach_engine`` has been called.

        Args:
            settings: The configuration.
            contracts: The APIs.
            authenticator: Authenticates each request.
            pages: The ASGI application of all paths that no contract has.
            readiness: The state of the server; the pages share it.
            shared: What the HTTP processes of the server share; None: this is the only one.
        """
        self.settings = settings
        self.contracts = contracts
        self.readiness = readiness
        self.shared = shared
        self.metrics = Metrics(shared)
        self._authenticator = authenticator
        self.metrics.register_access_denials(authenticator.refusals)
        self._sender_id = ""
        self._headers = _connection_headers(settings)
        self.access_log = AccessLog(
            is_enabled=settings.access_log == "on" and _access.isEnabledFor(logging.INFO),
            http_process=shared.number if shared else 0,
        )
        self._limited: AsgiApplication = self._answer_admitted
        if authenticator.enabled:
            accounts = SharedAccounts(shared) if shared else None
            limits = Admission(
                settings, authenticator.known_client, self.metrics.count_refusal, accounts
            )
            self._limited = AdmissionMiddleware(self._answer_admitted, limits)
        self._unanswered = UnansweredRequests(settings.mongodb_timeout, readiness.last_answer)
        self._routes: dict[str, tuple[Handler, Api, Operation]] = {}
        routing = partial(
            ContractRoutingMiddleware,
            dispatch=self._dispatch,
            settings=settings,
            observe=self.metrics.observe,
            report=self._record_refusal,
        )
        self._app = ConnexionMiddleware(pages, middlewares=[routing])
        for contract in contracts:
            operations = (*contract.operations, monitors.monitor_operation(contract.number))
            names = {(o.method.upper(), o.path): _operation_name(contract, o) for o in operations}
            bulk_names = {
                o.path: _bulk_operation_name(contract, o) for o in bulk_operations(contract)
            }
            document = routing_document(contract.document, names, bulk_names)
            self._app.add_api(document, base_path=contract.base_path)
        self._aliases = BasePathAliases(contracts)

    def attach_engine(self, engine: Engine) -> None:
        """Route the operations to an engine, and add its metrics."""
        spool = Spool(self.settings.data_dir, self.settings.spool_limit, self.shared)
        handlers = ResourceHandlers(
            engine.writer, engine.quotas, self.settings, spool, self.contracts
        )
        bulk = BulkHandler(handlers, self.settings, engine.refusal_recorder)
        key = server_key(engine.database, self.settings.hub_secret)
        self._sender_id = sender_id(key)
        hub = HubHandlers(
            Inbox(engine.database, engine.data_keys if self.settings.encryption else None),
            engine.subscriptions,
            key,
            engine.compile_query,
            engine.notification_attributes,
            self.settings,
        )
        hub.prepare()
        engine.subscriptions.prepare()
        actions: Mapping[str, Handler] = {
            "list": handlers.list,
            "create": handlers.create,
            "retrieve": handlers.retrieve,
            "patch": handlers.patch,
            "replace": handlers.replace,
            "delete": handlers.delete,
            "subscribe": hub.subscribe,
            "subscriptions": hub.list_subscriptions,
            "subscription": hub.retrieve_subscription,
            "unsubscribe": hub.unsubscribe,
            "listen": hub.receive_event,
        }
        for contract in self.contracts:
            api = engine.apis[contract.base_path]
            for operation in contract.operations:
                route = (actions[operation.action], api, operation)
                self._routes[_operation_name(contract, operation)] = route
            for operation in bulk_operations(contract):
                bulk_route = (bulk.patch, api, replace(operation, scopes=()))
                self._routes[_bulk_operation_name(contract, operation)] = bulk_route
            monitor = monitors.monitor_operation(contract.number)
            self._routes[_operation_name(contract, monitor)] = (handlers.monitor, api, monitor)
        self.metrics.register_backlog(BacklogMonitor(engine.database, engine.kinds))
        self.metrics.registry.register(CapacityCollector(engine.database))
        self.metrics.registry.register(UnreachableElementsCollector(engine.database))
        self.metrics.registry.register(NotificationsCollector(engine.database))
        self.metrics.registry.register(HealthCollector(self.readiness.observe(engine)))
        self.readiness.engine = engine

    def _dispatch(self, name: str, request: Request) -> Response:
        if request.headers.get(_SENDER) == self._sender_id:
            raise BadRequest("this server has sent the notification itself")
        try:
            request.identity = self._authenticator.authenticate(request.headers, request.origin)
            current_origin.set(request.origin.with_identity(request.identity))
            self.readiness.require_engine().follow_siblings()
            handling = apply_preference(request, self.settings)
            handler, api, operation = self._routes[name]
            request.identity.require_scopes(operation.scopes)
            if request.query_string:
                dry_runs.refuse_unless_create(operation, request)
                if operation.action not in EXPANDABLE_ACTIONS or request.method == "PATCH":
                    refuse_directives(request)
                note_parameters(operation, request)
            return with_handling(handler(api, operation, request), request, handling)
        except (Unauthorized, Forbidden) as error:
            self._authenticator.refusals.record(
                error, request.origin, request.path, request.identity.subject
            )
            raise
        except TooManyRequests as error:
            self.metrics.count_refusal(error.limit or "other")
            raise

    def _close(self) -> None:
        """Store the audit entries that are still in memory, and write the access log."""
        self.access_log.close()
        if self.readiness.monitor is not None:
            self.readiness.monitor.stop()
        if self.readiness.engine is not None:
            self.readiness.engine.refusal_recorder.close()

    def _record_refusal(self, name: str, method: str, status: int, request: Request | None) -> None:
        """Add a refused request to the audit log."""
        engine, is_authenticated = self.readiness.engine, request and request.identity.tenant
        identity = request.identity if request and is_authenticated else None
        if engine is None or not is_recorded_refusal(method, status, identity):
            return
        operation = self._routes[name][2] if name in self._routes else None
        engine.refusal_recorder.count_refusal(
            current_origin.get(), identity, name, status,
            kind=operation.kind if operation else "", resource=request.id if request else "",
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the response has the request's id."""
        if scope["type"] == "lifespan":
            await handle_lifespan(receive, send, self._close)
            return
        client = scope.get("client") or ("", 0)
        certificate = (scope.get("state") or {}).get(CERTIFICATE_MEMBER, "")
        origin = request_origin(str(client[0]), dict(scope.get("headers", ())), certificate)
        span = start_request_span(scope, origin.trace)
        if span:
            origin = replace(origin, trace=span.trace)
        current_origin.set(origin)
        record = scope[ACCESS_RECORD] = AccessRecord(scope.get("method", ""), scope["path"], origin)
        headers = [(REQUEST_ID_HEADER.encode(), origin.request_id.encode()), *self._headers]
        try:
            await self._answer(scope, receive, recording_send(send, record, headers))
        finally:
            if record.status != HEALTHY or not record.path.startswith("/health/"):
                self.access_log.add(record)
            if span:
                span.end(record)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == "/health/live":
            await send_response(send, json_response(200, {"status": "alive"}))
        elif path == "/health/ready":
            await self._send_readiness(send)
        else:
            resolved = self._aliases.resolved(scope)
            await self._unanswered.answer(self._limited, resolved, receive, send)

    async def _answer_admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/metrics":
            loop = asyncio.get_running_loop()
            origin = current_origin.get()
            response = await loop.run_in_executor(None, self._metrics_response, scope, origin)
            await send_response(send, response, head=scope["method"] == "HEAD")
        else:
            await self._app(scope, receive, send)

    def _metrics_response(self, scope: Scope, origin: RequestOrigin) -> Response:
        """Return the metrics for a client of the operator that has one of their scopes."""
        subject = ""
        try:
            headers = request_headers(scope["headers"])
            identity = self._authenticator.authenticate(headers, origin)
            subject = identity.subject
            identity.require_staff()
            identity.require_one_scope(METRICS_SCOPES)
        except TmfError as error:
            if isinstance(error, (Unauthorized, Forbidden)):
                self._authenticator.refusals.record(error, origin, scope["path"], subject)
            return error_response(error)
        return Response(200, self.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    async def _send_readiness(self, send: Send) -> None:
        checks = self.readiness.checks()
        if problem := self.readiness.problem():
            response = error_response(Unavailable(problem))
            if checks:
                body = json.loads(response.body) | {"checks": checks}
                response = json_response(response.status, body)
        else:
            response = json_response(200, {"status": "ready", "checks": checks})
        await send_response(send, response)


def _operation_name(contract: Contract, operation: Operation) -> str:
    return f"{contract.number} {contract.version} {operation.operation_id}"


def _bulk_operation_name(contract: Contract, operation: Operation) -> str:
    return f"{contract.number} {contract.version} bulk {operation.resource}"


def _connection_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """Return the headers of every response: with TLS, that browsers use nothing else."""
    if not settings.tls_cert or not settings.tls_hsts:
        return []
    return [(b"strict-transport-security", f"max-age={settings.tls_hsts}".encode())]
