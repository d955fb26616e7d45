"""Network operations: discovery, audits and their remedies, fallout, capacity.

The work itself is done by the worker (``reconciliation``, ``fulfilment``, ``capacity``); here is
what its resources may be.
"""

from functools import partial

from tmf_apis.network_operations import fallout, rules
from tmf_apis.network_operations.discovery_scope import DiscoveryScope
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:
    """Return the room; all of it is for the operator's own people."""
    laws = {
        "FalloutTask": fallout.POLICY,
        "NetworkDiscovery": ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=rules.DISCOVERY_SERVER_OWNED,
            on_create=partial(rules.on_create_discovery, DiscoveryScope.from_settings(settings)),
            handle=rules.require_operator,
        ),
        "NetworkAudit": ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=rules.AUDIT_SERVER_OWNED,
            on_create=rules.on_create_task,
            handle=rules.require_operator,
        ),
        "ResolveDifference": ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=rules.RESOLUTION_SERVER_OWNED,
            on_create=rules.on_create_task,
            check=rules.validate_audit_reference,
            handle=rules.require_operator,
        ),
    }
    return ApiModule(number="NETWORK", policies=laws, models=(fallout.FalloutTask,))
