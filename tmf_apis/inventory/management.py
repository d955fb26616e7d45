"""Management data of network elements: who sets them, and who sees them; pure.

The management characteristics of a resource make the worker connect to an address with the
operator's credentials. Only staff with a scope of its own set them, and a resource that has them is
shown to staff only.
"""

from collections.abc import Mapping
from typing import Any

from tmf_apis.rest.pipeline.element_scope import require_element_scope
from tmf_apis.rest.pipeline.policy import RequestContext, Resource

#: The characteristic that makes a resource an element.
MANAGEMENT_ADDRESS = "managementAddress"
#: Names of the characteristics that lead to an element, or to a test head behind a port.
MANAGEMENT_CHARACTERISTICS = frozenset(
    {MANAGEMENT_ADDRESS, "adapter", "adapterOptions", "credentials", "testAddress"}
)


def management_name(resource: Mapping[str, Any] | None) -> str:
    """Return the name of the first management characteristic of a resource; empty: it has none.

    Every write of a resource calls it.

    >>> management_name({"resourceCharacteristic": [{"name": "colour"}, {"name": "adapter"}]})
    'adapter'
    """
    characteristics = resource.get("resourceCharacteristic") if resource else None
    if isinstance(characteristics, list):
        for characteristic in characteristics:
            name = characteristic.get("name") if isinstance(characteristic, dict) else None
            if isinstance(name, str) and name in MANAGEMENT_CHARACTERISTICS:
                return name
    return ""


def has_management_data(resource: Mapping[str, Any]) -> bool:
    """Return whether a resource is shown to staff only."""
    return bool(management_name(resource))


def check_management_data(
    old: Resource | None, new: Resource | None, context: RequestContext
) -> None:
    """Check that the client may write a resource with management data.

    Args:
        old: The resource before; None: it is new.
        new: The resource after; None: it is deleted.
        context: The request. The server itself (fulfilment, a discovery) may write it.

    Raises:
        Forbidden: The client acts for a party, or its token lacks the scope (HTTP 403).
    """
    if context.is_staff and (context.system or context.scopes is None):
        return
    if name := management_name(old) or management_name(new):
        reason = f"/resourceCharacteristic: {name} belongs to the management of an element"
        require_element_scope(context, reason)
