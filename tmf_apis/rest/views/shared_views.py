"""Differences between v4 and v5 that several APIs share."""

from typing import Final

from tmf_apis.rest.views.inline_values import InlineValue
from tmf_apis.rest.views.structural_transforms import Wrap
from tmf_apis.rest.views.transforms import BidirectionalTransform, type_rename

View = tuple[BidirectionalTransform, ...]
#: The views of one API by name: those of its kinds, and of their parts that differ.
Views = dict[str, View]

_REFERENCE_MEMBERS = {name: name for name in ("id", "href", "name", "@referredType")}
#: Types of the places and parties of all contracts that are no values.
_PLACE_TYPES: Final = frozenset(
    {"Place", "PlaceRef", "RelatedPlace", "RelatedPlaceRef", "RelatedPlaceRefOrValue"}
)
_PARTY_TYPES: Final = frozenset(
    {
        *("PartyRef", "RelatedParty", "RelatedPartyRef", "RelatedPartyOrPartyRole"),
        *("RelatedPartyRefOrPartyRoleRef", "RelatedPartyRefOrValue"),
    }
)


def wrapped_reference(container: str, type: str) -> Wrap:
    """Return the transform of a reference that v5 nests in ``container`` and v4 does not."""
    return Wrap(container, _REFERENCE_MEMBERS, type)


def related_party(
    v4_type: str = "RelatedParty", v5_type: str = "RelatedPartyRefOrPartyRoleRef"
) -> View:
    """Return the view of a related party; v5 nests the party but not its role."""
    return (
        InlineValue("partyOrPartyRole", _REFERENCE_MEMBERS, v4_type, _PARTY_TYPES),
        wrapped_reference("partyOrPartyRole", "PartyRef"),
        type_rename(v4_type, v5_type),
    )


def related_place(
    v5_type: str = "RelatedPlaceRefOrValue",
    *,
    container: str = "place",
    reference_type: str = "PlaceRef",
    members: tuple[str, ...] = tuple(_REFERENCE_MEMBERS),
) -> View:
    """Return the view of a place; v5 nests the place, by reference or by value, but not its role.

    Args:
        v5_type: The type of the whole in v5.
        container: The member of v5 that holds the place.
        reference_type: The type of a reference in it.
        members: The attributes of a reference.
    """
    references = {name: name for name in members}
    v4_type = "RelatedPlaceRefOrValue"
    return (
        InlineValue(container, references, v4_type, _PLACE_TYPES),
        Wrap(container, references, reference_type),
        *((type_rename(v4_type, v5_type),) if v5_type != v4_type else ()),
    )
