"""What the inventory says of capacity: ports taken and free, uplinks, pools; counted by MongoDB.

Ports and pools are as ``fulfilment`` has them: what is taken of a pool are resources that name it;
what is drawn of an uplink stands in the uplink itself.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tmf_apis.capacity.expressions import ELEMENT_ID, status_expression
from tmf_apis.capacity.values import (
    ACCESS_PORTS,
    ADDRESSES,
    NUMBERS,
    PORT,
    SITE,
    UPLINK,
    VLANS,
    CapacityObject,
    Utilisation,
)
from tmf_apis.fulfilment.reservation import bandwidth
from tmf_apis.fulfilment.reservation.pools import IS_ALLOCATED_FROM, POOL, range_of
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import carrier_key
from tmf_apis.inventory.ports import (
    ACCESS_GATEWAY,
    ACCESS_PORT,
    MANAGEMENT_ADDRESS,
    PORT_CATEGORIES,
    SWITCH_PORT,
)
from tmf_apis.inventory.relationships import CONTAINED_IN_TYPES
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT

#: Characteristic that says at which utilisation of a resource an alarm is raised; 0: never.
THRESHOLD_CHARACTERISTIC = "capacityThreshold"
#: From what a pool is of to its category; another is of numbers.
POOL_CATEGORIES: Mapping[str, str] = {
    "ipAddress": ADDRESSES,
    "ipv4Address": ADDRESSES,
    "ipv6Address": ADDRESSES,
    "vlan": VLANS,
    "serviceVlan": VLANS,
}
_KIND = "Resource"
_MEGABIT = 10**6
_PROJECTION = {
    "id": 1, "body.name": 1, "body.category": 1, "body.resourceCharacteristic": 1,
    "body.place.place.id": 1,
}  # fmt: skip
_COUNT = {"count": {"$sum": 1}}
#: What a resource that is taken from a pool may call it.
_POOL_RELATIONSHIPS = sorted(CONTAINED_IN_TYPES | {IS_ALLOCATED_FROM})
#: Categories of ports that services are put on.
ACCESS_CATEGORIES = (ACCESS_PORT, SWITCH_PORT)
log = logging.getLogger(__name__)


class InventoryCounter:
    """Counts in the inventory of one tenant."""

    def __init__(self, database: MongoDatabase, tenant: str) -> None:
        """Take the database."""
        self._resources = database[_KIND]
        self._tenant = tenant

    def utilisations(self, now: datetime) -> list[Utilisation]:
        """Return how much is used of everything that is counted and not measured."""
        return [*self._ports(now), *self._pools(now), *self._uplinks(now)]

    def port_objects(self, element: str) -> dict[str, CapacityObject]:
        """Return the ports of an element by their natural keys, with their speeds."""
        query = {
            "tenant": self._tenant,
            "body.resourceRelationship.resource.id": element,
            "body.category": {"$in": [*PORT_CATEGORIES, UPLINK]},
        }
        return {_port_key(one): _port_object(one) for one in self._find(query)}

    def _find(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        with translate_errors():
            return list(self._resources.find(query, _PROJECTION))

    def _aggregate(self, *stages: Mapping[str, Any]) -> list[dict[str, Any]]:
        with translate_errors():
            return list(self._resources.aggregate(list(stages)))

    def _ports(self, now: datetime) -> Iterator[Utilisation]:
        """Yield the access ports of each element and of each site."""
        counted = self._aggregate(
            {"$match": {"tenant": self._tenant, "body.category": {"$in": ACCESS_CATEGORIES}}},
            {
                "$group": {
                    "_id": {
                        "element": ELEMENT_ID,
                        "place": {"$first": "$body.place.place.id"},
                        "status": status_expression(now),
                    },
                    **_COUNT,
                    "name": {"$first": {"$first": "$body.place.place.name"}},
                }
            },
        )
        either = [
            {"body.category": ACCESS_GATEWAY},
            {"body.resourceCharacteristic.name": MANAGEMENT_ADDRESS},
        ]
        known = self._find({"tenant": self._tenant, "$or": either})
        elements = {one["id"]: _capacity_object(one, ACCESS_PORTS, 0) for one in known}
        by_element: dict[str, dict[str, int]] = {}
        by_place: dict[str, dict[str, int]] = {}
        names: dict[str, str] = {}
        for one in counted:
            key = one["_id"]
            element = elements.get(key.get("element"))
            place = key.get("place") or (element.places[0] if element and element.places else "")
            if element:
                _add_count(by_element, element.id, key["status"], one["count"])
            if place:
                _add_count(by_place, place, key["status"], one["count"])
                names[place] = one["name"] or names.get(place) or place
        for id, counts in by_element.items():
            yield _port_utilisation(replace(elements[id], element=elements[id].name), counts, now)
        for place in sorted(by_place):
            site = CapacityObject(place, names[place], SITE, 0, places=(place,), threshold=0.0)
            yield _port_utilisation(site, by_place[place], now)

    def _pools(self, now: datetime) -> Iterator[Utilisation]:
        pools = {one["id"]: one for one in self._find(self._category_query(POOL))}
        taken = self._pool_usage(sorted(pools), now)
        for id, one in pools.items():
            values = range_of(one["body"])
            if values is None:
                log.warning("a pool has no range", extra={"resource": id})
                continue
            category = POOL_CATEGORIES.get(
                str(resource_characteristics(one["body"]).get("poolOf")), NUMBERS
            )
            counts = taken.get(id, {})
            used, reserved = (float(counts.get(name, 0)) for name in ("used", "reserved"))
            yield Utilisation(
                _capacity_object(one, category, float(values.size)), used, reserved, now
            )

    def _pool_usage(self, pools: list[str], now: datetime) -> dict[str, dict[str, int]]:
        """Return what is taken of pools, by status."""
        if not pools:
            return {}
        name = "body.resourceRelationship"
        rows = self._aggregate(
            {"$match": {"tenant": self._tenant, f"{name}.resource.id": {"$in": pools}}},
            {"$set": {"status": status_expression(now), "of": f"${name}"}},
            {"$unwind": "$of"},
            {
                "$match": {
                    "of.resource.id": {"$in": pools},
                    "of.relationshipType": {"$in": _POOL_RELATIONSHIPS},
                }
            },
            {"$group": {"_id": {"of": "$of.resource.id", "status": "$status"}, **_COUNT}},
        )
        made: dict[str, dict[str, int]] = {}
        for one in rows:
            _add_count(made, one["_id"]["of"], one["_id"]["status"], one["count"])
        return made

    def _uplinks(self, now: datetime) -> Iterator[Utilisation]:
        for one in self._find(self._category_query(UPLINK)):
            drawn, reserved = bandwidth.allocated_and_reserved(one["body"], now)
            thing = _capacity_object(one, UPLINK, float(bandwidth.limit(one["body"]) or 0))
            yield Utilisation(thing, float(drawn), float(reserved), now)

    def _category_query(self, category: str) -> dict[str, Any]:
        return {"tenant": self._tenant, "body.category": category}


def tenants(database: MongoDatabase) -> list[str]:
    """Return every tenant that has resources."""
    with translate_errors():
        return [one for one in database[_KIND].distinct("tenant") if one != DELETED_TENANT]


def _add_count(counts: dict[str, dict[str, int]], key: str, status: str, count: int) -> None:
    of_key = counts.setdefault(key, {})
    of_key[status] = of_key.get(status, 0) + count


def _port_utilisation(
    capacity_object: CapacityObject, counts: Mapping[str, int], now: datetime
) -> Utilisation:
    used, reserved = counts.get("used", 0), counts.get("reserved", 0)
    capacity = used + reserved + counts.get("free", 0)
    return Utilisation(
        replace(capacity_object, capacity=capacity), float(used), float(reserved), now
    )


def _capacity_object(document: Mapping[str, Any], category: str, capacity: float) -> CapacityObject:
    body = document["body"]
    places = (one.get("place") for one in json_objects(body.get("place")))
    name = str(body.get("name") or document["id"])
    return CapacityObject(
        document["id"],
        name,
        category,
        capacity,
        name,
        tuple(str(one["id"]) for one in places if isinstance(one, dict) and one.get("id")),
        _threshold(resource_characteristics(body), category, str(body.get("category"))),
    )


def _port_object(document: Mapping[str, Any]) -> CapacityObject:
    speed = _non_negative(resource_characteristics(document["body"]).get("speed")) * _MEGABIT
    return _capacity_object(document, PORT, speed)


def _threshold(characteristics: Mapping[str, Any], category: str, kind: str) -> float | None:
    """Return the resource's own threshold; a customer who fills his line is no alarm."""
    value = characteristics.get(THRESHOLD_CHARACTERISTIC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(0.0, float(value))
    return 0.0 if category == PORT and kind in ACCESS_CATEGORIES else None


def _port_key(document: Mapping[str, Any]) -> str:
    return carrier_key(document["body"])


def _non_negative(value: object) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return max(0.0, float(value)) if plain else 0.0  # type: ignore[arg-type]
