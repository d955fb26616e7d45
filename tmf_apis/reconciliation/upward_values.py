"""Values of the element, carried up into the services and the product that use it.

A characteristic maps from one of a specification above (``docs/fulfilment.md``); an accepted value
goes the same way back, in the unit of each level.
"""

from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard

from adapters.administration import ENABLED
from adapters.values import Setting
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.design.builtin_specifications import SERVICE_SPECIFICATIONS
from tmf_apis.fulfilment.design.references import reference_id, referenced_ids
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.lookups import get_or_none
from tmf_apis.rest.pipeline.policy import Repository, Resource

SERVICE_KIND, PRODUCT_KIND = "Service", "Product"
_SERVICE_VALUES, _PRODUCT_VALUES = "serviceCharacteristic", "productCharacteristic"
#: The attribute with the characteristics of each kind.
VALUES = {SERVICE_KIND: _SERVICE_VALUES, PRODUCT_KIND: _PRODUCT_VALUES}
#: Most services above a service.
_MAX_SERVICES = 100


@dataclass(frozen=True, slots=True)
class Change:
    """A characteristic whose value has changed.

    Attributes:
        name: Its name.
        before: The value before.
        after: The value after.
    """

    name: str
    before: Any
    after: Any


def carry_up(repository: Repository, service: str, changes: Iterable[Change]) -> None:
    """Write changed settings of a service into it, the services above it, and their product."""
    changed = list(changes)
    if (resource := get_or_none(repository, SERVICE_KIND, service)) is None:
        return
    _write(repository, SERVICE_KIND, service, _SERVICE_VALUES, changed)
    switched = [change for change in changed if change.name == ENABLED]
    pending: list[tuple[Resource, list[Change]]] = [(resource, changed)]
    ancestors, products = [resource], dict[str, Resource]()
    written = set[tuple[str, str]]()
    while pending and len(ancestors) < _MAX_SERVICES:
        current, changed = pending.pop(0)
        sources = _sources(repository, current, changed)
        for product in _products_of(repository, current):
            products[product["id"]] = product
            values = _source_changes(product, _PRODUCT_VALUES, sources, written)
            _write(repository, PRODUCT_KIND, product["id"], _PRODUCT_VALUES, values)
        for parent in repository.find(SERVICE_KIND, {"supportingService.id": current["id"]}):
            ancestors.append(parent)
            values = _source_changes(parent, _SERVICE_VALUES, sources, written)
            _write(repository, SERVICE_KIND, parent["id"], _SERVICE_VALUES, values)
            pending.append((parent, values))
    if switched and not _has(resource, ENABLED):  # else a characteristic says that it is off
        _switch(repository, ancestors, products.values(), enabled=bool(switched[0].after))


def _has(resource: Mapping[str, Any], name: str) -> bool:
    return any(each.get("name") == name for each in json_objects(resource.get(_SERVICE_VALUES)))


def holders_of(repository: Repository, service: str) -> tuple[list[Resource], list[Resource]]:
    """Return a service with those that it is part of, and the products that they realize."""
    services: dict[str, Resource] = {}
    products: dict[str, Resource] = {}
    pending = [service]
    while pending and len(services) < _MAX_SERVICES:
        if resource := get_or_none(repository, SERVICE_KIND, pending.pop(0)):
            services[resource["id"]] = resource
            products |= {each["id"]: each for each in _products_of(repository, resource)}
            parents = repository.find(SERVICE_KIND, {"supportingService.id": resource["id"]})
            pending += [parent["id"] for parent in parents if parent["id"] not in services]
    return list(services.values()), list(products.values())


def with_replaced_values(
    attribute: str, names: Container[str], replaced: Mapping[str, str], holder: Resource
) -> Resource:
    """Return a service or product with other values of some characteristics.

    Args:
        attribute: The attribute with the characteristics.
        names: The names of the characteristics.
        replaced: The values after by the values before; other values stay.
        holder: The service or product.
    """
    characteristics = [
        {**each, "value": _exchanged(each["value"], replaced)}
        if each.get("name") in names and "value" in each
        else each
        for each in json_objects(holder.get(attribute))
    ]
    return {**holder, attribute: characteristics} if characteristics else holder


def _exchanged(value: Any, replaced: Mapping[str, str]) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_exchanged(item, replaced) for item in value]
    return replaced.get(value, value) if isinstance(value, str) else value


def _products_of(repository: Repository, service: Resource) -> list[Resource]:
    ids = {
        str(each.get("id"))
        for each in json_objects(service.get("relatedEntity"))
        if each.get("role") == "product" or each.get("@referredType") == "Product"
    }
    query = {"$or": [{"realizingService.id": service["id"]}, {"id": {"$in": sorted(ids)}}]}
    return list(repository.find(PRODUCT_KIND, query))


def _sources(
    repository: Repository, service: Resource, changes: Iterable[Change]
) -> list[tuple[str, Mapping[str, Any], Change]]:
    """Return name and ``valueMap`` of the characteristic that each changed one maps from."""
    id = reference_id(service.get("serviceSpecification"))
    specification: Mapping[str, Any] = (
        get_or_none(repository, "ServiceSpecification", id) or SERVICE_SPECIFICATIONS.get(id) or {}
    )
    definitions = {
        str(each.get("name")): each
        for each in json_objects(specification.get("specCharacteristic"))
    }
    return [_source(definitions.get(change.name, {}), change) for change in changes]


def _source(definition: Mapping[str, Any], change: Change) -> tuple[str, Mapping[str, Any], Change]:
    relationships = json_objects(definition.get("charSpecRelationship"))
    source: Mapping[str, Any] = next(
        (each for each in relationships if each.get("relationshipType") == "mapsFrom"), {}
    )
    value_map = source.get("valueMap")
    name = str(source.get("name") or change.name)
    return name, value_map if isinstance(value_map, dict) else {}, change


def _source_changes(
    holder: Resource,
    attribute: str,
    sources: Iterable[tuple[str, Mapping[str, Any], Change]],
    written: set[tuple[str, str]],
) -> list[Change]:
    """Return the changes of the characteristics of a holder that others map from.

    Args:
        holder: The service or product.
        attribute: Its attribute with characteristics.
        sources: Name of each characteristic, and how the changed one maps from it.
        written: Ids and names that were changed already; extended.
    """
    values = {
        str(each.get("name")): each["value"]
        for each in json_objects(holder.get(attribute))
        if "value" in each
    }
    changes = [
        Change(name, values[name], source_value(values[name], change, value_map))
        for name, value_map, change in sources
        if name in values and (holder["id"], name) not in written
    ]
    written |= {(holder["id"], change.name) for change in changes}
    return changes


def source_value(value: Any, change: Change, value_map: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return the value from which a changed value maps.

    Args:
        value: The value from which the value before maps.
        change: The change.
        value_map: From the text of a source value to the value; empty: they are proportional.

    >>> source_value(100, Change("downstream", 100_000_000, 60_000_000), {})
    60
    >>> source_value(False, Change("enabled", True, False), {"true": False, "false": True})
    True
    """
    if change.before == change.after:
        return value
    if value_map:
        keys = [key for key, mapped in value_map.items() if mapped == change.after]
        if not keys:
            return value
        return keys[0] == "true" if isinstance(value, bool) else keys[0]
    if value == change.before:
        return change.after
    if _is_number(value) and _is_number(change.before) and _is_number(change.after):
        scaled = value * change.after / change.before
        return int(scaled) if scaled == int(scaled) else scaled
    return value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def _write(
    repository: Repository, kind: str, id: str, attribute: str, changes: Iterable[Change]
) -> None:
    after = {change.name: change for change in changes if change.before != change.after}

    def edit(old: Resource) -> Resource:
        characteristics = [
            {**each, "value": source_value(each["value"], after[name], {})}
            if (name := str(each.get("name"))) in after and "value" in each
            else each
            for each in json_objects(old.get(attribute))
        ]
        return {**old, attribute: characteristics} if characteristics else old

    if after:
        with suppress(NotFound):
            repository.change(kind, id, edit)


def _switch(
    repository: Repository,
    services: Iterable[Resource],
    products: Iterable[Resource],
    *,
    enabled: bool,
) -> None:
    """Suspend or resume services and their product.

    A product that has other services as well stays as it is.
    """
    ids = {service["id"] for service in services}
    if any(not set(referenced_ids(each, "realizingService")) <= ids for each in products):
        return
    for id in sorted(ids):
        with suppress(NotFound):
            repository.change(SERVICE_KIND, id, partial(_switched_service, enabled))
    for id in sorted(product["id"] for product in products):
        with suppress(NotFound):
            repository.change(PRODUCT_KIND, id, partial(_switched_product, enabled))


def _switched_service(enabled: bool, old: Resource) -> Resource:  # noqa: FBT001
    if old.get("state") not in {"active", "inactive"}:
        return old
    return {**old, "state": "active" if enabled else "inactive", "isServiceEnabled": enabled}


def _switched_product(enabled: bool, old: Resource) -> Resource:  # noqa: FBT001
    if old.get("status") not in {"active", "suspended"}:
        return old
    return {**old, "status": "active" if enabled else "suspended"}


def setting_changes(before: Mapping[str, Setting], after: Mapping[str, Setting]) -> list[Change]:
    """Return the settings that differ."""
    return [
        Change(name, value, after[name])
        for name, value in before.items()
        if name in after and after[name] != value
    ]
