"""Looking resources up in the inventory: what a need may take, and the element that it is on."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.errors import Misconfigured
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.characteristics import objects, of_resource
from tmf_apis.fulfilment.elements import target_of
from tmf_apis.fulfilment.reservation import holdings
from tmf_apis.fulfilment.reservation.pools import POOL, Range, id_of, values_of
from tmf_apis.fulfilment.reservation.ports import HOLDER, SERVICE, is_on
from tmf_apis.fulfilment.values import Need, Refused
from tmf_apis.inventory.rules import out_of_service
from tmf_apis.rest.law import Desk, Resource, rfc3339

KIND = "Resource"
#: How many resources are read first and then at once, and most that are looked at for one need.
FIRST, WINDOW, MOST = 4, 50, 2000
#: Most elements and pools that are looked at.
_FEW = 1000


def written(desk: Desk, type_: str, ids: list[str]) -> list[Resource]:
    """Return the resources on which fulfilment has written one of some ids."""
    wanted = set(ids)
    query = {"externalIdentifier.id": {"$in": sorted(wanted)}}
    found = desk.find(KIND, query, limit=_FEW) if wanted else []
    return [one for one in found if holdings.identifier(one, type_) in wanted]


def element_of(desk: Desk, resource: Mapping[str, Any]) -> Resource | None:
    """Return the element that a resource is contained in, or was brought to; None: it is gone."""
    id = is_on(resource) or holdings.use_of(resource).element
    try:
        return desk.get(KIND, id) if id else None
    except NotFound:
        return None


def reachable(element: Mapping[str, Any]) -> bool:
    """Return whether an element can be worked on: it says how, and nobody has locked it."""
    locked = element.get("administrativeState") == "locked"
    try:
        return bool(target_of(element)) and not locked
    except Misconfigured:
        return False


def elements(desk: Desk, category: str, places: tuple[str, ...], start: str) -> list[Resource]:
    """Return elements of a category that can be worked on; those at the places go before."""
    found = desk.find(KIND, {"category": category}, limit=_FEW)
    here = set(places)
    usable = [one for one in turned(found, start) if reachable(one)]
    return sorted(usable, key=lambda one: not here & places_of(one))


def turned(found: list[Resource], start: str) -> list[Resource]:
    """Return a list from a place on that follows from a text, so that orders do not collide."""
    first = zlib.crc32(start.encode()) % (len(found) or 1)
    return found[first:] + found[:first]


def places_of(resource: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the places where a resource is."""
    return frozenset(
        str(one["place"].get("id"))
        for one in objects(resource.get("place"))
        if isinstance(one.get("place"), dict)
    )


def named(desk: Desk, need: Need) -> Resource | None:
    """Return the resource that an order names, by id, name or value; None: there is none.

    Raises:
        Refused: Several are called so.
    """
    either = [{"id": need.named}, {"name": need.named}, {"value": need.named}]
    found = desk.find(KIND, {"category": need.category, "$or": either}, limit=3)
    by_id = [one for one in found if one["id"] == need.named]
    if len(by_id or found) > 1:
        raise Refused(
            f"several resources of category {need.category} are called {need.named}; name one by"
            " its id"
        )
    return next(iter(by_id or found), None)


def check(resource: Mapping[str, Any], need: Need) -> None:
    """Let a resource pass if it has what is wanted.

    Raises:
        Refused: It has not.
    """
    found = {"value": resource.get("value"), **of_resource(resource)}
    for name, value in need.wanted.items():
        if found.get(name) != value:
            raise Refused(
                f"{holdings.called(resource)} has {name} {found.get(name, '(none)')}, not {value}"
            )


def candidates(desk: Desk, need: Need, element: str, start: str) -> Iterator[Resource]:
    """Yield free resources that a need may take, from a place on that follows from ``start``.

    Args:
        desk: Sees the whole tenant.
        need: What is wanted.
        element: Id of the element that they are on; empty: any.
        start: Text that spreads orders over what is free.
    """
    unheld = {"externalIdentifier.externalIdentifierType": {"$nin": [SERVICE, HOLDER]}}
    over = {
        "externalIdentifier.externalIdentifierType": HOLDER,
        "resourceCharacteristic": {
            "$elemMatch": {"name": holdings.UNTIL, "value": {"$lte": rfc3339(desk.now)}}
        },
    }
    first = f"{zlib.crc32(start.encode()):08x}"
    seen = 0
    for part in (unheld, over):
        for query in _queries(desk, need, element):
            for bounds in ({"$gte": first}, {"$lt": first}):
                for found in _windows(desk, {"$and": [query, part]}, bounds):
                    yield from (one for one in found if holdings.is_free(one, desk.now))
                    seen += len(found)
                    if seen >= MOST:
                        return


def _windows(
    desk: Desk, query: Mapping[str, Any], bounds: Mapping[str, str]
) -> Iterator[list[Resource]]:
    """Yield resources with ids within bounds, in order: few at first, for one is enough mostly."""
    find = getattr(desk, "find_untouched", desk.find)
    limit, last = FIRST, ""
    while True:
        within = {**bounds, "$gt": last} if last else bounds
        found = find(KIND, {**query, "id": within}, limit=limit)
        yield found
        if len(found) < limit:
            return
        limit, last = WINDOW, max(one["id"] for one in found)


def _queries(desk: Desk, need: Need, element: str) -> Iterator[dict[str, Any]]:
    """Yield queries for what a need may take: what is at its places, then on elements there."""
    every = _conditions(need, element)
    usable = {"category": need.category, "usageState": "idle", "operationalState": "enabled"}
    if not need.places:
        yield {**usable, **_all(every)}
        return
    wanted = sorted(need.places)
    yield {**usable, "place.place.id": {"$in": wanted}, **_all(every)}
    if there := _managed(desk, wanted):
        on_them = {"resourceRelationship.resource.id": {"$in": there}}
        elsewhere = {"place.place.id": {"$nin": wanted}}
        yield {**usable, **_all([*every, on_them, elsewhere])}


def _conditions(need: Need, element: str) -> list[dict[str, Any]]:
    every: list[dict[str, Any]] = [
        {"resourceCharacteristic": {"$elemMatch": {"name": name, "value": value}}}
        for name, value in need.wanted.items()
    ]
    if element:
        every.append({"resourceRelationship.resource.id": element})
    return every


def _all(every: list[dict[str, Any]]) -> dict[str, Any]:
    return {"$and": every} if every else {}


def _managed(desk: Desk, places: list[str]) -> list[str]:
    """Return the ids of the elements at some places."""
    query = {
        "place.place.id": {"$in": places},
        "resourceCharacteristic.name": "managementAddress",
    }
    return [one["id"] for one in desk.find(KIND, query, limit=_FEW)]


def shared(desk: Desk, need: Need, element: str) -> list[Resource]:
    """Return the resources that a need may draw a part of: those of the element, if it has one."""
    every = _conditions(need, element)
    if need.places:
        wanted = sorted(need.places)
        here: list[dict[str, Any]] = [{"place.place.id": {"$in": wanted}}]
        if there := _managed(desk, wanted):
            here.append({"resourceRelationship.resource.id": {"$in": there}})
        every.append({"$or": here})
    found = desk.find(KIND, {"category": need.category, **_all(every)}, limit=_FEW)
    return [one for one in found if not out_of_service(one)]


def pools(desk: Desk, need: Need, element: str) -> list[tuple[Resource, Range]]:
    """Return the pools that have values for a need; those of the element go before the others."""
    of = {"resourceCharacteristic": {"$elemMatch": {"name": "poolOf", "value": need.category}}}
    found = desk.find(KIND, {"category": POOL, **of}, limit=_FEW)
    here = set(need.places)
    usable = [
        (one, values)
        for one in found
        if (values := values_of(one))
        and not out_of_service(one)
        and (not is_on(one) or not element or is_on(one) == element)
        and (not here or not places_of(one) or here & places_of(one))
        and (not element or not need.on or is_on(one) == element or not is_on(one))
    ]
    return sorted(usable, key=lambda one: not is_on(one[0]))


def untaken(desk: Desk, pool: Resource, values: Range, start: str) -> Iterator[str]:
    """Yield values of a pool of which there is no resource yet."""
    window: list[str] = []
    for place in values.from_(start):
        window.append(values.at(place))
        if len(window) == WINDOW * 4:
            yield from _missing(desk, pool, window)
            window = []
    yield from _missing(desk, pool, window)


def _missing(desk: Desk, pool: Resource, window: list[str]) -> Iterator[str]:
    ids = {id_of(desk.tenant, str(pool["id"]), value): value for value in window}
    there = desk.find(KIND, {"id": {"$in": list(ids)}}, limit=len(ids)) if ids else []
    for one in there:
        ids.pop(one["id"], None)
    yield from ids.values()


def carrier_of(found: list[Resource]) -> Resource:
    """Return the one of a service's resources that it is set up on."""
    for one in found:
        if of_resource(one).get(holdings.SETTINGS) is not None:
            return one
    return next((one for one in found if is_on(one)), found[0])
