"""The application: contracts, rooms, store, events and pages put together.

Only this module and ``cli`` know all the pieces.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from connexion.middleware import ConnexionMiddleware
from prometheus_client import CONTENT_TYPE_LATEST

from tmf_apis.capacity.collector import CapacityCollector
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.errors import Unavailable
from tmf_apis.events.backlog import BacklogMonitor
from tmf_apis.events.signatures import server_key
from tmf_apis.fault_management.collector import OpenCircuitsCollector
from tmf_apis.metrics import Metrics
from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.http import monitors
from tmf_apis.rest.http.bulk import BulkHandler
from tmf_apis.rest.http.handlers import Api, ResourceHandlers
from tmf_apis.rest.http.hub import HubHandlers
from tmf_apis.rest.http.messages import Request, Response, error_response, json_response
from tmf_apis.rest.http.routing import (
    ContractRoutingMiddleware,
    Receive,
    Scope,
    Send,
    routing_document,
    send_response,
)
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings
from tmf_apis.store.connection import ping

log = logging.getLogger(__name__)


__all__ = ["CONTRACTS_DIR", "Application", "Engine"]

Handler = Callable[[Api, Operation, Request], Response]


class Application:
    """The ASGI application: health, figures, contracts, and the pages for people."""

    def __init__(
        self,
        settings: Settings,
        contracts: list[Contract],
        authenticator: TokenAuthenticator,
        pages: Any,  # noqa: ANN401
    ) -> None:
        """Put the HTTP side together; it answers 503 until ``attach_engine`` is called.

        Args:
            settings: The configuration.
            contracts: The APIs.
            authenticator: Tells who asks.
            pages: ASGI application of every path that no contract has.
        """
        self.settings = settings
        self.contracts = contracts
        self.authenticator = authenticator
        self.metrics = Metrics()
        self.engine: Engine | None = None
        #: Why the server is not ready; empty when it is.
        self.unready_reason = "the database is starting"
        self._routes: dict[str, tuple[Handler, Api, Operation]] = {}
        door = partial(
            ContractRoutingMiddleware,
            dispatch=self._dispatch,
            settings=settings,
            observe=self.metrics.observe,
        )
        self._app = ConnexionMiddleware(pages, middlewares=[door])
        for contract in contracts:
            every = (*contract.operations, monitors.monitor_operation(contract.number))
            names = {(o.method.upper(), o.path): _operation_name(contract, o) for o in every}
            bulk = {o.path: _bulk_operation_name(contract, o) for o in every if o.action == "list"}
            for mount in contract.mounts:
                self._app.add_api(routing_document(contract.document, names, bulk), base_path=mount)

    def attach_engine(self, engine: Engine) -> None:
        """Begin to answer requests from an engine."""
        handlers = ResourceHandlers(engine.writer, self.settings)
        bulk = BulkHandler(handlers, self.settings)
        key = server_key(engine.database, self.settings.hub_secret)
        hub = HubHandlers(
            engine.database, engine.subscriptions, key, engine.compile_query, self.settings
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
                entry = (actions[operation.action], api, operation)
                self._routes[_operation_name(contract, operation)] = entry
                if operation.action == "list":
                    every = (bulk.patch, api, replace(operation, scopes=()))
                    self._routes[_bulk_operation_name(contract, operation)] = every
            watching = monitors.monitor_operation(contract.number)
            self._routes[_operation_name(contract, watching)] = (handlers.monitor, api, watching)
        self.metrics.register_backlog(BacklogMonitor(engine.database, engine.kinds))
        self.metrics.registry.register(CapacityCollector(engine.database))
        self.metrics.registry.register(OpenCircuitsCollector(engine.database))
        self.engine = engine

    def readiness_problem(self) -> str:
        """Return why the server cannot answer requests now; empty when it can."""
        if self.engine is None or self.unready_reason:
            return self.unready_reason or "the server is starting"
        return "" if ping(self.engine.database, 2.0) else "the database does not answer"

    def _dispatch(self, name: str, request: Request) -> Response:
        request.identity = self.authenticator.authenticate(request.headers)
        if self.engine is None or self.unready_reason:
            raise Unavailable(self.unready_reason, headers={"Retry-After": "1"})
        handler, api, operation = self._routes[name]
        request.identity.require_scopes(operation.scopes)
        return handler(api, operation, request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await _handle_lifespan(receive, send)
            return
        path = scope.get("path", "")
        if path == "/health/live":
            await send_response(send, json_response(200, {"status": "alive"}))
        elif path == "/health/ready":
            await self._send_readiness(send)
        elif path == "/metrics":
            text = await asyncio.get_running_loop().run_in_executor(None, self.metrics.exposition)
            await send_response(send, Response(200, text, media_type=CONTENT_TYPE_LATEST))
        else:
            await self._app(scope, receive, send)

    async def _send_readiness(self, send: Send) -> None:
        why = await asyncio.get_running_loop().run_in_executor(None, self.readiness_problem)
        if why:
            await send_response(send, error_response(Unavailable(why)))
        else:
            await send_response(send, json_response(200, {"status": "ready"}))


def _operation_name(contract: Contract, operation: Operation) -> str:
    return f"{contract.number} {contract.version} {operation.operation_id}"


def _bulk_operation_name(contract: Contract, operation: Operation) -> str:
    return f"{contract.number} {contract.version} bulk {operation.resource}"


async def _handle_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
