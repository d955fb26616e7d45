"""Lifecycle and rules of the task resources of network operations.

Source: TaskStateType of TMF630 part 7 ("Task resource"); this project defines the resources.
"""

from collections.abc import Iterable, Iterator

from tmf_apis.errors import Forbidden, InvalidBody, NotFound, Unprocessable, listed_faults
from tmf_apis.network_operations.discovery_scope import DiscoveryScope, TargetNotPermitted
from tmf_apis.network_operations.targets import parse_targets
from tmf_apis.rest.pipeline.element_scope import require_element_scope
from tmf_apis.rest.pipeline.policy import Lifecycle, Repository, RequestContext, Resource

TASK_LIFECYCLE = Lifecycle(
    attribute="state",
    transitions={
        "acknowledged": frozenset(),
        "inProgress": frozenset(),
        "done": frozenset(),
        "terminatedWithError": frozenset(),
    },
    initial_states=("acknowledged",),
    system_transitions={
        "acknowledged": frozenset({"inProgress", "done", "terminatedWithError"}),
        "inProgress": frozenset({"done", "terminatedWithError"}),
    },
    source="openapi/NETWORK-v5.yaml, NetworkDiscovery.state",
    server_sets_initial=True,
)

_TASK_SERVER_OWNED = frozenset({"creationDate", "completionDate", "message"})
DISCOVERY_SERVER_OWNED = _TASK_SERVER_OWNED | {
    *("percentComplete", "found", "created", "updated", "unchanged", "silent"),
    *("unreachable", "element"),
}
AUDIT_SERVER_OWNED = _TASK_SERVER_OWNED | {
    *("percentComplete", "elements", "checked", "inFlight", "unreachable"),
    *("differences", "count", "difference"),
}
RESOLUTION_SERVER_OWNED = _TASK_SERVER_OWNED | {"resolved", "failed"}


def on_create_task(resource: Resource, context: RequestContext) -> Resource:
    """Return a new task with its date."""
    return {**resource, "creationDate": context.timestamp}


def on_create_discovery(
    scope: DiscoveryScope, resource: Resource, context: RequestContext
) -> Resource:
    """Return a new discovery with its date.

    Raises:
        Forbidden: A target is outside the permitted networks (HTTP 403).
        InvalidBody: A target is malformed, or there are too many addresses (HTTP 400).
    """
    try:
        scope.permitted_targets(resource.get("target", ()))
    except TargetNotPermitted as error:
        raise Forbidden(f"/target: {error}") from None
    except ValueError as error:
        faults = _target_faults(resource.get("target", ()))
        raise InvalidBody(listed_faults(faults) or f"/target: {error}") from None
    return on_create_task(resource, context)


def _target_faults(targets: Iterable[str]) -> Iterator[str]:
    """Yield JSON pointer and fault of each target that is malformed."""
    for index, target in enumerate(targets):
        try:
            parse_targets([target])
        except ValueError as error:
            yield f"/target/{index}: {error}"


def require_operator(repository: Repository, resource: Resource) -> Resource:
    """Return the task unchanged if the client is the operator.

    Raises:
        Forbidden: The client acts for a party (HTTP 403).
    """
    if not repository.context.is_staff:
        raise Forbidden("only the operator may do this: the token must not have a party")
    return resource


def require_element_manager(repository: Repository, discovery: Resource) -> Resource:
    """Return a discovery unchanged if the client may write elements, as the discovery does.

    Raises:
        Forbidden: The client acts for a party, or its token lacks the scope (HTTP 403).
    """
    require_element_scope(repository.context, "a discovery writes elements into the inventory")
    return discovery


def validate_audit_reference(
    repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Check that the audit that a new ResolveDifference names exists.

    Raises:
        Unprocessable: There is no such audit (HTTP 422).
    """
    if old is not None or new is None:
        return
    try:
        repository.get("NetworkAudit", str(new["audit"].get("id")))
    except NotFound as error:
        raise Unprocessable(f"/audit: {error.message}") from None
