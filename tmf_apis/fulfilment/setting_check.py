"""The settings that the elements of a category have, compared with those that a service sets."""

from collections.abc import Iterable, Iterator, Mapping

from adapters.errors import Misconfigured
from adapters.registry import installed_adapters, setting_names
from adapters.values import Target
from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.decomposition import Decomposition, ServiceNode
from tmf_apis.fulfilment.design.nearest_names import question
from tmf_apis.fulfilment.reservation.pools import POOL
from tmf_apis.fulfilment.values import Allocation
from tmf_apis.inventory.elements import target_of
from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.rest.pipeline.policy import Repository

#: Most elements of a category that are read; of more, all installed adapters count.
_MAX_ELEMENTS = 200
_RESOURCE = "Resource"


def check_allocation(allocation: Allocation) -> None:
    """Check that the element of an allocation has the settings of the service.

    Raises:
        Unfulfillable: It does not have one of them.
    """
    if allocation.target is None or not allocation.settings:
        return
    target = allocation.target
    known = setting_names(target.adapter, target.options)
    if known is None:
        return
    for name in allocation.settings:
        if name not in known:
            message = _unknown(name, known)
            raise Unfulfillable(f"{target.name} ({target.adapter}) {message}", f"it {message}")


def unknown_settings(repository: Repository, decomposition: Decomposition) -> Iterator[str]:
    """Yield an error for each setting of a product that no element of its category has.

    The elements are those of the inventory or, if it has none of the category, those of the
    installed adapters.

    Args:
        repository: Sees the inventory.
        decomposition: The services of the product.
    """
    known_by_category: dict[str, frozenset[str] | None] = {}
    for node in decomposition.nodes:
        if (carrier := node.carrier) is None or not node.mappings:
            continue
        category = carrier.element_category
        if category not in known_by_category:
            known_by_category[category] = _known_settings(repository, category)
        known = known_by_category[category]
        for mapping in node.mappings:
            name = mapping.characteristic.name
            if known is not None and name not in known:
                label, elements = mapping.characteristic.owner_label, category or "any category"
                yield f"{label}: an element of {elements} {_unknown(name, known)}"


def unknown_sources(repository: Repository, decomposition: Decomposition) -> Iterator[str]:
    """Yield an error for each characteristic that the values of a pool do not have."""
    for node in decomposition.nodes:
        for slot_name, source, label, name in _resource_sources(node):
            category = next(slot.category for slot in node.slots if slot.name == slot_name)
            names = (category, "value", "name")
            if source in names or not _comes_from_pool(repository, category, source):
                continue
            yield (
                f"{label}: {name} maps from {source}, which a value of a pool of {category} does"
                f" not have; it has {category} (or value or name){question(source, names)}"
            )


def _unknown(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return f"has no setting {name}; it has {', '.join(names)}{question(name, names)}"


def _known_settings(repository: Repository, category: str) -> frozenset[str] | None:
    """Return the settings that elements of a category have; None if an adapter does not say."""
    targets = _targets(repository, category) or _installed(category)
    known: set[str] = set()
    for adapter, options in targets:
        if (names := setting_names(adapter, options)) is None:
            return None
        known |= names
    return frozenset(known)


def _targets(repository: Repository, category: str) -> list[tuple[str, Mapping[str, str]]]:
    """Return the adapters of the elements of a category, with their options."""
    query = {"category": category, "resourceCharacteristic.name": MANAGEMENT_ADDRESS}
    if not category:
        return []
    elements = repository.for_network(None).find(_RESOURCE, query, limit=_MAX_ELEMENTS)
    if len(elements) == _MAX_ELEMENTS:
        return []
    targets: dict[tuple[str, str], Target] = {}
    for element in elements:
        try:
            target = target_of(element, repository.tenant)
        except Misconfigured:  # it is not managed any more
            continue
        targets[target.adapter, target.options.get("profile", "")] = target
    return [(target.adapter, target.options) for target in targets.values()]


def _installed(category: str) -> list[tuple[str, Mapping[str, str]]]:
    """Return the installed adapters for a category; all of them if there is none."""
    usable = [adapter for adapter in installed_adapters() if not adapter.problem]
    matching = [adapter for adapter in usable if adapter.category == category]
    return [(adapter.name, {}) for adapter in matching or usable]


def _resource_sources(node: ServiceNode) -> Iterator[tuple[str, str, str, str]]:
    """Yield slot, characteristic, owner and name of the settings that map from a resource."""
    for mapping in node.mappings:
        if mapping.source_slot:
            characteristic = mapping.characteristic
            yield (
                mapping.source_slot,
                mapping.source_name,
                characteristic.owner_label,
                characteristic.name,
            )


def _comes_from_pool(repository: Repository, category: str, characteristic: str) -> bool:
    """Return whether resources of a category come from pools only and lack a characteristic."""
    network = repository.for_network(None)
    of_category = {"resourceCharacteristic": {"$elemMatch": {"name": "poolOf", "value": category}}}
    if not network.find(_RESOURCE, {"category": POOL, **of_category}, limit=1):
        return False
    query = {"category": category, "resourceCharacteristic.name": characteristic}
    return not network.find(_RESOURCE, query, limit=1)
