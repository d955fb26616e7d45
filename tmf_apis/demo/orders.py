"""The demo operator's orders, in every state of the lifecycle: TMF622 resources."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from tmf_apis.demo.catalogue import offering_ref, price_ref, prices
from tmf_apis.demo.customers import Customer
from tmf_apis.demo.offers import BY_ID, Offer
from tmf_apis.demo.parts import (
    OPERATOR,
    PARTNER,
    VAT,
    before,
    characteristic,
    money,
    party,
    reference,
)
from tmf_apis.demo.sites import Site
from tmf_apis.ordering import rules
from tmf_apis.rest.law import Resource

#: States of orders that are not completed, and how many there are of each.
OTHERS = {
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
#: Of these orders the products are in operation.
_DONE = frozenset({"completed", "partial"})
_ENDED = frozenset({"completed", "partial", "failed", "cancelled", "rejected"})


@dataclass(frozen=True, slots=True)
class Sale:
    """An offering that a customer has ordered.

    Attributes:
        customer: Who.
        offer: What.
        order: Id of the order.
        item: Number of its item.
        state: Of the item.
        days: How long ago, in days.
    """

    customer: Customer
    offer: Offer
    order: str
    item: int
    state: str
    days: float

    @property
    def product(self) -> str:
        """Id of the product that it becomes; also of the service that realizes it."""
        return f"{self.order}-{self.item}"

    @property
    def name(self) -> str:
        """Name of the product."""
        return f"{self.offer.name} of {self.customer.name}"


@dataclass(frozen=True, slots=True)
class Order:
    """An order: its sales, one an item.

    Attributes:
        number: From 1.
        state: TMF622 ``state``.
        sales: What was ordered.
    """

    number: int
    state: str
    sales: tuple[Sale, ...]

    @property
    def id(self) -> str:
        """Its id."""
        return f"order-{self.number:04}"


def orders(buyers: list[Customer], random: Random) -> list[Order]:
    """Return the first order of each customer, then further ones in the other states."""
    able = [one for one in buyers if one.orders]
    plan = [(one, "completed") for one in able]
    for state, count in OTHERS.items():
        plan += [(one, state) for one in random.sample(able, count)]
    return [_order(n, one, state, random) for n, (one, state) in enumerate(plan, 1)]


def _order(number: int, customer: Customer, state: str, random: Random) -> Order:
    offers = _basket(customer, random, least=2 if state == "partial" else 1)
    days = random.uniform(40, customer.since) if state == "completed" else random.uniform(0.1, 30)
    id = f"order-{number:04}"
    states = [_item_state(state, n, len(offers)) for n in range(len(offers))]
    sales = (
        Sale(customer, offer, id, n, one, round(days, 3))
        for n, (offer, one) in enumerate(zip(offers, states, strict=True), 1)
    )
    return Order(number, state, tuple(sales))


def _item_state(state: str, place: int, count: int) -> str:
    if state == "partial":
        return "failed" if place == count - 1 else "completed"
    return {"draft": "acknowledged", "inProgress.accepted": "acknowledged"}.get(state, state)


_EXTRAS = ("mesh-wifi", "recorder", "security", "storage", "fixed-address", "visit", "roaming-week")
_MOBILES = ("mobile-s", "mobile-m", "mobile-l", "mobile-xl", "mobile-data", "mobile-prepaid")
_ACCESS = ("fibre-20", "fibre-50", "fibre-100", "fibre-100", "fibre-250", "fibre-250", "fibre-500",
           "fibre-1000", "home-duo", "home-trio", "family-quad", "student", "gamer")  # fmt: skip
_BUSINESS = ("business-fibre-100", "business-fibre-500", "business-fibre-1000", "office")
_BUSINESS_MORE = ("sip-trunk-4", "sip-trunk-10", "address-block", "iot-meter", "iot-tracker",
                  "iot-fleet", "iot-camera", "mobile-l")  # fmt: skip
_CONSUMER_MORE = ("tv-start", "tv-family", "tv-sport", "tv-cinema", "voice-line", "voice-flat")


def _basket(customer: Customer, random: Random, *, least: int) -> list[Offer]:
    more: tuple[str, ...]
    if customer.business:
        first, more = random.choice(_BUSINESS), _BUSINESS_MORE
    elif random.random() < 0.75:  # noqa: PLR2004 - share of households with an access
        first, more = random.choice(_ACCESS), (*_CONSUMER_MORE, *_EXTRAS)
    else:
        first, more = random.choice(_MOBILES), ("security", "storage", "roaming-week")
    extra = random.sample(more, random.randint(least - 1, 2))
    return [BY_ID[id] for id in (first, *extra)]


def resource(order: Order, sites: list[Site], random: Random, now: datetime) -> Resource:
    """Return the TMF622 resource of an order."""
    first = order.sales[0]
    created, ended = first.days, max(first.days - random.uniform(0.2, 4), 0.01)
    by_partner = not first.customer.business and order.number % 5 == 0
    seller = party(*PARTNER, "seller") if by_partner else party(*OPERATOR, "seller")
    made: dict[str, Any] = {
        "@type": "ProductOrder",
        "id": order.id,
        "state": order.state,
        "category": "business" if first.customer.business else "residential",
        "description": " and ".join(sale.offer.name for sale in order.sales),
        "priority": "1" if first.customer.business else "3",
        "creationDate": before(now, days=created),
        "requestedStartDate": before(now, days=created - 0.5),
        "requestedCompletionDate": before(now, days=created - 10),
        "expectedCompletionDate": before(now, days=created - 7),
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
        "billingAccount": first.customer.account,
        "relatedParty": [first.customer.related, seller],
        "note": [
            {
                "@type": "Note",
                "id": "1",
                "author": seller["partyOrPartyRole"]["name"],
                "date": before(now, days=created),
                "text": random.choice(_NOTES),
            }
        ],
        "orderTotalPrice": [_price(sale, kind) for sale in order.sales for kind in _billed(sale)],
        "productOrderItem": [_item(sale, sites[sale.customer.town], now) for sale in order.sales],
    }
    return made | _outcome(order, before(now, days=ended))


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


def _outcome(order: Order, ended: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if order.state in _ENDED:
        made["completionDate"] = ended
    if order.state == "cancelled":
        made |= {"cancellationDate": ended, "cancellationReason": "The customer changed their mind"}
    if order.state in _DONE:
        made["productOrderMilestone"] = [
            {
                "@type": "ProductOrderMilestone",
                "id": "1",
                "name": rules.POINT_OF_NO_RETURN,
                "description": "The line is switched",
                "status": "Completed",
                "milestoneDate": ended,
                "message": "switched",
            }
        ]
    if order.state in {"failed", "partial", "rejected"}:
        made["productOrderErrorMessage"] = [
            {
                "@type": "ProductOrderErrorMessage",
                "code": "noResource",
                "reason": "No access port is free",
                "message": f"no access port is free for item {order.sales[-1].item}",
                "timestamp": ended,
            }
        ]
    return made


def _billed(sale: Sale) -> list[str]:
    return [kind for kind in prices(sale.offer) if kind != "usage"]


def _price(sale: Sale, kind: str) -> Resource:
    net = Decimal(sale.offer.monthly if kind == "monthly" else sale.offer.once)
    reference = price_ref(sale.offer, kind)
    made = {
        "@type": "OrderPrice",
        "name": reference["name"],
        "priceType": "recurring" if kind == "monthly" else "oneTime",
        "price": {
            "@type": "Price",
            "dutyFreeAmount": money(net),
            "taxIncludedAmount": money(net + net * VAT / 100),
            "taxRate": float(VAT),
        },
        "productOfferingPrice": reference,
    }
    return made | ({"recurringChargePeriod": "month"} if kind == "monthly" else {})


def _item(sale: Sale, site: Site, now: datetime) -> Resource:
    product: dict[str, Any] = {
        "@type": "Product",
        "name": sale.name,
        "isBundle": bool(sale.offer.parts),
        "place": [
            {"@type": "RelatedPlaceRefOrValue", "role": "installation", "place": site.reference}
        ],
    }
    if sale.offer.values:
        product["productCharacteristic"] = [
            characteristic(name, value) for name, value in sale.offer.values.items()
        ]
    if sale.state == "completed":
        product |= {
            "id": sale.product,
            "status": "active",
            "startDate": before(now, days=sale.days - 1),
        }
    return {
        "@type": "ProductOrderItem",
        "id": str(sale.item),
        "action": "add",
        "quantity": 1,
        "state": sale.state,
        "productOffering": offering_ref(sale.offer),
        "itemPrice": [_price(sale, kind) for kind in _billed(sale)],
        "product": product,
    }


#: From the state of an order to that of the request to cancel it.
_TASKS = {
    "assessingCancellation": "inProgress",
    "pendingCancellation": "inProgress",
    "cancelled": "done",
    "partial": "terminatedWithError",
    "acknowledged": "acknowledged",
}


def cancellations(found: list[Order], now: datetime) -> Iterator[Resource]:
    """Yield requests to cancel orders, in every state that this server uses."""
    for order in found:
        if (state := _TASKS.get(order.state)) is None:
            continue
        if state == "acknowledged" and order.number % 6:
            continue
        sale = order.sales[0]
        made = {
            "@type": "CancelProductOrder",
            "id": f"cancel-{order.id}",
            "state": state,
            "productOrder": reference("ProductOrderRef", order.id, order.id, "ProductOrder"),
            "cancellationReason": "The customer changed their mind",
            "creationDate": before(now, days=sale.days * 0.5),
            "requestedCancellationDate": before(now, days=sale.days * 0.5),
        }
        if state == "done":
            made["effectiveCancellationDate"] = before(now, days=sale.days * 0.4)
        yield made
