"""The keys that verify tokens, as a JWKS publishes them.

Source: RFC 7517 (JWK), RFC 7518 section 6.
"""

import json
import logging
from collections.abc import Mapping

import jwt

log = logging.getLogger(__name__)

#: Asymmetric algorithms only: with a shared secret, each verifier could also sign tokens.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")

#: The keys by id. Keys of one id have different algorithms (RFC 7517 section 4.5).
KeysById = Mapping[str, tuple[jwt.PyJWK, ...]]


def parse_jwks(text: str) -> KeysById:
    """Return the keys of a JWKS; keys that cannot verify tokens are ignored.

    Raises:
        ValueError: The text is not a JWKS.
    """
    document = json.loads(text)
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("a JWKS is an object with a list of keys")  # noqa: TRY004 - of the text
    keys: dict[str, tuple[jwt.PyJWK, ...]] = {}
    for position, member in enumerate(members):
        if key := _key(position, member):
            id = key.key_id or ""
            keys[id] = (*keys.get(id, ()), key)
    return keys


def _key(position: int, member: object) -> jwt.PyJWK | None:
    if not isinstance(member, dict) or not isinstance(member.get("kid", ""), str):
        log.warning("a key of the JWKS is malformed", extra={"position": position})
        return None
    if member.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(member)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        context = {"position": position, "kid": member.get("kid"), "error": str(error)[:500]}
        log.warning("a key of the JWKS is not usable", extra=context)
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def matching_keys(keys: KeysById, kid: str | None, algorithm: str) -> tuple[jwt.PyJWK, ...]:
    """Return the keys that may have signed a token.

    Args:
        keys: The keys by id.
        kid: The key id in the header of the token; None: the token names no key, so it must be the
            only one.
        algorithm: The algorithm in the header of the token.
    """
    if kid is None:
        candidates = tuple(key for same_id in keys.values() for key in same_id)
        candidates = candidates if len(candidates) == 1 else ()
    else:
        candidates = keys.get(kid, ())
    return tuple(key for key in candidates if key.algorithm_name == algorithm)
