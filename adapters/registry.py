"""The installed adapters: found by entry point, loaded on first use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from adapters.base import Adapter
from adapters.credentials import Credentials
from adapters.errors import ElementError, Misconfigured
from adapters.values import Target

ENTRY_POINT_GROUP = "tmf_apis.adapters"
#: Category of the elements of an adapter that names none.
DEFAULT_CATEGORY = "accessGateway"

#: The adapters of this package, which need no entry point when it runs from its source folder.
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
    """An adapter in the list of ``tmf adapters``.

    Attributes:
        name: Name that targets refer to.
        entry_point: Module and class.
        capabilities: Its optional features, in alphabetical order.
        problem: The reason why it is not usable; empty if it is.
        category: Category of the resources of its elements.
    """

    name: str
    entry_point: str
    capabilities: tuple[str, ...]
    problem: str
    category: str = DEFAULT_CATEGORY


def _entry_points() -> dict[str, EntryPoint]:
    built_in = {
        name: EntryPoint(name, value, ENTRY_POINT_GROUP)
        for name, value in BUILT_IN_ADAPTERS.items()
    }
    return built_in | {
        entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINT_GROUP)
    }


def _load_adapter(entry_point: EntryPoint) -> type[Adapter]:
    name, value = entry_point.name, entry_point.value
    try:
        adapter = entry_point.load()
    except Exception as error:  # a third-party module may fail in any way
        raise Misconfigured(name, f"{value} does not load: {error!r}") from error
    missing = [member for member in ("capabilities", *OPERATIONS) if not hasattr(adapter, member)]
    if missing:
        raise Misconfigured(name, f"{value} is not an adapter: it lacks {', '.join(missing)}")
    return cast("type[Adapter]", adapter)


def find_adapter(name: str) -> type[Adapter]:
    """Return the class of an adapter by name.

    Raises:
        Misconfigured: There is no such adapter, or it does not load.
    """
    points = _entry_points()
    if name not in points:
        raise Misconfigured(name, f"no such adapter; there are {', '.join(sorted(points))}")
    return _load_adapter(points[name])


def installed_adapters() -> list[InstalledAdapter]:
    """Return every adapter, ordered by name, including those that are not usable."""
    return [_installed_adapter(entry_point) for _, entry_point in sorted(_entry_points().items())]


def _installed_adapter(entry_point: EntryPoint) -> InstalledAdapter:
    name, value = entry_point.name, entry_point.value
    try:
        adapter = _load_adapter(entry_point)
    except Misconfigured as problem:
        return InstalledAdapter(name, value, (), problem.message)
    category = str(getattr(adapter, "category", DEFAULT_CATEGORY))
    return InstalledAdapter(name, value, tuple(sorted(adapter.capabilities)), "", category)


def setting_names(name: str, options: Mapping[str, str]) -> frozenset[str] | None:
    """Return the names of the settings of an element; None if its adapter does not say.

    Args:
        name: Name of the adapter.
        options: The options of the element's target.
    """
    try:
        names = getattr(find_adapter(name), "setting_names", None)
        return frozenset(names(options)) if names else None
    except (ElementError, ValueError, OSError):  # whoever uses the element reports it
        return None


def create_adapter(target: Target, credentials: Credentials) -> Adapter:
    """Return an adapter for a target; open it with ``async with``.

    Raises:
        Misconfigured: The adapter or the credentials do not exist or are not usable.
    """
    adapter_class = cast("Callable[..., Adapter]", find_adapter(target.adapter))
    return adapter_class(target, credentials.get(target.credentials, element=target.name))
