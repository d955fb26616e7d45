"""Differences between v4 and v5 that several APIs share."""

from tmf_apis.rest.views.structural_transforms import Wrap
from tmf_apis.rest.views.transforms import BidirectionalTransform, type_rename

View = tuple[BidirectionalTransform, ...]
#: The views of one API by name: those of its kinds, and of their parts that differ.
Views = dict[str, View]

_REFERENCE_MEMBERS = {name: name for name in ("id", "href", "name", "@referredType")}


def wrapped_reference(container: str, type: str) -> Wrap:
    """Return the transform of a reference that v5 nests in ``container`` and v4 does not."""
    return Wrap(container, _REFERENCE_MEMBERS, type)


def related_party(
    v4_type: str = "RelatedParty", v5_type: str = "RelatedPartyRefOrPartyRoleRef"
) -> View:
    """Return the view of a related party; v5 nests the reference but not its role."""
    return (wrapped_reference("partyOrPartyRole", "PartyRef"), type_rename(v4_type, v5_type))
