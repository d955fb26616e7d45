"""Names of the characteristics that an order may choose: a misspelt one is refused; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tmf_apis.fulfilment.design.decomposition import Decomposition, DecompositionFailed
from tmf_apis.fulfilment.design.nearest_names import question
from tmf_apis.rest.pipeline.json_values import json_objects


def orderable_names(
    product: Mapping[str, Any] | None, decomposition: Decomposition | None
) -> frozenset[str]:
    """Return the names that an order of a product may use.

    They are those of its characteristics, the categories of its resources, and the settings whose
    values come from its resources.

    Args:
        product: The ProductSpecification; None: it is unknown.
        decomposition: Its services and resources; None: it has none on the network.
    """
    definitions = json_objects((product or {}).get("productSpecCharacteristic"))
    names = {str(definition.get("name")) for definition in definitions}
    for node in decomposition.nodes if decomposition else ():
        names |= {slot.category for slot in node.slots}
        names |= {m.characteristic.name for m in node.mappings if m.source_slot}
    return frozenset(names)


def check_names(
    label: str, ordered: Iterable[str], known: Iterable[frozenset[str]], current: Iterable[str]
) -> None:
    """Check that an order names only characteristics that its product has.

    Args:
        label: Name of the offering, for the message.
        ordered: The names in the order.
        known: Names that the ordered offerings know.
        current: Names of the characteristics that the product has already.

    Raises:
        DecompositionFailed: A name is unknown; the message has the nearest one.
    """
    names = sorted(frozenset().union(*known))
    unknown = [name for name in ordered if name not in {*names, *current}]
    if unknown:
        raise DecompositionFailed(
            f"{label} has no characteristic {name}{question(name, names)}" for name in unknown
        )
