"""Generator of the demo operator's resources; the same seed and time give the same resources."""

from collections.abc import Iterator
from datetime import datetime
from random import Random

from tmf_apis.demo import (
    alarms,
    bills,
    catalogue,
    customers,
    network,
    orders,
    product_inventory,
    sites,
    technical_catalogs,
)
from tmf_apis.rest.pipeline.policy import Resource

#: Seed of the operator that ``tmf serve --demo`` loads.
SEED = 620


def operator_resources(seed: int, now: datetime) -> Iterator[tuple[str, Resource]]:
    """Yield kind and stored form of every resource of the demo operator.

    Args:
        seed: Seed of names, baskets and faults; the catalogue is always the same.
        now: Time in UTC to which all dates are relative.
    """

    def random(part: str) -> Random:
        return Random(f"{seed} {part}")  # noqa: S311 - must be reproducible

    yield from catalogue.catalogue_resources(now)
    yield from technical_catalogs.technical_catalogue_resources(now)
    customer_list = customers.customers(random("customers"))
    for resource in customers.customer_resources(customer_list, random("contacts"), now):
        yield "Customer", resource
    site_list = sites.sites()
    order_list = orders.orders(customer_list, random("orders"))
    completed_sales = [
        sale for order in order_list for sale in order.sales if sale.state == "completed"
    ]
    operator_network = network.build_network(
        site_list,
        [sale for sale in completed_sales if network.access_values(sale)],
        random("network"),
        now,
    )
    for resource in operator_network.resources.values():
        yield "Resource", resource
    details = random("order details")
    order_resources = {
        order.id: orders.order_resource(order, site_list, details, now) for order in order_list
    }
    for resource in order_resources.values():
        yield "ProductOrder", resource
    yield from product_inventory.product_and_service_resources(
        order_list, order_resources, operator_network, now
    )
    for resource in orders.cancellation_resources(order_list, now):
        yield "CancelProductOrder", resource
    for resource in bills.bill_cycles(now):
        yield "BillCycle", resource
    yield from bills.billing_resources(completed_sales, random("usage"), now)
    yield from alarms.alarm_resources(operator_network, random("faults"), now)
