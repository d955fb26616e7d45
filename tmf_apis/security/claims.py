"""The claims of a token, and the identity that they state.

Claims: ``sub``; ``scope`` (text, separated by spaces) or ``scp`` (a list); ``tenant`` (default: the
default tenant); ``party``: one or more ids of parties for which the client acts. A token without
``party`` belongs to the operator's own staff or systems and gives access to the whole tenant.

Source: RFC 7519 (JWT), RFC 9068 (claims), RFC 7800 and RFC 8705 (confirmation).
"""

import math
import re
import time
from collections.abc import Mapping
from typing import Any

from tmf_apis.errors import Unauthorized
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings

_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
#: Characters that no name has: of control, and halves of surrogate pairs, which no text can hold.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
#: Member of the claim ``cnf``: thumbprint of the client's certificate (RFC 8705 section 3.1).
CERTIFICATE_THUMBPRINT = "x5t#S256"


class TokenRefused(Unauthorized):
    """The token is missing or not accepted.

    Attributes:
        cause: Why, in one word; the same for every occurrence.
        subject: Subject of the token if its signature is valid; "" otherwise.
    """

    def __init__(self, message: str, cause: str, subject: str = "") -> None:
        description = re.sub(r"[^ !#-\[\]-~]", " ", message)
        challenge = f'Bearer error="invalid_token", error_description="{description}"'
        super().__init__(message, headers={"WWW-Authenticate": challenge})
        self.cause, self.subject = cause, subject


def check_introspected(claims: Mapping[str, Any], settings: Settings) -> None:
    """Check the claims of an active opaque token as those of a JWT are checked.

    Raises:
        TokenRefused: A claim is missing, or not as required (HTTP 401).
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise TokenRefused("the token has no claim sub", "claims")
    now, skew = time.time(), settings.clock_skew
    if not _number(claims.get("exp", now)) > now - skew:
        raise TokenRefused("the token has expired", "expired", subject)
    if not _number(claims.get("nbf", now)) <= now + skew:
        raise TokenRefused("the token is not valid yet", "claims", subject)
    if settings.issuer and claims.get("iss") != settings.issuer:
        raise TokenRefused("the claim iss is not the required issuer", "claims", subject)
    audience = claims.get("aud", [])
    audiences = [audience] if isinstance(audience, str) else audience
    if settings.audience and settings.audience not in audiences:
        raise TokenRefused("the claim aud does not have the required audience", "claims", subject)


def identity_of(claims: Mapping[str, Any], default_tenant: str) -> Identity:
    """Return the identity that the claims state.

    Raises:
        TokenRefused: A claim is malformed (HTTP 401).
    """
    subject = claims["sub"]
    if not subject or _FORBIDDEN.search(subject):
        raise TokenRefused("the claim sub is empty or has control characters", "claims")
    tenant = claims.get("tenant", default_tenant)
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise TokenRefused(
            "the claim tenant is not 1 to 64 letters, digits, dots, dashes or underscores",
            "claims",
            subject,
        )
    scope = claims.get("scope", claims.get("scp", ""))
    scopes = scope.split() if isinstance(scope, str) else scope
    return Identity(subject, tenant, _parties(claims), _text_set(scopes, "scope"))


def expiry_of(claims: Mapping[str, Any], latest: float) -> float:
    """Return the claim exp, and at most ``latest``, in seconds since 1970.

    >>> expiry_of({"exp": 5}, 9.0), expiry_of({"exp": 10**400}, 9.0), expiry_of({}, 9.0)
    (5.0, 9.0, 9.0)
    """
    try:
        return min(float(claims.get("exp", latest)), latest)
    except OverflowError:  # an integer that is larger than all floats
        return latest


def certificate_of(claims: Mapping[str, Any]) -> str:
    """Return the thumbprint of the certificate that a token is bound to; "" if to none.

    Raises:
        TokenRefused: The token is bound to something that this server cannot check (HTTP 401).
    """
    if "cnf" not in claims:
        return ""
    confirmation = claims["cnf"]
    thumbprint = (
        confirmation.get(CERTIFICATE_THUMBPRINT) if isinstance(confirmation, dict) else None
    )
    if not isinstance(thumbprint, str) or not thumbprint:
        raise TokenRefused(
            f"of the claim cnf only {CERTIFICATE_THUMBPRINT} can be checked", "bound", claims["sub"]
        )
    return thumbprint.rstrip("=")


def _number(value: object) -> float:
    """Return a number; NaN, which no time equals or precedes, for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else math.nan  # type: ignore[return-value]


def _parties(claims: Mapping[str, Any]) -> frozenset[str] | None:
    if "party" not in claims:
        return None
    party = claims["party"]
    return _text_set([party] if isinstance(party, str) else party, "party")


def _text_set(values: object, claim: str) -> frozenset[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise TokenRefused(f"the claim {claim} is neither a text nor a list of texts", "claims")
    if any(map(_FORBIDDEN.search, values)):
        raise TokenRefused(f"the claim {claim} has control characters", "claims")
    if claim == "party" and "*" in values:
        raise TokenRefused("the claim party names parties by their ids", "claims")
    return frozenset(values)
