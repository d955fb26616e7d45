"""Shares of services in a resource, such as an uplink: pure edits of the resource.

The resource's characteristic ``allocations`` has one entry for each service and carrier: ``amount``
is its share in use, ``wanted`` the share that a task has reserved until it is done. The edit that
writes an entry checks the sum, so concurrent orders cannot exceed the capacity. An entry is
identified by its service, so a repeated edit does not count twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.inventory.characteristics import resource_characteristics, with_characteristics
from tmf_apis.inventory.ports import megabits
from tmf_apis.inventory.resource_state import (
    ReservationMark,
    display_name,
    holder_description,
    reservation_conflict,
)
from tmf_apis.inventory.rules import out_of_service_reason
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: Characteristics: the entries; the capacity in Mbit/s; the factor by which the sum of the shares
#: may exceed the capacity.
ALLOCATIONS, BANDWIDTH, OVERSUBSCRIPTION = "allocations", "bandwidth", "oversubscription"
#: Characteristics: the shares in use, and the further reserved shares, in Mbit/s.
ALLOCATED_BANDWIDTH, RESERVED_BANDWIDTH = "allocatedBandwidth", "reservedBandwidth"
_MEGABIT = 10**6
_DEFAULT_ENTRY: Mapping[str, Any] = {
    "service": "", "carrier": "", "amount": 0, "wanted": 0, "holder": "", "until": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BandwidthAllocation:
    """A share of a resource that a task reserves.

    Attributes:
        mark: The reservation.
        service: Id of the service.
        carrier: Id of the resource that carries the service; empty if there is none.
        amount: The share, in bits per second.
    """

    mark: ReservationMark
    service: str
    carrier: str
    amount: int


def limit(resource: Mapping[str, Any]) -> int | None:
    """Return the largest sum of shares, in bits per second; None if the capacity is unknown."""
    characteristics = resource_characteristics(resource)
    capacity = _number(characteristics.get(BANDWIDTH, characteristics.get("speed")))
    factor = _number(characteristics.get(OVERSUBSCRIPTION)) or 1
    return round(capacity * _MEGABIT * factor) if capacity else None


def allocated_and_reserved(resource: Mapping[str, Any], now: datetime) -> tuple[int, int]:
    """Return the sum of the shares in use and of those reserved beyond, in bits per second."""
    entries = _entries(resource)
    allocated = sum(entry["amount"] for entry in entries)
    return allocated, sum(_peak_by_service(entries, rfc3339(now)).values()) - allocated


def amount_of(resource: Mapping[str, Any], service: str, carrier: str) -> int:
    """Return the share in use of a service, in bits per second."""
    entries = _entries(resource)
    amounts = (entry["amount"] for entry in entries if _is_entry_of(entry, service, carrier))
    return next(amounts, 0)


def reserve(resource: Resource, allocation: BandwidthAllocation) -> Resource:
    """Return a resource with a share reserved; unchanged if the task has reserved it already.

    Raises:
        Unfulfillable: The capacity that is left is not sufficient.
    """
    mark, now = allocation.mark, rfc3339(allocation.mark.now)
    service, carrier = allocation.service, allocation.carrier
    entries = _entries(resource)
    own = next((entry for entry in entries if _is_entry_of(entry, service, carrier)), None)
    present_amount = own["amount"] if own else 0
    if own and own["holder"] not in {"", mark.holder} and own["until"] > now:
        raise reservation_conflict(f"the share of {display_name(resource)}", own["holder"])
    if allocation.amount > present_amount:
        _check_capacity(resource, entries, allocation, now)
    new = {
        "service": service,
        "carrier": carrier,
        "amount": present_amount,
        "wanted": allocation.amount,
        "holder": mark.holder,
        "until": rfc3339(mark.expires_at),
    }
    if own and {**new, "until": own["until"]} == own and not mark.is_renewal_due(own["until"]):
        return resource
    others = [
        entry for entry in entries if entry is not own and (entry["amount"] or entry["until"] > now)
    ]
    return _with_entries(resource, [*others, new])


def _check_capacity(
    resource: Resource, entries: list[dict[str, Any]], allocation: BandwidthAllocation, now: str
) -> None:
    if resource.get("unknownStatus") or (reason := out_of_service_reason(resource)):
        status = "quarantined" if resource.get("unknownStatus") else reason
        raise Unfulfillable(
            f"{display_name(resource)} is {status}", f"the {resource.get('category')} is {status}"
        )
    capacity, peaks = limit(resource), _peak_by_service(entries, now)
    others = sum(peak for service, peak in peaks.items() if service != allocation.service)
    if capacity is not None and others + allocation.amount > capacity:
        left = megabits(max(capacity - others, 0))
        raise Unfulfillable(
            f"{display_name(resource)} has {left:g} Mbit/s left of {megabits(capacity):g},"
            f" {megabits(allocation.amount):g} are requested",
            f"the {resource.get('category')} has not enough capacity left",
        )


def renew(resource: Resource, mark: ReservationMark) -> Resource:
    """Return a resource whose reservations by a task expire later.

    Raises:
        Unfulfillable: The task has no reservation any more.
    """
    entries = _entries(resource)
    own = [entry for entry in entries if entry["holder"] == mark.holder]
    if not own:
        raise Unfulfillable(
            f"{display_name(resource)}: nothing is reserved for {holder_description(mark.holder)}"
        )
    if not any(mark.is_renewal_due(entry["until"]) for entry in own):
        return resource
    until = rfc3339(mark.expires_at)
    renewed = [{**entry, "until": until} if entry in own else entry for entry in entries]
    return _with_entries(resource, renewed)


def commit(resource: Resource, holder: str) -> Resource:
    """Return a resource whose shares reserved by a task are in use."""

    def use_wanted(entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "amount": entry["wanted"]}

    return _close_reservation(resource, holder, use_wanted)


def release(resource: Resource, holder: str) -> Resource:
    """Return a resource without the reservations of a task; shares in use stay."""
    return _close_reservation(resource, holder, dict)


def _close_reservation(
    resource: Resource, holder: str, edit: Callable[[dict[str, Any]], dict[str, Any]]
) -> Resource:
    entries = _entries(resource)
    if not any(entry["holder"] == holder for entry in entries):
        return resource
    closed = {"wanted": 0, "holder": "", "until": ""}
    new = [{**edit(entry), **closed} if entry["holder"] == holder else entry for entry in entries]
    return _with_entries(resource, [entry for entry in new if entry["amount"] or entry["holder"]])


def _peak_by_service(entries: list[dict[str, Any]], now: str) -> dict[str, int]:
    """Return the largest possible share of each service.

    A service that moves has entries for two carriers but uses one of them at a time.
    """
    peaks: dict[str, int] = {}
    for entry in entries:
        wanted = entry["wanted"] if entry["until"] > now else 0
        peak = max(entry["amount"], wanted)
        peaks[entry["service"]] = max(peaks.get(entry["service"], 0), peak)
    return peaks


def _entries(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    value = resource_characteristics(resource).get(ALLOCATIONS)
    entries = value.get("entry") if isinstance(value, dict) else None
    return [{**_DEFAULT_ENTRY, **entry} for entry in json_objects(entries)]


def _with_entries(resource: Resource, entries: list[dict[str, Any]]) -> Resource:
    allocated = sum(entry["amount"] for entry in entries)
    peaks: dict[str, int] = {}
    for entry in entries:
        service = entry["service"]
        peaks[service] = max(peaks.get(service, 0), entry["amount"], entry["wanted"])
    reserved = max(sum(peaks.values()) - allocated, 0)
    return with_characteristics(
        resource,
        {
            ALLOCATIONS: {"entry": entries} if entries else None,
            ALLOCATED_BANDWIDTH: megabits(allocated) if entries else None,
            RESERVED_BANDWIDTH: megabits(reserved) if entries else None,
        },
    )


def _is_entry_of(entry: Mapping[str, Any], service: str, carrier: str) -> bool:
    return entry["service"] == service and entry["carrier"] in {carrier, ""}


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(0.0, float(value))
    return 0.0
