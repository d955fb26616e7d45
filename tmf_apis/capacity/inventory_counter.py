"""Utilisation of ports, uplinks and pools, counted in the inventory by MongoDB.

The counts follow the rules of ``fulfilment``: the values that are allocated from a pool are
resources with a relationship to it; the bandwidth that is allocated from an uplink is listed in the
uplink.
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
from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.inventory.ports import (
    ACCESS_GATEWAY,
    ACCESS_PORT,
    PORT_CATEGORIES,
    SWITCH_PORT,
)
from tmf_apis.inventory.relationships import CONTAINED_IN_TYPES
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.store.connection import MongoDatabase, translate_errors

#: Characteristic with the utilisation of a resource at which an alarm is raised; 0: never.
THRESHOLD_CHARACTERISTIC = "capacityThreshold"
#: Category of a pool by its characteristic ``poolOf``; any other pool is a range of numbers.
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
#: Types of the relationship of a resource to the pool that it is allocated from.
_POOL_RELATIONSHIPS = sorted(CONTAINED_IN_TYPES | {IS_ALLOCATED_FROM})
#: Categories of ports that can carry a service.
ACCESS_CATEGORIES = (ACCESS_PORT, SWITCH_PORT)

log = logging.getLogger(__name__)

_IGNORED_POOLS = LastingCondition(
    log, "pool without a range ignored", "pool with a range counted again"
)


class InventoryCounter:
    """Counts the inventory of one tenant."""

    def __init__(self, database: MongoDatabase, tenant: str) -> None:
        """Create a counter.

        Args:
            database: Holds the inventory.
            tenant: The tenant.
        """
        self._resources = database[_KIND]
        #: What a party created does not belong to the network.
        self._network = {"tenant": tenant, "owner": {"$exists": False}}

    def utilisations(self, now: datetime) -> list[Utilisation]:
        """Return the utilisations of everything that is counted rather than measured."""
        return [*self._ports(now), *self._pools(now), *self._uplinks(now)]

    def port_objects(self, element: str) -> dict[str, CapacityObject]:
        """Return the ports of an element by natural key; their capacity is their speed."""
        query = {
            **self._network,
            "body.resourceRelationship.resource.id": element,
            "body.category": {"$in": [*PORT_CATEGORIES, UPLINK]},
        }
        return {_port_key(document): _port_object(document) for document in self._find(query)}

    def _find(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        with translate_errors():
            return list(self._resources.find(query, _PROJECTION))

    def _aggregate(self, *stages: Mapping[str, Any]) -> list[dict[str, Any]]:
        with translate_errors():
            return list(self._resources.aggregate(list(stages)))

    def _ports(self, now: datetime) -> Iterator[Utilisation]:
        """Yield the utilisation of the access ports of each element and of each site."""
        rows = self._aggregate(
            {"$match": {**self._network, "body.category": {"$in": ACCESS_CATEGORIES}}},
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
        identifying = [
            {"body.category": ACCESS_GATEWAY},
            {"body.resourceCharacteristic.name": MANAGEMENT_ADDRESS},
        ]
        documents = self._find({**self._network, "$or": identifying})
        elements = {
            document["id"]: _capacity_object(document, ACCESS_PORTS, 0) for document in documents
        }
        by_element: dict[str, dict[str, int]] = {}
        by_place: dict[str, dict[str, int]] = {}
        names: dict[str, str] = {}
        for row in rows:
            key = row["_id"]
            element = elements.get(key.get("element"))
            place = key.get("place") or (element.places[0] if element and element.places else "")
            if element:
                _add_count(by_element, element.id, key["status"], row["count"])
            if place:
                _add_count(by_place, place, key["status"], row["count"])
                names[place] = row["name"] or names.get(place) or place
        for id, counts in by_element.items():
            yield _port_utilisation(replace(elements[id], element=elements[id].name), counts, now)
        for place in sorted(by_place):
            site = CapacityObject(place, names[place], SITE, 0, places=(place,), threshold=0.0)
            yield _port_utilisation(site, by_place[place], now)

    def _pools(self, now: datetime) -> Iterator[Utilisation]:
        pools = {pool["id"]: pool for pool in self._find(self._category_query(POOL))}
        usage = self._pool_usage(sorted(pools), now)
        for id, pool in pools.items():
            values = range_of(pool["body"])
            if values is None:
                _IGNORED_POOLS.report(pool["_id"], resource=id)
                continue
            _IGNORED_POOLS.clear(pool["_id"], resource=id)
            category = POOL_CATEGORIES.get(
                str(resource_characteristics(pool["body"]).get("poolOf")), NUMBERS
            )
            counts = usage.get(id, {})
            used, reserved = (float(counts.get(name, 0)) for name in ("used", "reserved"))
            yield Utilisation(
                _capacity_object(pool, category, float(values.size)), used, reserved, now
            )

    def _pool_usage(self, pools: list[str], now: datetime) -> dict[str, dict[str, int]]:
        """Return the number of resources of each pool by status."""
        if not pools:
            return {}
        name = "body.resourceRelationship"
        rows = self._aggregate(
            {"$match": {**self._network, f"{name}.resource.id": {"$in": pools}}},
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
        usage: dict[str, dict[str, int]] = {}
        for row in rows:
            _add_count(usage, row["_id"]["of"], row["_id"]["status"], row["count"])
        return usage

    def _uplinks(self, now: datetime) -> Iterator[Utilisation]:
        for uplink in self._find(self._category_query(UPLINK)):
            used, reserved = bandwidth.allocated_and_reserved(uplink["body"], now)
            capacity_object = _capacity_object(
                uplink, UPLINK, float(bandwidth.limit(uplink["body"]) or 0)
            )
            yield Utilisation(capacity_object, float(used), float(reserved), now)

    def _category_query(self, category: str) -> dict[str, Any]:
        return {**self._network, "body.category": category}


def _add_count(counts: dict[str, dict[str, int]], key: str, status: str, count: int) -> None:
    by_status = counts.setdefault(key, {})
    by_status[status] = by_status.get(status, 0) + count


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
    places = (related.get("place") for related in json_objects(body.get("place")))
    name = str(body.get("name") or document["id"])
    return CapacityObject(
        document["id"],
        name,
        category,
        capacity,
        name,
        tuple(str(place["id"]) for place in places if isinstance(place, dict) and place.get("id")),
        _threshold(resource_characteristics(body), category, str(body.get("category"))),
    )


def _port_object(document: Mapping[str, Any]) -> CapacityObject:
    speed = _non_negative(resource_characteristics(document["body"]).get("speed")) * _MEGABIT
    return _capacity_object(document, PORT, speed)


def _threshold(characteristics: Mapping[str, Any], category: str, kind: str) -> float | None:
    """Return the threshold of a resource; a busy access port of a customer raises no alarm."""
    value = characteristics.get(THRESHOLD_CHARACTERISTIC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(0.0, float(value))
    return 0.0 if category == PORT and kind in ACCESS_CATEGORIES else None


def _port_key(document: Mapping[str, Any]) -> str:
    return carrier_key(document["body"])


def _non_negative(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return max(0.0, float(value))
