"""TMF645 Service Qualification: which services are available, and where."""

from functools import partial

from tmf_apis.qualification import actions, rules
from tmf_apis.qualification.actions import ObstacleFinder
from tmf_apis.qualification.model import CheckServiceQualification, QueryServiceQualification
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings, *, find_obstacles: ObstacleFinder | None = None) -> ApiModule:  # noqa: ARG001
    """Return the API module; a qualification is answered from the state at that moment.

    Args:
        settings: The operator's settings.
        find_obstacles: Returns the reasons why fulfilment cannot provide a service. By default, a
            service is available if a resource of each required category is free.
    """
    policies = {
        kind: ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=rules.SERVER_OWNED[kind],
            on_create=partial(rules.on_create, kind),
            handle=partial(actions.qualify, kind, find_obstacles),
            tenant_wide=True,
            parties=party_ids,
            party_rules=rules.PARTY_RULES,
        )
        for kind in rules.SERVER_OWNED
    }
    models = (CheckServiceQualification, QueryServiceQualification)
    return ApiModule(number="TMF645", policies=policies, models=models)
