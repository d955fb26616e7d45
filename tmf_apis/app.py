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

from tmf_apis.assurance.gauges import LeftAlone
from tmf_apis.capacity.gauges import Gauges
from tmf_apis.engine import CONTRACTS, Engine
from tmf_apis.errors import Unavailable
from tmf_apis.events.backlog import Backlog
from tmf_apis.events.signing import server_key
from tmf_apis.metrics import Metrics
from tmf_apis.rest import monitors
from tmf_apis.rest.bulk import Bulk
from tmf_apis.rest.contracts import Contract, Operation
from tmf_apis.rest.handlers import Api, Handlers
from tmf_apis.rest.hub import Hub
from tmf_apis.rest.messages import Request, Response, error_response, json_response
from tmf_apis.rest.routing import Door, Receive, Scope, Send, send_response, skeleton
from tmf_apis.security.tokens import Gate
from tmf_apis.settings import Settings
from tmf_apis.store.connection import ping

log = logging.getLogger(__name__)


__all__ = ["CONTRACTS", "Application", "Engine"]

Handler = Callable[[Api, Operation, Request], Response]


class Application:
    """The ASGI application: health, figures, contracts, and the pages for people."""

    def __init__(
        self,
        settings: Settings,
        contracts: list[Contract],
        gate: Gate,
        pages: Any,  # noqa: ANN401
    ) -> None:
        """Put the HTTP side together; it answers 503 until ``open`` is called.

        Args:
            settings: The configuration.
            contracts: The APIs.
            gate: Tells who asks.
            pages: ASGI application of every path that no contract has.
        """
        self.settings = settings
        self.contracts = contracts
        self.gate = gate
        self.metrics = Metrics()
        self.engine: Engine | None = None
        #: Why the server is not ready; empty when it is.
        self.waiting_for = "the database is starting"
        self._table: dict[str, tuple[Handler, Api, Operation]] = {}
        door = partial(Door, work=self._work, settings=settings, observe=self.metrics.observe)
        self._app = ConnexionMiddleware(pages, middlewares=[door])
        for contract in contracts:
            every = (*contract.operations, monitors.operation(contract.number))
            names = {(o.method.upper(), o.path): _name(contract, o) for o in every}
            bulk = {o.path: _bulk_name(contract, o) for o in every if o.action == "list"}
            for mount in contract.mounts:
                self._app.add_api(skeleton(contract.document, names, bulk), base_path=mount)

    def open(self, engine: Engine) -> None:
        """Begin to answer requests from an engine."""
        handlers = Handlers(engine.writes, self.settings)
        bulk = Bulk(handlers, self.settings)
        key = server_key(engine.database, self.settings.hub_secret)
        hub = Hub(engine.database, engine.subscriptions, key, engine.compile_query, self.settings)
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
            "subscriptions": hub.subscriptions,
            "subscription": hub.subscription,
            "unsubscribe": hub.unsubscribe,
            "listen": hub.listen,
        }
        for contract in self.contracts:
            api = engine.apis[contract.base_path]
            for operation in contract.operations:
                entry = (actions[operation.action], api, operation)
                self._table[_name(contract, operation)] = entry
                if operation.action == "list":
                    every = (bulk.patch, api, replace(operation, scopes=()))
                    self._table[_bulk_name(contract, operation)] = every
            watching = monitors.operation(contract.number)
            self._table[_name(contract, watching)] = (handlers.monitor, api, watching)
        self.metrics.watch(Backlog(engine.database, engine.kinds))
        self.metrics.registry.register(Gauges(engine.database))
        self.metrics.registry.register(LeftAlone(engine.database))
        self.engine = engine

    def ready(self) -> str:
        """Return why the server cannot answer requests now; empty when it can."""
        if self.engine is None or self.waiting_for:
            return self.waiting_for or "the server is starting"
        return "" if ping(self.engine.database, 2.0) else "the database does not answer"

    def _work(self, name: str, request: Request) -> Response:
        request.identity = self.gate.identify(request.headers)
        if self.engine is None or self.waiting_for:
            raise Unavailable(self.waiting_for, headers={"Retry-After": "1"})
        handler, api, operation = self._table[name]
        request.identity.require(operation.scopes)
        return handler(api, operation, request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = scope.get("path", "")
        if path == "/health/live":
            await send_response(send, json_response(200, {"status": "alive"}))
        elif path == "/health/ready":
            await self._health(send)
        elif path == "/metrics":
            text = await asyncio.get_running_loop().run_in_executor(None, self.metrics.text)
            await send_response(send, Response(200, text, media_type=CONTENT_TYPE_LATEST))
        else:
            await self._app(scope, receive, send)

    async def _health(self, send: Send) -> None:
        why = await asyncio.get_running_loop().run_in_executor(None, self.ready)
        if why:
            await send_response(send, error_response(Unavailable(why)))
        else:
            await send_response(send, json_response(200, {"status": "ready"}))


def _name(contract: Contract, operation: Operation) -> str:
    return f"{contract.number} {contract.version} {operation.operation_id}"


def _bulk_name(contract: Contract, operation: Operation) -> str:
    return f"{contract.number} {contract.version} bulk {operation.resource}"


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
