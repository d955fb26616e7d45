"""A picture written into the inventory: the parts first, then the element that has them.

Whoever looks meanwhile sees an element with all of its parts or none. Writing the same picture
again writes nothing, and two who write at once write the same resources.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from adapters.values import Component
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.elements import ports_of
from tmf_apis.fulfilment.reservation.ports import PORTS as PORT_CATEGORIES
from tmf_apis.fulfilment.reservation.ports import is_on
from tmf_apis.reconciliation import merging
from tmf_apis.reconciliation.matching import Elements, fixed_id, new_id
from tmf_apis.reconciliation.pictures import PARTS, Picture
from tmf_apis.rest.law import Desk, Resource, rfc3339

KIND = "Resource"
#: Deepest nesting of parts that is followed.
DEPTH = 16

Edit = Callable[[Resource], Resource]


@dataclass(frozen=True, slots=True)
class Stored:
    """An element in the inventory.

    Attributes:
        element: Its resource.
        ports: From the ports' natural keys to the ids of their resources.
        outcome: "created", "updated" or "unchanged".
        written: How many resources were made or changed.
    """

    element: Resource
    ports: Mapping[str, str]
    outcome: str
    written: int

    @property
    def gateway(self) -> str:
        """Id of the element."""
        return str(self.element["id"])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A resource as it shall be: made from its old form, or from its id."""

    id: str
    old: Resource | None
    edit: Edit

    @property
    def new(self) -> Resource:
        """The resource as it shall be."""
        return self.edit(self.old or {"id": self.id})


def store(
    desk: Desk,
    picture: Picture,
    known: Resource | None,
    elements: Elements,
    name: str = "",
) -> Stored:
    """Bring an element and its parts into the inventory, or up to date there.

    Args:
        desk: Whose inventory.
        picture: What the element says.
        known: Its resource; None: it is new.
        elements: All elements of the inventory; what is written is put there.
        name: Name of a new one; empty: the one that it gives itself.
    """
    id = known["id"] if known else new_id(desk.tenant, picture, elements)
    name = name or _name(picture, elements)
    edit = partial(merging.element, picture=picture, name=name)
    element = edit(known or {"id": id})
    parts = dict(_parts(desk, picture, known, element))
    inside: dict[str, dict[str, Resource]] = defaultdict(dict)
    for one in parts.values():
        new = one.new
        inside[is_on(new)][one.id] = new
    written = _write(desk, [_around(one, inside) for one in parts.values()])
    made = _write(desk, [_around(_Wanted(id, known, edit), inside)])
    elements.put(desk.get(KIND, id) if made else element)
    outcome = "created" if not known else "updated" if written or made else "unchanged"
    ports = {one.name: _port_id(desk, id, one.name, parts) for one in picture.ports}
    return Stored(elements.all[id], ports, outcome, written + made)


def _around(one: _Wanted, inside: Mapping[str, Mapping[str, Resource]]) -> _Wanted:
    """Return a resource that also says what it contains."""
    content = inside.get(one.id, {})

    def whole(old: Resource) -> Resource:
        return merging.containing(one.edit(old), content)

    return replace(one, edit=whole) if content else one


def _name(picture: Picture, elements: Elements) -> str:
    """Return a name for a new element that no other has."""
    facts, address = picture.facts, picture.target.address
    own = facts.name or address
    for name in (own, f"{own} {facts.serial or address}", f"{own} {address}"):
        if not elements.named(name):
            return name
    return f"{own} {address} {facts.serial}"


def _port_id(desk: Desk, element: str, name: str, parts: Mapping[str, _Wanted]) -> str:
    one = parts.get(f"port:{name}")
    return one.id if one else fixed_id(desk.tenant, f"{element}/{name}")


def _parts(
    desk: Desk, picture: Picture, known: Resource | None, element: Resource
) -> Iterator[tuple[str, _Wanted]]:
    """Yield what becomes of each part and port, those that are gone too."""
    ports = ports_of(desk, element["id"]) if known else {}
    components = _components(desk, element["id"]) if known else {}
    was = str((known or element).get("name"))
    now = rfc3339(desk.now)
    on = {"": element}
    for part in picture.components:
        old = components.pop(part.name, None)
        id = old["id"] if old else fixed_id(desk.tenant, f"{element['id']}/part:{part.name}")
        edit = _component(on.get(part.parent, element), part, element)
        wanted = _Wanted(id, old, edit)
        on[part.name] = wanted.new
        yield f"part:{part.name}", wanted
    for one in picture.ports:
        old = ports.pop(one.name, None)
        id = old["id"] if old else fixed_id(desk.tenant, f"{element['id']}/{one.name}")
        edit = partial(merging.port, on=element, port=one, picture=picture, was=was)
        yield f"port:{one.name}", _Wanted(id, old, edit)
    for old in (*components.values(), *ports.values()):
        yield f"gone:{old['id']}", _Wanted(old["id"], old, partial(merging.missing, since=now))


def _component(on: Resource, part: Component, element: Resource) -> Edit:
    return partial(merging.component, on=on, part=part, name=str(element["name"]))


def _components(desk: Desk, element: str) -> dict[str, Resource]:
    """Return the parts of an element by their natural keys, level by level from the outside."""
    found: dict[str, Resource] = {}
    level = [element]
    for _ in range(DEPTH):
        query = {
            "resourceRelationship.resource.id": {"$in": level},
            "category": {"$nin": PORT_CATEGORIES},
            "resourceCharacteristic.name": merging.COMPONENT,
        }
        below = [one for one in desk.find(KIND, query, limit=PARTS) if is_on(one) in set(level)]
        level = [one["id"] for one in below]
        found |= {str(of_resource(one)[merging.COMPONENT]): one for one in below}
        if not level:
            break
    return found


def _write(desk: Desk, wanted: list[_Wanted]) -> int:
    """Make and change resources; return how many were."""
    new = [one for one in wanted if one.old is None]
    there = desk.create_many(KIND, [one.new for one in new]) if new else set[str]()
    count = len(new) - len(there)
    for one in wanted:
        if one.old is None:
            if one.id in there:  # somebody else was faster
                desk.change(KIND, one.id, one.edit)
        elif one.new != one.old:
            try:
                desk.change(KIND, one.id, one.edit)
            except NotFound:  # deleted meanwhile: a person knows better
                continue
            count += 1
    return count
