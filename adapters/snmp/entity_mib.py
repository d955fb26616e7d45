"""What an SNMP element is made of: its chassis and cards, from the rows of ENTITY-MIB; no I/O.

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
#: PhysicalClass; ports are in ``Inventory.ports``, slots and sensors are left out.
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
    """Return the components in the rows of entPhysicalTable, each after the one it is in.

    What is in a slot is in the chassis that has the slot. A row that contains itself, however
    far around, stands alone: agents do have such rows. Names are made unique by what they are in.
    """
    rows = {index: _entity(index, table) for index in table[mib.ENT_CLASS]}
    kept = {index: row for index, row in rows.items() if row.kind}
    parents = {index: _parent_index(index, rows) for index in kept}
    children: dict[str, list[_Entity]] = {}
    for index, row in kept.items():
        children.setdefault(parents[index], []).append(row)
    names: set[str] = set()
    return tuple(_walk_tree("", "", children, names))


def first_chassis_index(classes: Mapping[str, Value]) -> str:
    """Return the index of the first chassis; empty: there is none."""
    return next((index for index, kind in classes.items() if kind == CHASSIS), "")


def _entity(index: str, table: Table) -> _Entity:
    def said(column: str) -> str:
        return as_text(table[column].get(index)).strip("\0 ")

    kind = PHYSICAL_CLASSES.get(as_int(table[mib.ENT_CLASS].get(index)), "")
    place = as_int(table[mib.ENT_PARENT_REL_POS].get(index))
    component = Component(
        name=said(mib.ENT_NAME) or said(mib.ENT_DESCR) or f"{kind} {max(place, 0)}",
        kind=kind,
        model=said(mib.ENT_MODEL_NAME),
        serial=said(mib.ENT_SERIAL_NUM),
        software=said(mib.ENT_SOFTWARE_REV) or said(mib.ENT_FIRMWARE_REV),
    )
    parent = str(as_int(table[mib.ENT_CONTAINED_IN].get(index)))
    return _Entity(index, parent, place, kind, component)


def _parent_index(index: str, rows: Mapping[str, _Entity]) -> str:
    """Return the nearest component that a row is in; empty: none."""
    seen, at = {index}, rows[index].parent
    while at in rows and at not in seen:
        if rows[at].kind:
            return "" if _is_circular(at, rows) else at
        seen.add(at)
        at = rows[at].parent
    return ""


def _is_circular(index: str, rows: Mapping[str, _Entity]) -> bool:
    seen: set[str] = set()
    while index in rows:
        if index in seen:
            return True
        seen.add(index)
        index = rows[index].parent
    return False


def _walk_tree(
    parent: str, parent_name: str, children: Mapping[str, list[_Entity]], names: set[str]
) -> Iterator[Component]:
    waiting = [(row, parent_name) for row in _sorted_children(children, parent)]
    while waiting:
        row, inside = waiting.pop(0)
        own = _unique_name(row, inside, names)
        names.add(own)
        yield replace(row.component, name=own, parent=inside)
        waiting = [(child, own) for child in _sorted_children(children, row.index)] + waiting


def _sorted_children(children: Mapping[str, list[_Entity]], parent: str) -> list[_Entity]:
    return sorted(
        children.get(parent, ()), key=lambda row: (row.position, len(row.index), row.index)
    )


def _unique_name(row: _Entity, parent_name: str, names: set[str]) -> str:
    """Return a name that no other component has; the agent's index is not stable over restarts."""
    own = row.component.name
    choices = (own, f"{parent_name}/{own}", f"{parent_name}/{own} {row.position}")
    for choice in choices:
        if choice not in names:
            return choice
    count = 2
    while f"{choices[-1]} #{count}" in names:
        count += 1
    return f"{choices[-1]} #{count}"
