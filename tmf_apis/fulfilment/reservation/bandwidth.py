"""A resource that many services share, such as an uplink: a journal of what each draws; pure.

The resource's characteristic ``allocations`` has one entry for each service and carrier: ``amount``
is what it draws, ``wanted`` what a task has reserved until it is done. The sum is checked in the
edit that writes the entry, so two orders at once cannot draw more than there is; the entry is found
again by its service, so a repeat does not count twice.
"""

from collections.abc import Mapping
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
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource, rfc3339

#: Characteristics: the journal; the capacity and what is drawn and reserved of it, in Mbit/s; by
#: how much more than the capacity may be drawn, as a factor.
ALLOCATIONS, BANDWIDTH, OVERSUBSCRIPTION = "allocations", "bandwidth", "oversubscription"
ALLOCATED_BANDWIDTH, RESERVED_BANDWIDTH = "allocatedBandwidth", "reservedBandwidth"
_MEGABIT = 10**6


@dataclass(frozen=True, slots=True)
class BandwidthAllocation:
    """What a task wants of a shared resource.

    Attributes:
        mark: Who wants it.
        service: Id of the service.
        carrier: Id of the resource that carries the service; empty: none.
        amount: In bits per second.
    """

    mark: ReservationMark
    service: str
    carrier: str
    amount: int


def limit(resource: Mapping[str, Any]) -> int | None:
    """Return how much may be drawn of a resource, in bits per second; None: it does not say."""
    found = resource_characteristics(resource)
    capacity = _number(found.get(BANDWIDTH, found.get("speed")))
    factor = _number(found.get(OVERSUBSCRIPTION)) or 1
    return round(capacity * _MEGABIT * factor) if capacity else None


def allocated_and_reserved(resource: Mapping[str, Any], now: datetime) -> tuple[int, int]:
    """Return what is drawn of a resource and what more is reserved, in bits per second."""
    entries = _entries(resource)
    active = sum(one["amount"] for one in entries)
    return active, sum(_peak_by_service(entries, rfc3339(now)).values()) - active


def amount_of(resource: Mapping[str, Any], service: str, carrier: str) -> int:
    """Return what a service draws of a resource, in bits per second."""
    found = (one["amount"] for one in _entries(resource) if _is_entry_of(one, service, carrier))
    return next(found, 0)


def reserve(resource: Resource, allocation: BandwidthAllocation) -> Resource:
    """Return a resource with a part reserved; for a task that has it already as it is.

    Raises:
        Refused: There is not so much left.
    """
    claim, now = allocation.mark, rfc3339(allocation.mark.now)
    entries = _entries(resource)
    own = next(
        (one for one in entries if _is_entry_of(one, allocation.service, allocation.carrier)), None
    )
    before = own["amount"] if own else 0
    if own and own["holder"] not in {"", claim.holder} and own["until"] > now:
        raise reservation_conflict(f"the part of {display_name(resource)}", own["holder"])
    if allocation.amount > before:
        _check_capacity(resource, entries, allocation, now)
    made = {
        "service": allocation.service,
        "carrier": allocation.carrier,
        "amount": before,
        "wanted": allocation.amount,
        "holder": claim.holder,
        "until": rfc3339(claim.expires_at),
    }
    kept = [one for one in entries if one is not own and (one["amount"] or one["until"] > now)]
    if own and {**made, "until": own["until"]} == own and not _is_renewal_due(own, claim):
        return resource
    return _with_entries(resource, [*kept, made])


def _is_renewal_due(entry: Mapping[str, Any], mark: ReservationMark) -> bool:
    """Return whether a repeated reservation is worth a write: half of its time is over."""
    return bool(entry["until"] < rfc3339(mark.now + (mark.expires_at - mark.now) / 2))


def _check_capacity(
    resource: Resource, entries: list[dict[str, Any]], allocation: BandwidthAllocation, now: str
) -> None:
    if resource.get("unknownStatus") or (reason := out_of_service_reason(resource)):
        why = "in doubt and kept out of use" if resource.get("unknownStatus") else reason
        raise Unfulfillable(f"{display_name(resource)} is {why}")
    most = limit(resource)
    others = sum(v for k, v in _peak_by_service(entries, now).items() if k != allocation.service)
    if most is not None and others + allocation.amount > most:
        left = megabits(max(most - others, 0))
        raise Unfulfillable(
            f"{display_name(resource)} has {left:g} Mbit/s left of {megabits(most):g},"
            f" {megabits(allocation.amount):g} are wanted",
            f"the {resource.get('category')} has not enough capacity left",
        )


def renew(resource: Resource, mark: ReservationMark) -> Resource:
    """Return a resource of which a task holds its part for longer.

    Raises:
        Refused: It holds none any more.
    """
    entries = _entries(resource)
    mine = [one for one in entries if one["holder"] == mark.holder]
    if not mine:
        raise Unfulfillable(
            f"{display_name(resource)}: nothing is reserved for {holder_description(mark.holder)}"
        )
    if not any(_is_renewal_due(one, mark) for one in mine):
        return resource
    until = rfc3339(mark.expires_at)
    return _with_entries(resource, [{**o, "until": until} if o in mine else o for o in entries])


def commit(resource: Resource, holder: str) -> Resource:
    """Return a resource on which what a task has reserved is drawn."""

    def settle(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "amount": one["wanted"]}

    return _close_reservation(resource, holder, settle)


def release(resource: Resource, holder: str) -> Resource:
    """Return a resource of which a task draws what it did before."""
    return _close_reservation(resource, holder, dict)


def _close_reservation(resource: Resource, holder: str, edit: Any) -> Resource:  # noqa: ANN401
    entries = _entries(resource)
    mine = [one for one in entries if one["holder"] == holder]
    if not mine:
        return resource
    over = {"wanted": 0, "holder": "", "until": ""}
    made = [{**edit(one), **over} if one in mine else one for one in entries]
    return _with_entries(resource, [one for one in made if one["amount"] or one["holder"]])


def _peak_by_service(entries: list[dict[str, Any]], now: str) -> dict[str, int]:
    """Return the most that each service may draw; one that moves draws on one carrier at a time."""
    found: dict[str, int] = {}
    for one in entries:
        wanted = one["wanted"] if one["until"] > now else 0
        amount = max(one["amount"], wanted)
        found[one["service"]] = max(found.get(one["service"], 0), amount)
    return found


def _entries(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    journal = resource_characteristics(resource).get(ALLOCATIONS)
    listed = journal.get("entry") if isinstance(journal, dict) else None
    return [{**_DEFAULT_ENTRY, **one} for one in json_objects(listed)]


_DEFAULT_ENTRY: Mapping[str, Any] = {
    "service": "", "carrier": "", "amount": 0, "wanted": 0, "holder": "", "until": "",
}  # fmt: skip


def _with_entries(resource: Resource, entries: list[dict[str, Any]]) -> Resource:
    active = sum(one["amount"] for one in entries)
    most: dict[str, int] = {}
    for one in entries:
        most[one["service"]] = max(most.get(one["service"], 0), one["amount"], one["wanted"])
    return with_characteristics(
        resource,
        {
            ALLOCATIONS: {"entry": entries} if entries else None,
            ALLOCATED_BANDWIDTH: megabits(active) if entries else None,
            RESERVED_BANDWIDTH: megabits(max(sum(most.values()) - active, 0)) if entries else None,
        },
    )


def _is_entry_of(entry: Mapping[str, Any], service: str, carrier: str) -> bool:
    return entry["service"] == service and entry["carrier"] in {carrier, ""}


def _number(value: object) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return max(0.0, float(value)) if plain else 0.0  # type: ignore[arg-type]
