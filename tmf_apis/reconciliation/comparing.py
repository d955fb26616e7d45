"""Where inventory and element differ, and what can be done about it; pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.values import Observed, Setting
from tmf_apis.reconciliation.expecting import ENDED, Expected, View
from tmf_apis.rest.law import Resource

MISSING, UNKNOWN, SETTING = "missingOnElement", "unknownOnElement", "settingDiffers"
PORT, GONE, DOUBT = "portDiffers", "portGone", "inDoubt"
CORRECT, ACCEPT, TASK = "correctNetwork", "acceptIntoInventory", "openTask"
REMEDIES: Mapping[str, tuple[str, ...]] = {
    MISSING: (CORRECT, ACCEPT, TASK),
    UNKNOWN: (CORRECT, ACCEPT, TASK),
    SETTING: (CORRECT, ACCEPT, TASK),
    PORT: (CORRECT, ACCEPT, TASK),
    GONE: (ACCEPT, TASK),
    DOUBT: (ACCEPT, TASK),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that inventory and element do not agree on.

    Attributes:
        type: What kind it is.
        service: Id of the service; empty: it is about a port without one.
        port: Natural key of the port: where it is on the element, else where it should be.
        expected: How the inventory has it.
        observed: How the element has it.
        resource: What carries it in the inventory; None: nothing does.
        message: What it is, for people.
        remedies: What can be done.
    """

    type: str
    service: str
    port: str
    expected: Mapping[str, Any] = field(default_factory=dict)
    observed: Mapping[str, Any] = field(default_factory=dict)
    resource: Resource | None = None
    message: str = ""
    remedies: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same difference when it is looked for again."""
        return self.type, self.service, self.port

    def same(self, other: "Difference") -> bool:
        """Return whether another look has found exactly this."""
        facts = (self.expected, self.observed)
        return self.key == other.key and facts == (other.expected, other.observed)


def compare(
    view: View, observed: Iterable[Observed], ports: frozenset[str] | None = None
) -> list[Difference]:
    """Return every difference, ordered by port.

    Args:
        view: What the inventory says of the element.
        observed: What is on the element.
        ports: Natural keys of all that can carry a service there; None: that is not known.
    """
    carried = {claim.port: claim.service for claim in view.expected}
    seen = [
        one if one.service_id else replace(one, service_id=carried.get(one.port, ""))
        for one in observed
        if one.port not in view.held and one.service_id not in view.moving
    ]  # an element without room for ids of services is known by its ports
    by_service: dict[str, list[Observed]] = defaultdict(list)
    for one in seen:
        by_service[one.service_id].append(one)
    claims = Counter(one.service for one in view.expected)
    claims_of_port = Counter(one.port for one in view.expected)
    found = []
    for claim in view.expected:
        here = by_service.get(claim.service, [])
        twice = claims[claim.service] > 1 or claims_of_port[claim.port] > 1 or len(here) > 1
        found += [_twice(claim, here)] if twice else list(_one(claim, here, ports))
    known = {claim.service for claim in view.expected}
    found += [_unknown(view, one) for one in seen if one.service_id not in known]
    there = {one.port for one in seen}
    found += [
        _made(DOUBT, "", port, resource=resource, message="nobody knows what is on the port")
        for port, resource in view.doubtful.items()
        if port not in there
    ]
    return sorted(found, key=lambda one: (one.port, one.service, one.type))


def _one(
    expected: Expected, here: list[Observed], ports: frozenset[str] | None
) -> Iterator[Difference]:
    observed = here[0] if here else None
    if expected.doubtful:
        yield _of(DOUBT, expected, observed, "nobody knows what is on the port")
    elif expected.state == ENDED:
        message = f"the service is {ENDED}, and the inventory has it on the port"
        yield _of(UNKNOWN if observed else DOUBT, expected, observed, message)
    elif observed is None:
        lost = ports is not None and expected.port not in ports
        message = "the element has no such port" if lost else "the service is not on the element"
        yield _of(GONE if lost else MISSING, expected, None, message)
    elif observed.port != expected.port:
        yield _of(PORT, expected, observed, f"the service is on port {observed.port}")
    elif differing := _differing(expected.settings, observed.settings):
        message = ", ".join(
            f"{name} is {observed.settings[name]} instead of {expected.settings[name]}"
            for name in differing
        )
        yield _of(SETTING, expected, observed, message)


def _differing(expected: Mapping[str, Setting], observed: Mapping[str, Setting]) -> list[str]:
    """Return the settings that are not as they should be; one the element does not tell is."""
    return sorted(
        name for name, value in expected.items() if name in observed and observed[name] != value
    )


def _twice(expected: Expected, here: list[Observed]) -> Difference:
    ports = ", ".join(one.port for one in here) or "no port"
    message = f"claimed more than once: the element has the service on {ports}"
    return _of(DOUBT, expected, here[0] if here else None, message)


def _unknown(view: View, one: Observed) -> Difference:
    resource = view.doubtful.get(one.port)
    message = "the inventory has no such service"
    shown = {"port": one.port, **one.settings}
    return _made(UNKNOWN, one.service_id, one.port, observed=shown, resource=resource,
                 message=message)  # fmt: skip


def _of(type_: str, expected: Expected, observed: Observed | None, message: str) -> Difference:
    shown = {"port": observed.port, **observed.settings} if observed else {}
    return _made(
        type_,
        expected.service,
        observed.port if observed and type_ == UNKNOWN else expected.port,
        expected={"port": expected.port, **expected.settings},
        observed=shown,
        resource=expected.resource,
        message=message,
    )


def _made(type_: str, service: str, port: str, **more: Any) -> Difference:  # noqa: ANN401
    return Difference(type_, service, port, remedies=REMEDIES[type_], **more)
