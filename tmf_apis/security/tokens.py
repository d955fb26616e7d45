"""Authentication by bearer tokens: JWTs that are signed with a key of a JWKS.

Claims: ``sub``; ``scope`` (text, separated by spaces) or ``scp`` (a list); ``tenant`` (default: the
default tenant); ``party``: one or more ids of parties for which the client acts. A token without
``party`` belongs to the operator's own staff or systems and gives access to the whole tenant.

Source: RFC 6750 (bearer tokens), RFC 7519 (JWT), RFC 7517 (JWKS), RFC 9068 (claims).
"""

import hashlib
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
import jwt

from tmf_apis.errors import Unauthorized, Unavailable
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings

log = logging.getLogger(__name__)

#: Asymmetric algorithms only: with a shared secret, each verifier could also sign tokens.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)\s*", re.IGNORECASE | re.ASCII)
#: Shortest pause between two fetches of a JWKS, and age at which it is fetched again, in seconds.
_REFETCH_PAUSE, _MAX_KEY_AGE = 30.0, 600.0
#: Most tokens whose identities are cached.
_MAX_CACHED_TOKENS = 10_000


class KeySet:
    """The keys that verify tokens, from a file or an https URL; fetched again after a rotation."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = 0.0
        self._tried_at = 0.0
        self._lock = Lock()

    def key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key with an id; without an id, the only key of the set. None: there is none.

        Raises:
            Unavailable: No key is known and the source cannot be read (HTTP 503).
        """
        now = time.monotonic()
        is_old = now - self._fetched_at > _MAX_KEY_AGE
        if not self._keys or is_old or (kid and kid not in self._keys):
            self._refresh(now)
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _refresh(self, now: float) -> None:
        with self._lock:
            if self._tried_at and now - self._tried_at < (_REFETCH_PAUSE if self._keys else 1.0):
                return
            self._tried_at = now
            try:
                key_set = jwt.PyJWKSet.from_json(self._read_source())
                self._keys = {key.key_id or "": key for key in key_set.keys}
                self._fetched_at = now
            except (OSError, httpx.HTTPError, jwt.PyJWTError, ValueError) as error:
                log.warning(
                    "cannot read the JWKS", extra={"source": self._source, "error": str(error)}
                )
                if not self._keys:
                    raise Unavailable("the keys that sign tokens cannot be read") from error

    def _read_source(self) -> str:
        if self._source.startswith(
            ("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")
        ):
            response = httpx.get(self._source, timeout=5.0, follow_redirects=False)
            response.raise_for_status()
            return response.text
        return Path(self._source.removeprefix("file://")).read_text(encoding="utf-8")


class TokenAuthenticator:
    """Authenticates requests by their bearer tokens."""

    def __init__(self, settings: Settings, *, enabled: bool, jwks: str) -> None:
        """Create the authenticator; the keys are read at the first request.

        Args:
            settings: Issuer, audience, clock skew and default tenant.
            enabled: Require a token; if false, every client is permitted everything.
            jwks: File or URL of the keys.
        """
        self.enabled = enabled
        self._settings = settings
        self._keys = KeySet(jwks)
        self._anonymous = Identity("anonymous", settings.default_tenant)
        self._cache: dict[bytes, tuple[float, Identity]] = {}

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return the identity of the client that sent a request.

        Raises:
            Unauthorized: The bearer token is missing or invalid (HTTP 401).
            Unavailable: The keys that sign tokens cannot be read (HTTP 503).
        """
        if not self.enabled:
            return self._anonymous
        match = _BEARER.fullmatch(headers.get("authorization", ""))
        if not match:
            raise _unauthorized("a bearer token is needed")
        token = match[1]
        digest = hashlib.sha256(token.encode()).digest()
        expires_at, identity = self._cache.get(digest, (0.0, self._anonymous))
        if time.time() < expires_at:
            return identity
        claims = self._claims(token)
        identity = self._identity(claims)
        if len(self._cache) >= _MAX_CACHED_TOKENS:
            self._cache.clear()
        self._cache[digest] = (float(claims["exp"]) + self._settings.clock_skew, identity)
        return identity

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.key(header.get("kid"))
            if key is None:
                raise _unauthorized("the token is signed with a key that this server does not know")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name] if key.algorithm_name in ALGORITHMS else [],
                audience=self._settings.audience or None,
                issuer=self._settings.issuer or None,
                leeway=self._settings.clock_skew,
                options={"require": ["exp", "sub"], "verify_aud": bool(self._settings.audience)},
            )
        except jwt.PyJWTError as error:
            raise _unauthorized(str(error)) from None
        return claims

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        tenant = claims.get("tenant", self._settings.default_tenant)
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise _unauthorized(
                "the claim tenant is not 1 to 64 letters, digits, dots, dashes or underscores"
            )
        scope = claims.get("scope", claims.get("scp", ""))
        scopes = scope.split() if isinstance(scope, str) else scope
        return Identity(claims["sub"], tenant, _parties(claims), _text_set(scopes, "scope"))


def _parties(claims: Mapping[str, Any]) -> frozenset[str] | None:
    if "party" not in claims:
        return None
    party = claims["party"]
    return _text_set([party] if isinstance(party, str) else party, "party")


def _text_set(values: object, claim: str) -> frozenset[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise _unauthorized(f"the claim {claim} is neither a text nor a list of texts")
    if claim == "party" and "*" in values:
        raise _unauthorized("the claim party names parties by their ids")
    return frozenset(values)


def _unauthorized(message: str) -> Unauthorized:
    description = re.sub(r"[^ !#-\[\]-~]", " ", message)
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return Unauthorized(message, headers={"WWW-Authenticate": challenge})
