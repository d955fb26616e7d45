"""Designing an order: reading what it refers to and planning its tasks."""

from dataclasses import replace

from tmf_apis.fulfilment.design import (
    catalog_reader,
    installed_base,
    order_items,
    order_planner,
    order_subjects,
    orderability,
    service_order_planner,
)
from tmf_apis.fulfilment.design.catalog_cache import CatalogCache
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.design.subject_problems import SubjectProblems
from tmf_apis.fulfilment.order_rights import OrderRights
from tmf_apis.fulfilment.values import OrderDesign, OrderKey
from tmf_apis.ordering.order_schema import SERVICE_ORDER_SCHEMA
from tmf_apis.rest.pipeline.policy import Resource


class OrderDesigner:
    """Designs product orders and service orders; safe for use by several threads.

    A designer caches catalogue entries and compiled offers. It checks on every use that they are
    current, so one designer serves all tenants for the life of a process.

    Attributes:
        offers: The compiled offers.
    """

    def __init__(self) -> None:
        self.offers = OfferCache()
        self._catalogs = CatalogCache(catalog_reader.read_offerings)

    def design(self, rights: OrderRights, key: OrderKey, order: Resource) -> OrderDesign:
        """Return the design of an order for the current catalogue and inventory.

        Args:
            rights: The rights of the order.
            key: Identifies the order.
            order: The order.
        """
        problems = order_subjects.problems(rights, key, order)
        if key.kind == SERVICE_ORDER_SCHEMA.kind:
            design = self._design_service_order(rights, key, order, problems)
        else:
            design = self._design_product_order(rights, key, order, problems)
        is_known_here = problems.is_fulfilled_here or not design.is_rejected
        if is_known_here or orderability.has_own_data(rights, key.kind):
            return design
        return OrderDesign()

    def _design_product_order(
        self, rights: OrderRights, key: OrderKey, order: Resource, problems: SubjectProblems
    ) -> OrderDesign:
        products = installed_base.read_installed_products(rights, order_items.product_ids(order))
        offerings = order_items.offering_ids(order)
        offerings |= {product.offering for product in products.values()} - {""}
        catalog = self._catalogs.get(rights.operator, frozenset(offerings))
        catalog = replace(catalog, installed_base=products)
        problems = orderability.with_offering_problems(problems, order, catalog)
        return order_planner.order_design(key, order, catalog, self.offers, problems)

    def _design_service_order(
        self, rights: OrderRights, key: OrderKey, order: Resource, problems: SubjectProblems
    ) -> OrderDesign:
        services = installed_base.read_installed_services(
            rights, service_order_planner.service_ids(order)
        )
        specifications = service_order_planner.specification_ids(order)
        specifications |= {service.offering for service in services.values()} - {""}
        catalog = catalog_reader.read_service_specifications(
            rights.operator, specifications, services
        )
        product_order = service_order_planner.as_product_order(order)
        problems = orderability.with_offering_problems(problems, product_order, catalog)
        return service_order_planner.service_order_design(
            key,
            order,
            catalog,
            self.offers,
            problems,
        )
