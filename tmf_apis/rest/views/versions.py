"""One stored form, a view of it for each version: documents, paths, values and names.

The stored form is that of v5. What v4 has elsewhere is said by the tables in ``views/``, which
are rows of bijections: ``from_stored`` undoes ``to_stored`` for every document and the other way
round, attributes that no contract knows included. v5 is read and written as it is.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

from tmf_apis.rest.views import alarms, billing, catalog, customer, inventory, ordering
from tmf_apis.rest.views.kind_names import KIND_NAMES, SUBTYPES, SUBTYPES_WITH_EVENTS
from tmf_apis.rest.views.shared_views import Views
from tmf_apis.rest.views.transforms import NO_VALUE_MAP, Json, MappedPath, Path, Transform, ValueMap

#: Endings of an event type after the name of its kind.
_EVENT_SUFFIXES: Final = (
    "AttributeValueChangeEvent",
    "MilestoneStateChangeEvent",
    "InformationRequiredEvent",
    "JeopardyAlertEvent",
    "ErrorMessageEvent",
    "StateChangeEvent",
    "ChangeEvent",
    "MilestoneEvent",
    "CreateEvent",
    "DeleteEvent",
    "BatchEvent",
)
_KINDS_BY_V4_NAME: Final = {
    **{address.v4: kind for kind, address in KIND_NAMES.items() if address.v4},
    **{subtype: kind for kind, table in SUBTYPES.items() for subtype in set(table.values())},
}


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


#: Mount path of each kind in each version that has it.
_MOUNT_PATHS: Final = {
    (kind, version): f"/tmf-api/{address.api_name}/{version}"
    for kind, address in KIND_NAMES.items()
    for version in ("v4", "v5")
    if version == "v5" or address.v4
}

#: Names of learnt kinds that are called otherwise in their API.
_REGISTERED_NAMES: Final[dict[str, str]] = {}


def to_stored(
    kind: str,
    version: str,
    resource: Json,
    schema: str | None = None,  # noqa: ARG001
) -> Json:
    """Return a client's document in the stored form; the same object where nothing differs.

    Args:
        kind: The stored kind.
        version: "v4" or "v5".
        resource: The document, which is not changed; unchanged parts of it are shared.
        schema: The schema it was validated by; all types of a kind share one view.

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


def subtypes_of(kind: str, schema: str) -> tuple[str, ...]:
    """Return the types that a collection of its own in v4 holds; none where it holds all.

    >>> subtypes_of("Resource", "PhysicalResource")
    ('PhysicalResource',)
    >>> subtypes_of("Resource", "Resource")
    ()
    """
    return tuple(type for type, name in SUBTYPES.get(kind, {}).items() if name == schema)


def has_kind(kind: str, version: str) -> bool:
    """Return whether a version has a kind: v4 has no bill cycles.

    >>> has_kind("BillCycle", "v4")
    False
    """
    return (kind, version) in _MOUNT_PATHS


def register_kind(kind: str, version: str, base_path: str, name: str = "") -> None:
    """Take a kind of a further API, as its contract says it; a kind that is known stays.

    Args:
        kind: The stored kind.
        version: "v4" or "v5".
        base_path: The path below which it is served.
        name: What the contract calls it, where that is not the kind.

    >>> register_kind("TroubleTicket", "v4", "/tmf-api/troubleTicket/v4")
    >>> mount_path("TroubleTicket", "v4"), collection_segment("TroubleTicket", "v4", {})
    ('/tmf-api/troubleTicket/v4', 'troubleTicket')
    >>> register_kind("TicketImportJob", "v4", "/tmf-api/troubleTicket/v4", "ImportJob")
    >>> collection_segment("TicketImportJob", "v4", {})
    'importJob'
    >>> event_name("v4", "TicketImportJobCreateEvent")
    'ImportJobCreateEvent'
    """
    _MOUNT_PATHS.setdefault((kind, version), base_path)
    if name and name != kind and kind not in KIND_NAMES:
        _REGISTERED_NAMES.setdefault(kind, name)


def mount_path(kind: str, version: str) -> str:
    """Return the path below which a kind is served.

    >>> mount_path("Alarm", "v5")
    '/tmf-api/alarmManagement/v5'
    """
    return _MOUNT_PATHS[kind, version]


def collection_segment(kind: str, version: str, body: Mapping[str, Any]) -> str:
    """Return the collection that a resource belongs to, as the path segment of a version.

    >>> collection_segment("ProductCatalog", "v4", {})
    'catalog'
    >>> collection_segment("Resource", "v4", {"@type": "Router", "@baseType": "PhysicalResource"})
    'physicalResource'
    """
    return lower_first(_resource_name(kind, version, body))


def lower_first(name: str) -> str:
    """Return a name of a type as the contracts write it in paths and members."""
    return name[:1].lower() + name[1:]


def _resource_name(kind: str, version: str, body: Mapping[str, Any]) -> str:
    if version == "v4" and kind in SUBTYPES:
        for member in ("@type", "@baseType"):
            subtype = body.get(member)
            if isinstance(subtype, str) and subtype in SUBTYPES[kind]:
                return SUBTYPES[kind][subtype]
    return _kind_name(kind, version)


def _kind_name(kind: str, version: str) -> str:
    address = KIND_NAMES.get(kind)
    return address.name(version) if address else _REGISTERED_NAMES.get(kind, kind)


def _event_parts(type: str) -> tuple[str, str]:
    """Return the subject of an event type, and what happened to it."""
    ending = next((ending for ending in _EVENT_SUFFIXES if type.endswith(ending)), "")
    return type.removesuffix(ending), ending


def event_name(version: str, type: str, body: Mapping[str, Any] | None = None) -> str:
    """Return a stored event type (that of v5) as a version names it.

    Args:
        version: "v4" or "v5".
        type: The stored event type.
        body: The resource; in v4 some types of a kind have events of their own.

    >>> event_name("v4", "ProductCatalogCreateEvent")
    'CatalogCreateEvent'
    """
    kind, ending = _event_parts(type)
    if kind not in KIND_NAMES:
        return _REGISTERED_NAMES.get(kind, kind) + ending
    if version == "v5":
        return type
    return _event_subject(kind, version, body or {}) + ending


def stored_event_name(version: str, type: str) -> str:
    """Return an event type of a version as it is stored; undoes ``event_name``.

    >>> stored_event_name("v4", "AckAlarmsStateChangeEvent")
    'AckAlarmStateChangeEvent'
    """
    name, ending = _event_parts(type)
    if version == "v5" or name not in _KINDS_BY_V4_NAME:
        return type
    return _KINDS_BY_V4_NAME[name] + ending


def event_member(kind: str, version: str, body: Mapping[str, Any]) -> str:
    """Return the member of ``event`` that holds the resource.

    >>> event_member("GroupAlarm", "v4", {})
    'groupAlarms'
    """
    return lower_first(_event_subject(kind, version, body))


def _event_subject(kind: str, version: str, body: Mapping[str, Any]) -> str:
    name = _resource_name(kind, version, body)
    if kind in SUBTYPES and name != kind and name not in SUBTYPES_WITH_EVENTS:
        return _kind_name(kind, version)
    return name
