"""The demo operator as resources: pure, the same for the same seed and time."""

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
        seed: Another seed gives other names, baskets and faults; the catalogue stays.
        now: What all dates are counted from, in UTC.
    """

    def random(part: str) -> Random:
        return Random(f"{seed} {part}")  # noqa: S311 - reproducible on purpose

    yield from catalogue.catalogue_resources(now)
    yield from technical_catalogs.technical_catalogue_resources(now)
    buyers = customers.customers(random("customers"))
    for resource in customers.customer_resources(buyers, random("contacts"), now):
        yield "Customer", resource
    places = sites.sites()
    placed = orders.orders(buyers, random("orders"))
    sold = [sale for order in placed for sale in order.sales if sale.state == "completed"]
    built = network.build_network(
        places, [sale for sale in sold if network.access_values(sale)], random("network"), now
    )
    for resource in built.resources.values():
        yield "Resource", resource
    details = random("order details")
    known = {order.id: orders.order_resource(order, places, details, now) for order in placed}
    for resource in known.values():
        yield "ProductOrder", resource
    yield from product_inventory.product_and_service_resources(placed, known, built, now)
    for resource in orders.cancellation_resources(placed, now):
        yield "CancelProductOrder", resource
    for resource in bills.bill_cycles(now):
        yield "BillCycle", resource
    yield from bills.billing_resources(sold, random("usage"), now)
    yield from alarms.alarm_resources(built, random("faults"), now)
