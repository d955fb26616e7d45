"""A kind's policy applied to the old and the new form of a resource; pure, no I/O.

The writer that stores resources in MongoDB and the in-memory repository of the tests both use these
functions, so both apply the same rules.
"""

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.owners import STANDARD_OWNER_ROLES, OwnerRoles, party_ids
from tmf_apis.rest.pipeline.policy import RequestContext, Resource, ResourcePolicy
from tmf_apis.security.identity import EVERYONE


def new_resource(
    policy: ResourcePolicy, kind: str, resource: Resource, context: RequestContext
) -> Resource:
    """Return a new resource with its initial state, its type and the policy's defaults.

    Args:
        policy: The kind's policy.
        kind: The kind.
        resource: The stored form, with its id. Attributes that only the server sets are dropped
            unless the server itself creates the resource.
        context: The request.

    Raises:
        TmfError: The policy refuses the resource.
    """
    dropped = frozenset() if context.system else policy.server_owned
    resource = {name: value for name, value in resource.items() if name not in dropped}
    if lifecycle := policy.lifecycle:
        requested = resource.get(lifecycle.attribute)
        state = lifecycle.initial_state(kind, requested, system=context.system)
        resource[lifecycle.attribute] = state
    resource.setdefault("@type", kind)
    return policy.on_create(resource, context)


def changed_resource(
    policy: ResourcePolicy, kind: str, old: Resource, new: Resource, context: RequestContext
) -> Resource:
    """Return the new form of a resource after the policy's checks of the change.

    Args:
        policy: The kind's policy.
        kind: The kind.
        old: The stored form before, with its id.
        new: The requested stored form, with its id.
        context: The request.

    Raises:
        InvalidBody: The id changes, a client changes an attribute of the server, or the state is
            removed (HTTP 400).
        IllegalTransition: The lifecycle has no such transition (HTTP 409).
        TmfError: The policy refuses the change.
    """
    if new.get("id") != old["id"]:
        raise InvalidBody("/id: the id of a resource cannot change")
    if not context.system:
        for name in policy.server_owned:
            if new.get(name) != old.get(name):
                raise InvalidBody(f"/{name}: only the server sets this attribute")
    if lifecycle := policy.lifecycle:
        before, after = old.get(lifecycle.attribute), new.get(lifecycle.attribute)
        if after is None and before is not None:
            raise InvalidBody(f"/{lifecycle.attribute}: cannot be removed")
        if before is not None and after is not None:
            lifecycle.transition(kind, before, after, system=context.system)
    return policy.on_change(old, new, context)


def check_deletion(policy: ResourcePolicy, old: Resource, context: RequestContext) -> None:
    """Check that the policy allows deleting a resource.

    Raises:
        TmfError: The policy refuses the deletion.
    """
    if policy.on_delete:
        policy.on_delete(old, context)


def needs_after_commit(policy: ResourcePolicy, old: Resource | None, new: Resource | None) -> bool:
    """Return whether a write is followed by the policy's ``after_commit``."""
    return policy.after_commit is not None and policy.after_commit_if(old, new)


def owning_parties(
    policy: ResourcePolicy, resource: Resource, roles: OwnerRoles = STANDARD_OWNER_ROLES
) -> list[str]:
    """Return the ids of the parties that a resource belongs to, sorted.

    A resource belongs to everybody only if the policy says so for the whole kind. A client cannot
    achieve that by an attribute.

    Args:
        policy: The kind's policy.
        resource: The stored form, with its id.
        roles: The roles in which a related party owns a resource.
    """
    if policy.is_staff_only and policy.is_staff_only(resource):
        return []
    parties = policy.parties or party_ids
    owners = {str(party) for party in parties(roles.owners_only(resource, policy.party_holders))}
    if EVERYONE in owners and EVERYONE not in parties({}):
        owners.remove(EVERYONE)
    return sorted(owners)
