"""Policies: the rules that an API module declares for its kinds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tmf_apis.errors import IllegalTransition, TmfError
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.dependents import Dependents
from tmf_apis.rest.pipeline.party_rules import PartyRules
from tmf_apis.security.request_origin import NO_ORIGIN, RequestOrigin

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A state machine as data.

    Attributes:
        attribute: The attribute of the stored form that holds the state.
        transitions: For each state, the states that a client may move to; a state without any is
            final.
        initial_states: The states that a new resource may have; the first is the default.
        system_transitions: For each state, further states that only the server itself moves to.
        source: The specification that the state machine is taken from.
        allows_unknown_states: The contract types the attribute as free text. A state that the
            machine does not have is accepted, and any transition from or to it is allowed.
        server_sets_initial: The server chooses the initial state and ignores the client's.
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
        """The states without a transition, for clients and for the server."""
        return frozenset(
            state
            for state in self.states
            if not self.transitions.get(state) and not self.system_transitions.get(state)
        )

    def initial_state(self, kind: str, requested_state: str | None, *, system: bool = False) -> str:
        """Return the state of a new resource.

        Args:
            kind: The kind, for the error message.
            requested_state: The state in the request; None if it has no state.
            system: The server itself (a loader, a job) creates the resource. It may start in any
                state of the machine.

        Raises:
            IllegalTransition: A new resource cannot be in that state (HTTP 409).
        """
        if requested_state is None or (self.server_sets_initial and not system):
            return self.initial_states[0]
        is_state = requested_state in self.states
        if (
            requested_state in self.initial_states
            or (is_state and system)
            or (self.allows_unknown_states and not is_state)
        ):
            return requested_state
        raise IllegalTransition(kind, "new", requested_state, self.initial_states)

    def transition(self, kind: str, old: str, new: str, *, system: bool = False) -> str:
        """Return ``new`` if the transition from ``old`` is allowed; staying in a state always is.

        Raises:
            IllegalTransition: The lifecycle has no such transition (HTTP 409).
        """
        allowed = self.transitions.get(old, frozenset())
        if system:
            allowed |= self.system_transitions.get(old, frozenset())
        is_unknown = not {old, new} <= self.states
        # An earlier release may have stored a state that the machine does not have.
        is_free = is_unknown and (self.allows_unknown_states or new in self.states)
        if new != old and new not in allowed and not is_free:
            raise IllegalTransition(kind, old, new, allowed)
        return new

    def as_resource(self, kind: str) -> Resource:
        """Return the state machine in the form of ``/lifecycle``.

        The member ``system`` has only the transitions that a client cannot make itself.
        """
        states = sorted(self.states)
        return {
            "@type": "StateMachine",
            "id": kind,
            "kind": kind,
            "attribute": self.attribute,
            "initial": list(self.initial_states),
            "states": states,
            "final": sorted(self.final_states),
            "open": self.allows_unknown_states,
            "steps": {state: sorted(self.transitions.get(state, ())) for state in states},
            "system": {
                state: sorted(
                    self.system_transitions[state] - self.transitions.get(state, frozenset())
                )
                for state in states
                if self.system_transitions.get(state)
            },
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The facts about a request that a policy may depend on.

    Attributes:
        now: The time of the request, in UTC.
        version: The API version of the request: "v4" or "v5".
        subject: The subject of the client's token, or "anonymous".
        flags: The operator's settings that policies depend on (``check_references`` ...).
        system: The server itself makes the request (a workflow, a job), not a client.
        make_id: Returns a new id for a resource or a part of one.
        parties: The parties that the client acts for; None for the operator and the server itself,
            empty for nobody. Ask ``is_staff``, not for the truth value.
        origin: The client, address and id of the request that caused this one, for the audit log.
        scopes: The scopes of the client's token; None: all.
    """

    now: datetime
    version: str
    subject: str
    flags: Mapping[str, bool]
    system: bool
    make_id: Callable[[], str]
    parties: frozenset[str] | None = None
    origin: RequestOrigin = NO_ORIGIN
    scopes: frozenset[str] | None = None

    @property
    def is_staff(self) -> bool:
        """Return whether the operator or the server itself makes the request."""
        return self.parties is None

    @property
    def timestamp(self) -> str:
        """``now`` in the stored form: RFC 3339, milliseconds, ``Z``."""
        return rfc3339(self.now)


class Repository(Protocol):
    """Reads and writes of resources, bound to one tenant and one identity.

    It works on stored forms. Every write runs through the pipeline: policy, version check, events.

    Attributes:
        now: The time of the request, in UTC.
        context: The context of the request.
        tenant: The tenant.
    """

    now: datetime
    context: RequestContext
    tenant: str

    def get(self, kind: str, id: str) -> Resource:
        """Return a resource with its id.

        Raises:
            NotFound: There is none that the identity may see (HTTP 404).
        """

    def find(
        self, kind: str, query: Mapping[str, Any], *, limit: int = 1000, sort: str = "id"
    ) -> list[Resource]:
        """Return the resources whose stored form matches a MongoDB query.

        Args:
            kind: The kind.
            query: The query; its names are paths of the stored form (``"parent.id"``), ``"id"`` is
                the resource's id.
            limit: Most resources to return.
            sort: A path; descending with ``-`` before it.
        """

    def revision_fingerprint(self, queries: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
        """Return a text that changes when the result of one of the queries changes.

        The queries cover the whole tenant, even if the repository sees only a part of it.

        Args:
            queries: Kinds and queries, as ``find`` takes them.
        """

    def create(self, kind: str, resource: Resource) -> Resource:
        """Create a resource and return it with its id.

        If ``resource`` has an ``id``, it is used, so that a repeated call can be recognised.

        Raises:
            Conflict: There is already a resource with this id (HTTP 409).
        """

    def create_many(self, kind: str, resources: Iterable[Resource]) -> set[str]:
        """Create resources with ids; return the ids of those that existed already.

        Existing resources stay unchanged. The policy's ``check`` and ``after_commit`` are not
        called: the caller creates complete, consistent sets of resources.
        """

    def create_each(self, kind: str, resources: Sequence[Resource]) -> list[TmfError | None]:
        """Create resources with different ids as ``create`` does, but in one bulk write.

        The policy's ``check`` sees the resources as they were before.

        Returns:
            The error of each resource; None if it was created.

        Raises:
            Unavailable: The database does not answer; some may be written (HTTP 503).
        """

    def change(self, kind: str, id: str, edit: Callable[[Resource], Resource]) -> Resource:
        """Change a resource by a function of its stored form and return it with its id.

        The function is called again if another client has changed the resource meanwhile. An equal
        resource is not written. The lifecycle's ``system_transitions`` are allowed, too.

        Raises:
            NotFound: There is none that the identity may see (HTTP 404).
            Stale: Other clients changed it at each attempt (HTTP 409).
        """

    def change_many(
        self, kind: str, edits: Mapping[str, Callable[[Resource], Resource]]
    ) -> dict[str, Resource]:
        """Change resources by functions, see ``change``; return those that exist, by id.

        A function may be called again on a resource that it has changed already.
        """

    def delete(self, kind: str, id: str) -> None:
        """Delete a resource and store its delete event."""

    def for_network(self, parties: frozenset[str] | None) -> "Repository":
        """Return a repository of the operator's own resources.

        It shows neither the resources that parties created nor those that belong to other parties.

        Args:
            parties: The parties that the operator works for; None: none, so that it also shows the
                operator's resources that belong to any party.
        """


#: A check before a write, called with a tenant-wide repository, the old and the new resource.
PolicyCheck = Callable[[Repository, Resource | None, Resource | None], None]
#: A dry run, called with a tenant-wide repository, the client's own one and the new resource.
DryRun = Callable[[Repository, Repository, Resource], Mapping[str, Any]]


def _unchanged(resource: Resource, context: RequestContext) -> Resource:  # noqa: ARG001
    return resource


def _accept_change(old: Resource, new: Resource, context: RequestContext) -> Resource:  # noqa: ARG001
    return new


def _always(old: Resource | None, new: Resource | None) -> bool:  # noqa: ARG001
    return True


def _no_lock(old: Resource | None, new: Resource, context: RequestContext) -> str:  # noqa: ARG001
    return ""


def has_changed(*attributes: str) -> Callable[[Resource | None, Resource | None], bool]:
    """Return a predicate: whether a write changes one of these first-level attributes.

    >>> has_changed("parent")({"name": "a"}, {"name": "b"})
    False
    >>> has_changed("name")(None, {"name": "b"})
    True
    """

    def is_changed(old: Resource | None, new: Resource | None) -> bool:
        before, after = old or {}, new or {}
        return any(before.get(name) != after.get(name) for name in attributes)

    return is_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """The rules of one kind. All functions work on the stored form.

    Attributes:
        lifecycle: The state machine; the pipeline enforces it on create and change.
        server_owned: First-level attributes that only the server sets. They are dropped from a
            create and refused in a change unless the value stays the same.
        accepts_ids: Staff may choose the id of a new resource; the id of a resource that was read
            (it has an ``href``) is ignored.
        on_create: Adds defaults to a new resource and checks it; pure. Id and state are set.
        on_change: Checks a change, called with the old and the new resource after the lifecycle;
            pure.
        on_delete: Raises an error if the resource may not be deleted; pure.
        needed_by: The resources that rest on one of this kind; a client cannot delete it while
            there are any.
        check: Checks that need other resources, called before a write with a tenant-wide
            repository, the old resource (None on create) and the new one (None on delete). The
            context of the repository is that of the request.
        exclusive: Returns the name of the lock under which ``check`` and the write have to be one
            step, from the old resource (None on create), the new one and the request; empty: none.
            Without it, two clients could each make a change that the other one's change forbids.
            It costs two round trips to the database.
        after_commit: Follow-up on other resources, called after the write with the same arguments.
            It is called again after a crash, so it must be safe to repeat.
        after_commit_if: Returns whether a write needs ``after_commit``; called with the old and the
            new resource.
        handle: Executes a task resource (POST /cancelProductOrder ...), called with a repository
            and the task before it is stored. The task that it returns is stored and sent back.
        tenant_wide: ``handle`` gets a repository that sees the whole tenant, even for a party. The
            response may reveal to a party whether a resource exists, but nothing else.
        dry_run: Plans a create with ``dryRun=true``, called with a tenant-wide repository, the
            client's own repository and the resource as it would be stored. It returns further
            attributes of the response and writes nothing.
        run_in_background: Executes a stored task that outlasts the request (job, bill run). The
            worker calls it with a repository and the task at least once; safe to repeat.
        parties: Returns the ids of the parties that own the resource; default: those of
            ``relatedParty``.
        is_staff_only: Returns whether a resource belongs to no party, whoever it names and whoever
            created it, so that only staff see it.
        party_holders: Attributes, at any depth, whose objects have related parties that ``parties``
            returns as well.
        extra_events: Returns the names of further events of a change, from the old and the new
            resource ("Milestone" of ProductOrderMilestoneEvent); at most 14.
        state_attributes: Attributes whose change is a StateChangeEvent instead of an
            AttributeValueChangeEvent; default: the lifecycle's attribute.
        party_rules: What a party may name and set in a resource of this kind.
        ignored_parts: Attributes with objects, and the attributes of each object that a create does
            not take from the client.
    """

    lifecycle: Lifecycle | None = None
    server_owned: frozenset[str] = frozenset()
    accepts_ids: bool = False
    on_create: Callable[[Resource, RequestContext], Resource] = _unchanged
    on_change: Callable[[Resource, Resource, RequestContext], Resource] = _accept_change
    on_delete: Callable[[Resource, RequestContext], None] | None = None
    needed_by: tuple[Dependents, ...] = ()
    check: PolicyCheck | None = None
    exclusive: Callable[[Resource | None, Resource, RequestContext], str] = _no_lock
    after_commit: Callable[[Repository, Resource | None, Resource | None], None] | None = None
    after_commit_if: Callable[[Resource | None, Resource | None], bool] = _always
    handle: Callable[[Repository, Resource], Resource] | None = None
    tenant_wide: bool = False
    dry_run: DryRun | None = None
    run_in_background: Callable[[Repository, Resource], None] | None = None
    parties: Callable[[Resource], Iterable[str]] | None = None
    party_holders: frozenset[str] = frozenset()
    is_staff_only: Callable[[Resource], bool] | None = None
    extra_events: Callable[[Resource, Resource], Iterable[str]] | None = None
    state_attributes: frozenset[str] | None = None
    party_rules: PartyRules = field(default_factory=PartyRules)
    ignored_parts: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def ignored_in_create(self) -> frozenset[str]:
        """The attributes that a create does not take from the client."""
        if self.lifecycle and self.lifecycle.server_sets_initial:
            return self.server_owned | {self.lifecycle.attribute}
        return self.server_owned

    @property
    def state_event_attributes(self) -> frozenset[str]:
        """The attributes whose change is a StateChangeEvent."""
        if self.state_attributes is not None:
            return self.state_attributes
        return frozenset({self.lifecycle.attribute}) if self.lifecycle else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiModule:
    """The contribution of one API to the server: policies and indexes.

    Attributes:
        number: The API, such as ``"TMF620"``.
        policies: The policy of each kind; a kind without one is stored as the client sends it.
        models: mongoengine documents that declare collections and indexes.
    """

    number: str
    policies: Mapping[str, ResourcePolicy]
    models: tuple[type, ...] = ()
