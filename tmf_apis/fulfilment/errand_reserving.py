"""Looking ports up in the inventory: the one that an errand needs, and whose service is on it."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment import ports
from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.elements import gateways, key_of, target_of
from tmf_apis.fulfilment.values import Errand, Found, Refused
from tmf_apis.rest.law import Desk, Resource

#: Most free ports that are looked at for one errand, and most elements.
CANDIDATES = 200
_KIND = "Resource"


def reserve(desk: Desk, errand: Errand, owner: Desk) -> Found:
    """Reserve the port that an errand needs; safe to repeat.

    Args:
        desk: Sees the whole tenant.
        errand: What is wanted.
        owner: Sees what whoever placed the order may see.

    Raises:
        Refused: There is none to be had; the message says why.
    """
    if already := _with(desk, ports.HOLDER, errand.holder):
        return _found(desk, errand, already[0])
    if errand.action != "add":
        return _found(desk, errand, _take(desk, errand, _running(desk, errand, owner)))
    if other := _with(desk, ports.SERVICE, errand.service):
        raise Refused(f"service {errand.service} is in operation already, on {other[0]['name']}")
    if errand.port:
        return _found(desk, errand, _take(desk, errand, _named(desk, errand)))
    for candidate in _candidates(desk, errand):
        try:
            return _found(desk, errand, _take(desk, errand, candidate))
        except Refused:  # somebody else took it in this moment
            continue
    where = f" at {', '.join(errand.places)}" if errand.places else ""
    raise Refused(f"no access port is free{where}")


def services(desk: Desk, ids: Iterable[str]) -> set[str]:
    """Return those of some services that are on a port now."""
    wanted = sorted(set(ids))
    query = {"externalIdentifier.id": {"$in": wanted}}
    found = desk.find(_KIND, query, limit=2 * len(wanted)) if wanted else []
    return {ports.service_of(one) for one in found} & set(wanted)


def release(desk: Desk, errand: Errand, found: Found | None, doubt: str) -> None:
    """Leave a port as it was before an errand reserved it; safe to repeat.

    Args:
        desk: Sees the whole tenant.
        errand: Who holds it.
        found: How it was; None: perhaps none was reserved.
        doubt: The element may not be as it was: the port is kept out of use, with this note.
    """
    before, after = (found.before, found.after) if found else (None, None)

    def edit(port: Resource) -> Resource:
        use, holder = ports.use_of(port), ports.holder_of(port)
        if holder != errand.holder and (holder or use not in {before, after}):
            return port  # it is somebody else's by now
        if doubt:
            return ports.in_doubt(port, errand.holder, doubt)
        return ports.in_use(port, before or use)

    held = {one["id"] for one in _with(desk, ports.HOLDER, errand.holder)}
    for id in sorted(held | ({found.resource} if found else set())):
        try:
            desk.change(_KIND, id, edit)
        except NotFound:  # the port was taken out of the inventory meanwhile
            continue


def activate(desk: Desk, found: Found) -> None:
    """Write into the inventory what is on the element now; safe to repeat.

    Raises:
        Refused: The port is somebody else's now.
    """

    def edit(port: Resource) -> Resource:
        holder = ports.holder_of(port)
        if holder != found.errand.holder and (holder or ports.use_of(port) != found.after):
            raise Refused(f"port {found.name} is held by {holder or 'nobody'} meanwhile")
        return ports.in_use(port, found.after)

    desk.change(_KIND, found.resource, edit)


def _take(desk: Desk, errand: Errand, port: Resource) -> Resource:
    service = "" if errand.action == "add" else errand.service
    return desk.change(_KIND, port["id"], lambda p: ports.reserved(p, errand.holder, service))


def _found(desk: Desk, errand: Errand, port: Resource) -> Found:
    return Found(
        errand,
        port["id"],
        str(port.get("name") or port["id"]),
        target_of(desk.get(_KIND, ports.is_on(port))),
        key_of(port),
        ports.use_of(port),
    )


def _with(desk: Desk, type_: str, id: str) -> list[Resource]:
    found = desk.find(_KIND, {"externalIdentifier.id": id}, limit=10)
    read = ports.service_of if type_ == ports.SERVICE else ports.holder_of
    return [one for one in found if read(one) == id]


def _running(desk: Desk, errand: Errand, owner: Desk) -> Resource:
    """Return the port of a service that whoever placed the order may change."""
    found = _with(desk, ports.SERVICE, errand.service)
    if not found:
        raise Refused(f"no service {errand.service} is in operation")
    made_by = ports.use_of(found[0]).ordered.partition("/")[0]
    if made_by and not _visible(owner, made_by):
        raise Refused(f"no service {errand.service} is in operation")
    wanted = errand.port
    if wanted and wanted not in {found[0]["id"], found[0].get("name"), key_of(found[0])}:
        raise Refused(
            f"service {errand.service} is on {found[0].get('name')}; it cannot be moved by a modify"
        )
    return found[0]


def _visible(owner: Desk, order: str) -> bool:
    try:
        owner.get("ProductOrder", order)
    except NotFound:
        return False
    return True


def _named(desk: Desk, errand: Errand) -> Resource:
    query = {"category": ports.ACCESS_PORT, "$or": [{"id": errand.port}, {"name": errand.port}]}
    found = desk.find(_KIND, query, limit=2)
    if len(found) != 1:
        raise Refused(
            f"{len(found) or 'no'} access ports are called {errand.port}; name one by its id"
        )
    return found[0]


def _candidates(desk: Desk, errand: Errand) -> list[Resource]:
    """Return free ports of elements that can be reached, in an order of the errand's own."""
    reachable = {
        one["id"]: one for one in gateways(desk) if one.get("administrativeState") != "locked"
    }
    query: dict[str, Any] = {
        "category": ports.ACCESS_PORT,
        "usageState": "idle",
        "externalIdentifier.externalIdentifierType": {"$nin": [ports.SERVICE, ports.HOLDER]},
        "operationalState": "enabled",
        "resourceRelationship.resource.id": {"$in": sorted(reachable)[:CANDIDATES]},
    }
    wanted = set(errand.places)
    if wanted:
        at_site = [id for id, one in reachable.items() if wanted & _places(one)]
        query["$or"] = [
            {"place.place.id": {"$in": sorted(wanted)}},
            {"resourceRelationship.resource.id": {"$in": at_site}},
        ]
    found = [one for one in desk.find(_KIND, query, limit=CANDIDATES) if ports.is_free(one)]
    found = [one for one in found if ports.is_on(one) in reachable]
    start = zlib.crc32(errand.holder.encode()) % (len(found) or 1)
    return found[start:] + found[:start]


def _places(resource: Mapping[str, Any]) -> set[str]:
    return {
        str(one["place"].get("id"))
        for one in objects(resource.get("place"))
        if isinstance(one.get("place"), dict)
    }
