"""The application: contracts, rooms, store, events and pages put together.

Only this module and ``cli`` know all the pieces.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from connexion.middleware import ConnexionMiddleware
from prometheus_client import CONTENT_TYPE_LATEST
from pymongo.database import Database

from tmf_apis import alarms, billing, catalog, customer, inventory, ordering
from tmf_apis.errors import Unavailable
from tmf_apis.events.backlog import Backlog
from tmf_apis.events.envelope import Audience, Json, notification
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.signing import server_key
from tmf_apis.events.subscriptions import Subscriptions, Wanted
from tmf_apis.metrics import Metrics
from tmf_apis.rest import versions
from tmf_apis.rest.attributes import Attributes
from tmf_apis.rest.completion import Completion
from tmf_apis.rest.contracts import Contract, Operation, event_types
from tmf_apis.rest.dates import Dates
from tmf_apis.rest.desk import BoundDesk
from tmf_apis.rest.extensions import Extensions, by_base, of_contract
from tmf_apis.rest.filtering import compiled
from tmf_apis.rest.handlers import Api, Handlers
from tmf_apis.rest.hub import Hub
from tmf_apis.rest.law import Law, Room
from tmf_apis.rest.messages import Request, Response, error_response, json_response
from tmf_apis.rest.queries import Queries
from tmf_apis.rest.registry import Registry
from tmf_apis.rest.representation import as_client
from tmf_apis.rest.routing import Door, Receive, Scope, Send, send_response, skeleton
from tmf_apis.rest.schema_paths import AttributeType, Kind
from tmf_apis.rest.schemas import Schemas
from tmf_apis.rest.views.addresses import ADDRESSES
from tmf_apis.rest.views.steps import Transform
from tmf_apis.rest.writes import Writes
from tmf_apis.security.identity import Identity
from tmf_apis.security.outbound import Policy
from tmf_apis.security.tokens import Gate
from tmf_apis.settings import Settings
from tmf_apis.store import indexes
from tmf_apis.store.connection import ping
from tmf_apis.store.counts import Counts
from tmf_apis.store.model import Stored, document_for
from tmf_apis.store.resources import Document, Resources

log = logging.getLogger(__name__)

#: The contracts of a checkout; an installed package carries them inside.
CONTRACTS = Path(__file__).parent.parent / "openapi"

ROOMS: tuple[Callable[[Settings], Room], ...] = (
    ordering.room,
    customer.room,
    billing.room,
    inventory.room,
    alarms.room,
)

_ENVELOPE: Mapping[str, Kind] = {
    "eventId": "string",
    "eventType": "string",
    "eventTime": "date-time",
}

Handler = Callable[[Api, Operation, Request], Response]


class Engine:
    """Everything that works on resources; the same in the server, the worker and a loader."""

    def __init__(
        self, settings: Settings, contracts: list[Contract], database: Database[Document]
    ) -> None:
        """Put the engine together.

        Args:
            settings: The configuration.
            contracts: The APIs.
            database: Checked and connected.
        """
        self.settings = settings
        self.contracts = contracts
        self.database = database
        self.policy = Policy(
            settings.callback_loopback or not settings.authenticated, settings.callback_hosts
        )
        self.apis = {c.base_path: self._api(c) for c in contracts}
        self.registry = Registry(database, self._extend)
        self.rooms = [self._catalog(), *(room(settings) for room in ROOMS)]
        self.laws: dict[str, Law] = {}
        for room in self.rooms:
            self.laws.update(room.laws)
        self.kinds = sorted({o.kind for c in contracts for o in c.operations if o.kind})
        self.counts = Counts(database, query_time=settings.query_time)
        self.resources = Resources(database, self.counts, query_time=settings.query_time)
        flags = {
            "check_references": settings.check_references,
            "unique_customers": settings.unique_customers,
        }
        self.writes = Writes(self.resources, self.laws, flags)
        self.writes.desk = partial(BoundDesk, self.writes)
        self.writes.complete = _complete(contracts)
        self.subscriptions = Subscriptions(database, self.policy, limit=settings.hub_limit)
        self._events = {c.base_path: event_types(c) for c in contracts}

    def _api(self, contract: Contract) -> Api:
        return Api(
            contract,
            Schemas(contract.document, contract.version),
            Dates(contract.document),
            Queries(contract, self.settings),
        )

    def _extend(self, types: Extensions) -> None:
        """Have every API know the operator's extension types, and no others."""
        for api in self.apis.values():
            own = of_contract(types, api.contract)
            api.schemas.extend(own)
            api.queries.extend(by_base(own))
            api.dates.extend(by_base(own))

    def _catalog(self) -> Room:
        """Return the catalogue room, whose jobs hold files to the contract."""
        api = self.apis["/tmf-api/productCatalogManagement/v5"]

        def accept(kind: str, resource: Json) -> Json:
            api.schemas.check_types(kind, resource)
            return api.dates.normalise(kind, resource)

        def query(kind: str, text: str) -> Mapping[str, Any]:
            request = Request("GET", "", "", text.removeprefix("?"), {}, b"", Identity("", ""))
            attributes = replace(api.queries.attributes(kind, kind), prefix="", apart={"id": "id"})
            return compiled(request.parameters(), attributes, self.settings)

        return catalog.room(self.settings, policy=self.policy, accept=accept, query=query)

    def documents(self) -> list[type[Stored]]:
        """Return the mongoengine document of every kind."""
        models: dict[str, type[Stored]] = {
            model._get_collection_name(): model  # type: ignore[attr-defined]  # noqa: SLF001
            for room in self.rooms
            for model in room.models
        }
        return [models.get(kind) or document_for(kind) for kind in self.kinds]

    def prepare(self) -> None:
        """Make the indexes; nothing but a read where they are there. Learn the extension types."""
        indexes.ensure(self.database, self.documents())
        self.registry.refresh()

    def render(self, event: PendingEvent, audience: Audience) -> Json | None:
        """Return what an audience receives of an event; None where its contract has none."""
        kind, version, body = event["kind"], audience.version, event["body"]
        address = ADDRESSES.get(kind)
        if address is None or address.api != audience.api or not versions.known(kind, version):
            return None
        name = versions.event_name(version, f"{kind}{event['what']}Event", body)
        if name not in self._events[versions.mount(kind, version)]:
            return None
        resource = as_client(kind, version, event["resource"], audience.base, body)
        if version != "v4":
            resource = self.writes.complete[kind](resource)
        key = versions.event_member(kind, version, body)
        shown = notification(event, key, resource, audience)
        return {**shown, "eventType": name, **({"@type": name} if version == "v5" else {})}

    def compile_query(self, wanted: Wanted, text: str) -> Mapping[str, Any]:
        """Return the MongoDB query of a subscription's filter, over its notifications."""
        contract = next(
            c for c in self.contracts if (c.number, c.version) == (wanted.api, wanted.version)
        )
        request = Request("GET", "", "", text, {}, b"", Identity("", ""))
        attributes = Attributes(
            type_of=partial(_type_in_event, contract, self.apis[contract.base_path].queries),
            prefix="",
            apart={},
        )
        return compiled(request.parameters(), attributes, self.settings)


def _complete(contracts: list[Contract]) -> dict[str, Transform]:
    """Return for each kind what gives nested objects the types that v5 must have."""
    made: dict[str, Transform] = {}
    for contract in contracts:
        if contract.version != "v4":
            completion = Completion(contract.document)
            for operation in contract.operations:
                if operation.action == "retrieve":
                    made[operation.kind] = completion.of(operation.schema)
    return made


def _type_in_event(contract: Contract, queries: Queries, path: str) -> AttributeType | None:
    """Return the type of an attribute of a notification."""
    if path in _ENVELOPE:
        return AttributeType(_ENVELOPE[path], (False,))
    event, _, rest = path.partition(".")
    member, _, attribute = rest.partition(".")
    if event != "event" or not attribute:
        return None
    for operation in contract.operations:
        if operation.kind and versions.lower_first(operation.schema) == member:
            found = queries.attributes(operation.kind, operation.schema).type_of(attribute)
            if found:
                arrays = (False, False, *found.arrays)
                return AttributeType(found.kind, arrays, found.declared)
    return None


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
            names = {(o.method.upper(), o.path): _name(contract, o) for o in contract.operations}
            for mount in contract.mounts:
                self._app.add_api(skeleton(contract.document, names), base_path=mount)

    def open(self, engine: Engine) -> None:
        """Begin to answer requests from an engine."""
        handlers = Handlers(engine.writes, self.settings)
        key = server_key(engine.database, self.settings.hub_secret)
        hub = Hub(engine.database, engine.subscriptions, key, engine.compile_query, self.settings)
        hub.prepare()
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
        self.metrics.watch(Backlog(engine.database, engine.kinds))
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


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
