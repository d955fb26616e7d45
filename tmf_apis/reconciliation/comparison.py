"""Comparison of the expected with the observed services of an element; no I/O."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.administration import ENABLED
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
    """A difference between inventory and element.

    Attributes:
        type: Type of the difference.
        service: Id of the service; empty: the port has no service.
        port: Natural key of the port on the element, or of the expected port.
        expected: Port and settings in the inventory.
        observed: Port and settings on the element.
        resource: Resource of the inventory that carries the service; None: there is none.
        message: Description for people.
        remedies: Remedies that can be applied.
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
        """Key by which the difference is recognised when it is read again."""
        return self.type, self.service, self.port

    def is_same_as(self, other: "Difference") -> bool:
        """Return whether another difference has the same key and values."""
        values = (self.expected, self.observed)
        return self.key == other.key and values == (other.expected, other.observed)


def compare(
    expected_state: ExpectedState, observed: Iterable[Observed], ports: frozenset[str] | None = None
) -> list[Difference]:
    """Return the differences of an element, ordered by port.

    Args:
        expected_state: State of the element in the inventory.
        observed: Services on the element.
        ports: Natural keys of the element's ports; None: unknown.
    """
    carried = {expected.port: expected.service for expected in expected_state.services}
    observations = [
        observation
        if observation.service_id
        else replace(observation, service_id=carried.get(observation.port, ""))
        for observation in observed
        if observation.port not in expected_state.held_ports
        and observation.service_id not in expected_state.services_in_flight
    ]  # an element that cannot store service ids is compared by port
    by_service: dict[str, list[Observed]] = defaultdict(list)
    for observation in observations:
        by_service[observation.service_id].append(observation)
    claims_of_service = Counter(expected.service for expected in expected_state.services)
    claims_of_port = Counter(expected.port for expected in expected_state.services)
    differences = []
    for expected in expected_state.services:
        matching = by_service.get(expected.service, [])
        is_ambiguous = (
            claims_of_service[expected.service] > 1
            or claims_of_port[expected.port] > 1
            or len(matching) > 1
        )
        differences += (
            [_duplicate_claim(expected, matching)]
            if is_ambiguous
            else list(_service_differences(expected, matching, ports))
        )
    known_services = {expected.service for expected in expected_state.services}
    differences += [
        _unknown_service(expected_state, observation)
        for observation in observations
        if observation.service_id not in known_services
    ]
    occupied_ports = {observation.port for observation in observations}
    differences += [
        _difference(
            IN_DOUBT, "", port, resource=resource, message="it is unknown what is on the port"
        )
        for port, resource in expected_state.ports_in_doubt.items()
        if port not in occupied_ports
    ]
    return sorted(
        differences, key=lambda difference: (difference.port, difference.service, difference.type)
    )


def _service_differences(
    expected: ExpectedService, observations: list[Observed], ports: frozenset[str] | None
) -> Iterator[Difference]:
    observed = observations[0] if observations else None
    expected = _with_administrative_state(expected, observed)
    if expected.is_in_doubt:
        yield _service_difference(IN_DOUBT, expected, observed, "it is unknown what is on the port")
    elif expected.state == STATE_TERMINATED:
        message = f"the service is {STATE_TERMINATED}, and the inventory has it on the port"
        yield _service_difference(
            UNKNOWN_ON_ELEMENT if observed else IN_DOUBT, expected, observed, message
        )
    elif observed is None:
        is_port_missing = ports is not None and expected.port not in ports
        message = (
            "the element has no such port"
            if is_port_missing
            else "the service is not on the element"
        )
        yield _service_difference(
            PORT_GONE if is_port_missing else MISSING_ON_ELEMENT, expected, None, message
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


def _with_administrative_state(
    expected: ExpectedService, observed: Observed | None
) -> ExpectedService:
    """Return a service that is switched on unless the inventory says otherwise.

    The inventory says so by the setting, or by the state of the service. An element that does not
    report the setting cannot switch services off.
    """
    if observed is None or ENABLED not in observed.settings or ENABLED in expected.settings:
        return expected
    enabled = expected.state != "inactive"
    return replace(expected, settings={**expected.settings, ENABLED: enabled})


def _differing_settings(
    expected: Mapping[str, Setting], observed: Mapping[str, Setting]
) -> list[str]:
    """Return the settings that differ; a setting that the element does not report is equal."""
    return sorted(
        name for name, value in expected.items() if name in observed and observed[name] != value
    )


def _duplicate_claim(expected: ExpectedService, observations: list[Observed]) -> Difference:
    ports = ", ".join(observation.port for observation in observations) or "no port"
    message = f"claimed more than once: the element has the service on {ports}"
    return _service_difference(
        IN_DOUBT, expected, observations[0] if observations else None, message
    )


def _unknown_service(expected_state: ExpectedState, observed: Observed) -> Difference:
    resource = expected_state.ports_in_doubt.get(observed.port)
    message = "the inventory has no such service"
    observed_values = {"port": observed.port, **observed.settings}
    return _difference(
        UNKNOWN_ON_ELEMENT,
        observed.service_id,
        observed.port,
        observed=observed_values,
        resource=resource,
        message=message,
    )


def _service_difference(
    type_: str, expected: ExpectedService, observed: Observed | None, message: str
) -> Difference:
    observed_values = {"port": observed.port, **observed.settings} if observed else {}
    return _difference(
        type_,
        expected.service,
        observed.port if observed and type_ == UNKNOWN_ON_ELEMENT else expected.port,
        expected={"port": expected.port, **expected.settings},
        observed=observed_values,
        resource=expected.resource,
        message=message,
    )


def _difference(type_: str, service: str, port: str, **attributes: Any) -> Difference:  # noqa: ANN401
    return Difference(type_, service, port, remedies=REMEDIES[type_], **attributes)
