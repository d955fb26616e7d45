"""What an SNMP element is made of: its chassis and cards, from the rows of ENTITY-MIB; no I/O.

Source: RFC 6933 (entPhysicalTable).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from adapters import mib
from adapters.ports import number, text
from adapters.values import Component
from adapters.wire.ber import Value

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
KINDS = {
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
class _Row:
    index: str
    parent: str
    place: int
    kind: str
    component: Component


def components(table: Table) -> tuple[Component, ...]:
    """Return the components in the rows of entPhysicalTable, each after the one it is in.

    What is in a slot is in the chassis that has the slot. A row that contains itself, however
    far around, stands alone: agents do have such rows. Names are made unique by what they are in.
    """
    rows = {index: _row(index, table) for index in table[mib.ENT_CLASS]}
    kept = {index: row for index, row in rows.items() if row.kind}
    parents = {index: _parent(index, rows) for index in kept}
    children: dict[str, list[_Row]] = {}
    for index, row in kept.items():
        children.setdefault(parents[index], []).append(row)
    names: set[str] = set()
    return tuple(_tree("", "", children, names))


def first_chassis(classes: Mapping[str, Value]) -> str:
    """Return the index of the first chassis; empty: there is none."""
    return next((index for index, kind in classes.items() if kind == CHASSIS), "")


def _row(index: str, table: Table) -> _Row:
    def said(column: str) -> str:
        return text(table[column].get(index)).strip("\0 ")

    kind = KINDS.get(number(table[mib.ENT_CLASS].get(index)), "")
    place = number(table[mib.ENT_PARENT_REL_POS].get(index))
    component = Component(
        name=said(mib.ENT_NAME) or said(mib.ENT_DESCR) or f"{kind} {max(place, 0)}",
        kind=kind,
        model=said(mib.ENT_MODEL_NAME),
        serial=said(mib.ENT_SERIAL_NUM),
        software=said(mib.ENT_SOFTWARE_REV) or said(mib.ENT_FIRMWARE_REV),
    )
    parent = str(number(table[mib.ENT_CONTAINED_IN].get(index)))
    return _Row(index, parent, place, kind, component)


def _parent(index: str, rows: Mapping[str, _Row]) -> str:
    """Return the nearest component that a row is in; empty: none."""
    seen, at = {index}, rows[index].parent
    while at in rows and at not in seen:
        if rows[at].kind:
            return "" if _circular(at, rows) else at
        seen.add(at)
        at = rows[at].parent
    return ""


def _circular(index: str, rows: Mapping[str, _Row]) -> bool:
    seen: set[str] = set()
    while index in rows:
        if index in seen:
            return True
        seen.add(index)
        index = rows[index].parent
    return False


def _tree(
    parent: str, name: str, children: Mapping[str, list[_Row]], names: set[str]
) -> Iterator[Component]:
    waiting = [(row, name) for row in _ordered(children, parent)]
    while waiting:
        row, inside = waiting.pop(0)
        own = _unique(row, inside, names)
        names.add(own)
        yield replace(row.component, name=own, parent=inside)
        waiting = [(child, own) for child in _ordered(children, row.index)] + waiting


def _ordered(children: Mapping[str, list[_Row]], parent: str) -> list[_Row]:
    return sorted(children.get(parent, ()), key=lambda row: (row.place, len(row.index), row.index))


def _unique(row: _Row, inside: str, names: set[str]) -> str:
    """Return a name that no other component has; the agent's index is not stable over restarts."""
    own = row.component.name
    choices = (own, f"{inside}/{own}", f"{inside}/{own} {row.place}")
    for choice in choices:
        if choice not in names:
            return choice
    count = 2
    while f"{choices[-1]} #{count}" in names:
        count += 1
    return f"{choices[-1]} #{count}"
