"""The components of an SNMP element, computed from the rows of ENTITY-MIB; no I/O.

Source: RFC 6933 (entPhysicalTable).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from adapters.snmp import mib
from adapters.snmp.wire.ber import Value, as_int, as_text
from adapters.values import Component

Table = Mapping[str, Mapping[str, Value]]

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


@dataclass(frozen=True, slots=True)
class _Entity:
    index: str
    parent: str
    position: int
    kind: str
    component: Component


def components(table: Table) -> tuple[Component, ...]:
    """Return the components of entPhysicalTable, each after the one that contains it.

    A component in a slot belongs to the chassis of the slot. An entity that contains itself,
    directly or through others, has no parent: some agents report such rows. The parent's name is
    prepended where a name is not unique.
    """
    entities = {index: _entity(index, table) for index in table[mib.ENT_CLASS]}
    children: dict[str, list[_Entity]] = {}
    for index, entity in entities.items():
        if entity.kind:
            children.setdefault(_parent_index(index, entities), []).append(entity)
    return tuple(_walk_tree(children))


def first_chassis_index(classes: Mapping[str, Value]) -> str:
    """Return the index of the first chassis; empty if there is none."""
    return next((index for index, kind in classes.items() if kind == CHASSIS), "")


def _entity(index: str, table: Table) -> _Entity:
    def text(column: str) -> str:
        return as_text(table[column].get(index)).strip("\0 ")

    kind = PHYSICAL_CLASSES.get(as_int(table[mib.ENT_CLASS].get(index)), "")
    position = as_int(table[mib.ENT_PARENT_REL_POS].get(index))
    component = Component(
        name=text(mib.ENT_NAME) or text(mib.ENT_DESCR) or f"{kind} {max(position, 0)}",
        kind=kind,
        model=text(mib.ENT_MODEL_NAME),
        serial=text(mib.ENT_SERIAL_NUM),
        software=text(mib.ENT_SOFTWARE_REV) or text(mib.ENT_FIRMWARE_REV),
    )
    parent = str(as_int(table[mib.ENT_CONTAINED_IN].get(index)))
    return _Entity(index, parent, position, kind, component)


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


def _walk_tree(children: Mapping[str, list[_Entity]]) -> Iterator[Component]:
    """Yield the components depth first, with unique names; ``children`` is by parent index."""
    names: set[str] = set()
    queue = [(entity, "") for entity in _sorted_children(children, "")]
    while queue:
        entity, parent_name = queue.pop(0)
        name = _unique_name(entity, parent_name, names)
        names.add(name)
        yield replace(entity.component, name=name, parent=parent_name)
        queue = [(child, name) for child in _sorted_children(children, entity.index)] + queue


def _sorted_children(children: Mapping[str, list[_Entity]], parent: str) -> list[_Entity]:
    return sorted(
        children.get(parent, ()),
        key=lambda entity: (entity.position, len(entity.index), entity.index),
    )


def _unique_name(entity: _Entity, parent_name: str, names: set[str]) -> str:
    """Return a name that no other component has, and that does not contain the index.

    The agent may assign another index after a restart.
    """
    name = entity.component.name
    choices = (name, f"{parent_name}/{name}", f"{parent_name}/{name} {entity.position}")
    for choice in choices:
        if choice not in names:
            return choice
    number = 2
    while f"{choices[-1]} #{number}" in names:
        number += 1
    return f"{choices[-1]} #{number}"
