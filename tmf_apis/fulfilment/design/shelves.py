"""Reading what planning has to know: what of catalogue and inventory an order speaks of."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.fulfilment.characteristics import objects, values
from tmf_apis.fulfilment.design import blueprints, offers, planning, servicing
from tmf_apis.fulfilment.design.offers import Catalogue, Running, RunningService
from tmf_apis.fulfilment.design.recipes import BEFORE, ON, PARTS, refers_to, related
from tmf_apis.fulfilment.design.remembering import Catalogues
from tmf_apis.fulfilment.elements import key_of
from tmf_apis.fulfilment.reservation import holdings, searching
from tmf_apis.fulfilment.reservation.ports import SERVICE, is_on, service_of
from tmf_apis.ordering import services
from tmf_apis.rest.law import Desk, Resource

#: Deepest tree of specifications that is read.
_DEEPEST = 20
_PRODUCT, _SERVICE = "Product", "Service"


def catalogue_of(desk: Desk, order: Mapping[str, Any]) -> Catalogue:
    """Return what planning has to know to plan an order."""
    running = in_operation(desk, planning.products(order))
    wanted = planning.offerings(order) | {one.offering for one in running.values()} - {""}
    return replace(_CATALOGUES.of(desk, frozenset(wanted)), running=running)


def services_of(desk: Desk, order: Mapping[str, Any]) -> Catalogue:
    """Return what planning has to know to plan an order for services."""
    running = services_in_operation(desk, servicing.services(order))
    wanted = servicing.specifications(order) | {one.offering for one in running.values()} - {""}
    return for_services(desk, wanted, running)


def for_services(
    desk: Desk, wanted: Iterable[str], running: Mapping[str, Running] | None = None
) -> Catalogue:
    """Return service specifications as offerings of their own, with everything below them.

    Those that say nothing of how they are fulfilled are left out: others look after them.
    """
    ids = set(wanted)
    shipped = {id: dict(one) for id, one in blueprints.SERVICES.items() if id in ids}
    found = shipped | _by_id(desk, "ServiceSpecification", ids)
    found = {id: one for id, one in found.items() if _is_fulfilled(one)}
    roots = {id: _by_itself(one) for id, one in found.items()}
    products = {
        id: {
            "id": id,
            "productSpecCharacteristic": [
                one
                for one in objects(root.get("specCharacteristic"))
                if not one.get("charSpecRelationship")
            ],
            "serviceSpecification": [{"id": id}],
        }
        for id, root in roots.items()
    }
    offerings: dict[str, Resource] = {
        id: {"id": id, "name": one.get("name"), "productSpecification": {"id": id}}
        for id, one in found.items()
    }
    made = for_specifications(desk, offerings, products, running or {})
    return replace(made, roots=roots)


def _is_fulfilled(specification: Mapping[str, Any]) -> bool:
    taken = refers_to(specification, "resourceSpecification")
    return bool(taken or related(specification, PARTS))


def _by_itself(specification: Mapping[str, Any]) -> Resource:
    """Return a service specification whose values are chosen, but for what its resources say."""
    taken = {*refers_to(specification, "resourceSpecification"), specification.get("id")}

    def one(characteristic: Resource) -> Resource:
        sources = objects(characteristic.get("charSpecRelationship"))
        own = [each for each in sources if each.get("parentSpecificationId") in taken]
        rest = {k: v for k, v in characteristic.items() if k != "charSpecRelationship"}
        return {**rest, "charSpecRelationship": own} if own else rest

    every = objects(specification.get("specCharacteristic"))
    return {**specification, "specCharacteristic": [one(each) for each in every]}


def for_offerings(
    desk: Desk, wanted: Iterable[str], running: Mapping[str, Running] | None = None
) -> Catalogue:
    """Return offerings with everything below them."""
    found = _by_id(desk, "ProductOffering", set(wanted))
    inside = {id for one in found.values() for id in offers.inside(one)} - set(found)
    found |= _by_id(desk, "ProductOffering", inside)
    needed = {id for one in found.values() if (id := offers.of(one))}
    specifications = _by_id(desk, "ProductSpecification", needed)
    return for_specifications(desk, found, specifications, running or {})


def for_specifications(
    desk: Desk,
    offerings: Mapping[str, Resource],
    specifications: Mapping[str, Resource],
    running: Mapping[str, Running],
) -> Catalogue:
    """Return product specifications with everything below them."""
    named = [_roots(one) for one in specifications.values()]
    types = _types(desk, {kind for _, kinds in named for kind in kinds})
    level = {id for ids, _ in named for id in ids} | set(types.values())
    known: dict[str, Resource] = {}
    for _ in range(_DEEPEST):
        if not (level := level - known.keys()):
            break
        found = _by_id(desk, "ServiceSpecification", level)
        known |= found
        level = {str(o["id"]) for one in found.values() for o in related(one, PARTS | BEFORE)}
    taken = {id for one in known.values() for id in refers_to(one, "resourceSpecification")}
    resources = _by_id(desk, "ResourceSpecification", taken)
    on = {
        str(other["id"])
        for one in resources.values()
        for other in related(one, ON, "resourceSpecRelationship")
    }
    resources |= _by_id(desk, "ResourceSpecification", on - set(resources))
    return Catalogue(offerings, specifications, known, resources, types, running)


def _roots(product: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    return refers_to(product, "serviceSpecification"), offers.service_types(product)


def _types(desk: Desk, kinds: set[str]) -> dict[str, str]:
    """Return the tenant's own customer facing specifications that are called like a type."""
    if not kinds:
        return {}
    found = desk.find("ServiceSpecification", {"name": {"$in": sorted(kinds)}}, limit=100)
    own = [one for one in found if not refers_to(one, "resourceSpecification")]
    return {str(one["name"]): one["id"] for one in reversed(own)}


def in_operation(desk: Desk, ids: Iterable[str]) -> dict[str, Running]:
    """Return those of some products that have a service on a resource now."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    products = _by_id(desk, _PRODUCT, set(wanted))
    parts = _parts(desk, wanted) if products else {}
    every = [*wanted, *(id for inner in parts.values() for id in inner)]
    held: dict[str, list[Resource]] = {}
    for one in searching.written(desk, holdings.PRODUCT, every):
        held.setdefault(holdings.identifier(one, holdings.PRODUCT), []).append(one)
    bare = [id for id in wanted if id not in held]
    for one in searching.written(desk, SERVICE, bare):
        held.setdefault(service_of(one), []).append(one)
    named = {service_of(one) for ones in held.values() for one in ones} - {""}
    found = _by_id(desk, _SERVICE, named)
    sites = _by_id(desk, "Resource", {is_on(o) for ones in held.values() for o in ones})
    held = {id: [_sited(one, sites) for one in ones] for id, ones in held.items()}
    return {
        id: _running(held, found, products.get(id, {}), id, parts.get(id, []))
        for id in wanted
        if id in held or any(part in held for part in parts.get(id, ()))
    }


def services_in_operation(desk: Desk, ids: Iterable[str]) -> dict[str, Running]:
    """Return those of some services that are, with what they rest on, on a resource now."""
    tops = _by_id(desk, _SERVICE, set(ids))
    every, level = dict(tops), tops
    for _ in range(_DEEPEST):
        below = {id for one in level.values() for id in refers_to(one, "supportingService")}
        if not (level := _by_id(desk, _SERVICE, below - every.keys())):
            break
        every |= level
    held: dict[str, list[Resource]] = {}
    for one in searching.written(desk, SERVICE, sorted(every)):
        held.setdefault(service_of(one), []).append(one)
    sites = _by_id(desk, "Resource", {is_on(o) for ones in held.values() for o in ones})
    held = {id: [_sited(one, sites) for one in ones] for id, ones in held.items()}
    masters = services.masters(desk, tops.values())
    bound = {
        id: f"service {id} belongs to a {what}; order a change of that one"
        for id, (what, _) in masters.items()
    }
    made = {id: _by_itself_now(id, every, held, bound.get(id, "")) for id in tops}
    return {id: one for id, one in made.items() if one.services}


def _by_itself_now(
    id: str, every: Mapping[str, Resource], held: Mapping[str, list[Resource]], bound: str
) -> Running:
    tree: dict[str, None] = {}
    below = [id]
    while below:
        if (one := below.pop(0)) not in tree and one in every:
            tree[one] = None
            below += refers_to(every[one], "supportingService")
    inner = {one: _specification(every[one]) for one in tree}
    top = every[id]
    return Running(
        tuple(_service(one, held[one], every[one]) for one in tree if one in held),
        inner[id],
        values(top.get("serviceCharacteristic")),
        servicing.STATUS.get(str(top.get("state")), ""),
        customers={one: of for one, of in inner.items() if one not in held},
        bound=bound,
    )


def _specification(service: Mapping[str, Any]) -> str:
    return str((service.get("serviceSpecification") or {}).get("id") or "")


def _sited(resource: Resource, elements: Mapping[str, Resource]) -> Resource:
    """Return a resource at the places of its element where it says none itself."""
    there = elements.get(is_on(resource), {}).get("place")
    return {"place": there, **resource} if there and not resource.get("place") else resource


def _parts(desk: Desk, ids: list[str]) -> dict[str, list[str]]:
    """Return the ids of the products that are part of others."""
    query = {"productRelationship.product.id": {"$in": ids}}
    made: dict[str, list[str]] = {}
    for one in desk.find(_PRODUCT, query):
        for relation in objects(one.get("productRelationship")):
            above = (relation.get("product") or {}).get("id")
            if relation.get("relationshipType") == "isPartOf" and above in ids:
                made.setdefault(above, []).append(one["id"])
    return made


def _running(
    held: Mapping[str, list[Resource]],
    known: Mapping[str, Resource],
    product: Mapping[str, Any],
    id: str,
    parts: list[str],
) -> Running:
    inner = [part for part in parts if part in held]
    alone = not product and bool(known.get(id, {}).get("serviceOrderItem"))
    grouped: dict[str, list[Resource]] = {}
    for one in (o for key in (id, *inner) for o in held.get(key, ())):
        grouped.setdefault(service_of(one), []).append(one)
    return Running(
        tuple(_service(key, ones, known.get(key, {})) for key, ones in grouped.items() if key),
        str((product.get("productOffering") or {}).get("id") or ""),
        values(product.get("productCharacteristic")),
        str(product.get("status") or ""),
        tuple(inner),
        bound=f"{id} is a service that was ordered by itself (TMF641)" if alone else "",
    )


def _service(id: str, held: list[Resource], service: Mapping[str, Any]) -> RunningService:
    carrier = searching.carrier_of(held)
    return RunningService(
        id,
        _specification(service),
        holdings.use_of(carrier).usage.settings,
        frozenset({carrier["id"], str(carrier.get("name")), key_of(carrier)}),
        searching.places_of(carrier),
    )


def _by_id(desk: Desk, kind: str, ids: set[str]) -> dict[str, Resource]:
    if not (ids := ids - {""}):
        return {}
    query = {"id": {"$in": sorted(ids)}}
    return {one["id"]: one for one in desk.find(kind, query, limit=len(ids))}


_CATALOGUES = Catalogues(for_offerings)
