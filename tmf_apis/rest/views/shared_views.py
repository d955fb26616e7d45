"""What several APIs changed in the same way."""

from tmf_apis.rest.views.structural_transforms import Wrap
from tmf_apis.rest.views.transforms import BidirectionalTransform, type_rename

View = tuple[BidirectionalTransform, ...]
#: Views of one API by name: kinds, and the parts of them that differ.
Views = dict[str, View]

_REFERENCE_MEMBERS = {name: name for name in ("id", "href", "name", "@referredType")}


def wrapped_reference(container: str, type: str) -> Wrap:
    """Return the step of a reference that v5 puts in a box: v4 has its members outside."""
    return Wrap(container, _REFERENCE_MEMBERS, type)


def related_party(
    v4_type: str = "RelatedParty", v5_type: str = "RelatedPartyRefOrPartyRoleRef"
) -> View:
    """Return the view of a party with its role; the role stays beside the reference."""
    return (wrapped_reference("partyOrPartyRole", "PartyRef"), type_rename(v4_type, v5_type))
