"""TMF638 Service Inventory: services, their states, supporting services and resources."""

from tmf_apis.rest.pipeline.catalog_terms import DEPENDENCY_TYPES
from tmf_apis.rest.pipeline.dependents import ACTIVE_PRODUCTS, ACTIVE_SERVICES, Dependents
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.services import checks, rules
from tmf_apis.services.model import Service
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:  # noqa: ARG001
    """Return the API module; customer-facing and resource-facing services are one kind."""
    policy = ResourcePolicy(
        lifecycle=rules.LIFECYCLE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        on_delete=rules.PROVISIONED_SERVICE.check_delete,
        needed_by=(
            Dependents("Service", "supportingService.id", ACTIVE_SERVICES),
            Dependents(
                "Service", "serviceRelationship.service.id", ACTIVE_SERVICES, DEPENDENCY_TYPES
            ),
            Dependents("Product", "realizingService.id", ACTIVE_PRODUCTS),
        ),
        check=checks.check_dependencies,
        exclusive=checks.lock_name,
        parties=party_ids,
        party_rules=rules.PARTY_RULES,
    )
    return ApiModule(number="TMF638", policies={"Service": policy}, models=(Service,))
