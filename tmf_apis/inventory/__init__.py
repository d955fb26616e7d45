"""TMF639 Resource Inventory: the resources of the network, their states and relationships."""

from tmf_apis.inventory import actions, management, model, rules
from tmf_apis.inventory.relationships import DEPENDENCY_TYPES
from tmf_apis.rest.pipeline.dependents import ACTIVE_PRODUCTS, ACTIVE_SERVICES, Dependents
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import ApiModule, Resource, ResourcePolicy, has_changed
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:  # noqa: ARG001
    """Return the API module; physical and logical resources are one kind, with other ``@type``."""
    policy = ResourcePolicy(
        lifecycle=rules.ADMINISTRATIVE_LIFECYCLE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        needed_by=(
            Dependents(
                "Resource",
                "resourceRelationship.resource.id",
                types=DEPENDENCY_TYPES,
                blocks_server=True,
            ),
            Dependents("Service", "supportingResource.id", ACTIVE_SERVICES),
            Dependents("Product", "realizingResource.id", ACTIVE_PRODUCTS),
        ),
        on_delete=rules.on_delete,
        check=actions.check_relationships,
        exclusive=actions.lock_name,
        after_commit=actions.update_inverse_relationships,
        after_commit_if=_affects_relationships,
        parties=party_ids,
        is_staff_only=management.has_management_data,
        party_rules=rules.PARTY_RULES,
        state_attributes=rules.STATE_ATTRIBUTES,
    )
    return ApiModule(number="TMF639", policies={"Resource": policy}, models=(model.Resource,))


def _affects_relationships(old: Resource | None, new: Resource | None) -> bool:
    """Return whether relationships change; stored resources may refer to a new one already."""
    return old is None or has_changed("resourceRelationship")(old, new)
