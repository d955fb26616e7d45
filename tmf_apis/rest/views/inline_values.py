"""Objects by value that v4 has in the place of a reference, and v5 in a container of their own."""

from collections.abc import Iterator, Mapping

from tmf_apis.rest.views.transforms import (
    NO_VALUE_MAP,
    Json,
    MappedPath,
    Path,
    SelfInverseTransform,
    ViewLookup,
)


class InlineValue(SelfInverseTransform):
    """An address in the place of a reference to one: ``{"role": "site", "city": "Paris"}`` in v4.

    In v5, ``city`` is in a container, where only the attributes of a reference belong in v4. The
    ``@type`` tells an object by value from a reference. The transform comes before the ``Wrap`` of
    the same container, which moves the attributes of the reference.

    Args:
        container: The member of v5 that holds the nested object.
        references: Members that ``Wrap`` moves.
        outer_type: The ``@type`` of the whole in v4.
        reference_types: Other types of the whole and of references, which are not values.
    """

    def __init__(
        self,
        container: str,
        references: Mapping[str, str],
        outer_type: str,
        reference_types: frozenset[str],
    ) -> None:
        self.container, self.outer_type = container, outer_type
        self.reference_types = reference_types | {outer_type}
        self._outside = frozenset({"@type", "role", *references})
        self.affected_members = frozenset({"@type", container})

    def swap(self, document: Json) -> Json:
        """Return the object with its value inside the container, or outside it."""
        if self.container not in document:
            return self._contained(document) if self._is_value(document) else document
        container = document[self.container]
        is_contained = (
            isinstance(container, dict)
            and self._is_value(container)
            and document.get("@type") == self.outer_type
            and document.keys() <= self._outside | {self.container}
            and container.keys() & self._outside == {"@type"}
            and self.container not in container
        )
        if not is_contained:
            return document
        outside = {name: value for name, value in document.items() if name != self.container}
        return {**outside, **container}

    def _contained(self, document: Json) -> Json:
        outside = {name: value for name, value in document.items() if name in self._outside}
        inside = {name: value for name, value in document.items() if name not in self._outside}
        value = {"@type": document["@type"], **inside}
        return {**outside, "@type": self.outer_type, self.container: value}

    def _is_value(self, document: Json) -> bool:
        type = document.get("@type")
        return isinstance(type, str) and type not in self.reference_types

    def mapped_paths(self, path: Path, lookup: ViewLookup) -> Iterator[MappedPath]:  # noqa: ARG002
        """Yield the path, which may also lead into the container, or out of it."""
        yield path, NO_VALUE_MAP
        if path[0] == self.container:
            if len(path) > 1:
                yield path[1:], NO_VALUE_MAP
        elif path[0] == "@type" or path[0] not in self._outside:
            yield (self.container, *path), NO_VALUE_MAP
