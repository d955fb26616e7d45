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
from tmf_apis.rest.views.addresses import ADDRESSES, SUBTYPES, SUBTYPES_WITH_EVENTS
from tmf_apis.rest.views.parts import Views
from tmf_apis.rest.views.steps import NO_SPELLING, Json, Path, Place, Spelling, Transform

#: Endings of an event type after the name of its kind.
_EVENTS: Final = (
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
_KIND_OF_V4_NAME: Final = {
    **{address.v4: kind for kind, address in ADDRESSES.items() if address.v4},
    **{subtype: kind for kind, table in SUBTYPES.items() for subtype in set(table.values())},
}


class _Table:
    """The views of one API, each compiled when it is first asked for."""

    def __init__(self, views: Views) -> None:
        self.views = views
        self._compiled: dict[tuple[str, bool], Transform] = {}

    def transform(self, view: str, *, back: bool) -> Transform:
        """Return what applies (or, ``back``, undoes) a view."""
        if (view, back) not in self._compiled:
            steps: list[Transform] = []
            names = frozenset[str]().union(*(step.names for step in self.views[view]))
            self._compiled[view, back] = _row(names, steps)  # first: views may hold themselves
            row = self.views[view]
            steps.extend(
                step.undo(self) if back else step.apply(self)
                for step in (reversed(row) if back else row)
            )
        return self._compiled[view, back]

    def places(self, view: str, path: Path) -> Iterator[Place]:
        """Yield where a path of a view goes."""
        found: list[Place] = [(path, NO_SPELLING)]
        for step in self.views[view]:
            found = [
                (new, _composed(old, spelling))
                for place, old in found
                for new, spelling in step.places(place, self)
            ]
        yield from found


def _row(names: frozenset[str], steps: list[Transform]) -> Transform:
    def transform(document: Json) -> Json:
        if names.isdisjoint(document):
            return document
        for step in steps:
            document = step(document)
        return document

    return transform


def _composed(first: Spelling, second: Spelling) -> Spelling:
    if not first or not second:
        return first or second
    return {**second, **{old: second.get(new, new) for old, new in first.items()}}


def _same(document: Json) -> Json:
    return document


def _tables(*modules: ModuleType) -> dict[str, _Table]:
    """Return the table of each kind that has a view."""
    tables = [_Table(module.VIEWS) for module in modules]
    return {kind: table for table in tables for kind in table.views if kind in ADDRESSES}


_TABLES: Final = _tables(alarms, billing, catalog, customer, inventory, ordering)
_TO: Final = {kind: table.transform(kind, back=False) for kind, table in _TABLES.items()}
_FROM: Final = {kind: table.transform(kind, back=True) for kind, table in _TABLES.items()}


#: Mount path of each kind in each version that has it.
_MOUNTS: Final = {
    (kind, version): f"/tmf-api/{address.mount}/{version}"
    for kind, address in ADDRESSES.items()
    for version in ("v4", "v5")
    if version == "v5" or address.v4
}

#: Names of learnt kinds that are called otherwise in their API.
_NAMES: Final[dict[str, str]] = {}


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
    return resource if version == "v5" else _TO.get(kind, _same)(resource)


def from_stored(kind: str, version: str, body: Json) -> Json:
    """Return a stored document as a client of a version sees it; undoes ``to_stored``.

    >>> from_stored("Category", "v4", {"parent": {"@type": "CategoryRef", "id": "7"}})
    {'parentId': '7'}
    """
    return body if version == "v5" else _FROM.get(kind, _same)(body)


@lru_cache(maxsize=8192)
def _places(kind: str, version: str, path: str) -> tuple[Place, ...]:
    table = _TABLES.get(kind)
    parts = tuple(path.split("."))
    if table is None or version == "v5":
        return ((parts, NO_SPELLING),)
    return tuple(table.places(kind, parts))


def stored_paths(kind: str, version: str, path: str) -> tuple[str, ...]:
    """Return the paths of the stored form at which a client's path may be found.

    >>> stored_paths("ProductOrder", "v4", "relatedParty.id")
    ('relatedParty.partyOrPartyRole.id',)
    """
    return tuple(dict.fromkeys(".".join(place) for place, _ in _places(kind, version, path)))


def stored_value(kind: str, version: str, path: str, value: object) -> object:
    """Return a client's filter value as it is stored: type names and enumerations.

    >>> stored_value("Resource", "v4", "operationalState", "enable")
    'enabled'
    """
    if not isinstance(value, str):
        return value
    return _places(kind, version, path)[0][1].get(value, value)


def types_of(kind: str, schema: str) -> tuple[str, ...]:
    """Return the types that a collection of its own in v4 holds; none where it holds all.

    >>> types_of("Resource", "PhysicalResource")
    ('PhysicalResource',)
    >>> types_of("Resource", "Resource")
    ()
    """
    return tuple(type for type, name in SUBTYPES.get(kind, {}).items() if name == schema)


def known(kind: str, version: str) -> bool:
    """Return whether a version has a kind: v4 has no bill cycles.

    >>> known("BillCycle", "v4")
    False
    """
    return (kind, version) in _MOUNTS


def learn(kind: str, version: str, mount: str, name: str = "") -> None:
    """Take a kind of a further API, as its contract says it; a kind that is known stays.

    Args:
        kind: The stored kind.
        version: "v4" or "v5".
        mount: The path below which it is served.
        name: What the contract calls it, where that is not the kind.

    >>> learn("TroubleTicket", "v4", "/tmf-api/troubleTicket/v4")
    >>> mount("TroubleTicket", "v4"), resource_path("TroubleTicket", "v4", {})
    ('/tmf-api/troubleTicket/v4', 'troubleTicket')
    >>> learn("TicketImportJob", "v4", "/tmf-api/troubleTicket/v4", "ImportJob")
    >>> resource_path("TicketImportJob", "v4", {})
    'importJob'
    >>> event_name("v4", "TicketImportJobCreateEvent")
    'ImportJobCreateEvent'
    """
    _MOUNTS.setdefault((kind, version), mount)
    if name and name != kind and kind not in ADDRESSES:
        _NAMES.setdefault(kind, name)


def mount(kind: str, version: str) -> str:
    """Return the path below which a kind is served.

    >>> mount("Alarm", "v5")
    '/tmf-api/alarmManagement/v5'
    """
    return _MOUNTS[kind, version]


def resource_path(kind: str, version: str, body: Mapping[str, Any]) -> str:
    """Return the collection that a resource belongs to, as the path segment of a version.

    >>> resource_path("ProductCatalog", "v4", {})
    'catalog'
    >>> resource_path("Resource", "v4", {"@type": "Router", "@baseType": "PhysicalResource"})
    'physicalResource'
    """
    return lower_first(_name(kind, version, body))


def lower_first(name: str) -> str:
    """Return a name of a type as the contracts write it in paths and members."""
    return name[:1].lower() + name[1:]


def _name(kind: str, version: str, body: Mapping[str, Any]) -> str:
    if version == "v4" and kind in SUBTYPES:
        for member in ("@type", "@baseType"):
            subtype = body.get(member)
            if isinstance(subtype, str) and subtype in SUBTYPES[kind]:
                return SUBTYPES[kind][subtype]
    return _plain_name(kind, version)


def _plain_name(kind: str, version: str) -> str:
    address = ADDRESSES.get(kind)
    return address.name(version) if address else _NAMES.get(kind, kind)


def _event(type: str) -> tuple[str, str]:
    """Return the subject of an event type, and what happened to it."""
    ending = next((ending for ending in _EVENTS if type.endswith(ending)), "")
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
    kind, ending = _event(type)
    if kind not in ADDRESSES:
        return _NAMES.get(kind, kind) + ending
    if version == "v5":
        return type
    return _subject(kind, version, body or {}) + ending


def stored_event_name(version: str, type: str) -> str:
    """Return an event type of a version as it is stored; undoes ``event_name``.

    >>> stored_event_name("v4", "AckAlarmsStateChangeEvent")
    'AckAlarmStateChangeEvent'
    """
    name, ending = _event(type)
    if version == "v5" or name not in _KIND_OF_V4_NAME:
        return type
    return _KIND_OF_V4_NAME[name] + ending


def event_member(kind: str, version: str, body: Mapping[str, Any]) -> str:
    """Return the member of ``event`` that holds the resource.

    >>> event_member("GroupAlarm", "v4", {})
    'groupAlarms'
    """
    return lower_first(_subject(kind, version, body))


def _subject(kind: str, version: str, body: Mapping[str, Any]) -> str:
    name = _name(kind, version, body)
    if kind in SUBTYPES and name != kind and name not in SUBTYPES_WITH_EVENTS:
        return _plain_name(kind, version)
    return name
