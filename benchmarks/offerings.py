"""Product offerings of about 3 KB, like those of a real catalogue."""

from typing import Any

from tmf_apis.rest.pipeline.representation import json_fragments
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms

KINDS, FORMS = KindRegistry(), ServedForms()
STATES = ("Launched", "Active", "In design", "Retired")


def offering(number: int) -> dict[str, Any]:
    """Return the body of an offering as a client sends it (v5)."""
    return {
        "@type": "ProductOffering",
        "name": f"Fibre {number}",
        "description": "Internet access over fibre with unlimited data. " * 8,
        "version": "1.0",
        "isBundle": False,
        "isSellable": True,
        "lifecycleStatus": STATES[number % 4] if number % 200 else "In test",
        "lastUpdate": "2026-01-02T03:04:05.678Z",
        "validFor": {"startDateTime": "2026-01-01T00:00:00.000Z"},
        "productSpecification": {
            "@type": "ProductSpecificationRef",
            "id": f"spec-{number % 50}",
            "name": "Fibre access",
            "version": "1.0",
        },
        "category": [
            {"@type": "CategoryRef", "id": f"category-{n}", "name": f"Category {n}"}
            for n in range(3)
        ],
        "productOfferingPrice": [
            {
                "@type": "ProductOfferingPriceRef",
                "id": f"price-{number}-{n}",
                "name": f"Price {n}",
                "href": f"https://operator.example/productOfferingPrice/price-{number}-{n}",
            }
            for n in range(4)
        ],
        "prodSpecCharValueUse": [
            {
                "@type": "ProductSpecificationCharacteristicValueUse",
                "name": f"characteristic {n}",
                "valueType": "string",
                "minCardinality": 0,
                "maxCardinality": 1,
                "productSpecCharacteristicValue": [
                    {
                        "@type": "StringCharacteristicValueSpecification",
                        "value": f"value {n}",
                        "isDefault": True,
                    }
                ],
            }
            for n in range(6)
        ],
    }


def served_text(kind: str, id: str, body: dict[str, Any]) -> dict[str, bytes]:
    """Return the JSON of a resource in each version, as it is stored."""
    return json_fragments(KINDS, kind, id, body, FORMS, types_incomplete=False)[0]


def offering_document(number: int) -> dict[str, Any]:
    """Return the stored document of an offering."""
    body = offering(number)
    id = f"00000000-0000-7000-8000-{number:012d}"
    return {
        "_id": f"default:{id}",
        "tenant": "default",
        "id": id,
        "rev": 1,
        "parties": ["*"],
        "body": body,
        "text": served_text("ProductOffering", id, body),
    }
