"""Settings of elements that can never get a value; pure.

An element does not change a setting that it is not given: a rate without a source would be
unlimited. So every characteristic of a service that is set up on an element needs a source.
"""

from collections.abc import Iterator, Sequence

from tmf_apis.fulfilment.design.decomposition import ServiceNode
from tmf_apis.fulfilment.design.mapping import CharacteristicMapping

#: What gives a characteristic a value, for messages.
_SOURCES = (
    "a relationship mapsFrom, a characteristic of the same name one level up, or a default value"
)


def missing_sources(nodes: Sequence[ServiceNode]) -> Iterator[str]:
    """Yield an error for each setting of an element that has no source.

    Args:
        nodes: The services of a product, in the order of their numbers.
    """
    for node in nodes:
        if node.carrier is None:
            continue
        amounts = [slot.amount for slot in node.slots if slot.amount]
        for mapping in (*node.mappings, *amounts):
            origin = _origin(mapping, nodes)
            if origin and not _has_value(origin):
                yield f"{_path(mapping, origin)} has no source; it needs {_SOURCES}"


def _origin(
    mapping: CharacteristicMapping, nodes: Sequence[ServiceNode]
) -> CharacteristicMapping | None:
    """Return the mapping at the beginning of a chain; None if that is the product or an error."""
    while mapping.source_node > 0 and not _has_value(mapping):
        mappings = nodes[mapping.source_node - 1].mappings
        names = {each.characteristic.name: each for each in mappings}
        if (source := names.get(mapping.source_name)) is None:
            return None
        mapping = source
    return None if mapping.source_node == 0 else mapping


def _has_value(mapping: CharacteristicMapping) -> bool:
    return bool(mapping.source_slot) or mapping.characteristic.default is not None


def _path(mapping: CharacteristicMapping, origin: CharacteristicMapping) -> str:
    setting, source = mapping.characteristic, origin.characteristic
    text = f"{setting.owner_label}: {setting.name}"
    if origin is mapping:
        return text
    return f"{text} maps from {source.name} of {source.owner_label}, which"
