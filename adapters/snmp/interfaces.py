"""The interfaces of an SNMP element, computed from rows of IF-MIB as real agents fill them; no I/O.

An agent may lack ifXTable, and names may be empty, the same for several interfaces or padded.

Source: RFC 2863.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from adapters.snmp import mib
from adapters.snmp.walk import Column, unread_rows
from adapters.snmp.wire.ber import Value, as_int, as_name, as_text
from adapters.values import Port

MEGABIT = 1_000_000
COLUMNS = (
    mib.IF_DESCR,
    mib.IF_TYPE,
    mib.IF_SPEED,
    mib.IF_PHYS_ADDRESS,
    mib.IF_ADMIN_STATUS,
    mib.IF_OPER_STATUS,
    mib.IF_NAME,
    mib.IF_HIGH_SPEED,
    mib.IF_ALIAS,
)
#: ifSpeed of an interface that is too fast for it.
SATURATED_SPEED = 2**32 - 1
#: Speeds above this are nonsense, in Mbit/s.
MAX_SPEED = 10**9
#: Maximum length of a name before it is made unique.
NAME_LENGTH = 200
TEXT_MAC = re.compile(r"[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}", re.IGNORECASE)

#: Octet counters of 64 bits -> those of 32 bits, which every element has.
NARROW_COUNTERS = {
    mib.IF_HC_IN_OCTETS: mib.IF_IN_OCTETS,
    mib.IF_HC_OUT_OCTETS: mib.IF_OUT_OCTETS,
}
Walk = dict[str, Column]


def indexes(walk: Walk) -> list[str]:
    """Return the ifIndex of each interface, in order; other instances are nonsense."""
    instances = {
        instance
        for column in walk.values()
        for instance in column.instances
        if instance.isdecimal()
    }
    return sorted(instances, key=int)


def port_names(
    names: Mapping[str, Value], descriptions: Mapping[str, Value], rows: Iterable[str]
) -> dict[str, str]:
    """Return a unique name for each interface by ifIndex.

    It is ifName or else ifDescr; those of several interfaces with the same name are completed by
    ifDescr or by the index.

    >>> port_names({"1": b"eth", "2": b"eth", "3": b""}, {"1": b"a", "2": b"b", "3": b"c"}, "123")
    {'1': 'eth (a)', '2': 'eth (b)', '3': 'c'}
    """
    descriptions = {index: as_name(value)[:NAME_LENGTH] for index, value in descriptions.items()}
    base = {
        index: as_name(names.get(index))[:NAME_LENGTH]
        or str(descriptions.get(index) or f"ifIndex {index}")
        for index in rows
    }
    used = Counter(base.values())
    choices = {
        index: name
        if used[name] == 1
        else f"{name} ({str(descriptions.get(index) or '')[: 250 - len(name)]})"
        if descriptions.get(index, name) not in {name, ""}
        else f"{name} (ifIndex {index})"
        for index, name in base.items()
    }
    used = Counter(choices.values())
    return {
        index: name if used[name] == 1 else f"{base[index]} (ifIndex {index})"
        for index, name in choices.items()
    }


def names(walk: Walk) -> dict[str, str]:
    """Return the names of interfaces by ifIndex, without those whose names could not be read."""
    names_by_index = port_names(walk[mib.IF_NAME].cells, walk[mib.IF_DESCR].cells, indexes(walk))
    return {
        index: name
        for index, name in names_by_index.items()
        if not walk[mib.IF_NAME].is_unread(index)
    }


def counter_value(walk: Walk, column: str, index: str) -> Value:
    """Return a counter of an interface; None if it has none or it could not be read."""
    narrow = NARROW_COUNTERS.get(column, "")
    if narrow in walk and index not in walk[column].cells and not walk[column].is_unread(index):
        return walk[narrow].cells.get(index)
    return walk[column].cells.get(index)


def ports(walk: Walk) -> list[Port]:
    """Return every interface except loopbacks, ordered by name; none of them is an access port."""
    rows = indexes(walk)
    names = port_names(walk[mib.IF_NAME].cells, walk[mib.IF_DESCR].cells, rows)
    interfaces = [
        _port(index, names[index], walk)
        for index in rows
        if walk[mib.IF_TYPE].cells.get(index) != mib.SOFTWARE_LOOPBACK
    ]
    return sorted(interfaces, key=lambda port: port.name)


def _port(index: str, name: str, walk: Walk) -> Port:
    cells = {oid: column.cells.get(index) for oid, column in walk.items()}
    description = as_name(cells[mib.IF_DESCR])
    return Port(
        name=name,
        index=index,
        tag=as_text(cells[mib.IF_ALIAS]),
        enabled=cells[mib.IF_ADMIN_STATUS] == mib.UP,
        up=cells[mib.IF_OPER_STATUS] == mib.UP,
        speed=_speed(cells[mib.IF_HIGH_SPEED], cells[mib.IF_SPEED]),
        mac=_mac_address(cells[mib.IF_PHYS_ADDRESS]),
        access=False,
        description="" if description == name else description,
        state=mib.OPER_STATES.get(as_int(cells[mib.IF_OPER_STATUS]), ""),
        alias=as_name(cells[mib.IF_ALIAS]),
        unread=frozenset(_unread_attributes(index, walk)),
    )


def _unread_attributes(index: str, walk: Walk) -> Iterable[str]:
    attributes = {
        "name": (mib.IF_NAME,),
        "up": (mib.IF_OPER_STATUS,),
        "enabled": (mib.IF_ADMIN_STATUS,),
        "mac": (mib.IF_PHYS_ADDRESS,),
        "tag": (mib.IF_ALIAS,),
        "alias": (mib.IF_ALIAS,),
        "description": (mib.IF_DESCR,),
    }
    for attribute, columns in attributes.items():
        if any(walk[column].is_unread(index) for column in columns):
            yield attribute
    if index not in walk[mib.IF_OPER_STATUS].cells:
        yield "up"
    if index not in walk[mib.IF_ADMIN_STATUS].cells:
        yield "enabled"
    if not walk[mib.IF_NAME].cells and walk[mib.IF_DESCR].is_unread(index):
        yield "name"
    is_high_unread = walk[mib.IF_HIGH_SPEED].is_unread(index)
    if is_high_unread or (
        walk[mib.IF_SPEED].is_unread(index) and not walk[mib.IF_HIGH_SPEED].cells.get(index)
    ):
        yield "speed"


def _speed(high_speed: Value, speed: Value) -> int:
    """Return the speed in bits per second; 0 if the agent does not report it."""
    if 0 < as_int(high_speed) <= MAX_SPEED:
        return as_int(high_speed) * MEGABIT
    return as_int(speed) if 0 < as_int(speed) < SATURATED_SPEED else 0


def _mac_address(value: Value) -> str:
    if not isinstance(value, bytes) or not any(value):
        return ""
    text = as_name(value)
    if TEXT_MAC.fullmatch(text):
        return ":".join(octet.zfill(2) for octet in re.split("[:-]", text.lower()))
    return value.hex(":")


def missing_rows(walk: Walk, count: Value) -> str:
    """Return why interfaces may be missing; empty if all were read.

    Args:
        walk: The columns.
        count: ifNumber.
    """
    rows = set(indexes(walk))
    if as_int(count) > len(rows):
        return f"{len(rows)} of {as_int(count)} rows"
    return unread_rows(walk.values(), rows) if rows else "no rows"
