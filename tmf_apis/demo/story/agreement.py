"""One service seen from five sides: what each says of it, and whether they agree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tmf_apis.demo.story.orders import Bought
from tmf_apis.demo.story.stage import PRODUCTS, RESOURCES, SERVICES, Stage

MEGABIT = 1_000_000
#: From the standing of a service to what each side calls it.
WORDS: Mapping[str, Mapping[str, frozenset[str]]] = {
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
SIDES = 5


@dataclass(frozen=True, slots=True)
class View:
    """What one side says.

    Attributes:
        side: "product", "service", "resource" or "element".
        title: Which side, for people.
        word: In which state it is.
        speed: Mbit/s down and up; None: it says nothing, or it does not matter.
        text: What else there is to say.
        link: Whether the line works; None: it says nothing of it.
    """

    side: str
    title: str
    word: str
    speed: tuple[float, float] | None = None
    text: str = ""
    link: bool | None = None

    def __str__(self) -> str:
        speed = f"{self.speed[0]:g}/{self.speed[1]:g} Mbit/s" if self.speed else ""
        link = "" if self.link is None else f", link {'up' if self.link else 'down'}"
        return f"{self.title:24}{self.word:13}{speed:17}{self.text}{link}".rstrip()


def agree(
    stage: Stage,
    bought: Bought,
    standing: str,
    speed: tuple[float, float] | None = None,
    *,
    link: bool = True,
) -> None:
    """Show what each side says of a product, and wait until all say the same.

    Args:
        stage: Where it is shown.
        bought: What is looked at.
        standing: How it should be, a key of ``WORDS``.
        speed: The speed that it should have, in Mbit/s down and up; None: none.
        link: Whether the line should work, if the service is running.

    Raises:
        Unfinished: They do not agree.
    """
    seen: list[View] = []

    def all_agree() -> bool | None:
        seen[:] = views(stage, bought)
        if standing != "running":  # a port that is switched off is neither up nor broken
            seen[:] = [replace(one, link=None) for one in seen]
        links = {one.link for one in seen} - {None}
        works = standing != "running" or links == {link}
        spoken = {one.speed for one in seen} - {None}
        same = len(seen) == SIDES and spoken == ({speed} if speed else set())
        return (good(seen, standing) and works and same) or None

    try:
        stage.until(all_agree, f"everything to say that {bought.product} is {standing}")
    finally:
        for one in seen:
            stage.say(str(one))
    stage.say(f"all agree: {standing}")


def good(seen: Iterable[View], standing: str) -> bool:
    """Return whether every side calls it as it should for a standing."""
    return all(one.word in WORDS[standing][one.side] for one in seen)


def views(stage: Stage, bought: Bought) -> list[View]:
    """Return what every side says of what was bought, now."""
    product = bought.product
    return [
        _product(stage.get(f"{PRODUCTS}/product/{product}")),
        *(
            _service(one)
            for id in (f"{product}-cfs", product)
            for one in stage.get(f"{SERVICES}/service", id=id)
        ),
        _resource(stage.get(f"{RESOURCES}/resource/{bought.port}")),
        _element(stage, bought),
    ]


def _product(found: Mapping[str, Any]) -> View:
    speed = _speed(found.get("productCharacteristic"), "downstreamSpeed", "upstreamSpeed", 1)
    ended = found["status"] not in WORDS["running"]["product"] | WORDS["suspended"]["product"]
    return View(
        "product", "TMF637 product", found["status"], None if ended else speed, found["name"]
    )


def _service(found: Mapping[str, Any]) -> View:
    values = found.get("serviceCharacteristic")
    outer = found.get("category") == "CFS"
    names = ("downstreamSpeed", "upstreamSpeed") if outer else ("downstream", "upstream")
    speed = _speed(values, *names, 1 if outer else MEGABIT)
    facing = "customer" if outer else "resource"
    ended = found["state"] in WORDS["gone"]["service"]
    title = f"TMF638 {facing} facing"
    return View("service", title, found["state"], None if ended else speed, found["name"])


def _resource(found: Mapping[str, Any]) -> View:
    speed = _speed(found.get("resourceCharacteristic"), "downstreamSpeed", "upstreamSpeed", 1)
    link = found["operationalState"] == "enabled" if speed else None
    return View(
        "resource", "TMF639 resource", found["allocationStatus"], speed, found["name"], link
    )


def _element(stage: Stage, bought: Bought) -> View:
    seen = stage.element.read(bought.product)
    name = stage.element.target.name
    if seen is None:
        return View("element", "element over SNMP", "nothing", None, f"{name} has no such service")
    word = "switched on" if seen.settings.get("enabled") else "switched off"
    down, up = (int(seen.settings.get(way, 0)) / MEGABIT for way in ("downstream", "upstream"))
    where = f"{name} {seen.port}"
    if seen.port != bought.port_name:
        word = "elsewhere"
    return View("element", "element over SNMP", word, (down, up), where, seen.up)


def _speed(characteristics: object, down: str, up: str, unit: int) -> tuple[float, float] | None:
    """Return the speeds of a list of characteristics, in Mbit/s; None: it has none."""
    found = characteristics if isinstance(characteristics, list) else []
    values = {one["name"]: one.get("value") for one in found}
    if not (values.get(down) and values.get(up)):
        return None
    return float(values[down]) / unit, float(values[up]) / unit
