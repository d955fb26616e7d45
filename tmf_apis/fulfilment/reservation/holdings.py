"""A resource in the inventory: free, reserved for an order, in use; pure edits of the resource.

Who holds it stands in ``externalIdentifier``, where it can be looked for: the product, the service
(types ``product`` and ``service``) and the task that reserves it (type ``orderItem``). For people
the same stands in characteristics, and in ``allocationStatus`` (v5) and ``resourceStatus`` (v4).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tmf_apis.fulfilment.characteristics import objects, of_resource, with_values
from tmf_apis.fulfilment.reservation.ports import (
    ALLOCATED,
    FREE,
    HOLDER,
    OWNER,
    RESERVED,
    SERVICE,
    UNKNOWN,
    holder_of,
    megabits,
    service_of,
    usage,
)
from tmf_apis.fulfilment.values import Refused, Usage
from tmf_apis.inventory.rules import out_of_service
from tmf_apis.rest.law import Resource, rfc3339

PRODUCT = "product"
#: Characteristics that fulfilment writes on a resource.
SETTINGS, UNTIL, DRAWS, ELEMENT = "serviceSettings", "reservedUntil", "drawsFrom", "provisionedOn"
_RATES = ("downstream", "upstream")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a task writes on a resource that it reserves.

    Attributes:
        holder: Order and task.
        now: The time, in UTC.
        until: When others may take it.
        service: The service that must be on it already; empty: none may be.
    """

    holder: str
    now: datetime
    until: datetime
    service: str = ""

    @classmethod
    def made(cls, holder: str, now: datetime, hold: timedelta, service: str = "") -> "Claim":
        """Return a claim for some time from now."""
        return cls(holder, now, now + hold, service)


@dataclass(frozen=True, slots=True)
class Use:
    """What is written on a resource that is in use.

    Attributes:
        usage: What is on it.
        product: Id of the product.
        draws: Ids of resources that the service draws a part of.
        element: Id of the element that it was brought to; empty: it is contained in one.
    """

    usage: Usage = field(default_factory=Usage)
    product: str = ""
    draws: tuple[str, ...] = ()
    element: str = ""


def spoken(holder: str) -> str:
    """Return for people who holds something.

    >>> spoken("o-1/2#1")
    'order o-1, item 2'
    """
    order, _, task = holder.partition("/")
    return f"order {order}, item {task.rpartition('#')[0] or task}"


def held_by(what: str, holder: str) -> Refused:
    """Return the refusal of something that is reserved for another task."""
    message = f"{what} is reserved for {spoken(holder)}"
    return Refused(message, f"{what} is not free", order=holder.partition("/")[0])


def called(resource: Mapping[str, Any]) -> str:
    """Return what people call a resource: its kind and its name."""
    category = str(resource.get("category") or "resource")
    kind = "port" if category in {"accessPort", "port"} else category
    return f"{kind} {resource.get('name') or resource.get('id')}"


def expired(resource: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a reservation is over, whoever made it."""
    until = of_resource(resource).get(UNTIL)
    return bool(isinstance(until, str) and until <= rfc3339(now))


def is_free(resource: Mapping[str, Any], now: datetime) -> bool:
    """Return whether any order may take a resource."""
    if service_of(resource) or resource.get("unknownStatus") or out_of_service(dict(resource)):
        return False
    if holder_of(resource):
        return expired(resource, now)
    return bool(resource.get("usageState", "idle") == "idle")


def reserved(resource: Resource, claim: Claim) -> Resource:
    """Return a resource reserved for a task; for one that has it already for longer.

    Raises:
        Refused: It is not to be had.
    """
    other, what = holder_of(resource), called(resource)
    if other and other != claim.holder and not expired(resource, claim.now):
        raise held_by(what, other)
    if resource.get("unknownStatus"):
        raise Refused(f"{what} is in doubt and kept out of use")
    if resource.get("administrativeState", "unlocked") != "unlocked":
        raise Refused(f"{what} is {resource['administrativeState']}")
    if (there := service_of(resource)) != claim.service:
        message = f"{what} has service {there or 'none'}, not {claim.service or 'none'}"
        neutral = f"{what} is not free" if there else ""
        ordered = use_of(resource).usage.ordered
        raise Refused(message, neutral, order=ordered.partition("/")[0])
    if not claim.service and not other and resource.get("usageState", "idle") != "idle":
        raise Refused(f"{what} is {resource['usageState']}")
    if other == claim.holder and not _renews(resource, claim):
        return resource
    return _held(resource, claim.holder, claim.service, rfc3339(claim.until))


def _renews(resource: Mapping[str, Any], claim: Claim) -> bool:
    """Return whether a repeated reservation is worth a write: half of its time is over."""
    half = claim.now + (claim.until - claim.now) / 2
    return bool(str(of_resource(resource).get(UNTIL, "")) < rfc3339(half))


def in_use(resource: Resource, use: Use) -> Resource:
    """Return a resource with a service on it, or without, reserved for nobody."""
    found = use.usage
    held = _held(resource, "", found.service, None, use.product if found.service else "")
    settings = dict(found.settings)
    shown = {f"{name}Speed": _megabits(settings.get(name)) for name in _RATES}
    on_it = bool(found.service)
    return with_values(
        held,
        {
            **shown,
            SETTINGS: settings or None,
            "orderedBy": found.ordered or None,
            DRAWS: {"resource": list(use.draws)} if use.draws and on_it else None,
            ELEMENT: use.element or None if on_it else None,
        },
    )


def freed(resource: Resource, holder: str) -> Resource:
    """Return a resource that a task has reserved for nothing, as it was before."""
    return in_use(resource, use_of(resource)) if holder_of(resource) == holder else resource


def in_doubt(resource: Resource, holder: str, why: str) -> Resource:
    """Return a resource that is kept out of use until a person has looked at it."""
    text = f"{spoken(holder)}: {why}"
    notes = list(objects(resource.get("note")))
    if not any(one.get("text") == text for one in notes):
        notes.append({"@type": "Note", "author": OWNER, "text": text})
    allocation, status = UNKNOWN
    return {
        **_held(resource, "", service_of(resource), None),
        "unknownStatus": True,
        "allocationStatus": allocation,
        "resourceStatus": status,
        "note": notes,
    }


def use_of(resource: Mapping[str, Any]) -> Use:
    """Return what is on a resource."""
    found = of_resource(resource)
    settings = found.get(SETTINGS)
    if not isinstance(settings, dict):
        settings = {
            name: round(speed * 10**6)
            for name in _RATES
            if isinstance(speed := found.get(f"{name}Speed"), int | float)
        }
    draws = found.get(DRAWS)
    return Use(
        Usage(service_of(resource), settings, str(found.get("orderedBy", ""))),
        identifier(resource, PRODUCT),
        tuple(draws.get("resource", ())) if isinstance(draws, dict) else (),
        str(found.get(ELEMENT, "")),
    )


def identifier(resource: Mapping[str, Any], type_: str) -> str:
    """Return an id that fulfilment has written on a resource; empty: none."""
    for one in objects(resource.get("externalIdentifier")):
        if one.get("externalIdentifierType") == type_ and one.get("owner") == OWNER:
            return str(one.get("id", ""))
    return ""


def _megabits(bits: object) -> float | None:
    return megabits(bits) if isinstance(bits, int) and bits else None


def _held(
    resource: Resource, holder: str, service: str, until: str | None, product: str | None = None
) -> Resource:
    types = {SERVICE, HOLDER, *(() if product is None else (PRODUCT,))}
    others = [
        one
        for one in objects(resource.get("externalIdentifier"))
        if one.get("owner") != OWNER or one.get("externalIdentifierType") not in types
    ]
    made = _identifiers({PRODUCT: product or "", SERVICE: service, HOLDER: holder}.items())
    allocation, status = RESERVED if holder else ALLOCATED if service else FREE
    rest = {key: value for key, value in resource.items() if key != "externalIdentifier"}
    new = with_values(
        rest, {"serviceId": service or None, "reservedFor": holder or None, UNTIL: until}
    )
    if identifiers := [*others, *made]:
        new["externalIdentifier"] = identifiers
    new |= {"allocationStatus": allocation, "resourceStatus": status}
    return {**new, "usageState": usage(new)}


def _identifiers(named: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [
        {
            "@type": "ExternalIdentifier",
            "externalIdentifierType": type_,
            "id": id,
            "owner": OWNER,
        }
        for type_, id in named
        if id
    ]
