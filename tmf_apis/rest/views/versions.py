"""Conversion between the stored form and the versions: documents, paths and filter values.

The stored form is that of v5, which is read and written unchanged. The tables of the modules in
``views/`` list the differences of v4 as sequences of bijections. So ``from_stored`` and
``to_stored`` are inverses for every document, including attributes that no contract declares.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Final

from tmf_apis.rest.views import alarms, billing, catalog, customer, inventory, ordering
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.narrowed_values import narrowed_value, widened_values
from tmf_apis.rest.views.shared_views import View, Views
from tmf_apis.rest.views.transforms import NO_VALUE_MAP, Json, MappedPath, Path, Transform, ValueMap


class _ViewTable:
    """The views of one API, each compiled when it is first used."""

    def __init__(self, views: Views) -> None:
        self.views = views
        self._compiled: dict[tuple[str, bool], Transform] = {}

    def transform(self, view: str, *, inverse: bool) -> Transform:
        """Return the transform from v4 to the stored form, or its ``inverse``."""
        if (view, inverse) not in self._compiled:
            steps = self.views[view]
            members = frozenset[str]().union(*(step.affected_members for step in steps))
            transforms: list[Transform] = []
            # Registered before its steps are compiled, because a view may contain itself.
            self._compiled[view, inverse] = _composed_transform(members, transforms)
            transforms.extend(
                step.inverse(self) if inverse else step.forward(self)
                for step in (reversed(steps) if inverse else steps)
            )
        return self._compiled[view, inverse]

    def mapped_paths(self, view: str, path: Path) -> Iterator[MappedPath]:
        """Yield the stored paths of a v4 path of a view."""
        mapped: list[MappedPath] = [(path, NO_VALUE_MAP)]
        for step in self.views[view]:
            mapped = [
                (new_path, _composed_value_map(values, step_values))
                for old_path, values in mapped
                for new_path, step_values in step.mapped_paths(old_path, self)
            ]
        yield from mapped


def _composed_transform(affected_members: frozenset[str], transforms: list[Transform]) -> Transform:
    def composed(document: Json) -> Json:
        if affected_members.isdisjoint(document):
            return document
        for transform in transforms:
            document = transform(document)
        return document

    return composed


def _composed_value_map(first: ValueMap, second: ValueMap) -> ValueMap:
    if not first or not second:
        return first or second
    return {**second, **{old: second.get(new, new) for old, new in first.items()}}


def _identity(document: Json) -> Json:
    return document


def _view_tables(*modules: ModuleType) -> dict[str, _ViewTable]:
    """Return the view table of each kind that has a view."""
    tables = [_ViewTable(module.VIEWS) for module in modules]
    return {kind: table for table in tables for kind in table.views if kind in KIND_NAMES}


_VIEW_TABLES: Final = _view_tables(alarms, billing, catalog, customer, inventory, ordering)
_TO_STORED: Final = {
    kind: table.transform(kind, inverse=False) for kind, table in _VIEW_TABLES.items()
}
_FROM_STORED: Final = {
    kind: table.transform(kind, inverse=True) for kind, table in _VIEW_TABLES.items()
}


def view_of(kind: str) -> View:
    """Return the differences between v4 and v5 of a kind; empty if there are none."""
    table = _VIEW_TABLES.get(kind)
    return table.views[kind] if table else ()


def to_stored(kind: str, version: str, resource: Json) -> Json:
    """Return a client's document in the stored form; the same object if nothing differs.

    Args:
        kind: The stored kind.
        version: "v4" or "v5".
        resource: The document. It is not modified; the result shares its unchanged parts.

    >>> to_stored("ProductOrder", "v4", {"orderDate": "2026-01-02T03:04:05.000Z"})
    {'creationDate': '2026-01-02T03:04:05.000Z'}
    """
    return resource if version == "v5" else _TO_STORED.get(kind, _identity)(resource)


def from_stored(kind: str, version: str, body: Json) -> Json:
    """Return a stored document in the form of a version; the inverse of ``to_stored``.

    >>> from_stored("Category", "v4", {"parent": {"@type": "CategoryRef", "id": "7"}})
    {'parentId': '7'}
    """
    return body if version == "v5" else _FROM_STORED.get(kind, _identity)(body)


@lru_cache(maxsize=8192)
def _mapped_paths(kind: str, version: str, path: str) -> tuple[MappedPath, ...]:
    table = _VIEW_TABLES.get(kind)
    parts = tuple(path.split("."))
    if table is None or version == "v5":
        return ((parts, NO_VALUE_MAP),)
    return tuple(table.mapped_paths(kind, parts))


def stored_paths(kind: str, version: str, path: str) -> tuple[str, ...]:
    """Return the stored paths at which the values of a client's path may be stored.

    >>> stored_paths("ProductOrder", "v4", "relatedParty.id")
    ('relatedParty.partyOrPartyRole.id',)
    """
    mapped = _mapped_paths(kind, version, path)
    return tuple(dict.fromkeys(".".join(segments) for segments, _ in mapped))


def stored_values(kind: str, version: str, path: str, text: str) -> tuple[str, ...]:
    """Return the stored spellings of a client's text; several if its version shows them as it.

    >>> stored_values("ProductOrder", "v4", "state", "inProgress")
    ('inProgress', 'inProgress.accepted')
    """
    value = str(stored_value(kind, version, path, text))
    if version == "v5":
        return (value,)
    if path.endswith(".@type"):  # a type that only v5 has is shown as the declared one
        return tuple(dict.fromkeys((value, text)))
    return widened_values(kind, path, value)


def shown_values(
    kind: str, version: str, path: str, texts: Collection[str]
) -> Mapping[str, str] | None:
    """Return the values that a version shows instead of the stored ones; None if they are the same.

    Args:
        kind: The stored kind.
        version: "v4" or "v5".
        path: The client's path.
        texts: The texts that the stored attribute may have; empty if it may have any. Then the
            mapping is empty, too.

    >>> shown_values("Resource", "v4", "operationalState", ["enabled"])
    {'enabled': 'enable'}
    """
    if version == "v5":
        return None
    names = path.split(".")
    table = next((values for _, values in _mapped_paths(kind, version, path) if values), {})
    shown = {}
    for text in texts:
        narrowed = narrowed_value(kind, names, text)
        shown[text] = table.get(text, text) if narrowed is None else narrowed
    is_converted = bool(table) if not texts else any(old != new for old, new in shown.items())
    return shown if is_converted else None


def stored_value(kind: str, version: str, path: str, value: object) -> object:
    """Return the stored spelling of a client's filter value (type names and enumerations).

    >>> stored_value("Resource", "v4", "operationalState", "enable")
    'enabled'
    """
    if not isinstance(value, str):
        return value
    return _mapped_paths(kind, version, path)[0][1].get(value, value)
