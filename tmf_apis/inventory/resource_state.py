"""States of a resource (free, reserved for an order, in use, quarantined), and their changes.

``externalIdentifier`` holds the product and the service (types ``product`` and ``service``) and
the task that reserves the resource (type ``orderItem``), so that queries find them.
Characteristics, ``allocationStatus`` (v5) and ``resourceStatus`` (v4) show the same to people.
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
    external_id,
    holder_of,
    megabits,
    service_of,
    usage_state,
)
from tmf_apis.inventory.rules import out_of_service_reason
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.serialization import stored_as

PRODUCT_IDENTIFIER = "product"
#: Characteristics that fulfilment writes on a resource.
SERVICE_SETTINGS, RESERVED_UNTIL = "serviceSettings", "reservedUntil"
DRAWS_FROM, PROVISIONED_ON = "drawsFrom", "provisionedOn"
_RATES = ("downstream", "upstream")


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """The use of a resource by a service.

    Attributes:
        service: Id of the service; empty: no service uses the resource.
        settings: Settings of the service, by the names of the adapters' vocabulary.
        ordered_by: The order and task that put the service on the resource.
        amount: The share of a shared resource that the service uses, in its unit.
    """

    service: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    ordered_by: str = field(default="", metadata=stored_as("ordered"))
    amount: int = 0


@dataclass(frozen=True, slots=True)
class ReservationMark:
    """A reservation that a task writes on a resource.

    Attributes:
        holder: The order and task that reserve the resource.
        now: The current time, in UTC.
        expires_at: The time from which other tasks may take the resource, in UTC.
        expected_service: The service that must be on the resource already; empty: none may be.
    """

    holder: str
    now: datetime
    expires_at: datetime
    expected_service: str = ""

    @classmethod
    def for_duration(
        cls, holder: str, now: datetime, duration: timedelta, expected_service: str = ""
    ) -> "ReservationMark":
        """Return a reservation that expires after a duration."""
        return cls(holder, now, now + duration, expected_service)

    def is_renewal_due(self, until: str) -> bool:
        """Return whether a repeated reservation has to be written: half of its time has passed.

        Args:
            until: The time at which the present reservation expires, in RFC 3339; empty if none.
        """
        return until < rfc3339(self.now + (self.expires_at - self.now) / 2)


@dataclass(frozen=True, slots=True)
class ServiceUse:
    """The data that is written on a resource in use.

    Attributes:
        usage: The use of the resource.
        product: Id of the product.
        shared_resources: Ids of the resources that the service uses a share of.
        element: Id of the element that the resource is provisioned on; empty: it is contained in
            the element.
    """

    usage: ResourceUsage = field(default_factory=ResourceUsage)
    product: str = ""
    shared_resources: tuple[str, ...] = ()
    element: str = ""


def holder_description(holder: str) -> str:
    """Return a text for people about the order and item of a holder.

    >>> holder_description("o-1/2#1")
    'order o-1, item 2'
    """
    order, _, task = holder.partition("/")
    return f"order {order}, item {task.rpartition('#')[0] or task}"


def reservation_conflict(label: str, holder: str) -> Unfulfillable:
    """Return the error for a resource that is reserved for another task."""
    message = f"{label} is reserved for {holder_description(holder)}"
    return Unfulfillable(message, f"{label} is not free", order=holder.partition("/")[0])


def display_name(resource: Mapping[str, Any]) -> str:
    """Return the name of a resource for people: its category and its name."""
    category = str(resource.get("category") or "resource")
    kind = "port" if category in {"accessPort", "port"} else category
    return f"{kind} {resource.get('name') or resource.get('id')}"


def is_reservation_expired(resource: Mapping[str, Any], now: datetime) -> bool:
    """Return whether the reservation of a resource has expired."""
    until = resource_characteristics(resource).get(RESERVED_UNTIL)
    return bool(isinstance(until, str) and until <= rfc3339(now))


def is_free(resource: Mapping[str, Any], now: datetime) -> bool:
    """Return whether any order may take a resource."""
    if service_of(resource) or resource.get("unknownStatus"):
        return False
    if out_of_service_reason(resource):
        return False
    if holder_of(resource):
        return is_reservation_expired(resource, now)
    return bool(resource.get("usageState", "idle") == "idle")


def reserve(resource: Resource, mark: ReservationMark) -> Resource:
    """Return a resource reserved for a task; an existing reservation of the task is renewed.

    Raises:
        Unfulfillable: The resource is not available.
    """
    holder, label = holder_of(resource), display_name(resource)
    if holder and holder != mark.holder and not is_reservation_expired(resource, mark.now):
        raise reservation_conflict(label, holder)
    if resource.get("unknownStatus"):
        raise Unfulfillable(f"{label} is quarantined")
    if resource.get("administrativeState", "unlocked") != "unlocked":
        raise Unfulfillable(f"{label} is {resource['administrativeState']}")
    if (service := service_of(resource)) != mark.expected_service:
        message = f"{label} has service {service or 'none'}, not {mark.expected_service or 'none'}"
        neutral = f"{label} is not free" if service else ""
        ordered_by = service_use(resource).usage.ordered_by
        raise Unfulfillable(message, neutral, order=ordered_by.partition("/")[0])
    if not mark.expected_service and not holder and resource.get("usageState", "idle") != "idle":
        raise Unfulfillable(f"{label} is {resource['usageState']}")
    until = str(resource_characteristics(resource).get(RESERVED_UNTIL, ""))
    if holder == mark.holder and not mark.is_renewal_due(until):
        return resource
    return _with_assignment(resource, mark.holder, mark.expected_service, rfc3339(mark.expires_at))


def set_use(resource: Resource, use: ServiceUse) -> Resource:
    """Return a resource with the given use and without a reservation; without a service, free."""
    usage = use.usage
    if not usage.service:
        use = ServiceUse(usage)
    settings = dict(usage.settings)
    speeds = {f"{name}Speed": _megabits_or_none(settings.get(name)) for name in _RATES}
    return with_characteristics(
        _with_assignment(resource, "", usage.service, None, use.product),
        {
            **speeds,
            SERVICE_SETTINGS: settings or None,
            "orderedBy": usage.ordered_by or None,
            DRAWS_FROM: {"resource": list(use.shared_resources)} if use.shared_resources else None,
            PROVISIONED_ON: use.element or None,
        },
    )


def release(resource: Resource, holder: str) -> Resource:
    """Return a resource without the reservation of a task; unchanged if another task holds it."""
    return set_use(resource, service_use(resource)) if holder_of(resource) == holder else resource


def quarantine(resource: Resource, holder: str, reason: str) -> Resource:
    """Return a resource that no order can reserve until a person has checked it."""
    text = f"{holder_description(holder)}: {reason}"
    notes = json_objects(resource.get("note"))
    if not any(note.get("text") == text for note in notes):
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
    """Return the use that is written on a resource."""
    values = resource_characteristics(resource)
    settings = values.get(SERVICE_SETTINGS)
    if not isinstance(settings, dict):
        settings = {
            name: round(speed * 10**6)
            for name in _RATES
            if isinstance(speed := values.get(f"{name}Speed"), int | float)
        }
    shared = values.get(DRAWS_FROM)
    return ServiceUse(
        ResourceUsage(service_of(resource), settings, str(values.get("orderedBy", ""))),
        external_id(resource, PRODUCT_IDENTIFIER),
        tuple(shared.get("resource", ())) if isinstance(shared, dict) else (),
        str(values.get(PROVISIONED_ON, "")),
    )


def _megabits_or_none(bits: object) -> float | None:
    return megabits(bits) if isinstance(bits, int) and bits else None


def _with_assignment(
    resource: Resource, holder: str, service: str, until: str | None, product: str | None = None
) -> Resource:
    """Return a resource with service and holder set; a product of None keeps the product."""
    types = {SERVICE_IDENTIFIER, HOLDER_IDENTIFIER}
    if product is not None:
        types.add(PRODUCT_IDENTIFIER)
    others = [
        identifier
        for identifier in json_objects(resource.get("externalIdentifier"))
        if identifier.get("owner") != OWNER or identifier.get("externalIdentifierType") not in types
    ]
    assigned = _external_identifiers(
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
    if identifiers := [*others, *assigned]:
        new["externalIdentifier"] = identifiers
    new |= {"allocationStatus": allocation, "resourceStatus": status}
    return {**new, "usageState": usage_state(new)}


def _external_identifiers(ids_by_type: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [
        {
            "@type": "ExternalIdentifier",
            "externalIdentifierType": type_,
            "id": id,
            "owner": OWNER,
        }
        for type_, id in ids_by_type
        if id
    ]
