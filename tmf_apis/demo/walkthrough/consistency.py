"""Five views of one service, from product to element, and the check that they agree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tmf_apis.demo.walkthrough.context import PRODUCTS, RESOURCES, SERVICES, WalkthroughContext
from tmf_apis.demo.walkthrough.orders import Purchase

MEGABIT = 1_000_000
#: States of a service in each source by condition of the service.
EXPECTED_STATES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "running": {
        "product": frozenset({"active"}),
        "service": frozenset({"active"}),
        "resource": frozenset({"allocated"}),
        "element": frozenset({"switched on"}),
    },
    "suspended": {
        "product": frozenset({"suspended"}),
        "service": frozenset({"inactive"}),
        "resource": frozenset({"allocated"}),
        "element": frozenset({"switched off"}),
    },
    "terminated": {
        "product": frozenset({"terminated", "cancelled"}),
        "service": frozenset({"terminated"}),
        "resource": frozenset({"free"}),
        "element": frozenset({"absent"}),
    },
}

#: Number of views: product, two services, resource and element.
VIEW_COUNT = 5


@dataclass(frozen=True, slots=True)
class ServiceView:
    """The state of a service in one source.

    Attributes:
        source: "product", "service", "resource" or "element".
        title: Name of the source, for people.
        state: State of the service.
        speed: Speed in Mbit/s down and up; None: unknown or irrelevant.
        text: Further text, for people.
        link_up: Operational state of the line; None: unknown.
    """

    source: str
    title: str
    state: str
    speed: tuple[float, float] | None = None
    text: str = ""
    link_up: bool | None = None

    def __str__(self) -> str:
        speed = f"{self.speed[0]:g}/{self.speed[1]:g} Mbit/s" if self.speed else ""
        link = "" if self.link_up is None else f", link {'up' if self.link_up else 'down'}"
        return f"{self.title:24}{self.state:13}{speed:17}{self.text}{link}".rstrip()


def wait_for_consistency(
    context: WalkthroughContext,
    purchase: Purchase,
    condition: str,
    speed: tuple[float, float] | None = None,
    *,
    link_up: bool = True,
) -> None:
    """Wait until all views of a service agree, then show them.

    Args:
        context: The walkthrough.
        purchase: The product of the service.
        condition: Expected condition, a key of ``EXPECTED_STATES``.
        speed: Expected speed in Mbit/s down and up; None: none.
        link_up: Expected state of the line, if the service is running.

    Raises:
        WalkthroughFailed: The views do not agree in time.
    """
    views: list[ServiceView] = []

    def all_agree() -> bool | None:
        views[:] = read_views(context, purchase)
        if condition != "running":  # the link state of a port without a service is irrelevant
            views[:] = [replace(view, link_up=None) for view in views]
        link_states = {view.link_up for view in views} - {None}
        speeds = {view.speed for view in views} - {None}
        agree = (
            len(views) == VIEW_COUNT
            and is_consistent(views, condition)
            and speeds == ({speed} if speed else set())
            and (condition != "running" or link_states == {link_up})
        )
        return agree or None

    try:
        context.wait_for(all_agree, f"all views of {purchase.product_id} to be {condition}")
    finally:
        for view in views:
            context.print_line(str(view))
    context.print_line(f"all agree: {condition}")


def is_consistent(service_views: Iterable[ServiceView], condition: str) -> bool:
    """Return whether the state in every view fits a condition."""
    return all(view.state in EXPECTED_STATES[condition][view.source] for view in service_views)


def read_views(context: WalkthroughContext, purchase: Purchase) -> list[ServiceView]:
    """Return the current views of the service of a product."""
    product = purchase.product_id
    return [
        _product_view(context.get(f"{PRODUCTS}/product/{product}")),
        *(
            _service_view(service)
            for id in (f"{product}-cfs", product)
            for service in context.get(f"{SERVICES}/service", id=id)
        ),
        _resource_view(context.get(f"{RESOURCES}/resource/{purchase.port_id}")),
        _element_view(context, purchase),
    ]


def _product_view(product: Mapping[str, Any]) -> ServiceView:
    speed = _speeds(product.get("productCharacteristic"), "downstreamSpeed", "upstreamSpeed", 1)
    status = product["status"]
    in_operation = {
        *EXPECTED_STATES["running"]["product"],
        *EXPECTED_STATES["suspended"]["product"],
    }
    if status not in in_operation:
        speed = None
    return ServiceView("product", "TMF637 product", status, speed, product["name"])


def _service_view(service: Mapping[str, Any]) -> ServiceView:
    values = service.get("serviceCharacteristic")
    if service.get("category") == "CFS":
        title = "TMF638 customer facing"
        speed = _speeds(values, "downstreamSpeed", "upstreamSpeed", 1)
    else:
        title = "TMF638 resource facing"
        speed = _speeds(values, "downstream", "upstream", MEGABIT)
    if service["state"] in EXPECTED_STATES["terminated"]["service"]:
        speed = None
    return ServiceView("service", title, service["state"], speed, service["name"])


def _resource_view(resource: Mapping[str, Any]) -> ServiceView:
    speed = _speeds(resource.get("resourceCharacteristic"), "downstreamSpeed", "upstreamSpeed", 1)
    link = resource["operationalState"] == "enabled" if speed else None
    return ServiceView(
        "resource", "TMF639 resource", resource["allocationStatus"], speed, resource["name"], link
    )


def _element_view(context: WalkthroughContext, purchase: Purchase) -> ServiceView:
    observed = context.element.read(purchase.product_id)
    name = context.element.target.name
    if observed is None:
        return ServiceView(
            "element", "element over SNMP", "absent", None, f"{name} has no such service"
        )
    state = "switched on" if observed.settings.get("enabled") else "switched off"
    down, up = (
        int(observed.settings.get(direction, 0)) / MEGABIT
        for direction in ("downstream", "upstream")
    )
    location = f"{name} {observed.port}"
    if observed.port != purchase.port_name:
        state = "other port"
    return ServiceView("element", "element over SNMP", state, (down, up), location, observed.up)


def _speeds(characteristics: object, down: str, up: str, unit: int) -> tuple[float, float] | None:
    """Return the speeds in a list of characteristics, in Mbit/s; None: it has none."""
    items = characteristics if isinstance(characteristics, list) else []
    values = {item["name"]: item.get("value") for item in items}
    if not (values.get(down) and values.get(up)):
        return None
    return float(values[down]) / unit, float(values[up]) / unit
