"""Lifecycle and validation rules of customers.

Source: TMF629 v4.0.0 and v5.0.1, Customer. The contract types ``status`` as free text and does
not define transitions. The lifecycle below is the usual one of party roles in the SID; other
statuses are accepted.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.reference_schema import ACCOUNT
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.party_rules import PartyRules, Setter, operator_decides
from tmf_apis.rest.pipeline.periods import check_valid_for
from tmf_apis.rest.pipeline.policy import Lifecycle, RequestContext, Resource

LIFECYCLE = Lifecycle(
    attribute="status",
    transitions={
        "Initialized": frozenset({"Validated", "Approved", "Active", "Closed"}),
        "Validated": frozenset({"Approved", "Active", "Closed"}),
        "Approved": frozenset({"Active", "Suspended", "Closed"}),
        "Active": frozenset({"Suspended", "Closed"}),
        "Suspended": frozenset({"Active", "Closed"}),
        "Closed": frozenset(),
    },
    initial_states=("Initialized", "Validated", "Approved", "Active", "Suspended"),
    source="SID, PartyRole; TMF629 v5.0.1, Customer.status (free text)",
    allows_unknown_states=True,
)

#: The operator decides about credit, accounts and status; a customer keeps its engaged party.
PARTY_RULES = PartyRules(
    setters={
        **operator_decides("account", "creditProfile", "status", "statusReason", "agreement"),
        **operator_decides("partyRoleSpecification", "validFor"),
        "engagedParty": Setter.ON_CREATE,
    },
    deleted_by=Setter.CREATOR,
    holds={ACCOUNT: ("account.id",)},
)

#: RFC 5321: a local part of at most 64 and a path of at most 254 characters.
_EMAIL = re.compile(r'(?=.{3,254}$)[^\s@<>(),;"]{1,64}@[^\s@<>(),;"_]{1,253}')
#: RFC 3966 and common notations: digits, the usual punctuation and an extension.
_PHONE = re.compile(
    r"(?=.*\d)(?:tel:)?[+\d(][\d\s().,/#*;=+-]*(?:ext\.?|x)?[\d\s=]*", re.IGNORECASE
)
_MAX_PHONE_LENGTH = 64


def _is_email(text: str) -> bool:
    return bool(_EMAIL.fullmatch(text)) and ".." not in text


def _is_phone_number(text: str) -> bool:
    return len(text) <= _MAX_PHONE_LENGTH and bool(_PHONE.fullmatch(text))


#: For each typed contact medium: the attribute to check, the check, and the expected value.
CONTACT_MEDIUM_CHECKS: Mapping[str, tuple[str, Callable[[str], bool], str]] = {
    "EmailContactMedium": ("emailAddress", _is_email, "an e-mail address"),
    "PhoneContactMedium": ("phoneNumber", _is_phone_number, "a telephone number"),
    "FaxContactMedium": ("faxNumber", _is_phone_number, "a telephone number"),
}

#: Attributes of a credit profile that cannot be negative.
CREDIT_SCORE_ATTRIBUTES = ("creditRiskRating", "creditScore", "ratingScore")


def on_create(customer: Resource, context: RequestContext) -> Resource:
    """Return a new customer whose credit profiles are dated.

    Raises:
        InvalidBody: A contact medium, credit profile or period is invalid (HTTP 400).
    """
    profiles = [
        {"creditProfileDate": context.timestamp, **profile}
        if _is_credit_profile(profile)
        else profile
        for profile in json_objects(customer.get("creditProfile"))
    ]
    _check(customer)
    return {**customer, "creditProfile": profiles} if profiles else customer


def on_change(old: Resource, new: Resource, context: RequestContext) -> Resource:  # noqa: ARG001
    """Check the changed attributes of a customer; unchanged ones are not checked again.

    Raises:
        InvalidBody: A contact medium, credit profile or period is invalid (HTTP 400).
    """
    names = ("contactMedium", "creditProfile", "validFor")
    _check({name: new[name] for name in names if name in new and new[name] != old.get(name)})
    return new


def parties(customer: Resource) -> Iterable[str]:
    """Yield the parties of a customer: engaged party, the customer itself, related parties."""
    engaged = customer.get("engagedParty")
    if isinstance(engaged, Mapping) and engaged.get("id"):
        yield str(engaged["id"])
    if customer.get("id"):
        yield str(customer["id"])
    yield from party_ids(customer)


def _is_credit_profile(profile: Mapping[str, Any]) -> bool:
    return profile.get("@type") in {None, "CreditProfile"}


def _check(customer: Resource) -> None:
    check_valid_for(customer)
    for index, medium in enumerate(json_objects(customer.get("contactMedium"))):
        _check_medium(medium, f"/contactMedium/{index}")
    for index, profile in enumerate(json_objects(customer.get("creditProfile"))):
        check_valid_for(profile, pointer=f"/creditProfile/{index}")
        _check_scores(profile, f"/creditProfile/{index}")


def _check_medium(medium: Mapping[str, Any], pointer: str) -> None:
    check_valid_for(medium, pointer=pointer)
    if check := CONTACT_MEDIUM_CHECKS.get(str(medium.get("@type"))):
        name, is_valid, expected = check
        value = medium.get(name)
        if isinstance(value, str) and not is_valid(value.strip()):
            raise InvalidBody(f"{pointer}/{name}: expected {expected}")


def _check_scores(profile: Mapping[str, Any], pointer: str) -> None:
    for name in CREDIT_SCORE_ATTRIBUTES:
        score = profile.get(name)
        if isinstance(score, int | float) and score < 0:
            raise InvalidBody(f"{pointer}/{name}: {score} is below 0; expected 0 or more")
