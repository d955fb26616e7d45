"""From how a port is and how it shall be to the steps between: pure, no I/O."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from adapters.errors import Conflict, Rejected
from adapters.values import Intent, Plan, Setting, Step, Transaction

State = Mapping[str, Setting]


class Attribute(Protocol):
    """One attribute of a port, as planning sees it; see ``adapters.snmp.profile.Attribute``."""

    @property
    def name(self) -> str:
        """Either "tag" or the name of a setting."""

    @property
    def absent(self) -> Setting | None:
        """Its value while no service uses the port; None: it is not touched then."""

    def is_valid_type(self, setting: Setting) -> bool:
        """Whether a value is of its kind."""

    def problem(self, setting: Setting) -> str:
        """Return why the element cannot hold a value; empty if it can."""


class Profile(Protocol):
    """A type of element, as planning sees it, whatever it speaks."""

    @property
    def attributes(self) -> Sequence[Attribute]:
        """What can be set, in the order in which a service is put on a port."""

    def attribute(self, name: str) -> Attribute:
        """Return the attribute of a name."""


def desired_state(intent: Intent, profile: Profile, current: State) -> dict[str, Setting]:
    """Return the attributes an intent speaks about, in the order they must be set.

    A service that shall be gone and whose port has another tag wants nothing.
    """
    known = [one.name for one in profile.attributes]
    if not intent.present:
        if current.get("tag") not in {"", intent.service_id}:
            return {}
        gone = {one.name: one.absent for one in profile.attributes if one.absent is not None}
        return {name: gone[name] for name in reversed(gone)}
    values: dict[str, Setting] = {**intent.settings, "tag": intent.service_id}
    return {name: values[name] for name in known if name in values} | {
        name: value for name, value in values.items() if name not in known
    }


def plan(
    element: str, intent: Intent, profile: Profile, current: State, tags: Mapping[str, str]
) -> Plan:
    """Return the plan for an intent.

    Args:
        element: Name of the element.
        intent: How the port shall be.
        profile: What the element is.
        current: How the port is.
        tags: The tag of every port of the element.

    Raises:
        Rejected: The port or the type of element has no such attribute, or cannot hold the value.
        Conflict: Another service has the port, or the service is on another port.
    """
    holder = current.get("tag", "")
    if intent.present:
        _check_free(element, intent, holder, tags)
    target = desired_state(intent, profile, current)
    for name in target:
        if name not in current:
            path, message = f"{intent.port} {name}", f"port {intent.port!r} has no {name}"
            raise Rejected(element, message, path=path, reason="noSuchAttribute")
    if not intent.present and holder == "":
        target = {}  # removed already; what else is on the port is not ours to touch
    steps = tuple(Step(intent.port, name, current[name], target[name]) for name in target)
    for step in steps:
        _check_value(element, step, profile)
    precondition = {name: current[name] for name in ("tag", *target)}
    needed = tuple(step for step in steps if step.before != step.after)
    return Plan(element, intent, needed, precondition)


def _check_free(element: str, intent: Intent, holder: Setting, tags: Mapping[str, str]) -> None:
    if holder not in {"", intent.service_id}:
        raise Conflict(element, f"port {intent.port!r} is in use by service {holder!r}")
    for port, tag in tags.items():
        if tag == intent.service_id and port != intent.port:
            raise Conflict(element, f"service {tag!r} is on port {port!r} already")


def _check_value(element: str, step: Step, profile: Profile) -> None:
    path, value = f"{step.port} {step.attribute}", step.after
    one = profile.attribute(step.attribute)
    if problem := one.problem(value):
        message = f"{path} = {value!r}: {problem}"
        reason = "wrongValue" if one.is_valid_type(value) else "wrongType"
        raise Rejected(element, message, path=path, reason=reason)


def check_precondition(plan: Plan, current: State) -> None:
    """Refuse a plan whose port is neither as it was found nor as the plan would leave it.

    Each attribute may be at its old or its new value: so a run that was interrupted goes on.

    Raises:
        Conflict: Somebody else changed the port since it was planned.
    """
    after = {step.attribute: step.after for step in plan.steps}
    for name, before in plan.precondition.items():
        allowed = {before, after.get(name, before)}
        if current.get(name) not in allowed:
            message = f"{plan.intent.port} {name} is {current.get(name)!r}, planned from {before!r}"
            raise Conflict(plan.element, message)


def check_unchanged(transaction: Transaction, current: State) -> None:
    """Refuse to roll back over what somebody else has changed since.

    Raises:
        Conflict: An attribute is neither as the transaction found it nor as it left it.
    """
    for step in transaction.done:
        if (found := current.get(step.attribute)) not in {step.before, step.after}:
            message = f"{step.port} {step.attribute} is {found!r} since, was set to {step.after!r}"
            raise Conflict(transaction.element, message)
