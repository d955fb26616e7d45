"""Product orders of the demo operator in every state of the lifecycle (TMF622)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from tmf_apis.demo.builders import (
    OPERATOR,
    PARTNER,
    VAT_PERCENT,
    characteristic,
    money,
    reference,
    related_party,
    time_before,
)
from tmf_apis.demo.catalogue import offering_ref, price_kinds, price_ref
from tmf_apis.demo.customers import Customer
from tmf_apis.demo.offers import OFFERS_BY_ID, Offer
from tmf_apis.demo.sites import Site
from tmf_apis.ordering import rules
from tmf_apis.rest.pipeline.policy import Resource

#: Number of orders by state, without the completed ones.
UNCOMPLETED_STATE_COUNTS = {
    "draft": 6,
    "acknowledged": 12,
    "pending": 8,
    "held": 6,
    "inProgress.accepted": 5,
    "inProgress": 14,
    "assessingCancellation": 4,
    "pendingCancellation": 3,
    "cancelled": 12,
    "rejected": 8,
    "failed": 9,
    "partial": 7,
}
#: States of orders whose products are in operation.
_DELIVERED_STATES = frozenset({"completed", "partial"})
_FINAL_STATES = frozenset({"completed", "partial", "failed", "cancelled", "rejected"})


@dataclass(frozen=True, slots=True)
class Sale:
    """An item of an order.

    Attributes:
        customer: The customer.
        offer: The offering.
        order_id: Id of the order.
        item_number: Number of the item.
        state: State of the item.
        age_days: Age of the order in days.
    """

    customer: Customer
    offer: Offer
    order_id: str
    item_number: int
    state: str
    age_days: float

    @property
    def product_id(self) -> str:
        """Id of the product, and of the resource facing service that realizes it."""
        return f"{self.order_id}-{self.item_number}"

    @property
    def product_name(self) -> str:
        """Name of the product."""
        return f"{self.offer.name} of {self.customer.name}"


@dataclass(frozen=True, slots=True)
class Order:
    """An order.

    Attributes:
        number: Number of the order, from 1.
        state: TMF622 ``state``.
        sales: Its items.
    """

    number: int
    state: str
    sales: tuple[Sale, ...]

    @property
    def id(self) -> str:
        """Id of the order."""
        return f"order-{self.number:04}"


def orders(buyers: list[Customer], random: Random) -> list[Order]:
    """Return a completed order of each customer, then orders in the other states."""
    eligible = [customer for customer in buyers if customer.can_have_ordered]
    plan = [(customer, "completed") for customer in eligible]
    for state, count in UNCOMPLETED_STATE_COUNTS.items():
        plan += [(customer, state) for customer in random.sample(eligible, count)]
    return [
        _order(number, customer, state, random) for number, (customer, state) in enumerate(plan, 1)
    ]


def _order(number: int, customer: Customer, state: str, random: Random) -> Order:
    offers = _basket(customer, random, min_offers=2 if state == "partial" else 1)
    days = (
        random.uniform(40, customer.tenure_days)
        if state == "completed"
        else random.uniform(0.1, 30)
    )
    id = f"order-{number:04}"
    states = [_item_state(state, index, len(offers)) for index in range(len(offers))]
    sales = (
        Sale(customer, offer, id, number, item_state, round(days, 3))
        for number, (offer, item_state) in enumerate(zip(offers, states, strict=True), 1)
    )
    return Order(number, state, tuple(sales))


def _item_state(state: str, index: int, count: int) -> str:
    if state == "partial":
        return "failed" if index == count - 1 else "completed"
    return {"draft": "acknowledged", "inProgress.accepted": "acknowledged"}.get(state, state)


_EXTRAS = ("mesh-wifi", "recorder", "security", "storage", "fixed-address", "visit", "roaming-week")
_MOBILE_OFFERS = ("mobile-s", "mobile-m", "mobile-l", "mobile-xl", "mobile-data", "mobile-prepaid")
_ACCESS_OFFERS = (
    "fibre-20",
    "fibre-50",
    "fibre-100",
    "fibre-100",
    "fibre-250",
    "fibre-250",
    "fibre-500",
    "fibre-1000",
    "home-duo",
    "home-trio",
    "family-quad",
    "student",
    "gamer",
)
_BUSINESS_OFFERS = ("business-fibre-100", "business-fibre-500", "business-fibre-1000", "office")
_BUSINESS_EXTRAS = ("sip-trunk-4", "sip-trunk-10", "address-block", "iot-meter", "iot-tracker",
                  "iot-fleet", "iot-camera", "mobile-l")  # fmt: skip
_CONSUMER_EXTRAS = ("tv-start", "tv-family", "tv-sport", "tv-cinema", "voice-line", "voice-flat")


def _basket(customer: Customer, random: Random, *, min_offers: int) -> list[Offer]:
    extras: tuple[str, ...]
    if customer.is_business:
        first, extras = random.choice(_BUSINESS_OFFERS), _BUSINESS_EXTRAS
    elif random.random() < 0.75:  # noqa: PLR2004 - share of households with an access
        first, extras = random.choice(_ACCESS_OFFERS), (*_CONSUMER_EXTRAS, *_EXTRAS)
    else:
        first, extras = random.choice(_MOBILE_OFFERS), ("security", "storage", "roaming-week")
    further = random.sample(extras, random.randint(min_offers - 1, 2))
    return [OFFERS_BY_ID[id] for id in (first, *further)]


def order_resource(order: Order, sites: list[Site], random: Random, now: datetime) -> Resource:
    """Return the TMF622 resource of an order."""
    first = order.sales[0]
    created, ended = first.age_days, max(first.age_days - random.uniform(0.2, 4), 0.01)
    by_partner = not first.customer.is_business and order.number % 5 == 0
    seller = related_party(*PARTNER, "seller") if by_partner else related_party(*OPERATOR, "seller")
    resource: dict[str, Any] = {
        "@type": "ProductOrder",
        "id": order.id,
        "state": order.state,
        "category": "business" if first.customer.is_business else "residential",
        "description": " and ".join(sale.offer.name for sale in order.sales),
        "priority": "1" if first.customer.is_business else "3",
        "creationDate": time_before(now, days=created),
        "requestedStartDate": time_before(now, days=created - 0.5),
        "requestedCompletionDate": time_before(now, days=created - 10),
        "expectedCompletionDate": time_before(now, days=created - 7),
        "notificationContact": f"{order.id}@example.org",
        "externalId": [
            {
                "@type": "ExternalIdentifier",
                "owner": (PARTNER if by_partner else OPERATOR)[1],
                "externalIdentifierType": "orderNumber",
                "id": f"PO-{order.number:06}",
            }
        ],
        "channel": [_channel(partner=by_partner)],
        "billingAccount": first.customer.account_reference,
        "relatedParty": [first.customer.related_party, seller],
        "note": [
            {
                "@type": "Note",
                "id": "1",
                "author": seller["partyOrPartyRole"]["name"],
                "date": time_before(now, days=created),
                "text": random.choice(_NOTES),
            }
        ],
        "orderTotalPrice": [
            _order_price(sale, kind) for sale in order.sales for kind in _fixed_price_kinds(sale)
        ],
        "productOrderItem": [
            _order_item(sale, sites[sale.customer.town_index], now) for sale in order.sales
        ],
    }
    return resource | _outcome(order, time_before(now, days=ended))


_NOTES = (
    "Please call before the visit.",
    "The customer moves in at the end of the month.",
    "Keep the present number.",
    "No visit needed, the line is there already.",
)


def _channel(*, partner: bool) -> Resource:
    name = ("channel-partner", "Partner") if partner else ("channel-online", "Online shop")
    return {
        "@type": "RelatedChannel",
        "role": "sales",
        "channel": reference("ChannelRef", *name, "Channel"),
    }


def _outcome(order: Order, end_time: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if order.state in _FINAL_STATES:
        attributes["completionDate"] = end_time
    if order.state == "cancelled":
        attributes |= {
            "cancellationDate": end_time,
            "cancellationReason": "The customer changed their mind",
        }
    if order.state in _DELIVERED_STATES:
        attributes["productOrderMilestone"] = [
            {
                "@type": "ProductOrderMilestone",
                "id": "1",
                "name": rules.POINT_OF_NO_RETURN,
                "description": "The line is switched",
                "status": "Completed",
                "milestoneDate": end_time,
                "message": "switched",
            }
        ]
    if order.state in {"failed", "partial", "rejected"}:
        attributes["productOrderErrorMessage"] = [
            {
                "@type": "ProductOrderErrorMessage",
                "code": "noResource",
                "reason": "No access port is free",
                "message": f"no access port is free for item {order.sales[-1].item_number}",
                "timestamp": end_time,
            }
        ]
    return attributes


def _fixed_price_kinds(sale: Sale) -> list[str]:
    return [kind for kind in price_kinds(sale.offer) if kind != "usage"]


def _order_price(sale: Sale, kind: str) -> Resource:
    net = Decimal(sale.offer.monthly_price if kind == "monthly" else sale.offer.setup_price)
    price_reference = price_ref(sale.offer, kind)
    price = {
        "@type": "OrderPrice",
        "name": price_reference["name"],
        "priceType": "recurring" if kind == "monthly" else "oneTime",
        "price": {
            "@type": "Price",
            "dutyFreeAmount": money(net),
            "taxIncludedAmount": money(net + net * VAT_PERCENT / 100),
            "taxRate": float(VAT_PERCENT),
        },
        "productOfferingPrice": price_reference,
    }
    return price | ({"recurringChargePeriod": "month"} if kind == "monthly" else {})


def _order_item(sale: Sale, site: Site, now: datetime) -> Resource:
    product: dict[str, Any] = {
        "@type": "Product",
        "name": sale.product_name,
        "isBundle": bool(sale.offer.component_ids),
        "place": [
            {"@type": "RelatedPlaceRefOrValue", "role": "installation", "place": site.reference}
        ],
    }
    if sale.offer.characteristic_values:
        product["productCharacteristic"] = [
            characteristic(name, value) for name, value in sale.offer.characteristic_values.items()
        ]
    if sale.state == "completed":
        product |= {
            "id": sale.product_id,
            "status": "active",
            "startDate": time_before(now, days=sale.age_days - 1),
        }
    return {
        "@type": "ProductOrderItem",
        "id": str(sale.item_number),
        "action": "add",
        "quantity": 1,
        "state": sale.state,
        "productOffering": offering_ref(sale.offer),
        "itemPrice": [_order_price(sale, kind) for kind in _fixed_price_kinds(sale)],
        "product": product,
    }


#: State of the cancellation request by state of the order.
_CANCELLATION_STATES = {
    "assessingCancellation": "inProgress",
    "pendingCancellation": "inProgress",
    "cancelled": "done",
    "partial": "terminatedWithError",
    "acknowledged": "acknowledged",
}


def cancellation_resources(order_list: list[Order], now: datetime) -> Iterator[Resource]:
    """Yield cancellation requests in every state that this server uses."""
    for order in order_list:
        if (state := _CANCELLATION_STATES.get(order.state)) is None:
            continue
        if state == "acknowledged" and order.number % 6:
            continue
        sale = order.sales[0]
        request = {
            "@type": "CancelProductOrder",
            "id": f"cancel-{order.id}",
            "state": state,
            "productOrder": reference("ProductOrderRef", order.id, order.id, "ProductOrder"),
            "cancellationReason": "The customer changed their mind",
            "creationDate": time_before(now, days=sale.age_days * 0.5),
            "requestedCancellationDate": time_before(now, days=sale.age_days * 0.5),
        }
        if state == "done":
            request["effectiveCancellationDate"] = time_before(now, days=sale.age_days * 0.4)
        yield request
