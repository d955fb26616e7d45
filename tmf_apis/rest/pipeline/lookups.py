"""Lookups of resources that several API modules share."""

from collections.abc import Sequence

from tmf_apis.errors import Conflict, NotFound
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most dependents that an error message names.
MAX_NAMED_DEPENDENTS = 5


def get_or_none(repository: Repository, kind: str, id: str) -> Resource | None:
    """Return a resource, or None if there is none that the client may see."""
    try:
        return repository.get(kind, id)
    except NotFound:
        return None


def refuse_while_needed(label: str, dependents: Sequence[Resource], advice: str = "") -> None:
    """Refuse to delete a resource on which others depend.

    Args:
        label: Kind and id of the resource.
        dependents: The resources that depend on it; at least one more than
            ``MAX_NAMED_DEPENDENTS`` if there are that many.
        advice: How the client can proceed; appended to the message.

    Raises:
        Conflict: There are dependents; the message names the first of them (HTTP 409).
    """
    if not dependents:
        return
    named = dependents[:MAX_NAMED_DEPENDENTS]
    names = ", ".join(f"{resource.get('name', '')} ({resource['id']})" for resource in named)
    more = " and more" if len(dependents) > MAX_NAMED_DEPENDENTS else ""
    raise Conflict(f"{label} is needed by {names}{more}{advice}")
