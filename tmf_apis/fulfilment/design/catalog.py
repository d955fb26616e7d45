"""Catalogue entries and installed products that the design of an order depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tmf_apis.fulfilment.values import InstalledResource
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(frozen=True, slots=True)
class InstalledService:
    """A resource facing service that is set up on a resource.

    Attributes:
        id: Its id.
        specification: Id of its ServiceSpecification; empty: unknown.
        settings: Its settings on the element; empty: unknown.
        carrier_names: Ids, names and natural keys of its carrier.
        places: Ids of the places of its carrier.
        carrier: The resource that it is set up on; None: unknown.
        resources: The other resources that it has alone.
    """

    id: str
    specification: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    carrier_names: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    carrier: InstalledResource | None = None
    resources: tuple[InstalledResource, ...] = ()


@dataclass(frozen=True, slots=True)
class InstalledProduct:
    """A product in operation, or a service in operation that was ordered by itself.

    Attributes:
        services: Its resource facing services.
        offering: Id of its offering; of a service, id of its specification. Empty: unknown.
        specification: Id of its ProductSpecification; empty: unknown.
        characteristics: The chosen values by name; empty: unknown.
        status: ``active`` or ``suspended``; empty: unknown.
        bundled_products: Ids of the products within it, at all levels; each is installed itself.
        customer_facing_services: From the ids of its customer facing services to the ids of their
            specifications, if these services keep their ids.
        change_obstacle: Reason why an order cannot change it directly; empty: an order can.
        has_places: It was ordered for certain places.
    """

    services: tuple[InstalledService, ...] = ()
    offering: str = ""
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    bundled_products: tuple[str, ...] = ()
    customer_facing_services: Mapping[str, str] = field(default_factory=dict)
    change_obstacle: str = ""
    has_places: bool = False
    specification: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that the design of an order depends on besides the order.

    Attributes:
        offerings: ProductOfferings by id.
        product_specifications: ProductSpecifications by id.
        service_specifications: ServiceSpecifications by id.
        resource_specifications: ResourceSpecifications by id.
        specification_by_service_type: From a ``serviceType`` to the id of the tenant's own service
            specification of that name.
        installed_base: Products in operation by id.
        standalone_specifications: By id, the service specifications that are ordered by themselves,
            in the form that applies then; ``offerings`` has an offering for each.
        fulfilled_elsewhere: Ids of offerings that exist, but are not in ``offerings``.
        offering_noun: What an offering is called in messages.
    """

    offerings: Mapping[str, Resource] = field(default_factory=dict)
    product_specifications: Mapping[str, Resource] = field(default_factory=dict)
    service_specifications: Mapping[str, Resource] = field(default_factory=dict)
    resource_specifications: Mapping[str, Resource] = field(default_factory=dict)
    specification_by_service_type: Mapping[str, str] = field(default_factory=dict)
    installed_base: Mapping[str, InstalledProduct] = field(default_factory=dict)
    standalone_specifications: Mapping[str, Resource] = field(default_factory=dict)
    fulfilled_elsewhere: frozenset[str] = frozenset()
    offering_noun: str = "offering"

    def characteristic_names(self, product_specification: str) -> set[str]:
        """Return the names of the characteristics of a product specification."""
        specification = self.product_specifications.get(product_specification, {})
        return {
            str(characteristic.get("name"))
            for characteristic in json_objects(specification.get("productSpecCharacteristic"))
        }
