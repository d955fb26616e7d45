"""Which adapters there are; found by entry point, loaded when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import Misconfigured
from adapters.values import Target

GROUP = "tmf_apis.adapters"

#: Our own, so that they are found where the package runs from its source folder, not installed.
BUILT_IN = {
    "netconf": "adapters.netconf:NetconfElement",
    "osmo-hlr": "adapters.osmo_hlr:OsmoHlr",
    "ovsdb": "adapters.ovsdb:OvsdbSwitch",
    "snmp": "adapters.snmp:SnmpElement",
}

OPERATIONS = (
    "probe", "inventory", "read", "services", "plan", "apply", "verify", "confirm", "rollback",
    "remove", "counters", "usage", "faults", "active_conditions",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Installed:
    """An adapter as ``tmf adapters`` lists it.

    Attributes:
        name: What a target calls it.
        place: Module and class.
        capabilities: What it can do beyond the common operations, in order.
        problem: Why it cannot be used; empty if it can.
    """

    name: str
    place: str
    capabilities: tuple[str, ...]
    problem: str


def _points() -> dict[str, EntryPoint]:
    own = {name: EntryPoint(name, place, GROUP) for name, place in BUILT_IN.items()}
    return own | {point.name: point for point in entry_points(group=GROUP)}


def _load(point: EntryPoint) -> type[Adapter]:
    try:
        found = point.load()
    except Exception as error:  # a stranger's module may fail in any way
        raise Misconfigured(point.name, f"{point.value} does not load: {error!r}") from error
    missing = [name for name in ("capabilities", *OPERATIONS) if not hasattr(found, name)]
    if missing:
        lacks = ", ".join(missing)
        raise Misconfigured(point.name, f"{point.value} is not an adapter: it lacks {lacks}")
    return cast("type[Adapter]", found)


def find(name: str) -> type[Adapter]:
    """Return the adapter of a name.

    Raises:
        Misconfigured: There is none, or it does not load.
    """
    points = _points()
    if name not in points:
        raise Misconfigured(name, f"no such adapter; there are {', '.join(sorted(points))}")
    return _load(points[name])


def installed() -> list[Installed]:
    """Return every adapter, ordered by name; a broken one is among them with its problem."""
    return [_described(point) for _, point in sorted(_points().items())]


def _described(point: EntryPoint) -> Installed:
    try:
        adapter = _load(point)
    except Misconfigured as problem:
        return Installed(point.name, point.value, (), problem.message)
    return Installed(point.name, point.value, tuple(sorted(adapter.capabilities)), "")


def connect(target: Target, credentials: Credentials) -> Adapter:
    """Return an adapter for a target; it opens with ``async with``.

    Raises:
        Misconfigured: The adapter or the credentials are not there or not usable.
    """
    make = cast("Callable[..., Adapter]", find(target.adapter))
    return make(target, credentials.get(target.credentials, element=target.name))
