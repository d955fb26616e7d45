"""What a task of network operations may be, and which of its attributes the server keeps.

Source: TaskStateType of TMF630 part 7 ("Task resource"); the resources are of this project's own.
"""

from tmf_apis.errors import Forbidden, InvalidBody, NotFound, Unprocessable
from tmf_apis.network.reach import Outside, Reach
from tmf_apis.rest.law import Circumstances, Desk, Lifecycle, Resource

TASK = Lifecycle(
    attribute="state",
    steps={
        "acknowledged": frozenset(),
        "inProgress": frozenset(),
        "done": frozenset(),
        "terminatedWithError": frozenset(),
    },
    initial=("acknowledged",),
    system={
        "acknowledged": frozenset({"inProgress", "done", "terminatedWithError"}),
        "inProgress": frozenset({"done", "terminatedWithError"}),
    },
    source="openapi/NETWORK-v5.yaml, NetworkDiscovery.state",
    assigned=True,
)

_ALWAYS = frozenset({"creationDate", "completionDate", "message"})
DISCOVERED = _ALWAYS | {
    *("percentComplete", "found", "created", "updated", "unchanged", "silent"),
    *("unreachable", "element"),
}
AUDITED = _ALWAYS | {
    *("percentComplete", "elements", "checked", "inFlight", "unreachable"),
    *("differences", "count", "difference"),
}
RESOLVED = _ALWAYS | {"resolved", "failed"}


def on_create_task(resource: Resource, circumstances: Circumstances) -> Resource:
    """Return a new task with its date."""
    return {**resource, "creationDate": circumstances.timestamp}


def on_create_discovery(reach: Reach, resource: Resource, circumstances: Circumstances) -> Resource:
    """Return a new discovery with its date.

    Raises:
        Forbidden: It names where discovery must not look (HTTP 403).
        InvalidBody: It names what is no address, or too many (HTTP 400).
    """
    try:
        reach.places(resource.get("target", ()))
    except Outside as error:
        raise Forbidden(f"/target: {error}") from None
    except ValueError as error:
        raise InvalidBody(f"/target: {error}") from None
    return on_create_task(resource, circumstances)


def for_staff(desk: Desk, resource: Resource) -> Resource:
    """Return a task as it is.

    Raises:
        Forbidden: Whoever asks acts for a party; the network is the operator's (HTTP 403).
    """
    if desk.circumstances.parties is not None:
        raise Forbidden("the network is the operator's own: the token must not be a party's")
    return resource


def check_audit(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let a remedy be asked for where there is such an audit.

    Raises:
        Unprocessable: There is none (HTTP 422).
    """
    if old is not None or new is None:
        return
    try:
        desk.get("NetworkAudit", str(new["audit"].get("id")))
    except NotFound as error:
        raise Unprocessable(f"/audit: {error.message}") from None
