"""Authentication by bearer tokens: JWTs that are signed with a key of a JWKS, and opaque tokens.

``claims`` describes the claims. The identity of a token is cached until the token expires, a key
changes or the revocation list changes.

Source: RFC 6750 (bearer tokens), RFC 7519 (JWT), RFC 7517 (JWKS), RFC 7662 (introspection).
"""

import hashlib
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from tmf_apis.errors import BadRequest
from tmf_apis.security import claims as token_claims
from tmf_apis.security.claims import TokenRefused
from tmf_apis.security.identity import Identity
from tmf_apis.security.introspection import Introspector
from tmf_apis.security.jwks import KeysById, matching_keys, parse_jwks
from tmf_apis.security.refreshed_source import RefreshedSource, RefreshTimes
from tmf_apis.security.refusals import RefusalLog
from tmf_apis.security.request_origin import NO_ORIGIN, RequestOrigin
from tmf_apis.security.revocations import RevocationList, parse_revocations
from tmf_apis.settings import Settings

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)\s*", re.IGNORECASE | re.ASCII)
#: Most tokens whose identities are cached.
_MAX_CACHED_TOKENS = 10_000
_HOUR = 3600.0
#: Number of dots in a JWT (RFC 7515 section 7.1, compact serialization).
_JWT_DOTS = 2


@dataclass(frozen=True, slots=True)
class CachedToken:
    """The outcome of the check of a token.

    Attributes:
        expires_at: Time until which it counts, in seconds since 1970.
        generation: Generation of the keys and the revocation list at the check.
        certificate: Thumbprint of the certificate that the token is bound to; "" if to none.
        identity: The client.
    """

    expires_at: float
    generation: int
    certificate: str
    identity: Identity


class TokenAuthenticator:
    """Authenticates requests by their bearer tokens.

    Attributes:
        enabled: A token is required; if false, every client is permitted everything.
        refusals: The log of failed log-ins and refused requests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        enabled: bool,
        jwks: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the authenticator; the keys are read at the first request.

        Args:
            settings: Issuer, audience, clock skew, default tenant, revocation and introspection.
            enabled: Require a token.
            jwks: File or URL of the keys; "" if every token is introspected.
            clock: Returns the time by which keys and revocations age, in seconds.
        """
        self.enabled = enabled
        self.refusals = RefusalLog(clock)
        self._settings = settings
        self._anonymous = Identity("anonymous", settings.default_tenant)
        self._cache: dict[bytes, CachedToken] = {}
        outage = settings.jwks_outage * _HOUR
        self._keys: RefreshedSource[KeysById] | None = None
        if jwks:
            times = RefreshTimes(refresh=settings.jwks_refresh, outage=outage)
            self._keys = RefreshedSource(jwks, parse_jwks, times, clock)
        self._revocations: RefreshedSource[RevocationList] | None = None
        if settings.revocation_list:
            times = RefreshTimes(refresh=settings.revocation_refresh, outage=outage)
            self._revocations = RefreshedSource(
                settings.revocation_list, parse_revocations, times, clock
            )
        self._introspector: Introspector | None = None
        if settings.introspection_url:
            self._introspector = Introspector(
                settings.introspection_url,
                settings.introspection_client,
                settings.introspection_secret,
            )

    def authenticate(
        self, headers: Mapping[str, str], origin: RequestOrigin = NO_ORIGIN
    ) -> Identity:
        """Return the identity of the client that sent a request.

        Args:
            headers: The headers of the request by lower-case name.
            origin: The origin of the request; needed for tokens that are bound to a certificate.

        Raises:
            BadRequest: There is more than one token (HTTP 400).
            TokenRefused: The bearer token is missing or invalid (HTTP 401).
            Unavailable: The token cannot be checked now (HTTP 503).
        """
        if not self.enabled:
            return self._anonymous
        token = _bearer_token(headers.get("authorization", ""))
        digest = hashlib.sha256(token.encode()).digest()
        cached = self._cache.get(digest)
        generation = self._generation()
        if cached is None or cached.generation != generation or time.time() >= cached.expires_at:
            cached = self._check(token, generation)
            if len(self._cache) >= _MAX_CACHED_TOKENS:
                self._cache.clear()
            self._cache[digest] = cached
        if cached.certificate and origin.certificate != cached.certificate:
            raise TokenRefused(
                "the token is bound to a client certificate that this connection does not have",
                "bound",
                cached.identity.subject,
            )
        return cached.identity

    def known_client(self, headers: Mapping[bytes, bytes]) -> Identity | None:
        """Return the client whose token has been verified before; None if there is none.

        It reads nothing and verifies nothing: it is for accounting only.

        Args:
            headers: Raw headers, by lower-case name.
        """
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        cached = self._cache.get(hashlib.sha256(token.strip()).digest())
        sources = (source for source in (self._keys, self._revocations) if source is not None)
        if cached is None or cached.generation != sum(source.generation for source in sources):
            return None
        return cached.identity if time.time() < cached.expires_at else None

    def _generation(self) -> int:
        """Return a number that grows with each change of the keys and of the revocation list."""
        generation = 0
        for source in (self._keys, self._revocations):
            if source is not None:
                source.value()
                generation += source.generation
        return generation

    def _check(self, token: str, generation: int) -> CachedToken:
        skew = self._settings.clock_skew
        if self._introspector and (self._keys is None or token.count(".") != _JWT_DOTS):
            claims = self._introspect(self._introspector, token)
            longest = time.time() + self._settings.introspection_cache
            expires_at = token_claims.expiry_of(claims, longest - skew) + skew
        else:
            claims = self._verify(token)
            expires_at = token_claims.expiry_of(claims, math.inf) + skew
        if self._revocations and self._revocations.value().is_revoked(claims):
            raise TokenRefused("the token has been revoked", "revoked", claims["sub"])
        identity = token_claims.identity_of(claims, self._settings.default_tenant)
        return CachedToken(expires_at, generation, token_claims.certificate_of(claims), identity)

    def _introspect(self, introspector: Introspector, token: str) -> dict[str, Any]:
        claims = introspector.claims(token)
        if claims is None:
            raise TokenRefused("the token is not active", "inactive")
        token_claims.check_introspected(claims, self._settings)
        return claims

    def _verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a JWT; read the keys again if none of them verifies it."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise TokenRefused(str(error), "malformed") from None
        try:
            return self._verify_with_known_keys(token, header)
        except TokenRefused as refusal:
            if refusal.cause not in {"key", "signature"} or not self._keys:
                raise
            if not self._keys.reread():
                raise
            return self._verify_with_known_keys(token, header)

    def _verify_with_known_keys(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        keys = self._keys.value() if self._keys else {}
        candidates = matching_keys(keys, header.get("kid"), str(header.get("alg")))
        refusal = TokenRefused("no known key has the id and the algorithm of the token", "key")
        for key in candidates:
            try:
                return self._decode(token, key)
            except jwt.InvalidSignatureError:
                refusal = TokenRefused("Signature verification failed", "signature")
        raise refusal

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        """Return the claims of a token that is signed with a key.

        Raises:
            jwt.InvalidSignatureError: It is not.
            TokenRefused: The claims do not permit it (HTTP 401).
        """
        settings = self._settings
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=settings.audience or None,
                issuer=settings.issuer or None,
                leeway=settings.clock_skew,
                options={"require": ["exp", "sub"], "verify_aud": bool(settings.audience)},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.PyJWTError as error:
            is_expired = isinstance(error, jwt.ExpiredSignatureError)
            cause = "expired" if is_expired else "claims"
            raise TokenRefused(str(error), cause, _signed_subject(token)) from None
        return claims


def _bearer_token(authorization: str) -> str:
    """Return the token in an Authorization header.

    Raises:
        BadRequest: The header has several credentials, joined by commas (HTTP 400).
        TokenRefused: The header is missing, or has no bearer token (HTTP 401).
    """
    if match := _BEARER.fullmatch(authorization):
        return match[1]
    if "," in authorization and authorization.lower().startswith("bearer"):
        raise BadRequest("the header authorization has one value; it has several")
    raise TokenRefused("a bearer token is needed", "malformed" if authorization else "missing")


def _signed_subject(token: str) -> str:
    """Return the subject of a token whose signature has been verified; "" if it has none."""
    try:
        subject = jwt.decode(token, options={"verify_signature": False}).get("sub")
    except jwt.PyJWTError:
        return ""
    return subject if isinstance(subject, str) else ""
