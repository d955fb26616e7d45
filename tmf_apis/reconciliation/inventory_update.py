"""Inventory update from a snapshot: the ports and components first, then the element.

A concurrent reader sees an element with all of its parts or no element. Writing the same snapshot
again writes nothing, and concurrent updates write the same resources.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from adapters.values import Component
from tmf_apis.errors import NotFound
from tmf_apis.inventory.elements import ports_by_key
from tmf_apis.inventory.ports import PORT_CATEGORIES, element_id_of
from tmf_apis.reconciliation import merge
from tmf_apis.reconciliation.component_matching import match_components
from tmf_apis.reconciliation.matching import ElementIndex, deterministic_id, new_element_id
from tmf_apis.reconciliation.snapshots import MAX_COMPONENTS, Snapshot
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.policy import Repository, Resource

RESOURCE_KIND = "Resource"
#: Maximum depth of nested components that is read.
MAX_DEPTH = 16

Edit = Callable[[Resource], Resource]


@dataclass(frozen=True, slots=True)
class StoredElement:
    """An element in the inventory.

    Attributes:
        element: Its resource.
        ports: Ids of the port resources by natural key.
        status: "created", "updated" or "unchanged".
        write_count: Number of resources that were created or changed.
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
    """A resource to create (``old`` is None) or to change."""

    id: str
    old: Resource | None
    edit: Edit

    @property
    def new(self) -> Resource:
        """The resource after the edit."""
        return self.edit(self.old or {"id": self.id})


def store_snapshot(
    repository: Repository,
    snapshot: Snapshot,
    known_element: Resource | None,
    index: ElementIndex,
    name: str = "",
) -> StoredElement:
    """Create or update an element and its parts in the inventory.

    Args:
        repository: Repository of the tenant.
        snapshot: The element as it was read.
        known_element: Resource of the element; None: it is new.
        index: All elements of the inventory; the written element is put into it.
        name: Name of a new element; empty: its system name.
    """
    id = (
        known_element["id"] if known_element else new_element_id(repository.tenant, snapshot, index)
    )
    name = name or _unique_name(snapshot, index)
    edit = partial(merge.merged_element, snapshot=snapshot, name=name)
    element = edit(known_element or {"id": id})
    part_edits = dict(_part_edits(repository, snapshot, known_element, element))
    contents: dict[str, dict[str, Resource]] = defaultdict(dict)
    for part_edit in part_edits.values():
        new = part_edit.new
        contents[element_id_of(new)][part_edit.id] = new
    part_writes = _write_edits(
        repository, [_with_contents(part_edit, contents) for part_edit in part_edits.values()]
    )
    element_writes = _write_edits(
        repository, [_with_contents(_ResourceEdit(id, known_element, edit), contents)]
    )
    index.put(repository.get(RESOURCE_KIND, id) if element_writes else element)
    status = (
        "created"
        if not known_element
        else "updated"
        if part_writes or element_writes
        else "unchanged"
    )
    ports = {port.name: _port_id(repository, id, port.name, part_edits) for port in snapshot.ports}
    return StoredElement(index.by_id[id], ports, status, part_writes + element_writes)


def _with_contents(
    resource_edit: _ResourceEdit, contents: Mapping[str, Mapping[str, Resource]]
) -> _ResourceEdit:
    """Return an edit that also writes the "contains" relationships of its resource."""
    content = contents.get(resource_edit.id, {})

    def edit_with_contents(old: Resource) -> Resource:
        return merge.with_contents(resource_edit.edit(old), content)

    return replace(resource_edit, edit=edit_with_contents) if content else resource_edit


def _unique_name(snapshot: Snapshot, index: ElementIndex) -> str:
    """Return a name for a new element that no other element has."""
    facts, address = snapshot.facts, snapshot.target.address
    own = facts.name or address
    for name in (own, f"{own} {facts.serial or address}", f"{own} {address}"):
        if not index.by_name(name):
            return name
    return f"{own} {address} {facts.serial}"


def _port_id(
    repository: Repository, element: str, name: str, parts: Mapping[str, _ResourceEdit]
) -> str:
    port_edit = parts.get(f"port:{name}")
    return port_edit.id if port_edit else deterministic_id(repository.tenant, f"{element}/{name}")


def _part_edits(
    repository: Repository, snapshot: Snapshot, known_element: Resource | None, element: Resource
) -> Iterator[tuple[str, _ResourceEdit]]:
    """Yield the edits of components and ports by key, including those that are now missing."""
    old_name = str((known_element or element).get("name"))
    yield from _component_edits(repository, snapshot, known_element, element)
    ports = ports_by_key(repository, element["id"]) if known_element else {}
    for port in snapshot.ports:
        old = ports.pop(port.name, None)
        if old is None and known_element and "name" in port.unread:
            continue  # it is in the inventory by its own name
        id = (
            old["id"]
            if old
            else deterministic_id(repository.tenant, f"{element['id']}/{port.name}")
        )
        edit = partial(
            merge.merged_port,
            element=element,
            port=port,
            snapshot=snapshot,
            old_element_name=old_name,
        )
        yield f"port:{port.name}", _ResourceEdit(id, old, edit)
    if "ports" not in snapshot.unread and not any("name" in p.unread for p in snapshot.ports):
        yield from _missing_edits(repository, ports.values())


def _component_edits(
    repository: Repository, snapshot: Snapshot, known_element: Resource | None, element: Resource
) -> Iterator[tuple[str, _ResourceEdit]]:
    """Yield the edits of components; none if some of them could not be read.

    The name of a component depends on those of others, so a part of them identifies none.
    """
    components = _stored_components(repository, element["id"]) if known_element else []
    if components and "components" in snapshot.unread:
        return
    matches = match_components(snapshot.components, components)
    used_ids = {component["id"] for component in components}
    containers = {"": element}
    for part in snapshot.components:
        old = matches.get(part.name)
        if old is None and components and "name" in part.unread:
            continue  # it is in the inventory by its own name
        id = old["id"] if old else _new_component_id(repository, element, part, used_ids)
        used_ids.add(id)
        edit = _component_edit(containers.get(part.parent, element), part, element)
        part_edit = _ResourceEdit(id, old, edit)
        containers[part.name] = part_edit.new
        yield f"part:{part.name}", part_edit
    if not any("name" in part.unread for part in snapshot.components):
        matched_ids = {component["id"] for component in matches.values()}
        missing = [component for component in components if component["id"] not in matched_ids]
        yield from _missing_edits(repository, missing)


def _new_component_id(
    repository: Repository, element: Resource, part: Component, used_ids: set[str]
) -> str:
    """Return the id of a new component, which is the same in concurrent discoveries."""
    name = f"{element['id']}/part:{part.name}"
    for key in (name, f"{name}/{part.place}", f"{name}/{part.place}/{part.serial}"):
        id = deterministic_id(repository.tenant, key)
        if id not in used_ids:
            return id
    return str(uuid.uuid4())


def _missing_edits(
    repository: Repository, resources: Iterable[Resource]
) -> Iterator[tuple[str, _ResourceEdit]]:
    edit = partial(merge.marked_missing, since=rfc3339(repository.now))
    for old in resources:
        yield f"gone:{old['id']}", _ResourceEdit(old["id"], old, edit)


def _component_edit(container: Resource, part: Component, element: Resource) -> Edit:
    return partial(
        merge.merged_component, container=container, part=part, element_name=str(element["name"])
    )


def _stored_components(repository: Repository, element: str) -> list[Resource]:
    """Return the components of an element, in order of their depth."""
    components: list[Resource] = []
    level = [element]
    for _ in range(MAX_DEPTH):
        query = {
            "resourceRelationship.resource.id": {"$in": level},
            "category": {"$nin": PORT_CATEGORIES},
            "resourceCharacteristic.name": merge.COMPONENT_NAME,
        }
        contained = [
            resource
            for resource in repository.for_network(None).find(
                RESOURCE_KIND, query, limit=MAX_COMPONENTS
            )
            if element_id_of(resource) in set(level)
        ]
        level = [resource["id"] for resource in contained]
        components += contained
        if not level:
            break
    return components


def _write_edits(repository: Repository, edits: list[_ResourceEdit]) -> int:
    """Create and change resources; return the number of resources that were written."""
    creations = [resource_edit for resource_edit in edits if resource_edit.old is None]
    existing_ids = (
        repository.create_many(RESOURCE_KIND, [resource_edit.new for resource_edit in creations])
        if creations
        else set[str]()
    )
    count = len(creations) - len(existing_ids)
    for resource_edit in edits:
        if resource_edit.old is None:
            if resource_edit.id in existing_ids:  # a concurrent update was faster
                repository.change(RESOURCE_KIND, resource_edit.id, resource_edit.edit)
        elif resource_edit.new != resource_edit.old:
            try:
                repository.change(RESOURCE_KIND, resource_edit.id, resource_edit.edit)
            except NotFound:  # deleted by a person in the meantime
                continue
            count += 1
    return count
