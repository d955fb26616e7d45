"""The local signing key of ``tmf token``, for evaluation.

In production the operator's identity provider signs the tokens; ``TMF_JWKS`` names its keys.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tmf_apis.security import private_files
from tmf_apis.settings import Settings

_KID = "local"


def jwks_file(data_dir: Path) -> Path:
    """Return the file of the local public key; generate the keys if it does not exist."""
    folder = data_dir / "keys"
    public = folder / "jwks.json"
    if not public.exists():
        key_file = folder / "signing.pem"
        new_key = Ed25519PrivateKey.generate()
        private_files.create(
            key_file, new_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        key = load_pem_private_key(key_file.read_bytes(), None)  # perhaps of another process
        public_key = cast(Ed25519PrivateKey, key).public_key()
        jwk = jwt.algorithms.OKPAlgorithm.to_jwk(public_key, as_dict=True)
        keys = [{**jwk, "kid": _KID, "use": "sig", "alg": "EdDSA"}]
        private_files.replace(public, json.dumps({"keys": keys}).encode())
    return public


def has_keys(data_dir: Path) -> bool:
    """Return whether a data directory has local keys."""
    return (data_dir / "keys" / "jwks.json").exists()


def issue_token(  # noqa: PLR0913
    settings: Settings,
    *,
    subject: str,
    scopes: Iterable[str],
    tenant: str = "",
    parties: Iterable[str] | None = None,
    hours: float = 12.0,
) -> str:
    """Return a token signed with the local key.

    Args:
        settings: Data directory, issuer, audience and default tenant.
        subject: Subject of the token.
        scopes: Scopes of the token.
        tenant: Tenant of the token; empty: the default tenant.
        parties: Parties for which the client acts; None: the operator's own staff.
        hours: Lifetime of the token, in hours.
    """
    jwks_file(settings.data_dir)
    key = load_pem_private_key((settings.data_dir / "keys" / "signing.pem").read_bytes(), None)
    now = int(time.time())
    claims: dict[str, object] = {
        "sub": subject,
        "scope": " ".join(scopes),
        "tenant": tenant or settings.default_tenant,
        "iat": now,
        "exp": now + int(hours * 3600),
        "iss": settings.issuer or "tmf-apis",
    }
    if settings.audience:
        claims["aud"] = settings.audience
    if parties is not None:
        claims["party"] = list(parties)
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": _KID})  # type: ignore[arg-type]
