"""The engine: contracts, rooms and store put together; the same in server, worker and loader."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pymongo.database import Database

from tmf_apis import (
    alarms,
    billing,
    capacity,
    catalog,
    customer,
    inventory,
    network,
    ordering,
    products,
    qualification,
    services,
)
from tmf_apis.events.envelope import Audience, Json, notification
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.subscriptions import Subscriptions, Wanted
from tmf_apis.fulfilment import kinds, launching, qualifying, rehearsing
from tmf_apis.rest import versions
from tmf_apis.rest.attributes import Attributes
from tmf_apis.rest.completion import Completion
from tmf_apis.rest.contracts import Contract, event_types
from tmf_apis.rest.dates import Dates
from tmf_apis.rest.desk import BoundDesk
from tmf_apis.rest.extensions import Extensions, by_base, of_contract
from tmf_apis.rest.filtering import compiled
from tmf_apis.rest.handlers import Api
from tmf_apis.rest.law import Law, Room
from tmf_apis.rest.messages import Request
from tmf_apis.rest.queries import Queries
from tmf_apis.rest.registry import Registry
from tmf_apis.rest.representation import as_client
from tmf_apis.rest.schema_paths import AttributeType, Kind
from tmf_apis.rest.schemas import Schemas
from tmf_apis.rest.views.steps import Transform
from tmf_apis.rest.writes import Writes
from tmf_apis.security.identity import Identity
from tmf_apis.security.outbound import Policy
from tmf_apis.settings import Settings
from tmf_apis.store import indexes
from tmf_apis.store.counts import Counts
from tmf_apis.store.model import Stored, document_for
from tmf_apis.store.resources import Document, Resources

#: The contracts of a checkout; an installed package carries them inside.
CONTRACTS = Path(__file__).parent.parent / "openapi"

ROOMS: tuple[Callable[[Settings], Room], ...] = (
    ordering.room,
    ordering.service_room,
    customer.room,
    billing.room,
    inventory.room,
    products.room,
    services.room,
    partial(qualification.room, obstacles=qualifying.obstacles),
    alarms.room,
    network.room,
)

#: What some contracts call an event that others call by its usual name.
_ALSO: Mapping[str, str] = {
    "AttributeValueChange": "Change",
    "Milestone": "MilestoneStateChange",
}

_ENVELOPE: Mapping[str, Kind] = {
    "eventId": "string",
    "eventType": "string",
    "eventTime": "date-time",
}


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
        for contract in contracts:
            for operation in contract.operations:
                if operation.kind:
                    versions.learn(
                        operation.kind, contract.version, contract.base_path, operation.schema
                    )
        self.apis = {c.base_path: self._api(c) for c in contracts}
        self.registry = Registry(database, self._extend)
        catalogues = (one for one in catalog.FAMILIES if one.base_path in self.apis)
        self.rooms = [
            *(self._catalogue(family) for family in catalogues),
            capacity.room(settings, database),
            *(room(settings) for room in ROOMS),
        ]
        self.laws: dict[str, Law] = {}
        for room in self.rooms:
            self.laws.update(room.laws)
        self.laws |= _fulfilled(self.laws, settings)
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
        self._numbers = {o.kind: c.number for c in contracts for o in c.operations}

    def _api(self, contract: Contract) -> Api:
        return Api(
            contract,
            Schemas(contract.document, contract.version),
            Dates(contract.document),
            Queries(contract, self.settings, stored=self._stored(contract)),
        )

    def _stored(self, contract: Contract) -> Contract | None:
        """Return the contract of the stored form of an API, where the given one is another."""
        others = (c for c in self.contracts if c.number == contract.number and c.version == "v5")
        return None if contract.version == "v5" else next(others, None)

    def _extend(self, types: Extensions) -> None:
        """Have every API know the operator's extension types, and no others."""
        for api in self.apis.values():
            own = of_contract(types, api.contract)
            api.schemas.extend(own)
            api.queries.extend(by_base(own))
            api.dates.extend(by_base(own))

    def _catalogue(self, family: catalog.Family) -> Room:
        """Return the room of a catalogue, whose jobs hold files to its contract."""
        api = self.apis[family.base_path]

        def accept(kind: str, resource: Json) -> Json:
            api.schemas.check_types(kind, resource)
            return api.dates.normalise(kind, resource)

        def query(kind: str, text: str) -> Mapping[str, Any]:
            request = Request("GET", "", "", text.removeprefix("?"), {}, b"", Identity("", ""))
            attributes = replace(api.queries.attributes(kind, kind), prefix="", apart={"id": "id"})
            return compiled(request.parameters(), attributes, self.settings)

        return catalog.room(
            self.settings, policy=self.policy, accept=accept, query=query, family=family
        )

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
        if self._numbers.get(kind) != audience.api or not versions.known(kind, version):
            return None
        listed = self._events[versions.mount(kind, version)]
        whats = (event["what"], _ALSO.get(event["what"], ""))
        names = [versions.event_name(version, f"{kind}{what}Event", body) for what in whats if what]
        name = next((name for name in names if name in listed), None)
        if name is None:
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


def _fulfilled(laws: Mapping[str, Law], settings: Settings) -> dict[str, Law]:
    """Return the laws of what is ordered and offered, with a look at how it is fulfilled."""
    made = {}
    if law := laws.get("ProductOffering"):
        made["ProductOffering"] = launching.guarded(law, strict=not settings.launch_unfulfillable)
    for kind in kinds.KINDS:
        if law := laws.get(kind):
            made[kind] = replace(law, rehearse=partial(rehearsing.attribute, kind))
    return made


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
