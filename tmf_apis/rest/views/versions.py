"""One stored form, a view of it for each version: documents, paths, values and names.

The stored form is that of v5. What v4 has elsewhere is said by the tables in ``views/``, which
are rows of bijections: ``from_stored`` undoes ``to_stored`` for every document and the other way
round, attributes that no contract knows included. v5 is read and written as it is.
"""

from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType
from typing import Final

from tmf_apis.rest.views import alarms, billing, catalog, customer, inventory, ordering
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.shared_views import Views
from tmf_apis.rest.views.transforms import NO_VALUE_MAP, Json, MappedPath, Path, Transform, ValueMap


class _ViewTable:
    """The views of one API, each compiled when it is first asked for."""

    def __init__(self, views: Views) -> None:
        self.views = views
        self._compiled: dict[tuple[str, bool], Transform] = {}

    def transform(self, view: str, *, inverse: bool) -> Transform:
        """Return what applies (or, ``inverse``, undoes) a view."""
        if (view, inverse) not in self._compiled:
            steps: list[Transform] = []
            names = frozenset[str]().union(*(step.affected_members for step in self.views[view]))
            self._compiled[view, inverse] = _composed_transform(
                names, steps
            )  # first: views may hold themselves
            row = self.views[view]
            steps.extend(
                step.inverse(self) if inverse else step.forward(self)
                for step in (reversed(row) if inverse else row)
            )
        return self._compiled[view, inverse]

    def mapped_paths(self, view: str, path: Path) -> Iterator[MappedPath]:
        """Yield where a path of a view goes."""
        found: list[MappedPath] = [(path, NO_VALUE_MAP)]
        for step in self.views[view]:
            found = [
                (new, _composed_value_map(old, spelling))
                for place, old in found
                for new, spelling in step.mapped_paths(place, self)
            ]
        yield from found


def _composed_transform(affected_members: frozenset[str], steps: list[Transform]) -> Transform:
    def transform(document: Json) -> Json:
        if affected_members.isdisjoint(document):
            return document
        for step in steps:
            document = step(document)
        return document

    return transform


def _composed_value_map(first: ValueMap, second: ValueMap) -> ValueMap:
    if not first or not second:
        return first or second
    return {**second, **{old: second.get(new, new) for old, new in first.items()}}


def _identity(document: Json) -> Json:
    return document


def _view_tables(*modules: ModuleType) -> dict[str, _ViewTable]:
    """Return the table of each kind that has a view."""
    tables = [_ViewTable(module.VIEWS) for module in modules]
    return {kind: table for table in tables for kind in table.views if kind in KIND_NAMES}


_VIEW_TABLES: Final = _view_tables(alarms, billing, catalog, customer, inventory, ordering)
_TO_STORED: Final = {
    kind: table.transform(kind, inverse=False) for kind, table in _VIEW_TABLES.items()
}
_FROM_STORED: Final = {
    kind: table.transform(kind, inverse=True) for kind, table in _VIEW_TABLES.items()
}


def to_stored(kind: str, version: str, resource: Json) -> Json:
    """Return a client's document in the stored form; the same object where nothing differs.

    Args:
        kind: The stored kind.
        version: "v4" or "v5".
        resource: The document, which is not changed; unchanged parts of it are shared.

    >>> to_stored("ProductOrder", "v4", {"orderDate": "2026-01-02T03:04:05.000Z"})
    {'creationDate': '2026-01-02T03:04:05.000Z'}
    """
    return resource if version == "v5" else _TO_STORED.get(kind, _identity)(resource)


def from_stored(kind: str, version: str, body: Json) -> Json:
    """Return a stored document as a client of a version sees it; undoes ``to_stored``.

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
    """Return the paths of the stored form at which a client's path may be found.

    >>> stored_paths("ProductOrder", "v4", "relatedParty.id")
    ('relatedParty.partyOrPartyRole.id',)
    """
    return tuple(dict.fromkeys(".".join(place) for place, _ in _mapped_paths(kind, version, path)))


def stored_value(kind: str, version: str, path: str, value: object) -> object:
    """Return a client's filter value as it is stored: type names and enumerations.

    >>> stored_value("Resource", "v4", "operationalState", "enable")
    'enabled'
    """
    if not isinstance(value, str):
        return value
    return _mapped_paths(kind, version, path)[0][1].get(value, value)
