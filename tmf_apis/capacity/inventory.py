"""What the inventory says of capacity: ports taken and free, uplinks, pools; counted by MongoDB.

Ports and pools are as ``fulfilment`` has them: what is taken of a pool are resources that name it;
what is drawn of an uplink stands in the uplink itself.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tmf_apis.capacity.expressions import ELEMENT, status
from tmf_apis.capacity.values import (
    ACCESS_PORTS,
    ADDRESSES,
    NUMBERS,
    PORT,
    SITE,
    UPLINK,
    VLANS,
    Level,
    Thing,
)
from tmf_apis.fulfilment.characteristics import objects, of_resource
from tmf_apis.fulfilment.elements import key_of
from tmf_apis.fulfilment.reservation import shares
from tmf_apis.fulfilment.reservation.pools import FROM, POOL, values_of
from tmf_apis.fulfilment.reservation.ports import ACCESS_PORT, ADDRESS, GATEWAY, PORTS, SWITCH_PORT
from tmf_apis.inventory.relationships import INSIDE
from tmf_apis.store.connection import Documents, translated
from tmf_apis.store.model import GONE

#: Characteristic that says at which utilisation of a resource an alarm is raised; 0: never.
THRESHOLD = "capacityThreshold"
#: From what a pool is of to its category; another is of numbers.
POOLS: Mapping[str, str] = {
    "ipAddress": ADDRESSES,
    "ipv4Address": ADDRESSES,
    "ipv6Address": ADDRESSES,
    "vlan": VLANS,
    "serviceVlan": VLANS,
}
_KIND = "Resource"
_MEGABIT = 10**6
_SHOWN = {
    "id": 1, "body.name": 1, "body.category": 1, "body.resourceCharacteristic": 1,
    "body.place.place.id": 1,
}  # fmt: skip
_COUNT = {"count": {"$sum": 1}}
#: What a resource that is taken from a pool may call it.
_TAKEN = sorted(INSIDE | {FROM})
#: Categories of ports that services are put on.
ACCESS = (ACCESS_PORT, SWITCH_PORT)
log = logging.getLogger(__name__)


class Counting:
    """Counts in the inventory of one tenant."""

    def __init__(self, database: Documents, tenant: str) -> None:
        """Take the database."""
        self._resources = database[_KIND]
        self._tenant = tenant

    def levels(self, now: datetime) -> list[Level]:
        """Return how much is used of everything that is counted and not measured."""
        return [*self._ports(now), *self._pools(now), *self._uplinks(now)]

    def ports(self, element: str) -> dict[str, Thing]:
        """Return the ports of an element by their natural keys, with their speeds."""
        query = {
            "tenant": self._tenant,
            "body.resourceRelationship.resource.id": element,
            "body.category": {"$in": [*PORTS, UPLINK]},
        }
        return {_key(one): _port(one) for one in self._find(query)}

    def _find(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        with translated():
            return list(self._resources.find(query, _SHOWN))

    def _aggregate(self, *stages: Mapping[str, Any]) -> list[dict[str, Any]]:
        with translated():
            return list(self._resources.aggregate(list(stages)))

    def _ports(self, now: datetime) -> Iterator[Level]:
        """Yield the access ports of each element and of each site."""
        counted = self._aggregate(
            {"$match": {"tenant": self._tenant, "body.category": {"$in": ACCESS}}},
            {
                "$group": {
                    "_id": {
                        "element": ELEMENT,
                        "place": {"$first": "$body.place.place.id"},
                        "status": status(now),
                    },
                    **_COUNT,
                    "name": {"$first": {"$first": "$body.place.place.name"}},
                }
            },
        )
        either = [{"body.category": GATEWAY}, {"body.resourceCharacteristic.name": ADDRESS}]
        known = self._find({"tenant": self._tenant, "$or": either})
        elements = {one["id"]: _thing(one, ACCESS_PORTS, 0) for one in known}
        by_element: dict[str, dict[str, int]] = {}
        by_place: dict[str, dict[str, int]] = {}
        names: dict[str, str] = {}
        for one in counted:
            key = one["_id"]
            element = elements.get(key.get("element"))
            place = key.get("place") or (element.places[0] if element and element.places else "")
            if element:
                _sum(by_element, element.id, key["status"], one["count"])
            if place:
                _sum(by_place, place, key["status"], one["count"])
                names[place] = one["name"] or names.get(place) or place
        for id, counts in by_element.items():
            yield _counted(replace(elements[id], element=elements[id].name), counts, now)
        for place in sorted(by_place):
            site = Thing(place, names[place], SITE, 0, places=(place,), threshold=0.0)
            yield _counted(site, by_place[place], now)

    def _pools(self, now: datetime) -> Iterator[Level]:
        pools = {one["id"]: one for one in self._find(self._of(POOL))}
        taken = self._taken(sorted(pools), now)
        for id, one in pools.items():
            values = values_of(one["body"])
            if values is None:
                log.warning("a pool has no range", extra={"resource": id})
                continue
            category = POOLS.get(str(of_resource(one["body"]).get("poolOf")), NUMBERS)
            counts = taken.get(id, {})
            used, reserved = (float(counts.get(name, 0)) for name in ("used", "reserved"))
            yield Level(_thing(one, category, float(values.size)), used, reserved, now)

    def _taken(self, pools: list[str], now: datetime) -> dict[str, dict[str, int]]:
        """Return what is taken of pools, by status."""
        if not pools:
            return {}
        name = "body.resourceRelationship"
        rows = self._aggregate(
            {"$match": {"tenant": self._tenant, f"{name}.resource.id": {"$in": pools}}},
            {"$set": {"status": status(now), "of": f"${name}"}},
            {"$unwind": "$of"},
            {
                "$match": {
                    "of.resource.id": {"$in": pools},
                    "of.relationshipType": {"$in": _TAKEN},
                }
            },
            {"$group": {"_id": {"of": "$of.resource.id", "status": "$status"}, **_COUNT}},
        )
        made: dict[str, dict[str, int]] = {}
        for one in rows:
            _sum(made, one["_id"]["of"], one["_id"]["status"], one["count"])
        return made

    def _uplinks(self, now: datetime) -> Iterator[Level]:
        for one in self._find(self._of(UPLINK)):
            drawn, reserved = shares.drawn(one["body"], now)
            thing = _thing(one, UPLINK, float(shares.limit(one["body"]) or 0))
            yield Level(thing, float(drawn), float(reserved), now)

    def _of(self, category: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "body.category": category}


def tenants(database: Documents) -> list[str]:
    """Return every tenant that has resources."""
    with translated():
        return [one for one in database[_KIND].distinct("tenant") if one != GONE]


def _sum(counts: dict[str, dict[str, int]], key: str, status: str, count: int) -> None:
    of_key = counts.setdefault(key, {})
    of_key[status] = of_key.get(status, 0) + count


def _counted(thing: Thing, counts: Mapping[str, int], now: datetime) -> Level:
    used, reserved = counts.get("used", 0), counts.get("reserved", 0)
    capacity = used + reserved + counts.get("free", 0)
    return Level(replace(thing, capacity=capacity), float(used), float(reserved), now)


def _thing(document: Mapping[str, Any], category: str, capacity: float) -> Thing:
    body = document["body"]
    places = (one.get("place") for one in objects(body.get("place")))
    name = str(body.get("name") or document["id"])
    return Thing(
        document["id"],
        name,
        category,
        capacity,
        name,
        tuple(str(one["id"]) for one in places if isinstance(one, dict) and one.get("id")),
        _threshold(of_resource(body), category, str(body.get("category"))),
    )


def _port(document: Mapping[str, Any]) -> Thing:
    speed = _number(of_resource(document["body"]).get("speed")) * _MEGABIT
    return _thing(document, PORT, speed)


def _threshold(found: Mapping[str, Any], category: str, kind: str) -> float | None:
    """Return the resource's own threshold; a customer who fills his line is no alarm."""
    value = found.get(THRESHOLD)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(0.0, float(value))
    return 0.0 if category == PORT and kind in ACCESS else None


def _key(document: Mapping[str, Any]) -> str:
    return key_of(document["body"])


def _number(value: object) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return max(0.0, float(value)) if plain else 0.0  # type: ignore[arg-type]
