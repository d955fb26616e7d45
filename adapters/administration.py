"""The administrative state of a service, which is part of what the service should be."""

from dataclasses import replace

from adapters.base import ADMIN, Adapter
from adapters.errors import Rejected
from adapters.values import Intent, Plan

ENABLED = "enabled"


async def plan_service(adapter: Adapter, intent: Intent) -> tuple[Intent, Plan]:
    """Plan a service that is switched on unless its intent says otherwise.

    Returns:
        The intent, with "enabled" if the element has it for the port, and its plan.
    """
    if intent.present and ADMIN in adapter.capabilities and ENABLED not in intent.settings:
        enabled = replace(intent, settings={**intent.settings, ENABLED: True})
        try:
            return enabled, await adapter.plan(enabled)
        except Rejected as error:
            if error.path != f"{intent.port} {ENABLED}":
                raise
    return intent, await adapter.plan(intent)
