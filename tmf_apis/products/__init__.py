"""TMF637 Product Inventory: what a customer has, in which state, and what makes it work."""

from tmf_apis.products import actions, rules
from tmf_apis.products.model import Product
from tmf_apis.rest.law import Law, Room
from tmf_apis.rest.owners import party_ids
from tmf_apis.settings import Settings

__all__ = ["room"]


def room(settings: Settings) -> Room:  # noqa: ARG001
    """Return the room."""
    law = Law(
        lifecycle=rules.STATUS,
        on_create=rules.on_create,
        on_change=rules.on_change,
        on_delete=rules.on_delete,
        check=actions.check,
        parties=party_ids,
    )
    return Room(number="TMF637", laws={"Product": law}, models=(Product,))
