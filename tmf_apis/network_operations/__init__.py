"""Network operations: task resources for discovery, audits, remedies and fallout.

This package defines the rules of the resources; the worker executes the tasks
(``reconciliation``, ``fulfilment``).
"""

from functools import partial

from tmf_apis.network_operations import fallout, rules
from tmf_apis.network_operations.discovery_scope import DiscoveryScope
from tmf_apis.rest.pipeline.party_rules import READ_ONLY
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:
    """Return the API module; only the operator may use it, not a party."""
    policies = {
        "FalloutTask": fallout.POLICY,
        "NetworkDiscovery": ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=rules.DISCOVERY_SERVER_OWNED,
            on_create=partial(rules.on_create_discovery, DiscoveryScope.from_settings(settings)),
            handle=rules.require_element_manager,
            party_rules=READ_ONLY,
        ),
        "NetworkAudit": ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=rules.AUDIT_SERVER_OWNED,
            on_create=rules.on_create_task,
            handle=rules.require_operator,
            party_rules=READ_ONLY,
        ),
        "ResolveDifference": ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=rules.RESOLUTION_SERVER_OWNED,
            on_create=rules.on_create_task,
            check=rules.validate_audit_reference,
            handle=rules.require_operator,
            party_rules=READ_ONLY,
        ),
    }
    return ApiModule(number="NETWORK", policies=policies, models=(fallout.FalloutTask,))
