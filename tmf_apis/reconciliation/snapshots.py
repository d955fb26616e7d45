"""What an element says of itself, read as a whole and looked through before any of it is used.

An element may lie: names twice, things without end, parts inside themselves, answers that change
while it is read. What cannot be made sense of is in doubt as a whole; what is merely odd is left
out and told of.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from adapters.base import Adapter
from adapters.values import Component, Facts, Inventory, Neighbour, Port, Target
from tmf_apis.inventory.ports import ACCESS_GATEWAY, ACCESS_PORT

#: Most ports and most other parts of one element, and the longest name of anything.
MAX_PORTS, MAX_COMPONENTS, MAX_NAME_LENGTH = 4096, 4096, 255
#: Longest time in which one element must have told everything, in seconds.
READ_TIMEOUT = 120.0
#: Serial numbers that makers leave in when they have none; compared in small letters.
PLACEHOLDER_SERIALS = frozenset(
    {"", "0", "n/a", "na", "none", "null", "unknown", "default", "default string", "not specified"}
    | {"to be filled by o.e.m.", "system serial number", "serial", "123456789", "1234567890"}
)


class InconsistentSnapshot(Exception):
    """An element contradicts itself or others; nothing of what it says is used."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An element as it shows itself.

    Attributes:
        target: How it was reached.
        facts: What it is; its serial may be that of its chassis.
        ports: Its ports, ordered by name.
        components: Its parts, a part after the one that it is in.
        neighbours: Who is at the other ends of its cables, at most one a port.
        anomalies: What was left out, for people.
        category: Of the element in the inventory, where it is new.
        port_category: Likewise of its ports that carry services.
        place: Where it is, where whoever asked has said so.
    """

    target: Target
    facts: Facts
    ports: tuple[Port, ...]
    components: tuple[Component, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    anomalies: tuple[str, ...] = ()
    category: str = ACCESS_GATEWAY
    port_category: str = ACCESS_PORT
    place: dict[str, str] | None = field(default=None, compare=False)

    @property
    def serial(self) -> str:
        """Serial number; empty where it has none that says anything."""
        return self.facts.serial


async def read_snapshot(adapter: Adapter, facts: Facts | None = None) -> Snapshot:
    """Return the whole of an element.

    Args:
        adapter: It is open.
        facts: What it said it is a moment ago, where it was asked already.

    Raises:
        ElementError: It does not answer, or refuses.
        Doubtful: It contradicts itself.
        TimeoutError: It did not come to an end in two minutes.
    """
    async with asyncio.timeout(READ_TIMEOUT):
        before = facts or await adapter.probe()
        seen = await adapter.inventory()
    if _identity(before) != _identity(seen.facts) or seen.facts.uptime < before.uptime:
        raise InconsistentSnapshot("it changed or started anew while it was read")
    return replace(
        validated_snapshot(adapter.target, seen),
        category=getattr(adapter, "category", ACCESS_GATEWAY),
        port_category=getattr(adapter, "port_category", ACCESS_PORT),
    )


def validated_snapshot(target: Target, inventory: Inventory) -> Snapshot:
    """Return what an element has said, looked through.

    Raises:
        Doubtful: It contradicts itself.
    """
    if len(inventory.ports) > MAX_PORTS or len(inventory.components) > MAX_COMPONENTS:
        raise InconsistentSnapshot(
            f"it claims {len(inventory.ports)} ports and {len(inventory.components)} other parts; "
            f"at most {MAX_PORTS} and {MAX_COMPONENTS} are believed"
        )
    _check_names("port", (one.name for one in inventory.ports))
    _check_names("part", (one.name for one in inventory.components))
    odd: list[str] = []
    components = _ordered_components(inventory.components, odd)
    ports = tuple(
        _cleaned_port(one, odd) for one in sorted(inventory.ports, key=lambda port: port.name)
    )
    facts = replace(
        inventory.facts,
        name=_cleaned_text(inventory.facts.name),
        serial=_cleaned_serial(inventory.facts.serial),
    )
    if not facts.serial:
        facts = replace(facts, serial=_chassis_serial(components))
    neighbours = _neighbours(inventory.neighbours, {one.name for one in ports}, odd)
    return Snapshot(target, facts, ports, components, neighbours, tuple(odd))


def _identity(facts: Facts) -> tuple[object, ...]:
    return facts.name, facts.serial, facts.vendor, facts.model, facts.boots


def _check_names(what: str, names: Iterable[str]) -> None:
    counted = Counter(names)
    for name, count in counted.items():
        if count > 1:
            raise InconsistentSnapshot(f"{count} of its {what}s are called {name[:80]!r}")
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise InconsistentSnapshot(f"one of its {what}s is called {name[:80]!r}")


def _ordered_components(
    components: Iterable[Component], anomalies: list[str]
) -> tuple[Component, ...]:
    """Return the parts from the outside in; those inside themselves hang on the element."""
    waiting = {one.name: one for one in sorted(components, key=lambda part: part.name)}
    found: dict[str, Component] = {}
    while waiting:
        ready = [one for one in waiting.values() if one.parent not in waiting]
        if not ready:
            first = next(iter(waiting.values()))
            anomalies.append(f"part {first.name} is inside itself")
            ready = [replace(first, parent="")]
        for one in ready:
            if one.parent and one.parent not in found:
                anomalies.append(f"part {one.name} is in {one.parent}, which is not there")
            parent = one.parent if one.parent in found else ""
            found[one.name] = replace(
                one,
                parent=parent,
                model=_cleaned_text(one.model),
                serial=_cleaned_serial(one.serial),
                software=_cleaned_text(one.software),
            )
            del waiting[one.name]
    return tuple(found.values())


def _cleaned_port(port: Port, anomalies: list[str]) -> Port:
    addresses = []
    for text in port.addresses:
        try:
            addresses.append(str(ipaddress.ip_interface(text)))
        except ValueError:
            anomalies.append(f"port {port.name} has the address {text[:80]!r}")
    bare = [text.removesuffix("/32").removesuffix("/128") for text in addresses]
    return replace(port, mac=_cleaned_text(port.mac), addresses=tuple(sorted(set(bare))))


def _neighbours(
    neighbours: Iterable[Neighbour], ports: set[str], anomalies: list[str]
) -> tuple[Neighbour, ...]:
    found: dict[str, Neighbour] = {}
    several = set[str]()
    for one in sorted(neighbours, key=lambda n: (n.port, n.system, n.chassis, n.remote_port)):
        if one.port not in ports:
            anomalies.append(f"a neighbour is at port {one.port[:80]!r}, which is not there")
        elif one.port in found:
            several.add(one.port)
        else:
            texts = (
                _cleaned_text(one.system),
                _cleaned_text(one.chassis),
                _cleaned_text(one.remote_port),
            )
            found[one.port] = Neighbour(one.port, *texts)
    # several at one port: there is a hub or a bridge in between, and no cable to either
    return tuple(one for name, one in found.items() if name not in several)


def _chassis_serial(components: Iterable[Component]) -> str:
    tops = [one for one in components if one.kind in {"chassis", "stack"} and not one.parent]
    return next((one.serial for one in tops if one.serial), "")


def _cleaned_serial(text: str) -> str:
    text = _cleaned_text(text)
    return (
        ""
        if text.lower() in PLACEHOLDER_SERIALS or set(text) <= {"0", "-", ".", "f", "F"}
        else text
    )


def _cleaned_text(text: str) -> str:
    """Return a text that can stand in an inventory: one line, at most 255 characters."""
    return "".join(one if one.isprintable() else " " for one in text[:MAX_NAME_LENGTH]).strip()
