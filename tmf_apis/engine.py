"""The engine: contracts, API modules and store, composed for server, worker and loader alike."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pymongo.database import Database

from tmf_apis.api_modules import ModuleContext, make_api_modules
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.audit_log.recorder import RefusalRecorder
from tmf_apis.events.subscriptions import SubscriptionRepository, SubscriptionRequest
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.notifications import NotificationRenderer, notification_attributes
from tmf_apis.privacy.service import Privacy
from tmf_apis.rest.contracts.body_defaults import BodyDefaults
from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.dates import DateNormalizer
from tmf_apis.rest.contracts.extension_registry import ExtensionRegistry
from tmf_apis.rest.contracts.extensions import Extensions, contract_extensions, extensions_by_base
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.pipeline.documents import DocumentBuilder
from tmf_apis.rest.pipeline.owners import OwnerRoles
from tmf_apis.rest.pipeline.ownership_migration import update_parties
from tmf_apis.rest.pipeline.party_guard import PartyGuard
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.rest.pipeline.quotas import Quotas
from tmf_apis.rest.pipeline.repository import ScopedRepository
from tmf_apis.rest.pipeline.sealing import SealingCodec
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.event_attributes import EventAttributes
from tmf_apis.rest.query.filtering import all_of, filter_query
from tmf_apis.rest.query.jsonpath_query import jsonpath_query
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.rest.query.parameters import parse_parameters
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms
from tmf_apis.security.master_keys import KeyUnavailable, load_provider
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.settings import Settings
from tmf_apis.store import indexes
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.data_keys import DataKeys
from tmf_apis.store.model import StoredResource, document_class
from tmf_apis.store.process import CannotStart
from tmf_apis.store.resources import Document, ResourceStore
from tmf_apis.store.shared_state import Cell, SharedState
from tmf_apis.store.write_feed import WriteFeed

#: The contracts of a checkout; an installed package has them in the same place.
CONTRACTS_DIR = Path(__file__).parent.parent / "openapi"


class Engine:
    """Everything that reads and writes resources; its parts do not change after construction."""

    def __init__(
        self,
        settings: Settings,
        contracts: list[Contract],
        database: Database[Document],
        shared: SharedState | None = None,
    ) -> None:
        """Compose the engine.

        Args:
            settings: The configuration.
            contracts: The contracts of the APIs.
            database: The database; its version has been checked.
            shared: What the HTTP processes of a server share; None: there is one process.
        """
        self.settings = settings
        self.contracts = contracts
        self.database = database
        self.outbound_policy = OutboundPolicy.from_settings(settings)
        self.kind_registry = KindRegistry.from_contracts(contracts)
        self.forms = ServedForms(contracts)
        self.apis = {c.base_path: self._api(c) for c in contracts}
        self.extension_registry = ExtensionRegistry(database, self._apply_extensions)
        context = ModuleContext(
            settings=settings,
            database=database,
            outbound_policy=self.outbound_policy,
            apis=self.apis,
            designer=OrderDesigner(),
        )
        self.api_modules = list(make_api_modules(context))
        self.policies: dict[str, ResourcePolicy] = {}
        for module in self.api_modules:
            self.policies |= module.policies
        self.kinds = sorted({o.kind for c in contracts for o in c.operations if o.kind})
        feed = WriteFeed(shared) if shared else None
        self.counts = CountCache(database, query_time=settings.query_time, feed=feed)
        self._shared, self._seen_changes = shared, 0
        self.personal_attributes = PersonalAttributes.from_settings(settings)
        self.data_keys = DataKeys(database, partial(load_provider, settings))
        if shared:
            self.extension_registry.announce = self.data_keys.announce = shared.announce_change
        builder = self._builder = DocumentBuilder(
            self.policies,
            self.forms,
            self.kind_registry,
            OwnerRoles(settings.owner_roles),
            self.personal_attributes,
        )
        self.codec = SealingCodec(
            database,
            self.data_keys,
            self.personal_attributes,
            builder.text_of,
            encrypt=settings.encryption,
        )
        self.resources = ResourceStore(
            database,
            self.counts,
            query_time=settings.query_time,
            page_bytes=settings.page_bytes,
            codec=self.codec,
        )
        flags = {
            "check_references": settings.check_references,
            "unique_customers": settings.unique_customers,
        }
        guard = PartyGuard(
            self.resources, builder, contracts, reference_limit=settings.reference_limit
        )
        self.writer = ResourceWriter(self.resources, builder, flags, ScopedRepository, guard)
        self.quotas = Quotas(settings, self.resources, self.resources.usage, self.writer.policy_of)
        self.audit_log = AuditLog(database)
        self.refusal_recorder = RefusalRecorder(self.audit_log, settings.default_tenant)
        self.privacy = Privacy(settings, database, self.writer, self.codec, self.kinds)
        self.subscriptions = SubscriptionRepository(
            database,
            self.outbound_policy,
            limit=settings.hub_limit,
            client_limit=settings.client_hub_limit,
        )
        self.render_event = NotificationRenderer(
            contracts, self.kind_registry, self.codec, self.forms
        ).render

    def _api(self, contract: Contract) -> Api:
        return Api(
            contract,
            Schemas(contract.document, contract.version),
            DateNormalizer(contract.document, accept_minutes=contract.version == "v4"),
            ListQueryCompiler(
                contract, self.settings, stored_contract=self._stored_contract(contract)
            ),
            BodyDefaults(
                contract.document,
                is_typed=contract.version != "v4",
                fills=self.settings.required_attributes == "filled",
            ),
        )

    def _stored_contract(self, contract: Contract) -> Contract | None:
        """Return the v5 contract of a v4 API; None for v5 itself, and for an API without v5."""
        if contract.version == "v5":
            return None
        versions = (c for c in self.contracts if c.number == contract.number)
        return next((c for c in versions if c.version == "v5"), None)

    def _apply_extensions(self, types: Extensions) -> None:
        """Replace the extension types of every API by the operator's current ones."""
        for api in self.apis.values():
            own = contract_extensions(types, api.contract)
            api.schemas.set_extensions(own)
            api.queries.set_extensions(extensions_by_base(own))
            api.dates.set_extensions(extensions_by_base(own))
            self.forms.set_extensions(api.contract.base_path, own)

    def document_models(self) -> list[type[StoredResource]]:
        """Return the mongoengine document class of every kind."""
        models: dict[str, type[StoredResource]] = {
            model._get_collection_name(): model  # type: ignore[attr-defined]  # noqa: SLF001
            for module in self.api_modules
            for model in module.models
        }
        return [models.get(kind) or document_class(kind) for kind in self.kinds]

    def prepare(self) -> None:
        """Create missing indexes, migrate stored data and load the extension types.

        Raises:
            CannotStart: The master key of the encrypted data is missing.
        """
        self.audit_log.prepare()
        table = self.personal_attributes
        personal_kinds = {kind for kind in self.kinds if table.rules(kind) is not None}
        indexes.ensure_indexes(self.database, self.document_models(), personal_kinds)
        self._prepare_keys()
        update_parties(self.database, self._builder, self.kinds)
        self.extension_registry.refresh()

    def follow_siblings(self) -> None:
        """Read again what another process of this server has announced to have changed."""
        if self._shared and (changes := self._shared.total(Cell.CHANGES)) != self._seen_changes:
            self.extension_registry.refresh()
            self.data_keys.expire()
            self._seen_changes = changes

    def _prepare_keys(self) -> None:
        """Check that the master keys fit the database; a new database needs no migration."""
        try:
            if self.settings.encryption:
                self.data_keys.provider  # noqa: B018 - generates the first key, or fails now
            self.data_keys.prepare()
            self.privacy.resealer.prepare(encrypt=self.settings.encryption)
        except KeyUnavailable as error:
            raise CannotStart(f"the personal data cannot be read: {error}") from error

    def notification_attributes(
        self, api: Api, *, is_permitted: bool = True
    ) -> QueryableAttributes:
        """Return the attributes that the query of a subscription may name.

        Args:
            api: The API.
            is_permitted: The client may query personal values.
        """
        contract = api.contract
        personal = EventAttributes(contract, self.personal_attributes, is_permitted=is_permitted)
        return notification_attributes(contract, api, personal)

    def compile_query(self, subscription: SubscriptionRequest, text: str) -> Mapping[str, Any]:
        """Return the MongoDB query over notifications for the filter of a subscription."""
        contract = next(
            c
            for c in self.contracts
            if (c.number, c.version) == (subscription.api, subscription.version)
        )
        attributes = self.notification_attributes(
            self.apis[contract.base_path], is_permitted=subscription.sees_personal_data
        )
        parameters = parse_parameters(text)
        filters = [pair for pair in parameters if pair[0] != "filter"]
        paths = [value for name, value in parameters if name == "filter"]
        return all_of(
            filter_query(filters, attributes, self.settings),
            *(jsonpath_query(path, attributes, self.settings) for path in paths),
        )
