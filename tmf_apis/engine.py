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
    network_operations,
    ordering,
    products,
    qualification,
    services,
)
from tmf_apis.events.envelope import Audience, Json, notification
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.subscriptions import SubscriptionRepository, SubscriptionRequest
from tmf_apis.fulfilment import dry_run, feasibility, launch_check, order_kinds
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.rest.contracts.contract import Contract, event_types
from tmf_apis.rest.contracts.dates import DateNormalizer
from tmf_apis.rest.contracts.extension_registry import ExtensionRegistry
from tmf_apis.rest.contracts.extensions import Extensions, contract_extensions, extensions_by_base
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.contracts.type_defaults import TypeDefaults
from tmf_apis.rest.http.handlers import Api
from tmf_apis.rest.http.messages import Request
from tmf_apis.rest.pipeline.documents import DocumentBuilder
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.rest.pipeline.repository import ScopedRepository
from tmf_apis.rest.pipeline.representation import client_view
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.filtering import filter_query
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.rest.query.schema_paths import AttributeType, ValueType
from tmf_apis.rest.views.kind_names import lower_first
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.transforms import Transform
from tmf_apis.security.identity import Identity
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings
from tmf_apis.store import indexes
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.model import StoredResource, document_class
from tmf_apis.store.resources import Document, ResourceStore

#: The contracts of a checkout; an installed package carries them inside.
CONTRACTS_DIR = Path(__file__).parent.parent / "openapi"

API_MODULES: tuple[Callable[[Settings], ApiModule], ...] = (
    ordering.api_module,
    ordering.service_api_module,
    customer.api_module,
    billing.api_module,
    inventory.api_module,
    products.api_module,
    services.api_module,
    alarms.api_module,
    network_operations.api_module,
)

#: What some contracts call an event that others call by its usual name.
_EVENT_NAME_ALIASES: Mapping[str, str] = {
    "AttributeValueChange": "Change",
    "Milestone": "MilestoneStateChange",
}

_ENVELOPE_TYPES: Mapping[str, ValueType] = {
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
        self.outbound_policy = OutboundPolicy(
            settings.callback_loopback or not settings.is_authentication_required,
            settings.callback_hosts,
        )
        self.kind_registry = KindRegistry.from_contracts(contracts)
        self.apis = {c.base_path: self._api(c) for c in contracts}
        self.extension_registry = ExtensionRegistry(database, self._apply_extensions)
        designer = OrderDesigner()
        catalogues = (one for one in catalog.CATALOG_DEFINITIONS if one.base_path in self.apis)
        self.api_modules = [
            *(self._catalog_module(family) for family in catalogues),
            capacity.api_module(settings, database),
            *(room(settings) for room in API_MODULES),
            qualification.api_module(
                settings, find_obstacles=partial(feasibility.obstacles, designer.offers)
            ),
        ]
        self.policies: dict[str, ResourcePolicy] = {}
        for room in self.api_modules:
            self.policies.update(room.policies)
        self.policies |= _with_fulfilment_checks(self.policies, settings, designer)
        self.kinds = sorted({o.kind for c in contracts for o in c.operations if o.kind})
        self.counts = CountCache(database, query_time=settings.query_time)
        self.resources = ResourceStore(database, self.counts, query_time=settings.query_time)
        flags = {
            "check_references": settings.check_references,
            "unique_customers": settings.unique_customers,
        }
        builder = DocumentBuilder(self.policies, _type_defaults(contracts), self.kind_registry)
        self.writer = ResourceWriter(self.resources, builder, flags, ScopedRepository)
        self.subscriptions = SubscriptionRepository(
            database, self.outbound_policy, limit=settings.hub_limit
        )
        self._event_types = {c.base_path: event_types(c) for c in contracts}
        self._api_numbers = {o.kind: c.number for c in contracts for o in c.operations}

    def _api(self, contract: Contract) -> Api:
        return Api(
            contract,
            Schemas(contract.document, contract.version),
            DateNormalizer(contract.document),
            ListQueryCompiler(
                contract, self.settings, stored_contract=self._stored_contract(contract)
            ),
        )

    def _stored_contract(self, contract: Contract) -> Contract | None:
        """Return the contract of the stored form of an API, where the given one is another."""
        others = (c for c in self.contracts if c.number == contract.number and c.version == "v5")
        return None if contract.version == "v5" else next(others, None)

    def _apply_extensions(self, types: Extensions) -> None:
        """Have every API know the operator's extension types, and no others."""
        for api in self.apis.values():
            own = contract_extensions(types, api.contract)
            api.schemas.set_extensions(own)
            api.queries.set_extensions(extensions_by_base(own))
            api.dates.set_extensions(extensions_by_base(own))

    def _catalog_module(self, family: catalog.CatalogDefinition) -> ApiModule:
        """Return the room of a catalogue, whose jobs hold files to its contract."""
        api = self.apis[family.base_path]

        def accept(kind: str, resource: Json) -> Json:
            api.schemas.check_partial(kind, resource)
            return api.dates.normalise(kind, resource)

        def query(kind: str, text: str) -> Mapping[str, Any]:
            request = Request("GET", "", "", text.removeprefix("?"), {}, b"", Identity("", ""))
            attributes = replace(
                api.queries.attributes(kind, kind), prefix="", outside_body={"id": "id"}
            )
            return filter_query(request.parameters(), attributes, self.settings)

        return catalog.api_module(
            self.settings,
            outbound_policy=self.outbound_policy,
            validate=accept,
            build_query=query,
            definition=family,
        )

    def document_models(self) -> list[type[StoredResource]]:
        """Return the mongoengine document of every kind."""
        models: dict[str, type[StoredResource]] = {
            model._get_collection_name(): model  # type: ignore[attr-defined]  # noqa: SLF001
            for room in self.api_modules
            for model in room.models
        }
        return [models.get(kind) or document_class(kind) for kind in self.kinds]

    def prepare(self) -> None:
        """Make the indexes; nothing but a read where they are there. Learn the extension types."""
        indexes.ensure_indexes(self.database, self.document_models())
        self.extension_registry.refresh()

    def render_event(self, event: PendingEvent, audience: Audience) -> Json | None:
        """Return what an audience receives of an event; None where its contract has none."""
        kind, version, body = event["kind"], audience.version, event["body"]
        kinds = self.kind_registry
        if self._api_numbers.get(kind) != audience.api or not kinds.is_served(kind, version):
            return None
        listed = self._event_types[kinds.mount_path(kind, version)]
        whats = (event["what"], _EVENT_NAME_ALIASES.get(event["what"], ""))
        names = [kinds.event_name(version, f"{kind}{what}Event", body) for what in whats if what]
        name = next((name for name in names if name in listed), None)
        if name is None:
            return None
        resource = client_view(kinds, kind, version, event["resource"], audience.base_url, body)
        if version != "v4":
            resource = self.writer.type_defaults[kind](resource)
        key = kinds.event_member(kind, version, body)
        shown = notification(event, key, resource, audience)
        return {**shown, "eventType": name, **({"@type": name} if version == "v5" else {})}

    def compile_query(self, subscription: SubscriptionRequest, text: str) -> Mapping[str, Any]:
        """Return the MongoDB query of a subscription's filter, over its notifications."""
        contract = next(
            c
            for c in self.contracts
            if (c.number, c.version) == (subscription.api, subscription.version)
        )
        request = Request("GET", "", "", text, {}, b"", Identity("", ""))
        attributes = QueryableAttributes(
            type_of=partial(_event_attribute_type, contract, self.apis[contract.base_path].queries),
            prefix="",
            outside_body={},
        )
        return filter_query(request.parameters(), attributes, self.settings)


def _with_fulfilment_checks(
    policies: Mapping[str, ResourcePolicy], settings: Settings, designer: OrderDesigner
) -> dict[str, ResourcePolicy]:
    """Return the laws of what is ordered and offered, with a look at how it is fulfilled."""
    made = {}
    if law := policies.get("ProductOffering"):
        made["ProductOffering"] = launch_check.with_launch_check(
            law, strict=not settings.launch_unfulfillable
        )
    for kind in order_kinds.ORDER_KINDS:
        if law := policies.get(kind):
            made[kind] = replace(law, dry_run=partial(dry_run.plan_attribute, designer, kind))
    return made


def _type_defaults(contracts: list[Contract]) -> dict[str, Transform]:
    """Return for each kind what gives nested objects the types that v5 must have."""
    made: dict[str, Transform] = {}
    for contract in contracts:
        if contract.version != "v4":
            completion = TypeDefaults(contract.document)
            for operation in contract.operations:
                if operation.action == "retrieve":
                    made[operation.kind] = completion.transform_for(operation.schema)
    return made


def _event_attribute_type(
    contract: Contract, queries: ListQueryCompiler, path: str
) -> AttributeType | None:
    """Return the type of an attribute of a notification."""
    if path in _ENVELOPE_TYPES:
        return AttributeType(_ENVELOPE_TYPES[path], (False,))
    event, _, rest = path.partition(".")
    member, _, attribute = rest.partition(".")
    if event != "event" or not attribute:
        return None
    for operation in contract.operations:
        if operation.kind and lower_first(operation.schema) == member:
            found = queries.attributes(operation.kind, operation.schema).type_of(attribute)
            if found:
                arrays = (False, False, *found.array_segments)
                return AttributeType(found.value_type, arrays, found.is_declared)
    return None
