"""Lookups of resources that several API modules share."""

from tmf_apis.errors import NotFound
from tmf_apis.rest.pipeline.policy import Repository, Resource


def get_or_none(repository: Repository, kind: str, id: str) -> Resource | None:
    """Return a resource, or None if there is none that the client may see."""
    try:
        return repository.get(kind, id)
    except NotFound:
        return None
