"""A resource in the inventory: free, reserved for an order, in use; pure edits of the resource.

Who holds it stands in ``externalIdentifier``, where it can be looked for: the product, the service
(types ``product`` and ``expected_service``) and the task that reserves it (type ``orderItem``). For people
the same stands in characteristics, and in ``allocationStatus`` (v5) and ``resourceStatus`` (v4).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adapters.values import Setting
from tmf_apis.errors import Unfulfillable
from tmf_apis.inventory.characteristics import resource_characteristics, with_characteristics
from tmf_apis.inventory.ports import (
    ALLOCATED,
    FREE,
    HOLDER_IDENTIFIER,
    OWNER,
    RESERVED,
    SERVICE_IDENTIFIER,
    UNKNOWN,
    holder_of,
    megabits,
    service_of,
    usage_state,
)
from tmf_apis.inventory.rules import out_of_service_reason
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource, rfc3339
from tmf_apis.serialization import stored_as

PRODUCT_IDENTIFIER = "product"
#: Characteristics that fulfilment writes on a resource.
SERVICE_SETTINGS, RESERVED_UNTIL, DRAWS_FROM, PROVISIONED_ON = (
    "serviceSettings",
    "reservedUntil",
    "drawsFrom",
    "provisionedOn",
)
_RATES = ("downstream", "upstream")


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """What a service has of a resource.

    Attributes:
        service: Id of the service; empty: nobody has it.
        settings: How it is set up, by the names of the adapters' vocabulary.
        ordered_by: The order and task that put it there.
        amount: How much of a shared resource the service draws.
    """

    service: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    ordered_by: str = field(default="", metadata=stored_as("ordered"))
    amount: int = 0


@dataclass(frozen=True, slots=True)
class ReservationMark:
    """What a task writes on a resource that it reserves.

    Attributes:
        holder: Order and task.
        now: The time, in UTC.
        expires_at: When others may take it.
        expected_service: The service that must be on it already; empty: none may be.
    """

    holder: str
    now: datetime
    expires_at: datetime
    expected_service: str = ""

    @classmethod
    def for_duration(
        cls, holder: str, now: datetime, duration: timedelta, expected_service: str = ""
    ) -> "ReservationMark":
        """Return a claim for some time from now."""
        return cls(holder, now, now + duration, expected_service)


@dataclass(frozen=True, slots=True)
class ServiceUse:
    """What is written on a resource that is in use.

    Attributes:
        usage: What is on it.
        product: Id of the product.
        shared_resources: Ids of resources that the service draws a part of.
        element: Id of the element that it was brought to; empty: it is contained in one.
    """

    usage: ResourceUsage = field(default_factory=ResourceUsage)
    product: str = ""
    shared_resources: tuple[str, ...] = ()
    element: str = ""


def holder_description(holder: str) -> str:
    """Return for people who holds something.

    >>> holder_description("o-1/2#1")
    'order o-1, item 2'
    """
    order, _, task = holder.partition("/")
    return f"order {order}, item {task.rpartition('#')[0] or task}"


def reservation_conflict(label: str, holder: str) -> Unfulfillable:
    """Return the refusal of something that is reserved for another task."""
    message = f"{label} is reserved for {holder_description(holder)}"
    return Unfulfillable(message, f"{label} is not free", order=holder.partition("/")[0])


def display_name(resource: Mapping[str, Any]) -> str:
    """Return what people call a resource: its kind and its name."""
    category = str(resource.get("category") or "resource")
    kind = "port" if category in {"accessPort", "port"} else category
    return f"{kind} {resource.get('name') or resource.get('id')}"


def is_reservation_expired(resource: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a reservation is over, whoever made it."""
    until = resource_characteristics(resource).get(RESERVED_UNTIL)
    return bool(isinstance(until, str) and until <= rfc3339(now))


def is_free(resource: Mapping[str, Any], now: datetime) -> bool:
    """Return whether any order may take a resource."""
    if (
        service_of(resource)
        or resource.get("unknownStatus")
        or out_of_service_reason(dict(resource))
    ):
        return False
    if holder_of(resource):
        return is_reservation_expired(resource, now)
    return bool(resource.get("usageState", "idle") == "idle")


def reserve(resource: Resource, mark: ReservationMark) -> Resource:
    """Return a resource reserved for a task; for one that has it already for longer.

    Raises:
        Refused: It is not to be had.
    """
    other, what = holder_of(resource), display_name(resource)
    if other and other != mark.holder and not is_reservation_expired(resource, mark.now):
        raise reservation_conflict(what, other)
    if resource.get("unknownStatus"):
        raise Unfulfillable(f"{what} is in doubt and kept out of use")
    if resource.get("administrativeState", "unlocked") != "unlocked":
        raise Unfulfillable(f"{what} is {resource['administrativeState']}")
    if (there := service_of(resource)) != mark.expected_service:
        message = f"{what} has service {there or 'none'}, not {mark.expected_service or 'none'}"
        neutral = f"{what} is not free" if there else ""
        ordered = service_use(resource).usage.ordered_by
        raise Unfulfillable(message, neutral, order=ordered.partition("/")[0])
    if not mark.expected_service and not other and resource.get("usageState", "idle") != "idle":
        raise Unfulfillable(f"{what} is {resource['usageState']}")
    if other == mark.holder and not _is_renewal_due(resource, mark):
        return resource
    return _with_assignment(resource, mark.holder, mark.expected_service, rfc3339(mark.expires_at))


def _is_renewal_due(resource: Mapping[str, Any], mark: ReservationMark) -> bool:
    """Return whether a repeated reservation is worth a write: half of its time is over."""
    half = mark.now + (mark.expires_at - mark.now) / 2
    return bool(str(resource_characteristics(resource).get(RESERVED_UNTIL, "")) < rfc3339(half))


def set_use(resource: Resource, use: ServiceUse) -> Resource:
    """Return a resource with a service on it, or without, reserved for nobody."""
    found = use.usage
    held = _with_assignment(resource, "", found.service, None, use.product if found.service else "")
    settings = dict(found.settings)
    shown = {f"{name}Speed": _megabits_or_none(settings.get(name)) for name in _RATES}
    on_it = bool(found.service)
    return with_characteristics(
        held,
        {
            **shown,
            SERVICE_SETTINGS: settings or None,
            "orderedBy": found.ordered_by or None,
            DRAWS_FROM: {"resource": list(use.shared_resources)}
            if use.shared_resources and on_it
            else None,
            PROVISIONED_ON: use.element or None if on_it else None,
        },
    )


def release(resource: Resource, holder: str) -> Resource:
    """Return a resource that a task has reserved for nothing, as it was before."""
    return set_use(resource, service_use(resource)) if holder_of(resource) == holder else resource


def quarantine(resource: Resource, holder: str, reason: str) -> Resource:
    """Return a resource that is kept out of use until a person has looked at it."""
    text = f"{holder_description(holder)}: {reason}"
    notes = json_objects(resource.get("note"))
    if not any(one.get("text") == text for one in notes):
        notes.append({"@type": "Note", "author": OWNER, "text": text})
    allocation, status = UNKNOWN
    return {
        **_with_assignment(resource, "", service_of(resource), None),
        "unknownStatus": True,
        "allocationStatus": allocation,
        "resourceStatus": status,
        "note": notes,
    }


def service_use(resource: Mapping[str, Any]) -> ServiceUse:
    """Return what is on a resource."""
    found = resource_characteristics(resource)
    settings = found.get(SERVICE_SETTINGS)
    if not isinstance(settings, dict):
        settings = {
            name: round(speed * 10**6)
            for name in _RATES
            if isinstance(speed := found.get(f"{name}Speed"), int | float)
        }
    draws = found.get(DRAWS_FROM)
    return ServiceUse(
        ResourceUsage(service_of(resource), settings, str(found.get("orderedBy", ""))),
        external_id(resource, PRODUCT_IDENTIFIER),
        tuple(draws.get("resource", ())) if isinstance(draws, dict) else (),
        str(found.get(PROVISIONED_ON, "")),
    )


def external_id(resource: Mapping[str, Any], type_: str) -> str:
    """Return an id that fulfilment has written on a resource; empty: none."""
    for one in json_objects(resource.get("externalIdentifier")):
        if one.get("externalIdentifierType") == type_ and one.get("owner") == OWNER:
            return str(one.get("id", ""))
    return ""


def _megabits_or_none(bits: object) -> float | None:
    return megabits(bits) if isinstance(bits, int) and bits else None


def _with_assignment(
    resource: Resource, holder: str, service: str, until: str | None, product: str | None = None
) -> Resource:
    types = {
        SERVICE_IDENTIFIER,
        HOLDER_IDENTIFIER,
        *(() if product is None else (PRODUCT_IDENTIFIER,)),
    }
    others = [
        one
        for one in json_objects(resource.get("externalIdentifier"))
        if one.get("owner") != OWNER or one.get("externalIdentifierType") not in types
    ]
    made = _external_identifiers(
        {
            PRODUCT_IDENTIFIER: product or "",
            SERVICE_IDENTIFIER: service,
            HOLDER_IDENTIFIER: holder,
        }.items()
    )
    allocation, status = RESERVED if holder else ALLOCATED if service else FREE
    rest = {key: value for key, value in resource.items() if key != "externalIdentifier"}
    new = with_characteristics(
        rest, {"serviceId": service or None, "reservedFor": holder or None, RESERVED_UNTIL: until}
    )
    if identifiers := [*others, *made]:
        new["externalIdentifier"] = identifiers
    new |= {"allocationStatus": allocation, "resourceStatus": status}
    return {**new, "usageState": usage_state(new)}


def _external_identifiers(named: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
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
