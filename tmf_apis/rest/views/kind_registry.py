"""The kinds that an engine serves: their paths, their names and the names of their events."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self
from urllib.parse import quote

from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.views.kind_names import (
    KIND_NAMES,
    SUBTYPES,
    SUBTYPES_WITH_EVENTS,
    lower_first,
)

#: Suffixes of an event type, after the name of its kind.
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
#: Mount path of each known kind in each version that has it.
_KNOWN_MOUNT_PATHS: Final[Mapping[tuple[str, str], str]] = {
    (kind, version): f"/tmf-api/{names.api_name}/{version}"
    for kind, names in KIND_NAMES.items()
    for version in ("v4", "v5")
    if version == "v5" or names.v4
}
#: Ids that need no percent-encoding in a path.
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_NO_BODY: Final[Mapping[str, Any]] = {}


class KindRegistry:
    """The kinds that one engine serves.

    The kinds of ``KIND_NAMES`` are always registered; the kinds of other APIs are registered from
    their contracts, before the first request.
    """

    def __init__(self) -> None:
        self._mount_paths = dict(_KNOWN_MOUNT_PATHS)
        #: The names of registered kinds in their contracts, if they differ from the kinds.
        self._names: dict[str, str] = {}
        self._collection_paths: dict[tuple[str, str], str] = {}

    @classmethod
    def from_contracts(cls, contracts: Iterable[Contract]) -> Self:
        """Return a registry of the known kinds and of all kinds of ``contracts``."""
        kinds = cls()
        for contract in contracts:
            for operation in contract.operations:
                if operation.kind:
                    kinds.register(
                        operation.kind, contract.version, contract.base_path, operation.schema
                    )
        return kinds

    def register(self, kind: str, version: str, base_path: str, name: str = "") -> None:
        """Register a kind of a contract; a kind that is registered already keeps its names.

        Args:
            kind: The stored kind.
            version: "v4" or "v5".
            base_path: The path below which it is served.
            name: The name in the contract, if it differs from the kind.

        >>> kinds = KindRegistry()
        >>> kinds.register("TroubleTicket", "v4", "/tmf-api/troubleTicket/v4")
        >>> kinds.resource_path("TroubleTicket", "v4", "42", {})
        '/tmf-api/troubleTicket/v4/troubleTicket/42'
        >>> kinds.register("TicketImportJob", "v4", "/tmf-api/troubleTicket/v4", "ImportJob")
        >>> kinds.collection_segment("TicketImportJob", "v4")
        'importJob'
        >>> kinds.event_name("v4", "TicketImportJobCreateEvent")
        'ImportJobCreateEvent'
        """
        self._mount_paths.setdefault((kind, version), base_path)
        if name and name != kind and kind not in KIND_NAMES:
            self._names.setdefault(kind, name)
        self._collection_paths.clear()

    def is_served(self, kind: str, version: str) -> bool:
        """Return whether a version has a kind; v4, for example, has no bill cycles.

        >>> KindRegistry().is_served("BillCycle", "v4")
        False
        """
        return (kind, version) in self._mount_paths

    def latest_version(self, kind: str) -> str:
        """Return the newest version that has a kind."""
        return "v5" if self.is_served(kind, "v5") else "v4"

    def mount_path(self, kind: str, version: str) -> str:
        """Return the path below which a kind is served.

        >>> KindRegistry().mount_path("Alarm", "v5")
        '/tmf-api/alarmManagement/v5'
        """
        return self._mount_paths[kind, version]

    def resource_path(self, kind: str, version: str, id: str, body: Mapping[str, Any]) -> str:
        """Return the absolute path of a resource in the API of a version.

        >>> KindRegistry().resource_path("Alarm", "v5", "port 7", {})
        '/tmf-api/alarmManagement/v5/alarm/port%207'
        """
        safe_id = id if _UNRESERVED.fullmatch(id) else quote(id, safe="")
        return f"{self._collection_path(kind, version, body)}/{safe_id}"

    def _collection_path(self, kind: str, version: str, body: Mapping[str, Any]) -> str:
        if kind in SUBTYPES:
            segment = self.collection_segment(kind, version, body)
            return f"{self._mount_paths[kind, version]}/{segment}"
        path = self._collection_paths.get((kind, version))
        if path is None:
            path = f"{self._mount_paths[kind, version]}/{self.collection_segment(kind, version)}"
            self._collection_paths[kind, version] = path
        return path

    def collection_segment(
        self, kind: str, version: str, body: Mapping[str, Any] = _NO_BODY
    ) -> str:
        """Return the path segment of the collection that a resource belongs to.

        Args:
            kind: The stored kind.
            version: "v4" or "v5".
            body: The resource; in v4 some types of a kind have a collection of their own.

        >>> KindRegistry().collection_segment("ProductCatalog", "v4")
        'catalog'
        >>> router = {"@type": "Router", "@baseType": "PhysicalResource"}
        >>> KindRegistry().collection_segment("Resource", "v4", router)
        'physicalResource'
        """
        return lower_first(self._resource_name(kind, version, body))

    def event_name(self, version: str, event_type: str, body: Mapping[str, Any] = _NO_BODY) -> str:
        """Return the name that a version gives to a stored event type, which is that of v5.

        Args:
            version: "v4" or "v5".
            event_type: The stored event type.
            body: The resource; in v4 some types of a kind have events of their own.

        >>> KindRegistry().event_name("v4", "ProductCatalogCreateEvent")
        'CatalogCreateEvent'
        """
        suffix = next((suffix for suffix in _EVENT_SUFFIXES if event_type.endswith(suffix)), "")
        kind = event_type.removesuffix(suffix)
        if kind not in KIND_NAMES:
            return self._names.get(kind, kind) + suffix
        if version == "v5":
            return event_type
        return self._event_subject(kind, version, body) + suffix

    def event_member(self, kind: str, version: str, body: Mapping[str, Any]) -> str:
        """Return the member of ``event`` that holds the resource.

        >>> KindRegistry().event_member("GroupAlarm", "v4", {})
        'groupAlarms'
        """
        return lower_first(self._event_subject(kind, version, body))

    def _event_subject(self, kind: str, version: str, body: Mapping[str, Any]) -> str:
        name = self._resource_name(kind, version, body)
        if kind in SUBTYPES and name != kind and name not in SUBTYPES_WITH_EVENTS:
            return self._kind_name(kind, version)
        return name

    def _resource_name(self, kind: str, version: str, body: Mapping[str, Any]) -> str:
        if version == "v4" and kind in SUBTYPES:
            for member in ("@type", "@baseType"):
                subtype = body.get(member)
                if isinstance(subtype, str) and subtype in SUBTYPES[kind]:
                    return SUBTYPES[kind][subtype]
        return self._kind_name(kind, version)

    def _kind_name(self, kind: str, version: str) -> str:
        names = KIND_NAMES.get(kind)
        return names.name(version) if names else self._names.get(kind, kind)
