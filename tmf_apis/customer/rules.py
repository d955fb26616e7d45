"""What a customer may be.

Source: TMF629 v4.0.0 and v5.0.1, Customer. The contract types ``status`` as free text and names
its steps nowhere; the machine below is the usual one of the SID's party roles, and a status that
it does not know is let in.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.law import Circumstances, Lifecycle, Resource
from tmf_apis.rest.owners import party_ids
from tmf_apis.rest.periods import valid_for

LIFECYCLE = Lifecycle(
    attribute="status",
    steps={
        "Initialized": frozenset({"Validated", "Approved", "Active", "Closed"}),
        "Validated": frozenset({"Approved", "Active", "Closed"}),
        "Approved": frozenset({"Active", "Suspended", "Closed"}),
        "Active": frozenset({"Suspended", "Closed"}),
        "Suspended": frozenset({"Active", "Closed"}),
        "Closed": frozenset(),
    },
    initial=("Initialized", "Validated", "Approved", "Active", "Suspended"),
    source="SID, PartyRole; TMF629 v5.0.1, Customer.status (free text)",
    open=True,
)

#: RFC 5321: a local part of at most 64 and a path of at most 254 characters.
_EMAIL = re.compile(r'(?=.{3,254}$)[^\s@<>(),;"]{1,64}@[^\s@<>(),;"_]{1,253}')
#: RFC 3966 and what people write: digits, the usual punctuation and an extension.
_PHONE = re.compile(
    r"(?=.*\d)(?:tel:)?[+\d(][\d\s().,/#*;=+-]*(?:ext\.?|x)?[\d\s=]*", re.IGNORECASE
)
_LONGEST_NUMBER = 64


def _is_email(text: str) -> bool:
    return bool(_EMAIL.fullmatch(text)) and ".." not in text


def _is_number(text: str) -> bool:
    return len(text) <= _LONGEST_NUMBER and bool(_PHONE.fullmatch(text))


#: For each typed contact medium, the attribute that is checked, how, and what it should be.
MEDIA: Mapping[str, tuple[str, Callable[[str], bool], str]] = {
    "EmailContactMedium": ("emailAddress", _is_email, "an e-mail address"),
    "PhoneContactMedium": ("phoneNumber", _is_number, "a telephone number"),
    "FaxContactMedium": ("faxNumber", _is_number, "a telephone number"),
}

#: Attributes of a credit profile that are counts.
SCORES = ("creditRiskRating", "creditScore", "ratingScore")


def on_create(customer: Resource, circumstances: Circumstances) -> Resource:
    """Check a new customer and date its credit profiles.

    Raises:
        InvalidBody: A contact medium, credit profile or period contradicts itself (HTTP 400).
    """
    profiles = [
        {"creditProfileDate": circumstances.timestamp, **profile} if _is_dated(profile) else profile
        for profile in _objects(customer, "creditProfile")
    ]
    _check(customer)
    return {**customer, "creditProfile": profiles} if profiles else customer


def on_change(old: Resource, new: Resource, circumstances: Circumstances) -> Resource:  # noqa: ARG001
    """Check what a customer becomes; what was stored already is not checked again.

    Raises:
        InvalidBody: A contact medium, credit profile or period contradicts itself (HTTP 400).
    """
    names = ("contactMedium", "creditProfile", "validFor")
    _check({name: new[name] for name in names if name in new and new[name] != old.get(name)})
    return new


def parties(customer: Resource) -> Iterable[str]:
    """Return whose customer it is: the engaged party, the customer itself, related parties."""
    engaged = customer.get("engagedParty")
    if isinstance(engaged, Mapping) and engaged.get("id"):
        yield str(engaged["id"])
    if customer.get("id"):
        yield str(customer["id"])
    yield from party_ids(customer)


def _is_dated(profile: Mapping[str, Any]) -> bool:
    return profile.get("@type") in {None, "CreditProfile"}


def _objects(resource: Resource, name: str) -> list[dict[str, Any]]:
    value = resource.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _check(customer: Resource) -> None:
    valid_for(customer)
    for place, medium in enumerate(_objects(customer, "contactMedium")):
        _check_medium(medium, f"/contactMedium/{place}")
    for place, profile in enumerate(_objects(customer, "creditProfile")):
        valid_for(profile, at=f"/creditProfile/{place}")
        _check_scores(profile, f"/creditProfile/{place}")


def _check_medium(medium: Mapping[str, Any], at: str) -> None:
    valid_for(medium, at=at)
    if known := MEDIA.get(str(medium.get("@type"))):
        name, is_good, expected = known
        value = medium.get(name)
        if isinstance(value, str) and not is_good(value.strip()):
            raise InvalidBody(f"{at}/{name}: expected {expected}")


def _check_scores(profile: Mapping[str, Any], at: str) -> None:
    for name in SCORES:
        score = profile.get(name)
        if isinstance(score, int | float) and score < 0:
            raise InvalidBody(f"{at}/{name}: {score} is below 0; expected 0 or more")
