"""Matching of snapshots with elements of the inventory; no I/O.

An element is identified by its serial number, or else by its management address, or else by its
system name. The outcome does not depend on the order of the snapshots.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.reconciliation.snapshots import Snapshot
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(frozen=True, slots=True)
class ElementMatch:
    """A snapshot with its element of the inventory.

    Attributes:
        snapshot: The element as it was read.
        known_element: Resource of the element; None: it is new.
        inconsistency: Reason why the snapshot is not used; empty: it is consistent.
        is_duplicate: The element was also read at another address; the snapshot is not used.
    """

    snapshot: Snapshot
    known_element: Resource | None = None
    inconsistency: str = ""
    is_duplicate: bool = False


@dataclass(slots=True)
class ElementIndex:
    """Index of the elements of the inventory.

    Attributes:
        by_id: The elements by id.
    """

    by_id: dict[str, Resource] = field(default_factory=dict)
    _serials: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _addresses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def put(self, element: Resource) -> None:
        """Add an element or replace its former version."""
        if old := self.by_id.get(element["id"]):
            for table, key in self._keys(old):
                table[key].discard(old["id"])
        self.by_id[element["id"]] = element
        for table, key in self._keys(element):
            table[key].add(element["id"])

    def _keys(self, element: Resource) -> Iterator[tuple[dict[str, set[str]], str]]:
        characteristics = resource_characteristics(element)
        yield self._serials, str(element.get("serialNumber") or "")
        yield self._addresses, str(characteristics.get("managementAddress") or "")
        for name in {str(element.get("name") or ""), str(characteristics.get("systemName") or "")}:
            yield self._names, name

    def by_serial(self, serial: str) -> list[Resource]:
        """Return the elements with a serial number."""
        return self._lookup(self._serials, serial)

    def by_address(self, address: str) -> list[Resource]:
        """Return the elements reached at an address."""
        return self._lookup(self._addresses, address)

    def by_name(self, name: str) -> list[Resource]:
        """Return the elements with a name or system name."""
        return self._lookup(self._names, name)

    def _lookup(self, table: Mapping[str, set[str]], key: str) -> list[Resource]:
        return [self.by_id[id] for id in sorted(table.get(key, ()))] if key else []


def match(snapshots: Iterable[Snapshot], index: ElementIndex) -> list[ElementMatch]:
    """Return the matches of snapshots, those of one element together."""
    matches: list[ElementMatch] = []
    groups: dict[tuple[str, str], list[Snapshot]] = defaultdict(list)
    for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.target.address):
        groups[snapshot.serial, snapshot.facts.name if not snapshot.serial else ""].append(snapshot)
    for (serial, _), group in sorted(groups.items()):
        matches += _match_by_serial(group, index) if serial else _match_by_name(group, index)
    return _without_duplicates(matches)


def _match_by_serial(group: list[Snapshot], index: ElementIndex) -> Iterator[ElementMatch]:
    """Yield the matches of snapshots with the same serial number.

    They show one element, unless one of them reports a wrong serial number.
    """
    serial = group[0].serial
    known_elements, inconsistency = index.by_serial(serial), ""
    if len(known_elements) > 1:
        names = ", ".join(str(element.get("name")) for element in known_elements)
        inconsistency = f"the inventory has serial number {serial} twice: {names}"
    elif not known_elements:
        known_elements, inconsistency = _match_new_serial(group, index)
    if inconsistency:
        yield from (ElementMatch(snapshot, inconsistency=inconsistency) for snapshot in group)
        return
    chosen = _preferred_snapshot(group, known_elements)
    for snapshot in group:
        if snapshot is chosen:
            yield ElementMatch(snapshot, known_elements[0] if known_elements else None)
        elif snapshot.facts.name == chosen.facts.name:
            yield ElementMatch(
                snapshot, known_elements[0] if known_elements else None, is_duplicate=True
            )
        else:
            message = f"it reports the serial number of {chosen.facts.name}, {chosen.serial}"
            yield ElementMatch(snapshot, inconsistency=message)


def _match_new_serial(group: list[Snapshot], index: ElementIndex) -> tuple[list[Resource], str]:
    """Return the element of a serial number that is not in the inventory, or the inconsistency."""
    for snapshot in group:
        for element in index.by_address(snapshot.target.address):
            if not element.get("serialNumber") or _system_name(element) == snapshot.facts.name:
                return [element], ""  # it has reported no serial number before, or was replaced
            return [], (
                f"in the inventory {element.get('name')} with serial number "
                f"{element['serialNumber']} is at this address"
            )
    namesakes = index.by_name(group[0].facts.name)
    return [element for element in namesakes if not element.get("serialNumber")][:1], ""


def _match_by_name(group: list[Snapshot], index: ElementIndex) -> Iterator[ElementMatch]:
    """Yield the matches of snapshots with the same name and no serial number."""
    unmatched = []
    for snapshot in group:
        candidates = [
            element
            for element in index.by_address(snapshot.target.address)
            if not element.get("serialNumber") or _system_name(element) == snapshot.facts.name
        ]
        if len(candidates) == 1:
            yield ElementMatch(snapshot, candidates[0])
        elif index.by_address(snapshot.target.address):
            yield ElementMatch(
                snapshot, inconsistency="the inventory has another element at this address"
            )
        else:
            unmatched.append(snapshot)
    name, is_name_matched = group[0].facts.name, len(unmatched) < len(group)
    namesakes = [element for element in index.by_name(name) if not element.get("serialNumber")]
    for position, snapshot in enumerate(unmatched):
        if not name:
            yield ElementMatch(snapshot)  # identified by its address alone
        elif is_name_matched or position:
            yield ElementMatch(
                snapshot,
                inconsistency=f"another element calls itself {name!r}; neither has a serial",
            )
        else:
            yield ElementMatch(snapshot, namesakes[0] if namesakes else None)


def _preferred_snapshot(group: list[Snapshot], known_elements: list[Resource]) -> Snapshot:
    """Return the snapshot to use: the one from the address in the inventory, if there is one."""
    if known_elements:
        address = resource_characteristics(known_elements[0]).get("managementAddress")
        for snapshot in group:
            if snapshot.target.address == address:
                return snapshot
        namesakes = [
            snapshot for snapshot in group if snapshot.facts.name == _system_name(known_elements[0])
        ]
        return (namesakes or group)[0]
    return group[0]


def _without_duplicates(matches: list[ElementMatch]) -> list[ElementMatch]:
    """Return matches of which no two have the same known element."""
    matched_addresses = dict[str, str]()
    unique = []
    for element_match in matches:
        id = (
            element_match.known_element["id"]
            if element_match.known_element
            and not element_match.inconsistency
            and not element_match.is_duplicate
            else ""
        )
        if id and id in matched_addresses:
            message = f"{matched_addresses[id]} matches the same element of the inventory"
            unique.append(ElementMatch(element_match.snapshot, inconsistency=message))
            continue
        if id:
            matched_addresses[id] = element_match.snapshot.target.address
        unique.append(element_match)
    return unique


def _system_name(element: Resource) -> str:
    return str(resource_characteristics(element).get("systemName") or element.get("name") or "")


def new_element_id(tenant: str, snapshot: Snapshot, index: ElementIndex) -> str:
    """Return the id of a new element, which is the same in concurrent discoveries."""
    facts = snapshot.facts
    keys = [f"serial:{facts.serial}"] if facts.serial else [facts.name] if facts.name else []
    for key in (*keys, f"{facts.name}@{snapshot.target.address}"):
        id = deterministic_id(tenant, key)
        if id not in index.by_id:
            return id
    return id


def deterministic_id(tenant: str, name: str) -> str:
    """Return the id of an element or part, which depends on tenant and name only."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}:element:{name}"))
