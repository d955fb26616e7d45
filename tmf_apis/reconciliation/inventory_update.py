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
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import ports_by_key
from tmf_apis.inventory.ports import PORT_CATEGORIES as PORT_CATEGORIES
from tmf_apis.inventory.ports import element_id_of
from tmf_apis.reconciliation import merge
from tmf_apis.reconciliation.matching import ElementIndex, deterministic_id, new_element_id
from tmf_apis.reconciliation.snapshots import MAX_COMPONENTS, Snapshot
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339

RESOURCE_KIND = "Resource"
#: Deepest nesting of parts that is followed.
MAX_DEPTH = 16

Edit = Callable[[Resource], Resource]


@dataclass(frozen=True, slots=True)
class StoredElement:
    """An element in the inventory.

    Attributes:
        element: Its resource.
        ports: From the ports' natural keys to the ids of their resources.
        status: "created", "updated" or "unchanged".
        write_count: How many resources were made or changed.
    """

    element: Resource
    ports: Mapping[str, str]
    status: str
    write_count: int

    @property
    def element_id(self) -> str:
        """Id of the element."""
        return str(self.element["id"])


@dataclass(frozen=True, slots=True)
class _ResourceEdit:
    """A resource as it shall be: made from its old form, or from its id."""

    id: str
    old: Resource | None
    edit: Edit

    @property
    def new(self) -> Resource:
        """The resource as it shall be."""
        return self.edit(self.old or {"id": self.id})


def store_snapshot(
    repository: Repository,
    snapshot: Snapshot,
    known_element: Resource | None,
    index: ElementIndex,
    name: str = "",
) -> StoredElement:
    """Bring an element and its parts into the inventory, or up to date there.

    Args:
        repository: Whose inventory.
        snapshot: What the element says.
        known_element: Its resource; None: it is new.
        index: All elements of the inventory; what is written is put there.
        name: Name of a new one; empty: the one that it gives itself.
    """
    id = (
        known_element["id"] if known_element else new_element_id(repository.tenant, snapshot, index)
    )
    name = name or _unique_name(snapshot, index)
    edit = partial(merge.merged_element, snapshot=snapshot, name=name)
    element = edit(known_element or {"id": id})
    parts = dict(_part_edits(repository, snapshot, known_element, element))
    inside: dict[str, dict[str, Resource]] = defaultdict(dict)
    for one in parts.values():
        new = one.new
        inside[element_id_of(new)][one.id] = new
    written = _write_edits(repository, [_with_contents(one, inside) for one in parts.values()])
    made = _write_edits(
        repository, [_with_contents(_ResourceEdit(id, known_element, edit), inside)]
    )
    index.put(repository.get(RESOURCE_KIND, id) if made else element)
    outcome = "created" if not known_element else "updated" if written or made else "unchanged"
    ports = {one.name: _port_id(repository, id, one.name, parts) for one in snapshot.ports}
    return StoredElement(index.by_id[id], ports, outcome, written + made)


def _with_contents(
    resource_edit: _ResourceEdit, contents: Mapping[str, Mapping[str, Resource]]
) -> _ResourceEdit:
    """Return a resource that also says what it contains."""
    content = contents.get(resource_edit.id, {})

    def whole(old: Resource) -> Resource:
        return merge.with_contents(resource_edit.edit(old), content)

    return replace(resource_edit, edit=whole) if content else resource_edit


def _unique_name(snapshot: Snapshot, index: ElementIndex) -> str:
    """Return a name for a new element that no other has."""
    facts, address = snapshot.facts, snapshot.target.address
    own = facts.name or address
    for name in (own, f"{own} {facts.serial or address}", f"{own} {address}"):
        if not index.by_name(name):
            return name
    return f"{own} {address} {facts.serial}"


def _port_id(
    repository: Repository, element: str, name: str, parts: Mapping[str, _ResourceEdit]
) -> str:
    one = parts.get(f"port:{name}")
    return one.id if one else deterministic_id(repository.tenant, f"{element}/{name}")


def _part_edits(
    repository: Repository, snapshot: Snapshot, known_element: Resource | None, element: Resource
) -> Iterator[tuple[str, _ResourceEdit]]:
    """Yield what becomes of each part and port, those that are gone too."""
    ports = ports_by_key(repository, element["id"]) if known_element else {}
    components = _stored_components(repository, element["id"]) if known_element else {}
    was = str((known_element or element).get("name"))
    now = rfc3339(repository.now)
    on = {"": element}
    for part in snapshot.components:
        old = components.pop(part.name, None)
        id = (
            old["id"]
            if old
            else deterministic_id(repository.tenant, f"{element['id']}/part:{part.name}")
        )
        edit = _component_edit(on.get(part.parent, element), part, element)
        wanted = _ResourceEdit(id, old, edit)
        on[part.name] = wanted.new
        yield f"part:{part.name}", wanted
    for one in snapshot.ports:
        old = ports.pop(one.name, None)
        id = (
            old["id"] if old else deterministic_id(repository.tenant, f"{element['id']}/{one.name}")
        )
        edit = partial(
            merge.merged_port, element=element, port=one, snapshot=snapshot, old_element_name=was
        )
        yield f"port:{one.name}", _ResourceEdit(id, old, edit)
    for old in (*components.values(), *ports.values()):
        yield (
            f"gone:{old['id']}",
            _ResourceEdit(old["id"], old, partial(merge.marked_missing, since=now)),
        )


def _component_edit(container: Resource, part: Component, element: Resource) -> Edit:
    return partial(
        merge.merged_component, container=container, part=part, element_name=str(element["name"])
    )


def _stored_components(repository: Repository, element: str) -> dict[str, Resource]:
    """Return the parts of an element by their natural keys, level by level from the outside."""
    found: dict[str, Resource] = {}
    level = [element]
    for _ in range(MAX_DEPTH):
        query = {
            "resourceRelationship.resource.id": {"$in": level},
            "category": {"$nin": PORT_CATEGORIES},
            "resourceCharacteristic.name": merge.COMPONENT_NAME,
        }
        below = [
            one
            for one in repository.find(RESOURCE_KIND, query, limit=MAX_COMPONENTS)
            if element_id_of(one) in set(level)
        ]
        level = [one["id"] for one in below]
        found |= {str(resource_characteristics(one)[merge.COMPONENT_NAME]): one for one in below}
        if not level:
            break
    return found


def _write_edits(repository: Repository, edits: list[_ResourceEdit]) -> int:
    """Make and change resources; return how many were."""
    new = [one for one in edits if one.old is None]
    there = repository.create_many(RESOURCE_KIND, [one.new for one in new]) if new else set[str]()
    count = len(new) - len(there)
    for one in edits:
        if one.old is None:
            if one.id in there:  # somebody else was faster
                repository.change(RESOURCE_KIND, one.id, one.edit)
        elif one.new != one.old:
            try:
                repository.change(RESOURCE_KIND, one.id, one.edit)
            except NotFound:  # deleted meanwhile: a person knows better
                continue
            count += 1
    return count
