"""The API modules of the server: the one place where a module is registered.

Here each module receives the parts of other packages that its policies need.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

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
from tmf_apis.fulfilment import dry_run, feasibility, launch_check
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.pipeline.policy import ApiModule, Resource
from tmf_apis.rest.query.filtering import filter_query
from tmf_apis.rest.query.parameters import parse_parameters
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleContext:
    """The parts of the server that API modules are built from.

    Attributes:
        settings: The configuration.
        database: The database.
        outbound_policy: Decides which URLs the server may connect to.
        apis: The APIs by base path.
        designer: Designs the fulfilment of orders.
    """

    settings: Settings
    database: MongoDatabase
    outbound_policy: OutboundPolicy
    apis: Mapping[str, Api]
    designer: OrderDesigner


def _catalog(context: ModuleContext, definition: catalog.CatalogDefinition) -> ApiModule | None:
    """Return the module of a catalogue; None if its contract is not served."""
    if not (api := context.apis.get(definition.base_path)):
        return None
    strict = not context.settings.launch_unfulfillable
    return catalog.api_module(
        context.settings,
        outbound_policy=context.outbound_policy,
        validate=partial(_import_form, api),
        build_query=partial(_export_query, api, context.settings),
        definition=definition,
        check_offering=partial(launch_check.check_launch, strict=strict),
    )


def _import_form(api: Api, kind: str, resource: Resource) -> Resource:
    """Return the stored form of a resource of an import file, checked against the contract."""
    resource = api.dates.normalise(kind, resource)
    resource = api.defaults.typed(kind, resource)
    api.schemas.check_partial(kind, resource)
    return resource


def _export_query(api: Api, settings: Settings, kind: str, text: str) -> Mapping[str, Any]:
    """Return the MongoDB query of the filter of an export job."""
    parameters = parse_parameters(text.removeprefix("?"))
    attributes = replace(api.queries.attributes(kind, kind), prefix="", outside_body={"id": "id"})
    return filter_query(parameters, attributes, settings)


def _dry_run(context: ModuleContext, kind: str) -> partial[Mapping[str, Any]]:
    return partial(dry_run.plan_attribute, context.designer, kind)


#: The functions that build the API modules. A new API module needs a line here.
API_MODULES: tuple[Callable[[ModuleContext], ApiModule | None], ...] = (
    partial(_catalog, definition=catalog.PRODUCT_CATALOG),
    partial(_catalog, definition=catalog.SERVICE_CATALOG),
    partial(_catalog, definition=catalog.RESOURCE_CATALOG),
    lambda c: ordering.api_module(c.settings, dry_run=_dry_run(c, "ProductOrder")),
    lambda c: ordering.service_api_module(c.settings, dry_run=_dry_run(c, "ServiceOrder")),
    lambda c: customer.api_module(c.settings),
    lambda c: billing.api_module(c.settings),
    lambda c: inventory.api_module(c.settings),
    lambda c: products.api_module(c.settings),
    lambda c: services.api_module(c.settings),
    lambda c: qualification.api_module(
        c.settings, find_obstacles=partial(feasibility.obstacles, c.designer.offers)
    ),
    lambda c: alarms.api_module(c.settings),
    lambda c: network_operations.api_module(c.settings),
    lambda c: capacity.api_module(c.settings, c.database),
)


def make_api_modules(context: ModuleContext) -> Iterator[ApiModule]:
    """Yield the API modules whose contracts are served."""
    for build in API_MODULES:
        if module := build(context):
            yield module
