"""Bearer tokens: JWT, signed by keys of a JWKS, to an identity.

Claims: ``sub``; ``scope`` (text, space separated, or a list under ``scp``); ``tenant`` (else the
default one); ``party``: id or ids of the parties that the client acts for. A token without
``party`` is one of the operator's own staff or systems and sees the whole tenant.

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

#: Asymmetric only: with a shared secret whoever can check a token could make one.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)\s*", re.IGNORECASE | re.ASCII)
#: Pause between two fetches of a JWKS, in seconds; and the age at which it is fetched anew.
_REFETCH_PAUSE, _MAX_KEY_AGE = 30.0, 600.0
_MAX_CACHED_TOKENS = 10_000


class KeySet:
    """The keys that sign tokens, from a file or an https URL, fetched anew when they rotate."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = 0.0
        self._tried_at = 0.0
        self._lock = Lock()

    def key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key of a token's header; one without ``kid`` means the only key there is.

        Raises:
            Unavailable: There is no key at all and the source does not answer.
        """
        now = time.monotonic()
        if (
            not self._keys
            or now - self._fetched_at > _MAX_KEY_AGE
            or (kid and kid not in self._keys)
        ):
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
                found = jwt.PyJWKSet.from_json(self._read_source())
                self._keys = {key.key_id or "": key for key in found.keys}
                self._fetched_at = now
            except (OSError, httpx.HTTPError, jwt.PyJWTError, ValueError) as error:
                log.warning(
                    "cannot read the JWKS", extra={"source": self._source, "why": str(error)}
                )
                if not self._keys:
                    raise Unavailable("the keys that sign tokens cannot be read") from error

    def _read_source(self) -> str:
        if self._source.startswith(
            ("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")
        ):
            answer = httpx.get(self._source, timeout=5.0, follow_redirects=False)
            answer.raise_for_status()
            return answer.text
        return Path(self._source.removeprefix("file://")).read_text(encoding="utf-8")


class TokenAuthenticator:
    """From a request's headers to who asks."""

    def __init__(self, settings: Settings, *, enabled: bool, jwks: str) -> None:
        """Take the configuration.

        Args:
            settings: Issuer, audience, clock skew, default tenant.
            enabled: Whether tokens are asked for; without it everybody may do everything.
            jwks: File or URL of the keys.
        """
        self.enabled = enabled
        self._settings = settings
        self._keys = KeySet(jwks)
        self._anonymous = Identity("anonymous", settings.default_tenant)
        self._cache: dict[bytes, tuple[float, Identity]] = {}

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return who asks.

        Raises:
            Unauthorized: There is no bearer token, or not a good one (HTTP 401).
        """
        if not self.enabled:
            return self._anonymous
        match = _BEARER.fullmatch(headers.get("authorization", ""))
        if not match:
            raise _unauthorized("a bearer token is needed")
        token = match[1]
        mark = hashlib.sha256(token.encode()).digest()
        known = self._cache.get(mark)
        if known and time.time() < known[0]:
            return known[1]
        claims = self._claims(token)
        identity = self._identity(claims)
        if len(self._cache) >= _MAX_CACHED_TOKENS:
            self._cache.clear()
        self._cache[mark] = (float(claims["exp"]) + self._settings.clock_skew, identity)
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
            raise _unauthorized("the claim tenant is not a name of letters, digits, dot, dash")
        scopes = claims.get("scope", claims.get("scp", ""))
        names = scopes.split() if isinstance(scopes, str) else scopes
        return Identity(claims["sub"], tenant, _parties(claims), _text_set(names, "scope"))


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


def _unauthorized(why: str) -> Unauthorized:
    text = re.sub(r"[^ !#-\[\]-~]", " ", why)
    challenge = f'Bearer error="invalid_token", error_description="{text}"'
    return Unauthorized(why, headers={"WWW-Authenticate": challenge})
