"""TMF629 Customer Management: customers, their contact data and their status."""

from dataclasses import replace

from tmf_apis.customer import checks, model, rules
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:
    """Return the API module; a setting refuses a second customer of the same party."""
    policy = ResourcePolicy(
        lifecycle=rules.LIFECYCLE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        parties=rules.parties,
        party_rules=rules.PARTY_RULES,
    )
    if settings.unique_customers:
        policy = replace(policy, check=checks.refuse_duplicate, exclusive=checks.lock_name)
    return ApiModule(number="TMF629", policies={"Customer": policy}, models=(model.Customer,))
