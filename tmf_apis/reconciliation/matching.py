"""Which element of the inventory is which of the network; pure.

An element is known by its serial number, or else by the address it is reached at, or else by the
name it gives itself. Whatever the order in which elements are looked at, the outcome is the same.
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
    """What is to become of a picture.

    Attributes:
        snapshot: The element as it shows itself.
        known_element: Its resource; None: it is new.
        inconsistency: Why nothing of it is used; empty: there is no doubt.
        is_duplicate: It is an element that is looked at by another address already; nothing to do.
    """

    snapshot: Snapshot
    known_element: Resource | None = None
    inconsistency: str = ""
    is_duplicate: bool = False


@dataclass(slots=True)
class ElementIndex:
    """The elements of the inventory, looked up by what they are known by.

    Attributes:
        by_id: By id.
    """

    by_id: dict[str, Resource] = field(default_factory=dict)
    _serials: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _addresses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def put(self, element: Resource) -> None:
        """Take an element, or what has become of it."""
        if old := self.by_id.get(element["id"]):
            for table, key in self._keys(old):
                table[key].discard(old["id"])
        self.by_id[element["id"]] = element
        for table, key in self._keys(element):
            table[key].add(element["id"])

    def _keys(self, element: Resource) -> Iterator[tuple[dict[str, set[str]], str]]:
        found = resource_characteristics(element)
        yield self._serials, str(element.get("serialNumber") or "")
        yield self._addresses, str(found.get("managementAddress") or "")
        for name in {str(element.get("name") or ""), str(found.get("systemName") or "")}:
            yield self._names, name

    def by_serial(self, serial: str) -> list[Resource]:
        """Return the elements with a serial number."""
        return self._lookup(self._serials, serial)

    def by_address(self, address: str) -> list[Resource]:
        """Return the elements reached at an address."""
        return self._lookup(self._addresses, address)

    def by_name(self, name: str) -> list[Resource]:
        """Return the elements that have a name, or give it themselves."""
        return self._lookup(self._names, name)

    def _lookup(self, table: Mapping[str, set[str]], key: str) -> list[Resource]:
        return [self.by_id[id] for id in sorted(table.get(key, ()))] if key else []


def match(snapshots: Iterable[Snapshot], index: ElementIndex) -> list[ElementMatch]:
    """Return what is to become of each picture, those of one element together."""
    found: list[ElementMatch] = []
    by_self: dict[tuple[str, str], list[Snapshot]] = defaultdict(list)
    for one in sorted(snapshots, key=lambda picture: picture.target.address):
        by_self[one.serial, one.facts.name if not one.serial else ""].append(one)
    for (serial, _), group in sorted(by_self.items()):
        found += _match_by_serial(group, index) if serial else _match_by_name(group, index)
    return _without_duplicates(found)


def _match_by_serial(group: list[Snapshot], index: ElementIndex) -> Iterator[ElementMatch]:
    """Yield what becomes of those with one serial number: they are one element, or one lies."""
    serial = group[0].serial
    known, doubt = index.by_serial(serial), ""
    if len(known) > 1:
        names = ", ".join(str(one.get("name")) for one in known)
        doubt = f"the inventory has serial number {serial} twice: {names}"
    elif not known:
        known, doubt = _match_new_serial(group, index)
    if doubt:
        yield from (ElementMatch(one, inconsistency=doubt) for one in group)
        return
    chosen = _preferred_snapshot(group, known)
    for one in group:
        if one is chosen:
            yield ElementMatch(one, known[0] if known else None)
        elif one.facts.name == chosen.facts.name:
            yield ElementMatch(one, known[0] if known else None, is_duplicate=True)
        else:
            yield ElementMatch(
                one,
                inconsistency=f"it has the serial number of {chosen.facts.name}, {chosen.serial}",
            )


def _match_new_serial(group: list[Snapshot], index: ElementIndex) -> tuple[list[Resource], str]:
    """Return the element that a new serial number belongs to, or why that cannot be told."""
    for one in group:
        for known in index.by_address(one.target.address):
            if not known.get("serialNumber") or _system_name(known) == one.facts.name:
                return [known], ""  # it tells its serial number only now, or has been replaced
            return [], (
                f"in the inventory {known.get('name')} with serial number "
                f"{known['serialNumber']} is at this address"
            )
    named = index.by_name(group[0].facts.name)
    return [one for one in named if not one.get("serialNumber")][:1], ""


def _match_by_name(group: list[Snapshot], index: ElementIndex) -> Iterator[ElementMatch]:
    """Yield what becomes of those with one name and no serial number: only one can be known."""
    rest = []
    for one in group:
        at = [
            known
            for known in index.by_address(one.target.address)
            if not known.get("serialNumber") or _system_name(known) == one.facts.name
        ]
        if len(at) == 1:
            yield ElementMatch(one, at[0])
        elif index.by_address(one.target.address):
            yield ElementMatch(
                one, inconsistency="the inventory has another element at this address"
            )
        else:
            rest.append(one)
    name, taken = group[0].facts.name, len(rest) < len(group)
    known = [one for one in index.by_name(name) if not one.get("serialNumber")]
    for place, one in enumerate(rest):
        if not name:
            yield ElementMatch(one)  # its address stands for name and serial number
        elif taken or place:
            yield ElementMatch(
                one, inconsistency=f"another element calls itself {name!r}; neither has a serial"
            )
        else:
            yield ElementMatch(one, known[0] if known else None)


def _preferred_snapshot(group: list[Snapshot], known_elements: list[Resource]) -> Snapshot:
    """Return the picture that counts: that by the address that the inventory has."""
    if known_elements:
        address = resource_characteristics(known_elements[0]).get("managementAddress")
        for one in group:
            if one.target.address == address:
                return one
        named = [one for one in group if one.facts.name == _system_name(known_elements[0])]
        return (named or group)[0]
    return group[0]


def _without_duplicates(matches: list[ElementMatch]) -> list[ElementMatch]:
    """Let no two pictures become one element."""
    taken = dict[str, str]()
    made = []
    for one in matches:
        id = (
            one.known_element["id"]
            if one.known_element and not one.inconsistency and not one.is_duplicate
            else ""
        )
        if id and id in taken:
            message = f"{taken[id]} is taken for the same element of the inventory"
            made.append(ElementMatch(one.snapshot, inconsistency=message))
            continue
        if id:
            taken[id] = one.snapshot.target.address
        made.append(one)
    return made


def _system_name(element: Resource) -> str:
    return str(resource_characteristics(element).get("systemName") or element.get("name") or "")


def new_element_id(tenant: str, snapshot: Snapshot, index: ElementIndex) -> str:
    """Return the id of a new element, the same for everybody who finds it."""
    facts = snapshot.facts
    keys = [f"serial:{facts.serial}"] if facts.serial else [facts.name] if facts.name else []
    for key in (*keys, f"{facts.name}@{snapshot.target.address}"):
        id = deterministic_id(tenant, key)
        if id not in index.by_id:
            return id
    return id


def deterministic_id(tenant: str, name: str) -> str:
    """Return an id that is the same for everybody who registers the same thing."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}:element:{name}"))
