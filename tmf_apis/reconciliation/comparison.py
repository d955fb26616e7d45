"""Where inventory and element differ, and what can be done about it; pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.values import Observed, Setting
from tmf_apis.reconciliation.expected_state import STATE_TERMINATED, ExpectedService, ExpectedState
from tmf_apis.rest.pipeline.policy import Resource

MISSING_ON_ELEMENT, UNKNOWN_ON_ELEMENT, SETTING_DIFFERS = (
    "missingOnElement",
    "unknownOnElement",
    "settingDiffers",
)
PORT_DIFFERS, PORT_GONE, IN_DOUBT = "portDiffers", "portGone", "inDoubt"
CORRECT_NETWORK, ACCEPT_INTO_INVENTORY, OPEN_TASK = (
    "correctNetwork",
    "acceptIntoInventory",
    "openTask",
)
REMEDIES: Mapping[str, tuple[str, ...]] = {
    MISSING_ON_ELEMENT: (CORRECT_NETWORK, ACCEPT_INTO_INVENTORY, OPEN_TASK),
    UNKNOWN_ON_ELEMENT: (CORRECT_NETWORK, ACCEPT_INTO_INVENTORY, OPEN_TASK),
    SETTING_DIFFERS: (CORRECT_NETWORK, ACCEPT_INTO_INVENTORY, OPEN_TASK),
    PORT_DIFFERS: (CORRECT_NETWORK, ACCEPT_INTO_INVENTORY, OPEN_TASK),
    PORT_GONE: (ACCEPT_INTO_INVENTORY, OPEN_TASK),
    IN_DOUBT: (ACCEPT_INTO_INVENTORY, OPEN_TASK),
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

    def is_same_as(self, other: "Difference") -> bool:
        """Return whether another look has found exactly this."""
        facts = (self.expected, self.observed)
        return self.key == other.key and facts == (other.expected, other.observed)


def compare(
    expected_state: ExpectedState, observed: Iterable[Observed], ports: frozenset[str] | None = None
) -> list[Difference]:
    """Return every difference, ordered by port.

    Args:
        expected_state: What the inventory says of the element.
        observed: What is on the element.
        ports: Natural keys of all that can carry a service there; None: that is not known.
    """
    carried = {claim.port: claim.service for claim in expected_state.services}
    seen = [
        one if one.service_id else replace(one, service_id=carried.get(one.port, ""))
        for one in observed
        if one.port not in expected_state.held_ports
        and one.service_id not in expected_state.services_in_flight
    ]  # an element without room for ids of services is known by its ports
    by_service: dict[str, list[Observed]] = defaultdict(list)
    for one in seen:
        by_service[one.service_id].append(one)
    claims = Counter(one.service for one in expected_state.services)
    claims_of_port = Counter(one.port for one in expected_state.services)
    found = []
    for claim in expected_state.services:
        here = by_service.get(claim.service, [])
        twice = claims[claim.service] > 1 or claims_of_port[claim.port] > 1 or len(here) > 1
        found += (
            [_duplicate_claim(claim, here)]
            if twice
            else list(_service_differences(claim, here, ports))
        )
    known = {claim.service for claim in expected_state.services}
    found += [_unknown_service(expected_state, one) for one in seen if one.service_id not in known]
    there = {one.port for one in seen}
    found += [
        _difference(
            IN_DOUBT, "", port, resource=resource, message="nobody knows what is on the port"
        )
        for port, resource in expected_state.ports_in_doubt.items()
        if port not in there
    ]
    return sorted(found, key=lambda one: (one.port, one.service, one.type))


def _service_differences(
    expected: ExpectedService, observations: list[Observed], ports: frozenset[str] | None
) -> Iterator[Difference]:
    observed = observations[0] if observations else None
    if expected.is_in_doubt:
        yield _service_difference(IN_DOUBT, expected, observed, "nobody knows what is on the port")
    elif expected.state == STATE_TERMINATED:
        message = f"the service is {STATE_TERMINATED}, and the inventory has it on the port"
        yield _service_difference(
            UNKNOWN_ON_ELEMENT if observed else IN_DOUBT, expected, observed, message
        )
    elif observed is None:
        lost = ports is not None and expected.port not in ports
        message = "the element has no such port" if lost else "the service is not on the element"
        yield _service_difference(
            PORT_GONE if lost else MISSING_ON_ELEMENT, expected, None, message
        )
    elif observed.port != expected.port:
        yield _service_difference(
            PORT_DIFFERS, expected, observed, f"the service is on port {observed.port}"
        )
    elif differing := _differing_settings(expected.settings, observed.settings):
        message = ", ".join(
            f"{name} is {observed.settings[name]} instead of {expected.settings[name]}"
            for name in differing
        )
        yield _service_difference(SETTING_DIFFERS, expected, observed, message)


def _differing_settings(
    expected: Mapping[str, Setting], observed: Mapping[str, Setting]
) -> list[str]:
    """Return the settings that are not as they should be; one the element does not tell is."""
    return sorted(
        name for name, value in expected.items() if name in observed and observed[name] != value
    )


def _duplicate_claim(expected: ExpectedService, observations: list[Observed]) -> Difference:
    ports = ", ".join(one.port for one in observations) or "no port"
    message = f"claimed more than once: the element has the service on {ports}"
    return _service_difference(
        IN_DOUBT, expected, observations[0] if observations else None, message
    )


def _unknown_service(expected_state: ExpectedState, observed: Observed) -> Difference:
    resource = expected_state.ports_in_doubt.get(observed.port)
    message = "the inventory has no such service"
    shown = {"port": observed.port, **observed.settings}
    return _difference(UNKNOWN_ON_ELEMENT, observed.service_id, observed.port, observed=shown, resource=resource,
                 message=message)  # fmt: skip


def _service_difference(
    type_: str, expected: ExpectedService, observed: Observed | None, message: str
) -> Difference:
    shown = {"port": observed.port, **observed.settings} if observed else {}
    return _difference(
        type_,
        expected.service,
        observed.port if observed and type_ == UNKNOWN_ON_ELEMENT else expected.port,
        expected={"port": expected.port, **expected.settings},
        observed=shown,
        resource=expected.resource,
        message=message,
    )


def _difference(type_: str, service: str, port: str, **more: Any) -> Difference:  # noqa: ANN401
    return Difference(type_, service, port, remedies=REMEDIES[type_], **more)
