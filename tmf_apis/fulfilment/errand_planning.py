"""From an order and the catalogue to what the network has to do: pure, no I/O.

How an offering is fulfilled is data: characteristics of its product specification
(``serviceType``, ``downstreamSpeed``, ``upstreamSpeed``), which the offering narrows by
``prodSpecCharValueUse`` and the order chooses from. ``docs/fulfilment.md`` shows it.
"""

import re
import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from tmf_apis.fulfilment.characteristics import objects, values
from tmf_apis.fulfilment.values import Errand, OrderKey, Refused, Work
from tmf_apis.ordering import items
from tmf_apis.ordering.states import ITEM
from tmf_apis.rest.law import Resource

BROADBAND = "broadband"
#: Speeds of a catalogue are in this unit where they name none.
UNIT = "Mbit/s"
#: Bits per second.
UNITS: Mapping[str, int] = {
    "bit/s": 1,
    "kbit/s": 10**3,
    "mbit/s": 10**6,
    "gbit/s": 10**9,
    "bps": 1,
    "kbps": 10**3,
    "mbps": 10**6,
    "gbps": 10**9,
}
#: No access is as fast as this, in bits per second.
LIMIT = 10**15
#: What a service id may be made of: it is written on the port of an element.
_TAG = re.compile(r"[A-Za-z0-9._-]{1,60}")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What planning knows beside the order.

    Attributes:
        offerings: By id.
        specifications: Product specifications by id.
        services: Ids of the services that are on a port now.
    """

    offerings: Mapping[str, Resource]
    specifications: Mapping[str, Resource]
    services: Container[str] = field(default_factory=frozenset)


def offerings(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the offerings that an order's items name."""
    return {id for item in _leaves(order) if (id := _id(item.get("productOffering")))}


def bundled(offering: Mapping[str, Any]) -> set[str]:
    """Return the ids of the offerings that are sold inside another."""
    return {id for one in objects(offering.get("bundledProductOffering")) if (id := _id(one))}


def specification(offering: Mapping[str, Any]) -> str:
    """Return the id of an offering's product specification; empty where it has none."""
    return _id(offering.get("productSpecification"))


def products(order: Mapping[str, Any]) -> set[str]:
    """Return the ids of the products that an order's items name."""
    return {id for item in _leaves(order) if (id := _id(item.get("product")))}


def plan(key: OrderKey, order: Mapping[str, Any], catalogue: Catalogue) -> Work:
    """Return what an order wants done.

    Nothing, where none of its items names an offering of the catalogue or a service that runs:
    such an order is somebody else's work. Items that are finished already are left out.
    """
    leaves = list(_leaves(order))
    if not any(_ours(item, catalogue) for item in leaves):
        return Work()
    errands: list[Errand] = []
    plain: list[str] = []
    refused: dict[str, str] = {}
    for item in leaves:
        if item.get("state") in ITEM.final:
            continue
        try:
            errand = _errand(key, item, catalogue)
        except Refused as error:
            refused[item["id"]] = str(error)
        else:
            (plain.append(item["id"]) if errand is None else errands.append(errand))
    return Work(tuple(errands), tuple(plain), refused)


def _leaves(order: Mapping[str, Any]) -> Iterable[Resource]:
    return [item for _, item in items.of(order) if not item.get("productOrderItem")]


def _ours(item: Mapping[str, Any], catalogue: Catalogue) -> bool:
    known = _id(item.get("productOffering")) in catalogue.offerings
    return known or _id(item.get("product")) in catalogue.services


def _errand(key: OrderKey, item: Mapping[str, Any], catalogue: Catalogue) -> Errand | None:
    """Return what an item wants of the network; None: nothing.

    Raises:
        Refused: It cannot be fulfilled.
    """
    action, service = item.get("action", "add"), _id(item.get("product"))
    if action == "noChange":
        return None
    if action == "delete" and service in catalogue.services:
        return Errand(key, item["id"], action, service)
    offered = _fulfilled(item, catalogue)
    if offered is None:
        return None
    offering, characteristics = offered
    if action != "add" and service not in catalogue.services:
        raise Refused(f"no service {service or '(product.id is missing)'} is in operation")
    if (item.get("quantity") or 1) > 1:
        raise Refused("one item orders one access; order several by several items")
    product = item.get("product") or {}
    chosen = values(product.get("productCharacteristic"))
    return Errand(
        order=key,
        item=item["id"],
        action=action,
        service=service or _service(key, item["id"]),
        downstream=_speed("downstreamSpeed", characteristics, chosen, offering),
        upstream=_speed("upstreamSpeed", characteristics, chosen, offering),
        port=str(chosen.get("accessPort", "")),
        places=tuple(_places(product)),
    )


def _fulfilled(
    item: Mapping[str, Any], catalogue: Catalogue
) -> tuple[str, dict[str, list[dict[str, Any]]]] | None:
    """Return the offering of an item that the network fulfils, with its characteristics.

    Raises:
        Refused: It is unknown, or there is no way to fulfil it.
    """
    if not (id := _id(item.get("productOffering"))):
        raise Refused("the item names no offering (productOffering.id)")
    if id not in catalogue.offerings:
        raise Refused(f"the catalogue has no offering {id}")
    found = []
    for one in (id, *sorted(bundled(catalogue.offerings[id]))):
        offering = catalogue.offerings.get(one, {})
        characteristics = _characteristics(offering, catalogue)
        kinds = [value.get("value") for value in characteristics.get("serviceType", ())]
        if not kinds:
            continue
        if kinds != [BROADBAND]:
            raise Refused(f"offering {one}: no way to fulfil serviceType {kinds}; only {BROADBAND}")
        found.append((one, characteristics))
    if len(found) > 1:
        raise Refused(f"bundle {id} has several accesses; order each by an item of its own")
    return found[0] if found else None


def _characteristics(
    offering: Mapping[str, Any], catalogue: Catalogue
) -> dict[str, list[dict[str, Any]]]:
    """Return the values that an offering allows of each characteristic of its specification."""
    described = catalogue.specifications.get(specification(offering), {})
    allowed = {
        str(one.get("name")): list(objects(one.get("characteristicValueSpecification")))
        for one in objects(described.get("productSpecCharacteristic"))
    }
    for one in objects(offering.get("prodSpecCharValueUse")):
        if used := list(objects(one.get("productSpecCharacteristicValue"))):
            allowed[str(one.get("name"))] = used
    return allowed


def _speed(
    name: str,
    characteristics: Mapping[str, list[dict[str, Any]]],
    chosen: Mapping[str, Any],
    offering: str,
) -> int:
    """Return a speed in bits per second: what the order chose of what the offering allows."""
    allowed = {_bits(name, one, offering): one for one in characteristics.get(name, ())}
    if not allowed:
        raise Refused(f"offering {offering} does not say its {name}")
    if name in chosen:
        wanted = _bits(name, {"value": chosen[name]}, offering)
        if wanted in allowed:
            return wanted
        choices = ", ".join(f"{speed / 10**6:g}" for speed in sorted(allowed))
        raise Refused(
            f"offering {offering} has no {name} {chosen[name]}; allowed: {choices} {UNIT}"
        )
    preferred = [speed for speed, one in allowed.items() if one.get("isDefault")]
    return (preferred or list(allowed))[0]


def _bits(name: str, one: Mapping[str, Any], offering: str) -> int:
    unit = str(one.get("unitOfMeasure") or UNIT)
    wrong = Refused(f"offering {offering}: {name} {one.get('value')} {unit} is no speed")
    try:
        speed = Decimal(str(one.get("value"))) * UNITS[unit.lower()]
    except (InvalidOperation, KeyError):
        raise wrong from None
    if not speed.is_finite() or not 0 < speed < LIMIT or speed != int(speed):
        raise wrong
    return int(speed)


def _places(product: Mapping[str, Any]) -> Iterable[str]:
    for one in objects(product.get("place")):
        if id := _id(one.get("place")):
            yield id


def _service(key: OrderKey, item: str) -> str:
    """Return the id of a new service: the same whenever the order is planned."""
    name = f"{key.order}-{item}"
    if _TAG.fullmatch(name):
        return name
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key.tenant}:{key.order}/{item}"))


def _id(reference: object) -> str:
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""
