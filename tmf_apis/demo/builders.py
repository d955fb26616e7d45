"""Builders of common parts of resources: references, money, times, characteristics."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.policy import Resource

CURRENCY = "GBP"
VAT_PERCENT = Decimal(20)
#: Party id and name of the operator.
OPERATOR = ("operator", "Larkspur Networks")
#: Party id and name of the partner that sells for the operator.
PARTNER = ("partner-brightdeal", "Brightdeal Home Services")

_TYPES: Mapping[type, tuple[str, str]] = {
    bool: ("Boolean", "boolean"),
    int: ("Integer", "integer"),
    float: ("Number", "number"),
    str: ("String", "string"),
}


def reference(
    type: str,
    id: str,
    name: str,
    referred_type: str = "",
    **attributes: Any,  # noqa: ANN401
) -> Resource:
    """Return a reference.

    Args:
        type: Type of the reference, such as ``"PartyRef"``.
        id: Id of the entity.
        name: Name of the entity.
        referred_type: Type of the entity; empty: none is given.
        attributes: Further attributes of the reference.
    """
    body = {"@type": type, "id": id, "name": name, **attributes}
    return {**body, "@referredType": referred_type} if referred_type else body


def related_party(id: str, name: str, role: str, referred_type: str = "Organization") -> Resource:
    """Return a related party."""
    return {
        "@type": "RelatedPartyRefOrPartyRoleRef",
        "role": role,
        "partyOrPartyRole": reference("PartyRef", id, name, referred_type),
    }


def money(value: Decimal) -> Resource:
    """Return an amount in the currency of the demo."""
    return {"unit": CURRENCY, "value": float(value)}


@lru_cache(4096)
def time_before(now: datetime, *, days: float = 0, minutes: float = 0) -> str:
    """Return a time before now in RFC 3339; with negative numbers a time after now."""
    return rfc3339(now - timedelta(days=days, minutes=minutes))


def period(start: str, end: str = "") -> Resource:
    """Return a period; without ``end`` it is open."""
    return {"startDateTime": start, **({"endDateTime": end} if end else {})}


def characteristic(name: str, value: str | float) -> Resource:
    """Return a characteristic of a resource or product."""
    type_, value_type = _TYPES[type(value)]
    return {
        "@type": f"{type_}Characteristic",
        "name": name,
        "valueType": value_type,
        "value": value,
    }


def allowed_value(value: str | int, *, unit: str = "", default: bool = False) -> Resource:
    """Return an allowed value of a characteristic of a specification."""
    type_, value_type = _TYPES[type(value)]
    return {
        "@type": f"{type_}CharacteristicValueSpecification",
        "valueType": value_type,
        "isDefault": default,
        **({"unitOfMeasure": unit} if unit else {}),
        "value": value,
    }


def catalogue_entity(kind: str, id: str, name: str, now: datetime, **attributes: Any) -> Resource:  # noqa: ANN401
    """Return a catalogue entity with the attributes that all of them have."""
    return {
        "@type": kind,
        "id": id,
        "name": name,
        "version": "1.0",
        "lifecycleStatus": "Active",
        "lastUpdate": time_before(now, days=30),
        "validFor": period(time_before(now, days=400)),
        **attributes,
    }
