"""TMF629: what differs between v4 and v5."""

from typing import Any, Final

from tmf_apis.rest.views.moves import Default, Kindred, Unwrap
from tmf_apis.rest.views.parts import Views, related_party
from tmf_apis.rest.views.steps import Nest, typed

#: v4 ``mediumType`` -> v5 ``@type``. Other words of v4 clients ("Email") are kept as they are.
MEDIA: Final = {
    "email": "EmailContactMedium",
    "phone": "PhoneContactMedium",
    "fax": "FaxContactMedium",
    "postalAddress": "GeographicAddressContactMedium",
    "socialNetwork": "SocialContactMedium",
}
#: Which member makes which kind of medium; the first that is there decides.
_SHOWN_BY: Final = {
    "emailAddress": MEDIA["email"],
    "phoneNumber": MEDIA["phone"],
    "faxNumber": MEDIA["fax"],
    "socialNetworkId": MEDIA["socialNetwork"],
    **dict.fromkeys(
        ("street1", "street2", "city", "postCode", "stateOrProvince", "country"),
        MEDIA["postalAddress"],
    ),
}
#: Values of ``mediumType`` in a stored medium that are types which changed places with it.
_TYPES: Final = frozenset({*MEDIA, *MEDIA.values(), "ContactMedium"})


def _type_of_medium(medium: dict[str, Any]) -> str | None:
    """Return the v5 type of a medium whose ``mediumType`` is a word of the v4 client's own."""
    word = medium.get("mediumType")
    if not isinstance(word, str) or word in _TYPES:
        return None
    return next((kind for name, kind in _SHOWN_BY.items() if name in medium), "ContactMedium")


VIEWS: Views = {
    "Customer": (
        Nest(
            engagedParty="EngagedParty", relatedParty="RelatedParty", contactMedium="ContactMedium"
        ),
    ),
    "EngagedParty": (typed("RelatedParty", "PartyRef"),),
    "RelatedParty": related_party(new="RelatedPartyOrPartyRole"),
    "ContactMedium": (
        Unwrap("characteristic", "contactType", *_SHOWN_BY),
        Kindred("mediumType", "@type", MEDIA),
        Default("@type", frozenset({"mediumType"}), _type_of_medium),
    ),
}
