"""TMF629: the differences between v4 and v5."""

from typing import Any, Final

from tmf_apis.rest.views.shared_views import Views, related_party
from tmf_apis.rest.views.structural_transforms import DefaultMember, MemberTranslation, Unwrap
from tmf_apis.rest.views.transforms import NestedViews, type_rename

#: v4 ``mediumType`` -> v5 ``@type``. Other values of v4 clients ("Email") are not translated.
MEDIUM_TYPES: Final = {
    "email": "EmailContactMedium",
    "phone": "PhoneContactMedium",
    "fax": "FaxContactMedium",
    "postalAddress": "GeographicAddressContactMedium",
    "socialNetwork": "SocialContactMedium",
}
#: Member -> v5 ``@type`` of a medium with the member; the first member that is present decides.
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
#: Values of a stored ``mediumType`` that come from a swap with ``@type``.
_KNOWN_VALUES: Final = frozenset({*MEDIUM_TYPES, *MEDIUM_TYPES.values(), "ContactMedium"})


def _medium_type(medium: dict[str, Any]) -> str | None:
    """Return the v5 type of a medium whose ``mediumType`` is not a value of the contract."""
    medium_type = medium.get("mediumType")
    if not isinstance(medium_type, str) or medium_type in _KNOWN_VALUES:
        return None
    return next(
        (type for member, type in _TYPES_BY_MEMBER.items() if member in medium), "ContactMedium"
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
