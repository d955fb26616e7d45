"""The steps from the current to the desired state of a port, and their verification; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from adapters.errors import Conflict, NotVerified, PortTaken, Rejected
from adapters.values import Intent, Plan, Setting, Step, Transaction, Verdict

#: The attributes of a port: "tag" and the settings.
State = Mapping[str, Setting]


class Attribute(Protocol):
    """One attribute of a port; ``adapters.snmp.profile.Attribute`` is an implementation."""

    @property
    def name(self) -> str:
        """Either "tag" or the name of a setting."""

    @property
    def absent(self) -> Setting | None:
        """The value while no service uses the port; None: removing a service does not reset it."""

    def is_valid_type(self, setting: Setting) -> bool:
        """Return whether a value has the type of the attribute."""

    def problem(self, setting: Setting) -> str:
        """Return the reason why the element cannot store a value; empty if it can."""


class Profile(Protocol):
    """A type of element, whatever its protocol."""

    @property
    def attributes(self) -> Sequence[Attribute]:
        """The attributes that can be set, in the order in which a service is set up."""

    def attribute(self, name: str) -> Attribute:
        """Return an attribute by name."""


def setting_names(profile: Profile) -> frozenset[str]:
    """Return the names of the settings that a type of element has."""
    return frozenset(attribute.name for attribute in profile.attributes) - {"tag"}


def desired_state(intent: Intent, profile: Profile, current: State) -> dict[str, Setting]:
    """Return the attributes that an intent sets, in the order in which they must be set.

    Nothing is set if the service must be absent and the port has the tag of another service, unless
    the intent is forced.
    """
    known = [attribute.name for attribute in profile.attributes]
    if not intent.present:
        if current.get("tag") not in {"", intent.service_id} and not intent.force:
            return {}
        absent = {
            attribute.name: attribute.absent
            for attribute in profile.attributes
            if attribute.absent is not None
        }
        return {name: absent[name] for name in reversed(absent)}
    values: dict[str, Setting] = {**intent.settings, "tag": intent.service_id}
    return {name: values[name] for name in known if name in values} | {
        name: value for name, value in values.items() if name not in known
    }


def may_be_elsewhere(intent: Intent, current: State) -> bool:
    """Return whether the tags of all ports are needed to plan an intent.

    A service that the port has already is not looked for on other ports: an audit finds it there.
    """
    return intent.present and not (intent.is_new or intent.force) and current.get("tag", "") == ""


def plan(
    element: str, intent: Intent, profile: Profile, current: State, tags: Mapping[str, str]
) -> Plan:
    """Return the plan for an intent.

    Args:
        element: Name of the element.
        intent: The desired state of the port.
        profile: The type of the element.
        current: The current state of the port.
        tags: The tag of every port of the element; may be empty unless ``may_be_elsewhere``.

    Raises:
        Rejected: The port or the type of element has no such attribute, or cannot store the value.
        Conflict: Another service uses the port, or the service is on another port.
    """
    owner = current.get("tag", "")
    if intent.present and not intent.force:
        _check_free(element, intent, owner, tags)
    target = desired_state(intent, profile, current)
    for name in target:
        if name not in current:
            path, message = f"{intent.port} {name}", f"port {intent.port!r} has no {name}"
            raise Rejected(element, message, path=path, reason="noSuchAttribute")
    if not intent.present and owner == "" and not intent.force:
        target = {}  # there is no service to remove; the other attributes stay as they are
    steps = tuple(Step(intent.port, name, current[name], target[name]) for name in target)
    for step in steps:
        _check_value(element, step, profile)
    precondition = {name: current[name] for name in ("tag", *target)}
    changes = tuple(step for step in steps if step.before != step.after)
    return Plan(element, intent, changes, precondition)


def _check_free(element: str, intent: Intent, owner: Setting, tags: Mapping[str, str]) -> None:
    if owner not in {"", intent.service_id}:
        raise PortTaken(element, f"port {intent.port!r} is in use by service {owner!r}")
    for port, tag in tags.items():
        if tag == intent.service_id and port != intent.port:
            raise Conflict(element, f"service {tag!r} is on port {port!r} already")


def _check_value(element: str, step: Step, profile: Profile) -> None:
    path, value = f"{step.port} {step.attribute}", step.after
    attribute = profile.attribute(step.attribute)
    if problem := attribute.problem(value):
        message = f"{path} = {value!r}: {problem}"
        reason = "wrongValue" if attribute.is_valid_type(value) else "wrongType"
        raise Rejected(element, message, path=path, reason=reason)


def check_precondition(plan: Plan, current: State) -> None:
    """Refuse a plan if somebody else has changed its port since the plan was made.

    Each attribute must have its old or its new value, so that an interrupted run can continue.

    Raises:
        Conflict: An attribute has another value.
    """
    after = {step.attribute: step.after for step in plan.steps}
    for name, before in plan.precondition.items():
        allowed = {before, after.get(name, before)}
        if current.get(name) not in allowed:
            state = f"{plan.intent.port} {name} is {current.get(name)!r}"
            message = f"{state}, but was {before!r} when the change was planned"
            raise Conflict(plan.element, message)


def check_unchanged(transaction: Transaction, current: State) -> None:
    """Refuse a rollback if somebody else has changed the port since the transaction.

    Raises:
        Conflict: An attribute has neither its value before the transaction nor the one after it.
    """
    for step in transaction.done:
        stored = transaction.stored.get(step.attribute, step.after)
        if (value := current.get(step.attribute)) not in {step.before, step.after, stored}:
            message = f"{step.port} {step.attribute} is {value!r}, but was set to {step.after!r}"
            raise Conflict(transaction.element, message)


def with_stored(transaction: Transaction, verdict: Verdict) -> Transaction:
    """Return a transaction with the other values that were read back right after it.

    An element that rounds has them, so they do not prevent a rollback.
    """
    stored = {
        step.attribute: verdict.observed[step.attribute]
        for step in transaction.done
        if verdict.observed.get(step.attribute, step.after) != step.after
    }
    return replace(transaction, stored=stored)


def pending_steps(steps: Sequence[Step], current: State) -> tuple[Step, ...]:
    """Return the steps that are not done yet."""
    return tuple(step for step in steps if current.get(step.attribute) != step.after)


def compare(element: str, expected: State, current: State) -> Verdict:
    """Return the verdict on the expected attributes of a port that has just been read."""
    observed = {name: current[name] for name in expected if name in current}
    return Verdict(element, expected, observed, datetime.now(UTC))


def verify_steps(element: str, steps: Sequence[Step], current: State) -> None:
    """Check that the steps are done on a port that has just been read.

    Raises:
        NotVerified: An attribute does not have its new value.
    """
    verdict = compare(element, {step.attribute: step.after for step in steps}, current)
    if not verdict.good:
        raise NotVerified(verdict)
