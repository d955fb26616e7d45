"""What a room tells the engine about the kinds it is responsible for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tmf_apis.errors import IllegalTransition

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A state machine as data.

    Attributes:
        attribute: The attribute of the stored form that holds the state.
        transitions: From each state, the states a client may go to; one that leads nowhere is final.
        initial_states: States that a new resource may be given; the first is the default.
        system_transitions: From each state, further steps that only the server itself takes.
        source: The document that the machine comes from.
        allows_unknown_states: The contract types the attribute as free text: a state that the machine does not
            know is let in, and from it any step is allowed.
        server_sets_initial: The server says where a new resource starts; what the client says is ignored.
    """

    attribute: str
    transitions: Mapping[str, frozenset[str]]
    initial_states: tuple[str, ...]
    system_transitions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    source: str = ""
    allows_unknown_states: bool = False
    server_sets_initial: bool = False

    @property
    def states(self) -> frozenset[str]:
        """Every state of the machine."""
        return frozenset(self.transitions) | frozenset(self.system_transitions)

    @property
    def final_states(self) -> frozenset[str]:
        """The states that nobody, not even the server, leads a resource out of."""
        return frozenset(
            state
            for state in self.states
            if not self.transitions.get(state) and not self.system_transitions.get(state)
        )

    def initial_state(self, kind: str, requested_state: str | None, *, system: bool = False) -> str:
        """Return the state of a new resource for which the client wants ``requested_state``.

        The server itself (a loader, a job) may start in any state of the machine.

        Raises:
            IllegalTransition: A new resource cannot be in that state (HTTP 409).
        """
        if requested_state is None or (self.server_sets_initial and not system):
            return self.initial_states[0]
        known = requested_state in self.states
        if (
            requested_state in self.initial_states
            or (known and system)
            or (self.allows_unknown_states and not known)
        ):
            return requested_state
        raise IllegalTransition(kind, "new", requested_state, self.initial_states)

    def transition(self, kind: str, old: str, new: str, *, system: bool = False) -> str:
        """Return ``new`` if a resource may go there from ``old``; staying put is always allowed.

        Raises:
            IllegalTransition: The lifecycle has no such step (HTTP 409).
        """
        allowed = self.transitions.get(old, frozenset())
        if system:
            allowed |= self.system_transitions.get(old, frozenset())
        free = self.allows_unknown_states and not {old, new} <= self.states
        if new != old and new not in allowed and not free:
            raise IllegalTransition(kind, old, new, allowed)
        return new

    def as_resource(self, kind: str) -> Resource:
        """Return the machine as clients read it: states, and where each leads.

        ``system_transitions`` has only the steps that a client cannot take itself.
        """
        order = sorted(self.states)
        return {
            "@type": "StateMachine",
            "id": kind,
            "kind": kind,
            "attribute": self.attribute,
            "initial": list(self.initial_states),
            "states": order,
            "final": sorted(self.final_states),
            "open": self.allows_unknown_states,
            "steps": {state: sorted(self.transitions.get(state, ())) for state in order},
            "system": {
                state: sorted(
                    self.system_transitions[state] - self.transitions.get(state, frozenset())
                )
                for state in order
                if self.system_transitions.get(state)
            },
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a rule may depend on beside the resource itself.

    Attributes:
        now: The time of the request, in UTC.
        version: "v4" or "v5": which contract the client speaks.
        subject: Who asks; the token's subject, or "anonymous".
        flags: The operator's settings that change the law (``check_references`` ...).
        system: The server itself asks (a workflow, a job), not a client.
        make_id: Makes the id of a resource or sub-resource.
        parties: The parties that the client acts for; None for staff and the server itself.
    """

    now: datetime
    version: str
    subject: str
    flags: Mapping[str, bool]
    system: bool
    make_id: Callable[[], str]
    parties: frozenset[str] | None = None

    @property
    def timestamp(self) -> str:
        """``now`` as it stands in a resource: RFC 3339, milliseconds, ``Z``."""
        return rfc3339(self.now)


def rfc3339(instant: datetime) -> str:
    """Return a time in UTC as it stands in a resource.

    >>> from datetime import UTC
    >>> rfc3339(datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC))
    '2026-01-02T03:04:05.678Z'
    """
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


class Repository(Protocol):
    """What a deed may do to other resources; bound to one tenant and to who asks.

    Stored forms only. Every change runs through the engine: law, rev check, events.
    """

    now: datetime
    context: RequestContext
    tenant: str

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource with its id.

        Raises:
            NotFound: There is none for this client (HTTP 404).
        """

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return resources whose stored form matches a MongoDB query over ``body`` paths.

        The query's names are paths of the stored form (``"parent.id"``), not of the document;
        ``"id"`` is the resource's id.
        """

    def revision_fingerprint(self, queries: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Return a text that changes when the result of one of the queries changes.

        The queries see the whole tenant, whatever the repository sees.

        Args:
            queries: Kinds and queries, as ``find`` takes them.
        """

    def create(self, kind: str, resource: Resource) -> Resource:
        """Make a resource, law and events included, and return it with its id.

        An ``id`` in ``resource`` is taken as it is (safe to repeat: see raises).

        Raises:
            Conflict: The id is taken already.
        """

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Make resources with ids, events included; return the ids of those that were there.

        What is there already stays as it is. What the law looks up in other resources and has
        follow there (``check``, ``after_commit``) is left to the caller, who brings whole what belongs
        together.
        """

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource by a function of its stored form, tried again when it was stale.

        Returning an equal resource writes nothing. The law of ``system_transitions`` steps applies.
        """

    def change_many(
        self, kind: str, edits: Mapping[str, Callable[[Resource], Resource]]
    ) -> dict[str, Resource]:
        """Change resources by functions, as ``change`` does; return those that are there, by id.

        An edit may be called again on a resource that it has changed already.
        """

    def delete(self, kind: str, id: str) -> None:
        """Delete a resource, its delete event included."""


def _unchanged(resource: Resource, context: RequestContext) -> Resource:  # noqa: ARG001
    return resource


def _accept_change(old: Resource, new: Resource, context: RequestContext) -> Resource:  # noqa: ARG001
    return new


def _always(old: Resource | None, new: Resource | None) -> bool:  # noqa: ARG001
    return True


def has_changed(*attributes: str) -> Callable[[Resource | None, Resource | None], bool]:
    """Return whether a write adds, changes or removes one of some first-level attributes.

    >>> has_changed("parent")({"name": "a"}, {"name": "b"}), has_changed("name")(None, {"name": "b"})
    (False, True)
    """

    def touched(old: Resource | None, new: Resource | None) -> bool:
        before, after = old or {}, new or {}
        return any(before.get(name) != after.get(name) for name in attributes)

    return touched


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """What is particular to one kind; all functions work on the stored form.

    Attributes:
        lifecycle: Its state machine, enforced by the engine on create and change.
        server_owned: First-level attributes that only the server sets: dropped from a create,
            refused in a patch unless the value is unchanged.
        on_create: Defaults and checks of a new resource; pure. The id is set, the state is too.
        on_change: Checks of a change, called with old and new after the lifecycle; pure.
        on_delete: Raises where the resource may not go; pure.
        check: Checks that need other resources: called before a write with the desk, the old
            resource (None on create) and the new one (None on delete).
        after_commit: Follow-up on other resources, called after the write with the same arguments; may
            be called again after a crash, so it must be safe to repeat.
        after_commit_if: Whether a write calls for ``after_commit``; asked with the old and the new resource.
        handle: The deed of a task resource (POST /cancelProductOrder ...), called with the desk and
            the task before it is stored; what it returns is stored and answered.
        tenant_wide: ``handle`` sees the whole of the tenant, whoever asks; what it answers must tell a
            party no more than that something is there or not.
        dry_run: What would become of a new resource, for a client that asks with ``dryRun``:
            called with a desk that sees the whole tenant, the client's own desk and the resource
            as it would be stored; returns an attribute of the answer by name. Writes nothing.
        run_in_background: Starts work that outlasts the request (job, bill run); called by the worker with
            the desk and the stored task, at least once; safe to repeat.
        parties: Ids of the parties that the resource belongs to; default: every relatedParty,
            engagedParty and customer/account owner reference found at the first level.
        extra_events: Names of further events that a change is, with the old and the new resource
            ("Milestone" of ProductOrderMilestoneEvent); at most 14.
        state_attributes: Attributes whose change is a StateChangeEvent instead of an
            AttributeValueChangeEvent; default: the lifecycle's attribute.
    """

    lifecycle: Lifecycle | None = None
    server_owned: frozenset[str] = frozenset()
    on_create: Callable[[Resource, RequestContext], Resource] = _unchanged
    on_change: Callable[[Resource, Resource, RequestContext], Resource] = _accept_change
    on_delete: Callable[[Resource, RequestContext], None] | None = None
    check: Callable[[Repository, Resource | None, Resource | None], None] | None = None
    after_commit: Callable[[Repository, Resource | None, Resource | None], None] | None = None
    after_commit_if: Callable[[Resource | None, Resource | None], bool] = _always
    handle: Callable[[Repository, Resource], Resource] | None = None
    tenant_wide: bool = False
    dry_run: Callable[[Repository, Repository, Resource], Mapping[str, Any]] | None = None
    run_in_background: Callable[[Repository, Resource], None] | None = None
    parties: Callable[[Resource], Iterable[str]] | None = None
    extra_events: Callable[[Resource, Resource], Iterable[str]] | None = None
    state_attributes: frozenset[str] | None = None

    @property
    def state_event_attributes(self) -> frozenset[str]:
        """The attributes that hold its states: a change of one is a StateChangeEvent."""
        if self.state_attributes is not None:
            return self.state_attributes
        return frozenset({self.lifecycle.attribute}) if self.lifecycle else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiModule:
    """One room's door: its laws, its indexes, its v4 views.

    Attributes:
        number: The API, as ``"TMF620"``.
        policies: Law of each kind; a kind without one is stored as it comes.
        models: mongoengine documents that declare collection and indexes.
    """

    number: str
    policies: Mapping[str, ResourcePolicy]
    models: tuple[type, ...] = ()
