"""The components of an SNMP element, computed from the rows of ENTITY-MIB; no I/O.

Source: RFC 6933 (entPhysicalTable).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from adapters.snmp import mib
from adapters.snmp.walk import Column, unread_rows
from adapters.snmp.wire.ber import Value, as_int, as_name
from adapters.values import Component

Table = Mapping[str, Mapping[str, Value]]
#: Returns whether a cell could not be read: column, index.
UnreadTest = Callable[[str, str], bool]

COLUMNS = (
    mib.ENT_CLASS,
    mib.ENT_CONTAINED_IN,
    mib.ENT_PARENT_REL_POS,
    mib.ENT_NAME,
    mib.ENT_DESCR,
    mib.ENT_MODEL_NAME,
    mib.ENT_SERIAL_NUM,
    mib.ENT_SOFTWARE_REV,
    mib.ENT_FIRMWARE_REV,
)
CHASSIS = 3
#: PhysicalClass -> kind. Ports are in ``Inventory.ports``; slots and sensors are omitted.
PHYSICAL_CLASSES = {
    1: "other",
    CHASSIS: "chassis",
    6: "powerSupply",
    7: "fan",
    9: "card",
    11: "stack",
    12: "processor",
    14: "battery",
    15: "storage",
}


#: Attribute of a component -> columns that it is read from.
UNREAD_ATTRIBUTES = {
    "name": (mib.ENT_NAME, mib.ENT_DESCR),
    "parent": (mib.ENT_CONTAINED_IN, mib.ENT_PARENT_REL_POS),
    "model": (mib.ENT_MODEL_NAME,),
    "serial": (mib.ENT_SERIAL_NUM,),
    "software": (mib.ENT_SOFTWARE_REV, mib.ENT_FIRMWARE_REV),
}
#: Maximum length of a text before it is completed.
NAME_LENGTH = 100
#: Maximum depth of nested entities of which the positions are read.
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class _Entity:
    index: str
    parent: str
    position: int
    kind: str
    component: Component


def components(
    table: Table, is_unread: UnreadTest = lambda _column, _index: False
) -> tuple[Component, ...]:
    """Return the components of entPhysicalTable, each after the one that contains it.

    A component in a slot belongs to the chassis of the slot. An entity that contains itself,
    directly or through others, has no parent: some agents report such rows. The
    parent's name is prepended where a name is not unique.
    """
    entities = {index: _entity(index, table, is_unread) for index in table[mib.ENT_CLASS]}
    children: dict[str, list[_Entity]] = {}
    for index, entity in entities.items():
        if entity.kind:
            children.setdefault(_parent_index(index, entities), []).append(entity)
    places = {index: _place(index, entities) for index in entities}
    return tuple(_walk_tree(children, places))


def missing_rows(walk: Mapping[str, Column]) -> str:
    """Return why components may be missing; empty if all were read."""
    rows = {instance for column in walk.values() for instance in column.instances}
    if unknown := rows - set(walk[mib.ENT_CLASS].cells):
        column = walk[mib.ENT_CLASS]
        blank = next((column.blanks[row] for row in sorted(unknown) if row in column.blanks), "")
        return blank or column.problem or f"{len(unknown)} of {len(rows)} rows have no class"
    return unread_rows(walk.values(), rows)


def first_chassis_index(classes: Mapping[str, Value]) -> str:
    """Return the index of the first chassis; empty if there is none."""
    return next((index for index, kind in classes.items() if kind == CHASSIS), "")


def _entity(index: str, table: Table, is_unread: UnreadTest) -> _Entity:
    def text(column: str) -> str:
        return as_name(table[column].get(index))[:NAME_LENGTH]

    def number(column: str) -> int:
        return as_int(table[column].get(index))

    kind, position = PHYSICAL_CLASSES.get(number(mib.ENT_CLASS), ""), number(mib.ENT_PARENT_REL_POS)
    component = Component(
        name=text(mib.ENT_NAME) or text(mib.ENT_DESCR) or f"{kind} {max(position, 0)}",
        kind=kind,
        model=text(mib.ENT_MODEL_NAME),
        serial=text(mib.ENT_SERIAL_NUM),
        software=text(mib.ENT_SOFTWARE_REV) or text(mib.ENT_FIRMWARE_REV),
        unread=frozenset(
            attribute
            for attribute, columns in UNREAD_ATTRIBUTES.items()
            if any(is_unread(column, index) for column in columns)
        ),
    )
    return _Entity(index, str(number(mib.ENT_CONTAINED_IN)), position, kind, component)


def _parent_index(index: str, entities: Mapping[str, _Entity]) -> str:
    """Return the index of the nearest component that contains an entity; empty if there is none."""
    visited, parent = {index}, entities[index].parent
    while parent in entities and parent not in visited:
        if entities[parent].kind:
            return "" if _is_circular(parent, entities) else parent
        visited.add(parent)
        parent = entities[parent].parent
    return ""


def _is_circular(index: str, entities: Mapping[str, _Entity]) -> bool:
    """Return whether the parents of an entity form a cycle."""
    visited: set[str] = set()
    while index in entities:
        if index in visited:
            return True
        visited.add(index)
        index = entities[index].parent
    return False


def _walk_tree(
    children: Mapping[str, list[_Entity]], places: Mapping[str, str]
) -> Iterator[Component]:
    """Yield the components depth first, with unique names.

    Args:
        children: The entities by the index of the component that contains them.
        places: The places by index.
    """
    counts = Counter(places[entity.index] for group in children.values() for entity in group)
    names: set[str] = set()
    queue = [(entity, "") for entity in _sorted_children(children, "")]
    while queue:
        entity, parent_name = queue.pop(0)
        name = _unique_name(entity, parent_name, names)
        names.add(name)
        place = places[entity.index]
        place += f" #{entity.index}" if counts[place] > 1 else ""
        yield replace(entity.component, name=name, parent=parent_name, place=place)
        queue = [(child, name) for child in _sorted_children(children, entity.index)] + queue


def _place(index: str, entities: Mapping[str, _Entity]) -> str:
    """Return the positions from the outermost container to an entity, and the entity's name.

    They stay when other components come or go, and when the agent assigns other indexes.
    """
    positions: list[str] = []
    name, visited = entities[index].component.name, set[str]()
    while index in entities and index not in visited and len(visited) < MAX_DEPTH:
        visited.add(index)
        positions.insert(0, str(entities[index].position))
        index = entities[index].parent
    return f"{'/'.join(positions)} {name}"


def _sorted_children(children: Mapping[str, list[_Entity]], parent: str) -> list[_Entity]:
    return sorted(
        children.get(parent, ()),
        key=lambda entity: (entity.position, len(entity.index), entity.index),
    )


def _unique_name(entity: _Entity, parent_name: str, names: set[str]) -> str:
    """Return a name that no other component has, and that does not contain the index.

    The agent may assign another index after a restart.
    """
    name, parent_name = entity.component.name, parent_name[-NAME_LENGTH:]
    choices = (name, f"{parent_name}/{name}", f"{parent_name}/{name} {entity.position}")
    for choice in choices:
        if choice not in names:
            return choice
    number = 2
    while f"{choices[-1]} #{number}" in names:
        number += 1
    return f"{choices[-1]} #{number}"
