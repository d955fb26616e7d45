"""TMF629 Customer Management: who buys, how to reach them, and whether they still are customers."""

from tmf_apis.customer import actions, model, rules
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:
    """Return the room; a second customer of one party is refused where the settings say so."""
    law = ResourcePolicy(
        lifecycle=rules.LIFECYCLE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        check=actions.refuse_duplicate if settings.unique_customers else None,
        parties=rules.parties,
    )
    return ApiModule(number="TMF629", policies={"Customer": law}, models=(model.Customer,))
