"""Product catalogue of the demo operator (TMF620), made from the table of offers."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from tmf_apis.demo.builders import (
    OPERATOR,
    VAT_PERCENT,
    allowed_value,
    catalogue_entity,
    money,
    reference,
    related_party,
    time_before,
)
from tmf_apis.demo.offers import CATEGORIES, OFFERS, SPECIFICATIONS, Offer, Specification
from tmf_apis.demo.technical_catalogs import ACCESS_SERVICE, SERVICE_NAMES
from tmf_apis.rest.pipeline.policy import Resource

_SPECIFICATIONS = {specification.id: specification for specification in SPECIFICATIONS}
_OFFER_NAMES = {offer.id: offer.name for offer in OFFERS}
_ROOTS = {"home": "Larkspur at Home", "business": "Larkspur for Business"}


def catalogue_resources(now: datetime) -> Iterator[tuple[str, Resource]]:
    """Yield kind and body of all entities of the catalogue."""
    for root, name in _ROOTS.items():
        yield "ProductCatalog", _catalog(root, name, now)
    for id in CATEGORIES:
        yield "Category", _category(id, now)
    for specification in SPECIFICATIONS:
        yield "ProductSpecification", _specification(specification, now)
    for offer in OFFERS:
        for price in price_kinds(offer):
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


def price_kinds(offer: Offer) -> list[str]:
    """Return the kinds of the prices of an offering: ``monthly``, ``once``, ``usage``."""
    prices = {"monthly": offer.monthly_price, "once": offer.setup_price, "usage": offer.usage_price}
    return [kind for kind, price in prices.items() if price]


def _catalog(root: str, name: str, now: datetime) -> Resource:
    return catalogue_entity(
        "ProductCatalog",
        f"catalogue-{root}",
        name,
        now,
        description=f"Offerings for {'households' if root == 'home' else 'businesses'}",
        catalogType="ProductCatalog",
        category=[_category_ref(root)],
        relatedParty=[related_party(*OPERATOR, "owner")],
    )


def _category_ref(id: str) -> Resource:
    return reference("CategoryRef", f"category-{id}", CATEGORIES[id][1], "Category", version="1.0")


def _category(id: str, now: datetime) -> Resource:
    parent, name = CATEGORIES[id]
    children = [child for child, (above, _) in CATEGORIES.items() if above == id]
    offers = [offer for offer in OFFERS if _SPECIFICATIONS[offer.specification_id].category == id]
    category = catalogue_entity("Category", f"category-{id}", name, now, isRoot=not parent,
                  description=f"{name}: {len(offers)} offerings")  # fmt: skip
    if parent:
        category["parent"] = _category_ref(parent)
    if children:
        category["subCategory"] = [_category_ref(child) for child in children]
    if offers:
        category["productOffering"] = [offering_ref(offer) for offer in offers]
    return category


def _specification(specification: Specification, now: datetime) -> Resource:
    resource = catalogue_entity(
        "ProductSpecification",
        f"specification-{specification.id}",
        specification.name,
        now,
        description=f"{specification.name} of {OPERATOR[1]}",
        brand=OPERATOR[1],
        productNumber=f"LN-{SPECIFICATIONS.index(specification) + 1:03}",
        isBundle=bool(specification.component_ids),
        category=[_category_ref(specification.category)],
        relatedParty=[related_party(*OPERATOR, "owner")],
    )
    if specification.component_ids:
        resource["bundledProductSpecification"] = [
            {
                "@type": "BundledProductSpecification",
                "id": f"specification-{part}",
                "name": _SPECIFICATIONS[part].name,
                "lifecycleStatus": "Active",
            }
            for part in specification.component_ids
        ]
    if "serviceType" in specification.allowed_values:
        resource["serviceSpecification"] = [
            reference(
                "ServiceSpecificationRef",
                ACCESS_SERVICE,
                SERVICE_NAMES[ACCESS_SERVICE],
                "ServiceSpecification",
                version="1.0",
                href=f"/tmf-api/serviceCatalogManagement/v4/serviceSpecification/{ACCESS_SERVICE}",
            )
        ]
    if specification.allowed_values:
        resource["productSpecCharacteristic"] = [
            {
                "@type": "CharacteristicSpecification",
                "id": name,
                "name": name,
                "valueType": "string" if isinstance(values[0], str) else "integer",
                "configurable": len(values) > 1,
                "minCardinality": 1,
                "maxCardinality": 1,
                "characteristicValueSpecification": [
                    allowed_value(value, unit=unit, default=len(values) == 1)
                    for value in dict.fromkeys(values)
                ],
            }
            for name, (unit, values) in specification.allowed_values.items()
        ]
    return resource


def _specification_ref(specification: Specification) -> Resource:
    return reference(
        "ProductSpecificationRef",
        f"specification-{specification.id}",
        specification.name,
        "ProductSpecification",
        version="1.0",
    )


def _offering(offer: Offer, now: datetime) -> Resource:
    specification = _SPECIFICATIONS[offer.specification_id]
    resource = catalogue_entity(
        "ProductOffering",
        f"offering-{offer.id}",
        offer.name,
        now,
        description=offer.description or specification.name,
        isBundle=bool(offer.component_ids),
        isSellable=True,
        statusReason="on sale",
        category=[_category_ref(specification.category)],
        productSpecification=_specification_ref(specification),
        productOfferingPrice=[price_ref(offer, kind) for kind in price_kinds(offer)],
        channel=[reference("ChannelRef", "channel-online", "Online shop", "Channel")],
        marketSegment=[
            reference("MarketSegmentRef", offer.segment, offer.segment.title(), "MarketSegment")
        ],
    )
    if offer.component_ids:
        resource["bundledProductOffering"] = [
            _bundled_offering(part) for part in offer.component_ids
        ]
    if offer.characteristic_values:
        resource["prodSpecCharValueUse"] = [
            _value_use(specification, name, value)
            for name, value in offer.characteristic_values.items()
        ]
    if offer.term_months:
        resource["productOfferingTerm"] = [
            {
                "@type": "ProductOfferingTerm",
                "name": f"{offer.term_months} months" if offer.term_months > 1 else "monthly",
                "description": f"Bound for at least {offer.term_months} months",
                "duration": {"amount": offer.term_months, "units": "month"},
            }
        ]
    return resource


def _bundled_offering(id: str) -> Resource:
    option = {
        "@type": "BundledProductOfferingOption",
        "numberRelOfferLowerLimit": 1,
        "numberRelOfferDefault": 1,
        "numberRelOfferUpperLimit": 1,
    }
    return reference(
        "BundledProductOffering",
        f"offering-{id}",
        _OFFER_NAMES[id],
        "ProductOffering",
        version="1.0",
        bundledProductOfferingOption=option,
    )


def _value_use(specification: Specification, name: str, value: str | int) -> Resource:
    unit = specification.allowed_values[name][0]
    return {
        "@type": "ProductSpecificationCharacteristicValueUse",
        "name": name,
        "valueType": "string" if isinstance(value, str) else "integer",
        "minCardinality": 1,
        "maxCardinality": 1,
        "productSpecCharacteristicValue": [allowed_value(value, unit=unit, default=True)],
        "productSpecification": _specification_ref(specification),
    }


def _price(offer: Offer, kind: str, now: datetime) -> Resource:
    price_reference = price_ref(offer, kind)
    resource = catalogue_entity(
        "ProductOfferingPrice",
        price_reference["id"],
        price_reference["name"],
        now,
        description=f"Price of {offer.name}, without tax",
        isBundle=False,
        tax=[{"@type": "TaxItem", "taxCategory": "VAT", "taxRate": float(VAT_PERCENT)}],
    )
    if kind == "monthly":
        resource |= {
            "priceType": "recurring",
            "recurringChargePeriodType": "month",
            "recurringChargePeriodLength": 1,
            "price": money(Decimal(offer.monthly_price)),
        }
    elif kind == "once":
        resource |= {"priceType": "oneTime", "price": money(Decimal(offer.setup_price))}
    elif offer.usage_price:
        price, unit = offer.usage_price
        resource |= {
            "priceType": "usage",
            "unitOfMeasure": {"amount": 1.0, "units": unit},
            "price": money(Decimal(price)),
        }
    return resource


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
                "creationDate": time_before(now, days=9 + number),
                "completionDate": time_before(now, days=9 + number, minutes=-2),
            }
            yield kind, {**job, **({"errorLog": log} if log else {})}
