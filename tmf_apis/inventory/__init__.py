"""TMF639 Resource Inventory: what the network is made of, its states, and what hangs on what."""

from tmf_apis.inventory import actions, model, rules
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import ApiModule, Resource, ResourcePolicy, has_changed
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:  # noqa: ARG001
    """Return the room; physical and logical resources are one kind, told apart by ``@type``."""
    law = ResourcePolicy(
        lifecycle=rules.ADMINISTRATIVE_LIFECYCLE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        check=actions.check_relationships,
        after_commit=actions.update_inverse_relationships,
        after_commit_if=_affects_relationships,
        parties=party_ids,
        state_attributes=rules.STATE_ATTRIBUTES,
    )
    return ApiModule(number="TMF639", policies={"Resource": law}, models=(model.Resource,))


def _affects_relationships(old: Resource | None, new: Resource | None) -> bool:
    """Return whether others have to follow: a new resource may be named by one there already."""
    return old is None or has_changed("resourceRelationship")(old, new)
