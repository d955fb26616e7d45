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

from tmf_apis.fulfilment.characteristics import objects, of_resource, with_values
from tmf_apis.fulfilment.reservation.holdings import Claim, called, held_by, spoken
from tmf_apis.fulfilment.reservation.ports import megabits
from tmf_apis.fulfilment.values import Refused
from tmf_apis.inventory.rules import out_of_service
from tmf_apis.rest.law import Resource, rfc3339

#: Characteristics: the journal; the capacity and what is drawn and reserved of it, in Mbit/s; by
#: how much more than the capacity may be drawn, as a factor.
JOURNAL, CAPACITY, OVERSUBSCRIPTION = "allocations", "bandwidth", "oversubscription"
DRAWN, RESERVED = "allocatedBandwidth", "reservedBandwidth"
_MEGABIT = 10**6


@dataclass(frozen=True, slots=True)
class Draw:
    """What a task wants of a shared resource.

    Attributes:
        claim: Who wants it.
        service: Id of the service.
        carrier: Id of the resource that carries the service; empty: none.
        amount: In bits per second.
    """

    claim: Claim
    service: str
    carrier: str
    amount: int


def limit(resource: Mapping[str, Any]) -> int | None:
    """Return how much may be drawn of a resource, in bits per second; None: it does not say."""
    found = of_resource(resource)
    capacity = _number(found.get(CAPACITY, found.get("speed")))
    factor = _number(found.get(OVERSUBSCRIPTION)) or 1
    return round(capacity * _MEGABIT * factor) if capacity else None


def drawn(resource: Mapping[str, Any], now: datetime) -> tuple[int, int]:
    """Return what is drawn of a resource and what more is reserved, in bits per second."""
    entries = _entries(resource)
    active = sum(one["amount"] for one in entries)
    return active, sum(_most(entries, rfc3339(now)).values()) - active


def amount_of(resource: Mapping[str, Any], service: str, carrier: str) -> int:
    """Return what a service draws of a resource, in bits per second."""
    found = (one["amount"] for one in _entries(resource) if _is(one, service, carrier))
    return next(found, 0)


def taken(resource: Resource, draw: Draw) -> Resource:
    """Return a resource with a part reserved; for a task that has it already as it is.

    Raises:
        Refused: There is not so much left.
    """
    claim, now = draw.claim, rfc3339(draw.claim.now)
    entries = _entries(resource)
    own = next((one for one in entries if _is(one, draw.service, draw.carrier)), None)
    before = own["amount"] if own else 0
    if own and own["holder"] not in {"", claim.holder} and own["until"] > now:
        raise held_by(f"the part of {called(resource)}", own["holder"])
    if draw.amount > before:
        _check(resource, entries, draw, now)
    made = {
        "service": draw.service,
        "carrier": draw.carrier,
        "amount": before,
        "wanted": draw.amount,
        "holder": claim.holder,
        "until": rfc3339(claim.until),
    }
    kept = [one for one in entries if one is not own and (one["amount"] or one["until"] > now)]
    if own and {**made, "until": own["until"]} == own and not _renews(own, claim):
        return resource
    return _with(resource, [*kept, made])


def _renews(entry: Mapping[str, Any], claim: Claim) -> bool:
    """Return whether a repeated reservation is worth a write: half of its time is over."""
    return bool(entry["until"] < rfc3339(claim.now + (claim.until - claim.now) / 2))


def _check(resource: Resource, entries: list[dict[str, Any]], draw: Draw, now: str) -> None:
    if resource.get("unknownStatus") or (reason := out_of_service(resource)):
        why = "in doubt and kept out of use" if resource.get("unknownStatus") else reason
        raise Refused(f"{called(resource)} is {why}")
    most = limit(resource)
    others = sum(v for k, v in _most(entries, now).items() if k != draw.service)
    if most is not None and others + draw.amount > most:
        left = megabits(max(most - others, 0))
        raise Refused(
            f"{called(resource)} has {left:g} Mbit/s left of {megabits(most):g},"
            f" {megabits(draw.amount):g} are wanted",
            f"the {resource.get('category')} has not enough capacity left",
        )


def renewed(resource: Resource, claim: Claim) -> Resource:
    """Return a resource of which a task holds its part for longer.

    Raises:
        Refused: It holds none any more.
    """
    entries = _entries(resource)
    mine = [one for one in entries if one["holder"] == claim.holder]
    if not mine:
        raise Refused(f"{called(resource)}: nothing is reserved for {spoken(claim.holder)}")
    if not any(_renews(one, claim) for one in mine):
        return resource
    until = rfc3339(claim.until)
    return _with(resource, [{**o, "until": until} if o in mine else o for o in entries])


def settled(resource: Resource, holder: str) -> Resource:
    """Return a resource on which what a task has reserved is drawn."""

    def settle(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "amount": one["wanted"]}

    return _done(resource, holder, settle)


def returned(resource: Resource, holder: str) -> Resource:
    """Return a resource of which a task draws what it did before."""
    return _done(resource, holder, dict)


def _done(resource: Resource, holder: str, edit: Any) -> Resource:  # noqa: ANN401
    entries = _entries(resource)
    mine = [one for one in entries if one["holder"] == holder]
    if not mine:
        return resource
    over = {"wanted": 0, "holder": "", "until": ""}
    made = [{**edit(one), **over} if one in mine else one for one in entries]
    return _with(resource, [one for one in made if one["amount"] or one["holder"]])


def _most(entries: list[dict[str, Any]], now: str) -> dict[str, int]:
    """Return the most that each service may draw; one that moves draws on one carrier at a time."""
    found: dict[str, int] = {}
    for one in entries:
        wanted = one["wanted"] if one["until"] > now else 0
        amount = max(one["amount"], wanted)
        found[one["service"]] = max(found.get(one["service"], 0), amount)
    return found


def _entries(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    journal = of_resource(resource).get(JOURNAL)
    listed = journal.get("entry") if isinstance(journal, dict) else None
    return [{**_EMPTY, **one} for one in objects(listed)]


_EMPTY: Mapping[str, Any] = {
    "service": "", "carrier": "", "amount": 0, "wanted": 0, "holder": "", "until": "",
}  # fmt: skip


def _with(resource: Resource, entries: list[dict[str, Any]]) -> Resource:
    active = sum(one["amount"] for one in entries)
    most: dict[str, int] = {}
    for one in entries:
        most[one["service"]] = max(most.get(one["service"], 0), one["amount"], one["wanted"])
    return with_values(
        resource,
        {
            JOURNAL: {"entry": entries} if entries else None,
            DRAWN: megabits(active) if entries else None,
            RESERVED: megabits(max(sum(most.values()) - active, 0)) if entries else None,
        },
    )


def _is(entry: Mapping[str, Any], service: str, carrier: str) -> bool:
    return entry["service"] == service and entry["carrier"] in {carrier, ""}


def _number(value: object) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return max(0.0, float(value)) if plain else 0.0  # type: ignore[arg-type]
