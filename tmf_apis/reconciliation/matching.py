"""Which element of the inventory is which of the network; pure.

An element is known by its serial number, or else by the address it is reached at, or else by the
name it gives itself. Whatever the order in which elements are looked at, the outcome is the same.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.reconciliation.pictures import Picture
from tmf_apis.rest.law import Resource


@dataclass(frozen=True, slots=True)
class Match:
    """What is to become of a picture.

    Attributes:
        picture: The element as it shows itself.
        known: Its resource; None: it is new.
        doubt: Why nothing of it is used; empty: there is no doubt.
        same: It is an element that is looked at by another address already; nothing to do.
    """

    picture: Picture
    known: Resource | None = None
    doubt: str = ""
    same: bool = False


@dataclass(slots=True)
class Elements:
    """The elements of the inventory, looked up by what they are known by.

    Attributes:
        all: By id.
    """

    all: dict[str, Resource] = field(default_factory=dict)
    _serials: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _addresses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def put(self, element: Resource) -> None:
        """Take an element, or what has become of it."""
        if old := self.all.get(element["id"]):
            for table, key in self._keys(old):
                table[key].discard(old["id"])
        self.all[element["id"]] = element
        for table, key in self._keys(element):
            table[key].add(element["id"])

    def _keys(self, element: Resource) -> Iterator[tuple[dict[str, set[str]], str]]:
        found = of_resource(element)
        yield self._serials, str(element.get("serialNumber") or "")
        yield self._addresses, str(found.get("managementAddress") or "")
        for name in {str(element.get("name") or ""), str(found.get("systemName") or "")}:
            yield self._names, name

    def by_serial(self, serial: str) -> list[Resource]:
        """Return the elements with a serial number."""
        return self._found(self._serials, serial)

    def at(self, address: str) -> list[Resource]:
        """Return the elements reached at an address."""
        return self._found(self._addresses, address)

    def named(self, name: str) -> list[Resource]:
        """Return the elements that have a name, or give it themselves."""
        return self._found(self._names, name)

    def _found(self, table: Mapping[str, set[str]], key: str) -> list[Resource]:
        return [self.all[id] for id in sorted(table.get(key, ()))] if key else []


def match(pictures: Iterable[Picture], elements: Elements) -> list[Match]:
    """Return what is to become of each picture, those of one element together."""
    found: list[Match] = []
    by_self: dict[tuple[str, str], list[Picture]] = defaultdict(list)
    for one in sorted(pictures, key=lambda picture: picture.target.address):
        by_self[one.serial, one.facts.name if not one.serial else ""].append(one)
    for (serial, _), group in sorted(by_self.items()):
        found += _by_serial(group, elements) if serial else _by_name(group, elements)
    return _once(found)


def _by_serial(group: list[Picture], elements: Elements) -> Iterator[Match]:
    """Yield what becomes of those with one serial number: they are one element, or one lies."""
    serial = group[0].serial
    known, doubt = elements.by_serial(serial), ""
    if len(known) > 1:
        names = ", ".join(str(one.get("name")) for one in known)
        doubt = f"the inventory has serial number {serial} twice: {names}"
    elif not known:
        known, doubt = _unserialled(group, elements)
    if doubt:
        yield from (Match(one, doubt=doubt) for one in group)
        return
    chosen = _chosen(group, known)
    for one in group:
        if one is chosen:
            yield Match(one, known[0] if known else None)
        elif one.facts.name == chosen.facts.name:
            yield Match(one, known[0] if known else None, same=True)
        else:
            yield Match(
                one, doubt=f"it has the serial number of {chosen.facts.name}, {chosen.serial}"
            )


def _unserialled(group: list[Picture], elements: Elements) -> tuple[list[Resource], str]:
    """Return the element that a new serial number belongs to, or why that cannot be told."""
    for one in group:
        for known in elements.at(one.target.address):
            if not known.get("serialNumber") or _name(known) == one.facts.name:
                return [known], ""  # it tells its serial number only now, or has been replaced
            return [], (
                f"in the inventory {known.get('name')} with serial number "
                f"{known['serialNumber']} is at this address"
            )
    named = elements.named(group[0].facts.name)
    return [one for one in named if not one.get("serialNumber")][:1], ""


def _by_name(group: list[Picture], elements: Elements) -> Iterator[Match]:
    """Yield what becomes of those with one name and no serial number: only one can be known."""
    rest = []
    for one in group:
        at = [
            known
            for known in elements.at(one.target.address)
            if not known.get("serialNumber") or _name(known) == one.facts.name
        ]
        if len(at) == 1:
            yield Match(one, at[0])
        elif elements.at(one.target.address):
            yield Match(one, doubt="the inventory has another element at this address")
        else:
            rest.append(one)
    name, taken = group[0].facts.name, len(rest) < len(group)
    known = [one for one in elements.named(name) if not one.get("serialNumber")]
    for place, one in enumerate(rest):
        if not name:
            yield Match(one)  # its address stands for name and serial number
        elif taken or place:
            yield Match(one, doubt=f"another element calls itself {name!r}; neither has a serial")
        else:
            yield Match(one, known[0] if known else None)


def _chosen(group: list[Picture], known: list[Resource]) -> Picture:
    """Return the picture that counts: that by the address that the inventory has."""
    if known:
        address = of_resource(known[0]).get("managementAddress")
        for one in group:
            if one.target.address == address:
                return one
        named = [one for one in group if one.facts.name == _name(known[0])]
        return (named or group)[0]
    return group[0]


def _once(found: list[Match]) -> list[Match]:
    """Let no two pictures become one element."""
    taken = dict[str, str]()
    made = []
    for one in found:
        id = one.known["id"] if one.known and not one.doubt and not one.same else ""
        if id and id in taken:
            message = f"{taken[id]} is taken for the same element of the inventory"
            made.append(Match(one.picture, doubt=message))
            continue
        if id:
            taken[id] = one.picture.target.address
        made.append(one)
    return made


def _name(element: Resource) -> str:
    return str(of_resource(element).get("systemName") or element.get("name") or "")


def new_id(tenant: str, picture: Picture, elements: Elements) -> str:
    """Return the id of a new element, the same for everybody who finds it."""
    facts = picture.facts
    keys = [f"serial:{facts.serial}"] if facts.serial else [facts.name] if facts.name else []
    for key in (*keys, f"{facts.name}@{picture.target.address}"):
        id = fixed_id(tenant, key)
        if id not in elements.all:
            return id
    return id


def fixed_id(tenant: str, name: str) -> str:
    """Return an id that is the same for everybody who registers the same thing."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}:element:{name}"))
