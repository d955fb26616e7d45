"""Protect resources that orders have provisioned on the network against direct changes.

A change or deletion in the inventory does not reach the network; only an order does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Conflict, Forbidden
from tmf_apis.rest.pipeline.policy import RequestContext, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedKind:
    """A kind of resource that orders provision on the network.

    Attributes:
        kind: The kind.
        state_attribute: The attribute of the lifecycle state.
        in_service_states: States in which a provisioned resource works, or is about to.
        supporting_attributes: Attributes that refer to the services and resources that provide it.
        ordered_attributes: Attributes that a party can change only by an order.
        modifying_order: The order that changes them, for the message.
        deleting_order: The order that ends a resource, for the message; ``{id}`` is its id.
    """

    kind: str
    state_attribute: str
    in_service_states: frozenset[str]
    supporting_attributes: tuple[str, ...]
    ordered_attributes: tuple[str, ...]
    modifying_order: str
    deleting_order: str

    def is_provisioned(self, resource: Mapping[str, Any]) -> bool:
        """Return whether a service or resource provides this resource."""
        return any(resource.get(name) for name in self.supporting_attributes)

    def check_change(self, old: Resource, new: Resource, context: RequestContext) -> None:
        """Check that a party does not change attributes that it has to order.

        Raises:
            Forbidden: A party changes one of ``ordered_attributes`` (HTTP 403).
        """
        if context.is_staff or context.system or not self.is_provisioned(old):
            return
        for name in self.ordered_attributes:
            if old.get(name) != new.get(name):
                raise Forbidden(
                    f"/{name}: can be changed only by an order ({self.modifying_order})"
                )

    def check_delete(self, resource: Resource, context: RequestContext) -> None:
        """Check that a resource to delete is not in service.

        Raises:
            Conflict: The resource is provisioned and in service (HTTP 409).
        """
        state = resource.get(self.state_attribute)
        if context.system or state not in self.in_service_states:
            return
        if self.is_provisioned(resource):
            raise Conflict(
                f"{self.kind} is {state} and was provisioned; order its end first"
                f" ({self.deleting_order.format(id=resource['id'])}), then it can be deleted"
            )
