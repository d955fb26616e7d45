"""Which adapters there are; found by entry point, loaded when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import Misconfigured
from adapters.values import Target

ENTRY_POINT_GROUP = "tmf_apis.adapters"

#: Our own, so that they are found where the package runs from its source folder, not installed.
BUILT_IN_ADAPTERS = {
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
class InstalledAdapter:
    """An adapter as ``tmf adapters`` lists it.

    Attributes:
        name: What a target calls it.
        entry_point: Module and class.
        capabilities: What it can do beyond the common operations, in order.
        problem: Why it cannot be used; empty if it can.
    """

    name: str
    entry_point: str
    capabilities: tuple[str, ...]
    problem: str


def _entry_points() -> dict[str, EntryPoint]:
    own = {
        name: EntryPoint(name, place, ENTRY_POINT_GROUP)
        for name, place in BUILT_IN_ADAPTERS.items()
    }
    return own | {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _load_adapter(entry_point: EntryPoint) -> type[Adapter]:
    try:
        found = entry_point.load()
    except Exception as error:  # a stranger's module may fail in any way
        raise Misconfigured(
            entry_point.name, f"{entry_point.value} does not load: {error!r}"
        ) from error
    missing = [name for name in ("capabilities", *OPERATIONS) if not hasattr(found, name)]
    if missing:
        lacks = ", ".join(missing)
        raise Misconfigured(
            entry_point.name, f"{entry_point.value} is not an adapter: it lacks {lacks}"
        )
    return cast("type[Adapter]", found)


def find_adapter(name: str) -> type[Adapter]:
    """Return the adapter of a name.

    Raises:
        Misconfigured: There is none, or it does not load.
    """
    points = _entry_points()
    if name not in points:
        raise Misconfigured(name, f"no such adapter; there are {', '.join(sorted(points))}")
    return _load_adapter(points[name])


def installed_adapters() -> list[InstalledAdapter]:
    """Return every adapter, ordered by name; a broken one is among them with its problem."""
    return [_installed_adapter(point) for _, point in sorted(_entry_points().items())]


def _installed_adapter(entry_point: EntryPoint) -> InstalledAdapter:
    try:
        adapter = _load_adapter(entry_point)
    except Misconfigured as problem:
        return InstalledAdapter(entry_point.name, entry_point.value, (), problem.message)
    return InstalledAdapter(
        entry_point.name, entry_point.value, tuple(sorted(adapter.capabilities)), ""
    )


def create_adapter(target: Target, credentials: Credentials) -> Adapter:
    """Return an adapter for a target; it opens with ``async with``.

    Raises:
        Misconfigured: The adapter or the credentials are not there or not usable.
    """
    make = cast("Callable[..., Adapter]", find_adapter(target.adapter))
    return make(target, credentials.get(target.credentials, element=target.name))
