"""TMF638 Service Inventory: which services run, in which state, and what they rest on."""

from tmf_apis.rest.law import Law, Room
from tmf_apis.rest.owners import party_ids
from tmf_apis.services import actions, rules
from tmf_apis.services.model import Service
from tmf_apis.settings import Settings

__all__ = ["room"]


def room(settings: Settings) -> Room:  # noqa: ARG001
    """Return the room; customer-facing and resource-facing services are one kind."""
    law = Law(
        lifecycle=rules.STATE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        on_delete=rules.on_delete,
        check=actions.check,
        parties=party_ids,
    )
    return Room(number="TMF638", laws={"Service": law}, models=(Service,))
