"""One service seen from five sides: what each says of it, and whether they agree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tmf_apis.demo.walkthrough.context import PRODUCTS, RESOURCES, SERVICES, WalkthroughContext
from tmf_apis.demo.walkthrough.orders import Purchase

MEGABIT = 1_000_000
#: From the standing of a service to what each side calls it.
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
    "gone": {
        "product": frozenset({"terminated", "cancelled"}),
        "service": frozenset({"terminated"}),
        "resource": frozenset({"free"}),
        "element": frozenset({"nothing"}),
    },
}

#: Product, two services, resource and element.
VIEW_COUNT = 5


@dataclass(frozen=True, slots=True)
class ServiceView:
    """What one side says.

    Attributes:
        source: "product", "service", "resource" or "element".
        title: Which side, for people.
        state: In which state it is.
        speed: Mbit/s down and up; None: it says nothing, or it does not matter.
        text: What else there is to say.
        link_up: Whether the line works; None: it says nothing of it.
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
    """Show what each side says of a product, and wait until all say the same.

    Args:
        context: Where it is shown.
        purchase: What is looked at.
        condition: How it should be, a key of ``EXPECTED_STATES``.
        speed: The speed that it should have, in Mbit/s down and up; None: none.
        link_up: Whether the line should work, if the service is running.

    Raises:
        Unfinished: They do not agree.
    """
    seen: list[ServiceView] = []

    def all_agree() -> bool | None:
        seen[:] = read_views(context, purchase)
        if condition != "running":  # a port that is switched off is neither up nor broken
            seen[:] = [replace(one, link_up=None) for one in seen]
        links = {one.link_up for one in seen} - {None}
        works = condition != "running" or links == {link_up}
        spoken = {one.speed for one in seen} - {None}
        same = len(seen) == VIEW_COUNT and spoken == ({speed} if speed else set())
        return (is_consistent(seen, condition) and works and same) or None

    try:
        context.wait_for(all_agree, f"everything to say that {purchase.product_id} is {condition}")
    finally:
        for one in seen:
            context.print_line(str(one))
    context.print_line(f"all agree: {condition}")


def is_consistent(service_views: Iterable[ServiceView], condition: str) -> bool:
    """Return whether every side calls it as it should for a standing."""
    return all(one.state in EXPECTED_STATES[condition][one.source] for one in service_views)


def read_views(context: WalkthroughContext, purchase: Purchase) -> list[ServiceView]:
    """Return what every side says of what was bought, now."""
    product = purchase.product_id
    return [
        _product_view(context.get(f"{PRODUCTS}/product/{product}")),
        *(
            _service_view(one)
            for id in (f"{product}-cfs", product)
            for one in context.get(f"{SERVICES}/service", id=id)
        ),
        _resource_view(context.get(f"{RESOURCES}/resource/{purchase.port_id}")),
        _element_view(context, purchase),
    ]


def _product_view(product: Mapping[str, Any]) -> ServiceView:
    speed = _speeds(product.get("productCharacteristic"), "downstreamSpeed", "upstreamSpeed", 1)
    ended = (
        product["status"]
        not in EXPECTED_STATES["running"]["product"] | EXPECTED_STATES["suspended"]["product"]
    )
    return ServiceView(
        "product", "TMF637 product", product["status"], None if ended else speed, product["name"]
    )


def _service_view(service: Mapping[str, Any]) -> ServiceView:
    values = service.get("serviceCharacteristic")
    outer = service.get("category") == "CFS"
    names = ("downstreamSpeed", "upstreamSpeed") if outer else ("downstream", "upstream")
    speed = _speeds(values, *names, 1 if outer else MEGABIT)
    facing = "customer" if outer else "resource"
    ended = service["state"] in EXPECTED_STATES["gone"]["service"]
    title = f"TMF638 {facing} facing"
    return ServiceView(
        "service", title, service["state"], None if ended else speed, service["name"]
    )


def _resource_view(resource: Mapping[str, Any]) -> ServiceView:
    speed = _speeds(resource.get("resourceCharacteristic"), "downstreamSpeed", "upstreamSpeed", 1)
    link = resource["operationalState"] == "enabled" if speed else None
    return ServiceView(
        "resource", "TMF639 resource", resource["allocationStatus"], speed, resource["name"], link
    )


def _element_view(context: WalkthroughContext, purchase: Purchase) -> ServiceView:
    seen = context.element.read(purchase.product_id)
    name = context.element.target.name
    if seen is None:
        return ServiceView(
            "element", "element over SNMP", "nothing", None, f"{name} has no such service"
        )
    word = "switched on" if seen.settings.get("enabled") else "switched off"
    down, up = (int(seen.settings.get(way, 0)) / MEGABIT for way in ("downstream", "upstream"))
    where = f"{name} {seen.port}"
    if seen.port != purchase.port_name:
        word = "elsewhere"
    return ServiceView("element", "element over SNMP", word, (down, up), where, seen.up)


def _speeds(characteristics: object, down: str, up: str, unit: int) -> tuple[float, float] | None:
    """Return the speeds of a list of characteristics, in Mbit/s; None: it has none."""
    found = characteristics if isinstance(characteristics, list) else []
    values = {one["name"]: one.get("value") for one in found}
    if not (values.get(down) and values.get(up)):
        return None
    return float(values[down]) / unit, float(values[up]) / unit
