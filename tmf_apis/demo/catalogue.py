"""The demo operator's catalogue: TMF620 resources of the table of offers."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from tmf_apis.demo.offers import CATEGORIES, LINES, OFFERS, Line, Offer
from tmf_apis.demo.parts import (
    OPERATOR,
    VAT,
    allowed,
    before,
    entity,
    money,
    party,
    reference,
)
from tmf_apis.demo.technical import ACCESS, NAMES
from tmf_apis.rest.law import Resource

_LINES = {line.id: line for line in LINES}
_NAMES = {offer.id: offer.name for offer in OFFERS}
_ROOTS = {"home": "Larkspur at Home", "business": "Larkspur for Business"}


def catalogue(now: datetime) -> Iterator[tuple[str, Resource]]:
    """Yield kind and resource of everything in the catalogue."""
    for root, name in _ROOTS.items():
        yield "ProductCatalog", _catalog(root, name, now)
    for id in CATEGORIES:
        yield "Category", _category(id, now)
    for line in LINES:
        yield "ProductSpecification", _specification(line, now)
    for offer in OFFERS:
        for price in prices(offer):
            yield "ProductOfferingPrice", _price(offer, price, now)
        yield "ProductOffering", _offering(offer, now)
    yield from _jobs(now)


def offering_ref(offer: Offer) -> Resource:
    """Return a reference to an offering."""
    return reference(
        "ProductOfferingRef", f"offering-{offer.id}", offer.name, "ProductOffering", version="1.0"
    )


def price_ref(offer: Offer, kind: str) -> Resource:
    """Return a reference to one of an offering's prices."""
    id, name = f"price-{offer.id}-{kind}", f"{offer.name} {_PRICE_NAMES[kind]}"
    return reference("ProductOfferingPriceRef", id, name, "ProductOfferingPrice", version="1.0")


_PRICE_NAMES = {"monthly": "a month", "once": "set-up", "usage": "usage"}


def prices(offer: Offer) -> list[str]:
    """Return which prices an offering has: ``monthly``, ``once``, ``usage``."""
    found = {"monthly": offer.monthly, "once": offer.once, "usage": offer.usage}
    return [kind for kind, price in found.items() if price]


def _catalog(root: str, name: str, now: datetime) -> Resource:
    return entity(
        "ProductCatalog",
        f"catalogue-{root}",
        name,
        now,
        description=f"What {OPERATOR[1]} sells {'to households' if root == 'home' else 'to firms'}",
        catalogType="ProductCatalog",
        category=[_category_ref(root)],
        relatedParty=[party(*OPERATOR, "owner")],
    )


def _category_ref(id: str) -> Resource:
    return reference("CategoryRef", f"category-{id}", CATEGORIES[id][1], "Category", version="1.0")


def _category(id: str, now: datetime) -> Resource:
    parent, name = CATEGORIES[id]
    children = [one for one, (above, _) in CATEGORIES.items() if above == id]
    inside = [offer for offer in OFFERS if _LINES[offer.line].category == id]
    made = entity("Category", f"category-{id}", name, now, isRoot=not parent,
                  description=f"{name}: {len(inside)} offerings")  # fmt: skip
    if parent:
        made["parent"] = _category_ref(parent)
    if children:
        made["subCategory"] = [_category_ref(child) for child in children]
    if inside:
        made["productOffering"] = [offering_ref(offer) for offer in inside]
    return made


def _specification(line: Line, now: datetime) -> Resource:
    made = entity(
        "ProductSpecification",
        f"specification-{line.id}",
        line.name,
        now,
        description=f"{line.name} of {OPERATOR[1]}",
        brand=OPERATOR[1],
        productNumber=f"LN-{LINES.index(line) + 1:03}",
        isBundle=bool(line.parts),
        category=[_category_ref(line.category)],
        relatedParty=[party(*OPERATOR, "owner")],
    )
    if line.parts:
        made["bundledProductSpecification"] = [
            {
                "@type": "BundledProductSpecification",
                "id": f"specification-{part}",
                "name": _LINES[part].name,
                "lifecycleStatus": "Active",
            }
            for part in line.parts
        ]
    if "serviceType" in line.choices:
        made["serviceSpecification"] = [
            reference(
                "ServiceSpecificationRef",
                ACCESS,
                NAMES[ACCESS],
                "ServiceSpecification",
                version="1.0",
                href=f"/tmf-api/serviceCatalogManagement/v4/serviceSpecification/{ACCESS}",
            )
        ]
    if line.choices:
        made["productSpecCharacteristic"] = [
            {
                "@type": "CharacteristicSpecification",
                "id": name,
                "name": name,
                "valueType": "string" if isinstance(values[0], str) else "integer",
                "configurable": len(values) > 1,
                "minCardinality": 1,
                "maxCardinality": 1,
                "characteristicValueSpecification": [
                    allowed(value, unit=unit, default=len(values) == 1)
                    for value in dict.fromkeys(values)
                ],
            }
            for name, (unit, values) in line.choices.items()
        ]
    return made


def _specification_ref(line: Line) -> Resource:
    return reference(
        "ProductSpecificationRef", f"specification-{line.id}", line.name, "ProductSpecification",
        version="1.0",
    )  # fmt: skip


def _offering(offer: Offer, now: datetime) -> Resource:
    line = _LINES[offer.line]
    made = entity(
        "ProductOffering",
        f"offering-{offer.id}",
        offer.name,
        now,
        description=offer.text or line.name,
        isBundle=bool(offer.parts),
        isSellable=True,
        statusReason="on sale",
        category=[_category_ref(line.category)],
        productSpecification=_specification_ref(line),
        productOfferingPrice=[price_ref(offer, kind) for kind in prices(offer)],
        channel=[reference("ChannelRef", "channel-online", "Online shop", "Channel")],
        marketSegment=[
            reference("MarketSegmentRef", offer.segment, offer.segment.title(), "MarketSegment")
        ],
    )
    if offer.parts:
        made["bundledProductOffering"] = [_part(part) for part in offer.parts]
    if offer.values:
        made["prodSpecCharValueUse"] = [
            _used(line, name, value) for name, value in offer.values.items()
        ]
    if offer.months:
        made["productOfferingTerm"] = [
            {
                "@type": "ProductOfferingTerm",
                "name": f"{offer.months} months" if offer.months > 1 else "monthly",
                "description": f"Bound for at least {offer.months} months",
                "duration": {"amount": offer.months, "units": "month"},
            }
        ]
    return made


def _part(id: str) -> Resource:
    option = {
        "@type": "BundledProductOfferingOption",
        "numberRelOfferLowerLimit": 1,
        "numberRelOfferDefault": 1,
        "numberRelOfferUpperLimit": 1,
    }
    return reference(
        "BundledProductOffering", f"offering-{id}", _NAMES[id], "ProductOffering", version="1.0",
        bundledProductOfferingOption=option,
    )  # fmt: skip


def _used(line: Line, name: str, value: str | int) -> Resource:
    unit = line.choices[name][0]
    return {
        "@type": "ProductSpecificationCharacteristicValueUse",
        "name": name,
        "valueType": "string" if isinstance(value, str) else "integer",
        "minCardinality": 1,
        "maxCardinality": 1,
        "productSpecCharacteristicValue": [allowed(value, unit=unit, default=True)],
        "productSpecification": _specification_ref(line),
    }


def _price(offer: Offer, kind: str, now: datetime) -> Resource:
    reference = price_ref(offer, kind)
    made = entity(
        "ProductOfferingPrice",
        reference["id"],
        reference["name"],
        now,
        description=f"Price of {offer.name}, without tax",
        isBundle=False,
        tax=[{"@type": "TaxItem", "taxCategory": "VAT", "taxRate": float(VAT)}],
    )
    if kind == "monthly":
        made |= {
            "priceType": "recurring",
            "recurringChargePeriodType": "month",
            "recurringChargePeriodLength": 1,
            "price": money(Decimal(offer.monthly)),
        }
    elif kind == "once":
        made |= {"priceType": "oneTime", "price": money(Decimal(offer.once))}
    elif offer.usage:
        price, unit = offer.usage
        made |= {
            "priceType": "usage",
            "unitOfMeasure": {"amount": 1.0, "units": unit},
            "price": money(Decimal(price)),
        }
    return made


def _jobs(now: datetime) -> Iterator[tuple[str, Resource]]:
    for number, (status, log) in enumerate(
        (("Succeeded", ""), ("Failed", "line 7: /name: expected a text that is not blank")), 1
    ):
        for kind, path in (("ImportJob", "/productOffering"), ("ExportJob", "/category")):
            job = {
                "@type": kind,
                "id": f"{kind.lower()}-{number}",
                "status": status,
                "url": f"file:{kind.lower()}-{number}.ndjson",
                "path": path,
                "contentType": "application/x-ndjson",
                "creationDate": before(now, days=9 + number),
                "completionDate": before(now, days=9 + number, minutes=-2),
            }
            yield kind, {**job, **({"errorLog": log} if log else {})}
