"""What several APIs changed in the same way."""

from tmf_apis.rest.views.moves import Wrap
from tmf_apis.rest.views.steps import Step, typed

View = tuple[Step, ...]
#: Views of one API by name: kinds, and the parts of them that differ.
Views = dict[str, View]

_REFERENCE = {name: name for name in ("id", "href", "name", "@referredType")}


def boxed(box: str, type: str) -> Wrap:
    """Return the step of a reference that v5 puts in a box: v4 has its members outside."""
    return Wrap(box, _REFERENCE, type)


def related_party(old: str = "RelatedParty", new: str = "RelatedPartyRefOrPartyRoleRef") -> View:
    """Return the view of a party with its role; the role stays beside the reference."""
    return (boxed("partyOrPartyRole", "PartyRef"), typed(old, new))
