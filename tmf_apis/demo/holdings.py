"""What the demo operator's customers have: TMF637 products and the TMF638 services behind them.

A completed order is what fulfilment would have left: the product has the id of order and item, the
service on the port the same, which is the tag on the port, and the one that faces the customer
``<id>-cfs``. Where no port of the operator is left the line is another operator's.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tmf_apis.demo.network import Network, access
from tmf_apis.demo.offers import BY_ID, LINES, Offer
from tmf_apis.demo.orders import Order, Sale
from tmf_apis.demo.parts import before
from tmf_apis.demo.technical import ACCESS, LINE, NAMES, reference
from tmf_apis.fulfilment.execution.records import ordered
from tmf_apis.rest.law import Resource

_MEGABIT = 1_000_000
_LINES = {line.id: line for line in LINES}


def holdings(
    placed: list[Order], resources: Mapping[str, Resource], network: Network, now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield the products of completed sales, and their services.

    Args:
        placed: The orders.
        resources: The orders as resources, by id.
        network: What carries them.
        now: What all dates are counted from, in UTC.
    """
    for order in placed:
        for sale in order.sales:
            if sale.state == "completed":
                whole = resources[order.id]
                item = whole["productOrderItem"][sale.item - 1]
                product = _product(sale, whole, item, now)
                port = network.port_of.get(sale.product)
                if access(sale):
                    yield from _services(sale, product, port and network.resources[port])
                yield "Product", product


def _product(sale: Sale, order: Mapping[str, Any], item: Resource, now: datetime) -> dict[str, Any]:
    line = _LINES[sale.offer.line]
    made = {
        "@type": "Product",
        "id": sale.product,
        "name": sale.name,
        "isBundle": bool(sale.offer.parts),
        "isCustomerVisible": True,
        **ordered(order, item),
        "status": "active",
        "orderDate": order["creationDate"],
        "startDate": before(now, days=sale.days - 1),
        "productOffering": _offering(sale.offer),
        "productSpecification": reference(
            "ProductSpecification", f"specification-{line.id}", line.name, version="1.0"
        ),
        "productOrderItem": [
            {
                "productOrderId": sale.order,
                "orderItemId": str(sale.item),
                "orderItemAction": "add",
                "@referredType": "ProductOrder",
            }
        ],
    }
    if sale.offer.parts:
        made["product"] = [
            {
                "name": BY_ID[part].name,
                "isBundle": False,
                "status": "active",
                "productOffering": _offering(BY_ID[part]),
            }
            for part in sale.offer.parts
        ]
    return made


def _offering(offer: Offer) -> Resource:
    return reference("ProductOffering", f"offering-{offer.id}", offer.name)


def _services(
    sale: Sale, product: dict[str, Any], port: Resource | str | None
) -> Iterator[tuple[str, Resource]]:
    """Yield the services of an access, and put them into its product."""
    speeds = {way: int(access(sale)[f"{way}Speed"]) for way in ("downstream", "upstream")}
    outer = _service(sale, product, ACCESS, {f"{way}Speed": v for way, v in speeds.items()})
    product["realizingService"] = [reference("Service", outer["id"], outer["name"])]
    if not isinstance(port, dict):
        outer["description"] = "Over the line of another operator"
        yield "Service", outer
        return
    inner = _service(sale, product, LINE, {way: v * _MEGABIT for way, v in speeds.items()})
    found = [reference("Resource", port["id"], port["name"])]
    product["realizingResource"] = inner["supportingResource"] = found
    outer["supportingService"] = [reference("Service", inner["id"], inner["name"])]
    yield "Service", inner
    yield "Service", outer


def _service(
    sale: Sale, product: Mapping[str, Any], specification: str, values: Mapping[str, int]
) -> dict[str, Any]:
    facing = "CFS" if specification == ACCESS else "RFS"
    return {
        "@type": "Service",
        "id": sale.product if facing == "RFS" else f"{sale.product}-cfs",
        "name": f"{NAMES[specification]} of {sale.customer.name}",
        "category": facing,
        "serviceType": "broadband",
        "state": "active",
        "hasStarted": True,
        "isServiceEnabled": True,
        "serviceDate": product["startDate"],
        "startDate": product["startDate"],
        **{name: product[name] for name in ("relatedParty", "place") if name in product},
        "serviceSpecification": reference(
            "ServiceSpecification", specification, NAMES[specification], version="1.0"
        ),
        "serviceCharacteristic": [
            {"name": name, "valueType": "integer", "value": value} for name, value in values.items()
        ],
        "relatedEntity": [{"id": sale.product, "role": "product", "@referredType": "Product"}],
    }
