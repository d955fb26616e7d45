"""Snapshot of an element: everything that it reports, read at once and validated.

An element may report nonsense: duplicate names, endless tables, components that contain themselves,
answers that change during the reading. A contradiction rejects the whole snapshot; a mere anomaly
is left out and listed.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from adapters.base import Adapter
from adapters.values import Component, Facts, Inventory, Neighbour, Port, Target
from tmf_apis.inventory.ports import ACCESS_GATEWAY, ACCESS_PORT

#: Maximum numbers of ports and components of an element; maximum length of a name or text.
MAX_PORTS, MAX_COMPONENTS, MAX_NAME_LENGTH = 4096, 4096, 255
#: Maximum speed of a port, in bits per second; a higher one is nonsense.
MAX_SPEED = 10**15
#: Maximum number of remarks of one kind in the outcome of an element.
MAX_REMARKS = 5
#: Maximum time to read an element, in seconds.
READ_TIMEOUT = 120.0
#: Texts that vendors use instead of a serial number, in lower case.
PLACEHOLDER_SERIALS = frozenset(
    {"", "0", "n/a", "na", "none", "null", "unknown", "default", "default string", "not specified"}
    | {"to be filled by o.e.m.", "system serial number", "serial", "123456789", "1234567890"}
)


class InconsistentSnapshot(Exception):
    """An element contradicts itself or another element; its snapshot is not used."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An element as it was read.

    Attributes:
        target: The target that was read.
        facts: Identity of the element; the serial number may be that of its chassis.
        ports: Its ports, ordered by name.
        components: Its components, each after the one that contains it.
        neighbours: Its neighbours, at most one for each port.
        anomalies: Data that were left out, for people.
        unread: Parts of the inventory ("ports", "components", "neighbours", "addresses") of which
            members may be missing in the snapshot because the element could not be read.
        not_read: What could not be read, and why, by table; for people.
        category: ``category`` of a new element in the inventory.
        port_category: ``category`` of its new ports that can carry services.
        place: Reference to its place, if given by the client.
    """

    target: Target
    facts: Facts
    ports: tuple[Port, ...]
    components: tuple[Component, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    anomalies: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()
    not_read: tuple[str, ...] = ()
    category: str = ACCESS_GATEWAY
    port_category: str = ACCESS_PORT
    place: dict[str, str] | None = field(default=None, compare=False)

    @property
    def serial(self) -> str:
        """Serial number; empty: it has none."""
        return self.facts.serial

    @property
    def remarks(self) -> str:
        """The tables that could not be read and the data that were left out, for people."""
        return "; ".join((*self.not_read[:MAX_REMARKS], *self.anomalies[:MAX_REMARKS]))


async def read_snapshot(adapter: Adapter, facts: Facts | None = None) -> Snapshot:
    """Read an element and return its validated snapshot.

    Args:
        adapter: Open adapter of the element.
        facts: Result of a probe, if the element was probed a moment ago.

    Raises:
        ElementError: The element does not answer or refuses the request.
        InconsistentSnapshot: The element contradicts itself.
        TimeoutError: The reading takes longer than ``READ_TIMEOUT``.
    """
    async with asyncio.timeout(READ_TIMEOUT):
        before = facts or await adapter.probe()
        inventory = await adapter.inventory()
    has_restarted = 0 < inventory.facts.uptime < before.uptime
    if has_restarted or _is_contradiction(before, inventory.facts):
        raise InconsistentSnapshot("it changed or restarted while it was read")
    return replace(
        validated_snapshot(adapter.target, inventory),
        category=getattr(adapter, "category", ACCESS_GATEWAY),
        port_category=getattr(adapter, "port_category", ACCESS_PORT),
    )


def validated_snapshot(target: Target, inventory: Inventory) -> Snapshot:
    """Return the validated snapshot of what an element has reported.

    Raises:
        InconsistentSnapshot: The element contradicts itself.
    """
    if len(inventory.ports) > MAX_PORTS or len(inventory.components) > MAX_COMPONENTS:
        raise InconsistentSnapshot(
            f"it claims {len(inventory.ports)} ports and {len(inventory.components)} other parts; "
            f"at most {MAX_PORTS} and {MAX_COMPONENTS} are accepted"
        )
    _check_names("port", (port.name for port in inventory.ports))
    _check_names("part", (component.name for component in inventory.components))
    anomalies: list[str] = []
    components = _ordered_components(inventory.components, anomalies)
    ports = tuple(
        _cleaned_port(port, anomalies)
        for port in sorted(inventory.ports, key=lambda port: port.name)
    )
    facts = replace(
        inventory.facts,
        name=_cleaned_text(inventory.facts.name),
        vendor=_cleaned_text(inventory.facts.vendor),
        model=_cleaned_text(inventory.facts.model),
        software=_cleaned_text(inventory.facts.software),
        chassis_id=_cleaned_text(inventory.facts.chassis_id),
        serial=_cleaned_serial(inventory.facts.serial),
    )
    if not facts.serial:
        facts = replace(facts, serial=_chassis_serial(components))
    neighbours = _neighbours(inventory.neighbours, {port.name for port in ports}, anomalies)
    return Snapshot(
        target,
        facts,
        ports,
        components,
        neighbours,
        tuple(anomalies),
        frozenset(table.part for table in inventory.unread if table.part),
        _reasons(inventory),
    )


def _reasons(inventory: Inventory) -> tuple[str, ...]:
    """Return the tables that could not be read and why, whole tables first."""
    tables = sorted(inventory.unread, key=lambda table: not table.part)
    return tuple(dict.fromkeys(str(table) for table in tables if table.reason))


def _is_contradiction(before: Facts, after: Facts) -> bool:
    """Return whether two reads show different elements; what one of them lacks is none."""
    pairs = (
        (before.name, after.name),
        (before.serial, after.serial),
        (before.vendor, after.vendor),
        (before.model, after.model),
    )
    differs = any(old and new and old != new for old, new in pairs)
    return differs or (0 < after.boots != before.boots > 0)


def _check_names(noun: str, names: Iterable[str]) -> None:
    counted = Counter(names)
    for name, count in counted.items():
        if count > 1:
            raise InconsistentSnapshot(f"{count} of its {noun}s are called {name[:80]!r}")
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise InconsistentSnapshot(f"one of its {noun}s is called {name[:80]!r}")


def _ordered_components(
    components: Iterable[Component], anomalies: list[str]
) -> tuple[Component, ...]:
    """Return the components, containers first.

    A cycle is broken by putting one of its components directly into the element.
    """
    waiting = {
        component.name: component for component in sorted(components, key=lambda part: part.name)
    }
    ordered: dict[str, Component] = {}
    while waiting:
        ready = [component for component in waiting.values() if component.parent not in waiting]
        if not ready:
            first = next(iter(waiting.values()))
            anomalies.append(f"part {first.name} is inside itself")
            ready = [replace(first, parent="")]
        for component in ready:
            if component.parent and component.parent not in ordered:
                anomalies.append(
                    f"part {component.name} is in {component.parent}, which does not exist"
                )
            parent = component.parent if component.parent in ordered else ""
            ordered[component.name] = replace(
                component,
                parent=parent,
                model=_cleaned_text(component.model),
                serial=_cleaned_serial(component.serial),
                software=_cleaned_text(component.software),
            )
            del waiting[component.name]
    return tuple(ordered.values())


def _cleaned_port(port: Port, anomalies: list[str]) -> Port:
    addresses = []
    for text in port.addresses:
        try:
            addresses.append(str(ipaddress.ip_interface(text)))
        except ValueError:
            anomalies.append(f"port {port.name} has the address {text[:80]!r}")
    bare = [text.removesuffix("/32").removesuffix("/128") for text in addresses]
    if not 0 <= port.speed <= MAX_SPEED:
        anomalies.append(f"port {port.name} has a speed of {port.speed} bit/s")
    return replace(
        port,
        mac=_cleaned_text(port.mac),
        addresses=tuple(sorted(set(bare))),
        speed=port.speed if 0 <= port.speed <= MAX_SPEED else 0,
        description=_cleaned_text(port.description),
        alias=_cleaned_text(port.alias),
    )


def _neighbours(
    neighbours: Iterable[Neighbour], ports: set[str], anomalies: list[str]
) -> tuple[Neighbour, ...]:
    by_port: dict[str, Neighbour] = {}
    ambiguous_ports = set[str]()
    for neighbour in sorted(neighbours, key=lambda n: (n.port, n.system, n.chassis, n.remote_port)):
        if neighbour.port not in ports:
            anomalies.append(
                f"a neighbour is at port {neighbour.port[:80]!r}, which does not exist"
            )
        elif neighbour.port in by_port:
            ambiguous_ports.add(neighbour.port)
        else:
            texts = (
                _cleaned_text(neighbour.system),
                _cleaned_text(neighbour.chassis),
                _cleaned_text(neighbour.remote_port),
                _cleaned_text(neighbour.remote_description),
            )
            by_port[neighbour.port] = Neighbour(neighbour.port, *texts)
    # several neighbours at a port are behind a hub or bridge, so there is no direct link
    return tuple(neighbour for port, neighbour in by_port.items() if port not in ambiguous_ports)


def _chassis_serial(components: Iterable[Component]) -> str:
    tops = [
        component
        for component in components
        if component.kind in {"chassis", "stack"} and not component.parent
    ]
    return next((component.serial for component in tops if component.serial), "")


def _cleaned_serial(text: str) -> str:
    text = _cleaned_text(text)
    return (
        ""
        if text.lower() in PLACEHOLDER_SERIALS or set(text) <= {"0", "-", ".", "f", "F"}
        else text
    )


def _cleaned_text(text: str) -> str:
    """Return a text as a single printable line of at most 255 characters."""
    return "".join(
        character if character.isprintable() else " " for character in text[:MAX_NAME_LENGTH]
    ).strip()
