"""TMF639 Resource Inventory: what the network is made of, its states, and what hangs on what."""

from tmf_apis.inventory import actions, model, rules
from tmf_apis.rest.law import Law, Resource, Room, touches
from tmf_apis.rest.owners import party_ids
from tmf_apis.settings import Settings

__all__ = ["room"]


def room(settings: Settings) -> Room:  # noqa: ARG001
    """Return the room; physical and logical resources are one kind, told apart by ``@type``."""
    law = Law(
        lifecycle=rules.ADMINISTRATIVE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        check=actions.check,
        after=actions.mirror,
        concerns=_related,
        parties=party_ids,
        state_event=rules.STATES,
    )
    return Room(number="TMF639", laws={"Resource": law}, models=(model.Resource,))


def _related(old: Resource | None, new: Resource | None) -> bool:
    """Return whether others have to follow: a new resource may be named by one there already."""
    return old is None or touches("resourceRelationship")(old, new)
