"""What the demo operator's customers have: TMF637 products and the TMF638 services behind them.

A completed order is what fulfilment would have left: the product has the id of order and item, the
service on the port the same, which is the tag on the port, and the one that faces the customer
``<id>-cfs``. Where no port of the operator is left the line is another operator's.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.demo.builders import time_before
from tmf_apis.demo.network import Network, access_values
from tmf_apis.demo.offers import OFFERS_BY_ID, SPECIFICATIONS, Offer
from tmf_apis.demo.orders import Order, Sale
from tmf_apis.demo.technical_catalogs import (
    ACCESS_SERVICE,
    LINE_SERVICE,
    SERVICE_NAMES,
    v4_reference,
)
from tmf_apis.fulfilment.execution.inventory_records import ordered_product
from tmf_apis.rest.pipeline.policy import Resource

_MEGABIT = 1_000_000
_SPECIFICATIONS = {line.id: line for line in SPECIFICATIONS}


def product_and_service_resources(
    orders: list[Order], order_resources: Mapping[str, Resource], network: Network, now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield the products of completed sales, and their services.

    Args:
        orders: The orders.
        order_resources: The orders as resources, by id.
        network: What carries them.
        now: What all dates are counted from, in UTC.
    """
    for order in orders:
        for sale in order.sales:
            if sale.state == "completed":
                whole = order_resources[order.id]
                item = whole["productOrderItem"][sale.item_number - 1]
                product = _product(sale, whole, item, now)
                port = network.port_by_product.get(sale.product_id)
                if access_values(sale):
                    yield from _services(sale, product, port and network.resources[port])
                yield "Product", product


def _product(sale: Sale, order: Mapping[str, Any], item: Resource, now: datetime) -> dict[str, Any]:
    line = _SPECIFICATIONS[sale.offer.specification_id]
    made = {
        "@type": "Product",
        "id": sale.product_id,
        "name": sale.product_name,
        "isBundle": bool(sale.offer.component_ids),
        "isCustomerVisible": True,
        **ordered_product(order, item),
        "status": "active",
        "orderDate": order["creationDate"],
        "startDate": time_before(now, days=sale.age_days - 1),
        "productOffering": _offering_reference(sale.offer),
        "productSpecification": v4_reference(
            "ProductSpecification", f"specification-{line.id}", line.name, version="1.0"
        ),
        "productOrderItem": [
            {
                "productOrderId": sale.order_id,
                "orderItemId": str(sale.item_number),
                "orderItemAction": "add",
                "@referredType": "ProductOrder",
            }
        ],
    }
    if sale.offer.component_ids:
        made["product"] = [
            {
                "name": OFFERS_BY_ID[part].name,
                "isBundle": False,
                "status": "active",
                "productOffering": _offering_reference(OFFERS_BY_ID[part]),
            }
            for part in sale.offer.component_ids
        ]
    return made


def _offering_reference(offer: Offer) -> Resource:
    return v4_reference("ProductOffering", f"offering-{offer.id}", offer.name)


def _services(
    sale: Sale, product: dict[str, Any], port: Resource | str | None
) -> Iterator[tuple[str, Resource]]:
    """Yield the services of an access, and put them into its product."""
    speeds = {way: int(access_values(sale)[f"{way}Speed"]) for way in ("downstream", "upstream")}
    outer = _service(sale, product, ACCESS_SERVICE, {f"{way}Speed": v for way, v in speeds.items()})
    product["realizingService"] = [v4_reference("Service", outer["id"], outer["name"])]
    if not isinstance(port, dict):
        outer["description"] = "Over the line of another operator"
        yield "Service", outer
        return
    inner = _service(sale, product, LINE_SERVICE, {way: v * _MEGABIT for way, v in speeds.items()})
    found = [v4_reference("Resource", port["id"], port["name"])]
    product["realizingResource"] = inner["supportingResource"] = found
    outer["supportingService"] = [v4_reference("Service", inner["id"], inner["name"])]
    yield "Service", inner
    yield "Service", outer


def _service(
    sale: Sale, product: Mapping[str, Any], specification: str, values: Mapping[str, int]
) -> dict[str, Any]:
    facing = "CFS" if specification == ACCESS_SERVICE else "RFS"
    return {
        "@type": "Service",
        "id": sale.product_id if facing == "RFS" else f"{sale.product_id}-cfs",
        "name": f"{SERVICE_NAMES[specification]} of {sale.customer.name}",
        "category": facing,
        "serviceType": "broadband",
        "state": "active",
        "hasStarted": True,
        "isServiceEnabled": True,
        "serviceDate": product["startDate"],
        "startDate": product["startDate"],
        **{name: product[name] for name in ("relatedParty", "place") if name in product},
        "serviceSpecification": v4_reference(
            "ServiceSpecification", specification, SERVICE_NAMES[specification], version="1.0"
        ),
        "serviceCharacteristic": [
            {"name": name, "valueType": "integer", "value": value} for name, value in values.items()
        ],
        "relatedEntity": [{"id": sale.product_id, "role": "product", "@referredType": "Product"}],
    }
