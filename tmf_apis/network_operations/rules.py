"""What a task of network operations may be, and which of its attributes the server keeps.

Source: TaskStateType of TMF630 part 7 ("Task resource"); the resources are of this project's own.
"""

from tmf_apis.errors import Forbidden, InvalidBody, NotFound, Unprocessable
from tmf_apis.network_operations.discovery_scope import DiscoveryScope, TargetNotPermitted
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
        Forbidden: It names where discovery must not look (HTTP 403).
        InvalidBody: It names what is no address, or too many (HTTP 400).
    """
    try:
        scope.permitted_targets(resource.get("target", ()))
    except TargetNotPermitted as error:
        raise Forbidden(f"/target: {error}") from None
    except ValueError as error:
        raise InvalidBody(f"/target: {error}") from None
    return on_create_task(resource, context)


def require_operator(repository: Repository, resource: Resource) -> Resource:
    """Return a task as it is.

    Raises:
        Forbidden: Whoever asks acts for a party; the network is the operator's (HTTP 403).
    """
    if repository.context.parties is not None:
        raise Forbidden("the network is the operator's own: the token must not be a party's")
    return resource


def validate_audit_reference(
    repository: Repository, old: Resource | None, new: Resource | None
) -> None:
    """Let a remedy be asked for where there is such an audit.

    Raises:
        Unprocessable: There is none (HTTP 422).
    """
    if old is not None or new is None:
        return
    try:
        repository.get("NetworkAudit", str(new["audit"].get("id")))
    except NotFound as error:
        raise Unprocessable(f"/audit: {error.message}") from None
