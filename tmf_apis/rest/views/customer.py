"""TMF629: what differs between v4 and v5."""

from typing import Any, Final

from tmf_apis.rest.views.shared_views import Views, related_party
from tmf_apis.rest.views.structural_transforms import DefaultMember, MemberTranslation, Unwrap
from tmf_apis.rest.views.transforms import NestedViews, type_rename

#: v4 ``mediumType`` -> v5 ``@type``. Other words of v4 clients ("Email") are kept as they are.
MEDIUM_TYPES: Final = {
    "email": "EmailContactMedium",
    "phone": "PhoneContactMedium",
    "fax": "FaxContactMedium",
    "postalAddress": "GeographicAddressContactMedium",
    "socialNetwork": "SocialContactMedium",
}
#: Which member makes which kind of medium; the first that is there decides.
_TYPES_BY_MEMBER: Final = {
    "emailAddress": MEDIUM_TYPES["email"],
    "phoneNumber": MEDIUM_TYPES["phone"],
    "faxNumber": MEDIUM_TYPES["fax"],
    "socialNetworkId": MEDIUM_TYPES["socialNetwork"],
    **dict.fromkeys(
        ("street1", "street2", "city", "postCode", "stateOrProvince", "country"),
        MEDIUM_TYPES["postalAddress"],
    ),
}
#: Values of ``mediumType`` in a stored medium that are types which changed places with it.
_KNOWN_VALUES: Final = frozenset({*MEDIUM_TYPES, *MEDIUM_TYPES.values(), "ContactMedium"})


def _medium_type(medium: dict[str, Any]) -> str | None:
    """Return the v5 type of a medium whose ``mediumType`` is a word of the v4 client's own."""
    word = medium.get("mediumType")
    if not isinstance(word, str) or word in _KNOWN_VALUES:
        return None
    return next(
        (kind for name, kind in _TYPES_BY_MEMBER.items() if name in medium), "ContactMedium"
    )


VIEWS: Views = {
    "Customer": (
        NestedViews(
            engagedParty="EngagedParty", relatedParty="RelatedParty", contactMedium="ContactMedium"
        ),
    ),
    "EngagedParty": (type_rename("RelatedParty", "PartyRef"),),
    "RelatedParty": related_party(v5_type="RelatedPartyOrPartyRole"),
    "ContactMedium": (
        Unwrap("characteristic", "contactType", *_TYPES_BY_MEMBER),
        MemberTranslation("mediumType", "@type", MEDIUM_TYPES),
        DefaultMember("@type", frozenset({"mediumType"}), _medium_type),
    ),
}
