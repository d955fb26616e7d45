"""Products (TMF637) and services (TMF638) of the demo operator's customers.

They are like those that fulfilment creates for completed orders. The id of a product consists of
the ids of order and item. The resource facing service has the same id, which is also the tag on the
port; the id of the customer facing service is ``<id>-cfs``. If the site has no free port, the line
is that of another operator.
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
_SPECIFICATIONS = {specification.id: specification for specification in SPECIFICATIONS}


def product_and_service_resources(
    orders: list[Order], order_resources: Mapping[str, Resource], network: Network, now: datetime
) -> Iterator[tuple[str, Resource]]:
    """Yield kind and body of the products of completed sales, and of their services.

    Args:
        orders: The orders.
        order_resources: The resources of the orders by id.
        network: The network that carries the services.
        now: Time in UTC to which all dates are relative.
    """
    for order in orders:
        for sale in order.sales:
            if sale.state == "completed":
                order_resource = order_resources[order.id]
                item = order_resource["productOrderItem"][sale.item_number - 1]
                product = _product(sale, order_resource, item, now)
                port = network.port_by_product.get(sale.product_id)
                if access_values(sale):
                    yield from _services(sale, product, port and network.resources[port])
                yield "Product", product


def _product(sale: Sale, order: Mapping[str, Any], item: Resource, now: datetime) -> dict[str, Any]:
    specification = _SPECIFICATIONS[sale.offer.specification_id]
    product = {
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
            "ProductSpecification",
            f"specification-{specification.id}",
            specification.name,
            version="1.0",
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
        names = ", ".join(OFFERS_BY_ID[part].name for part in sale.offer.component_ids)
        product.setdefault("productCharacteristic", [_v4_characteristic("components", names)])
        product["product"] = [
            {
                "name": OFFERS_BY_ID[part].name,
                "productCharacteristic": [
                    _v4_characteristic(name, value)
                    for name, value in OFFERS_BY_ID[part].characteristic_values.items()
                ],
                "isBundle": False,
                "status": "active",
                "productOffering": _offering_reference(OFFERS_BY_ID[part]),
            }
            for part in sale.offer.component_ids
        ]
    return product


def _v4_characteristic(name: str, value: str | int) -> Resource:
    value_type = "string" if isinstance(value, str) else "integer"
    return {"name": name, "valueType": value_type, "value": value}


def _offering_reference(offer: Offer) -> Resource:
    return v4_reference("ProductOffering", f"offering-{offer.id}", offer.name)


def _services(
    sale: Sale, product: dict[str, Any], port: Resource | str | None
) -> Iterator[tuple[str, Resource]]:
    """Yield the services of an access and add references to them to its product."""
    speeds = {
        direction: int(access_values(sale)[f"{direction}Speed"])
        for direction in ("downstream", "upstream")
    }
    customer_facing = _service(
        sale, product, ACCESS_SERVICE, {f"{direction}Speed": v for direction, v in speeds.items()}
    )
    product["realizingService"] = [
        v4_reference("Service", customer_facing["id"], customer_facing["name"])
    ]
    if not isinstance(port, dict):
        customer_facing["description"] = "Over the line of another operator"
        yield "Service", customer_facing
        return
    resource_facing = _service(
        sale, product, LINE_SERVICE, {direction: v * _MEGABIT for direction, v in speeds.items()}
    )
    port_references = [v4_reference("Resource", port["id"], port["name"])]
    product["realizingResource"] = resource_facing["supportingResource"] = port_references
    customer_facing["supportingService"] = [
        v4_reference("Service", resource_facing["id"], resource_facing["name"])
    ]
    yield "Service", resource_facing
    yield "Service", customer_facing


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
