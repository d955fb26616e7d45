"""TMF637 Product Inventory: products, their states, services and resources."""

from tmf_apis.products import checks, rules
from tmf_apis.products.model import Product
from tmf_apis.rest.pipeline.catalog_terms import DEPENDENCY_TYPES
from tmf_apis.rest.pipeline.dependents import ACTIVE_PRODUCTS, Dependents
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:  # noqa: ARG001
    """Return the API module."""
    policy = ResourcePolicy(
        lifecycle=rules.LIFECYCLE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        on_delete=rules.PROVISIONED_PRODUCT.check_delete,
        needed_by=(
            Dependents(
                "Product", "productRelationship.product.id", ACTIVE_PRODUCTS, DEPENDENCY_TYPES
            ),
        ),
        check=checks.check_references,
        parties=party_ids,
        party_rules=rules.PARTY_RULES,
    )
    return ApiModule(number="TMF637", policies={"Product": policy}, models=(Product,))
