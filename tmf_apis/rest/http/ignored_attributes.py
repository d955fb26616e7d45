"""The attributes of the body of a POST that the server sets itself."""

from functools import cache
from typing import Final

from tmf_apis.rest.http.api import Api
from tmf_apis.rest.pipeline.policy import Resource, ResourcePolicy
from tmf_apis.rest.views import versions

_IDENTITY: Final = ("id", "href")


def ignored_attributes(
    policy: ResourcePolicy, kind: str, api: Api, resource: Resource
) -> list[tuple[str | int, ...]]:
    """Return the steps to the attributes of a new resource that the server does not take.

    A state that is the initial one is not ignored.

    Args:
        policy: The policy of the kind.
        kind: The kind.
        api: The API.
        resource: The resource in the form of the client.
    """
    lifecycle = policy.lifecycle
    initial = lifecycle.initial_states[0] if lifecycle else None
    names = _client_names(kind, api.contract.version, policy.ignored_in_create)
    ignored: list[tuple[str | int, ...]] = [
        (name,) for name in resource if name in names and resource[name] != initial
    ]
    for name, inner_names in policy.ignored_parts.items():
        for index, part in enumerate(_objects(resource.get(name))):
            ignored += [
                (name, index, inner)
                for inner in part
                if inner in inner_names and part[inner] != initial
            ]
    return ignored


def _objects(value: object) -> list[Resource]:
    """Return the objects of an array; nothing if it is none, which the contract refuses."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


@cache
def _client_names(kind: str, version: str, stored: frozenset[str]) -> frozenset[str]:
    """Return the names that a version gives to attributes of the stored form."""
    # The transforms exchange names, so the path of version 4 leads to that of the stored form.
    names = {path for name in stored for path in versions.stored_paths(kind, version, name)}
    return frozenset({*(path.partition(".")[0] for path in names), *_IDENTITY})
