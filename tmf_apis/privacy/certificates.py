"""Certificates of erasures: what was destroyed and what was kept, signed with the server's key."""

import base64
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tmf_apis.audit_log.signing import SigningKey

_UNSIGNED = frozenset({"signature"})


def signed(certificate: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return a certificate with the id of the key and the signature of all other members."""
    complete = {**certificate, "signingKey": key.id}
    signature = base64.b64encode(key.sign(_canonical(complete))).decode()
    return {**complete, "signature": signature}


def is_genuine(certificate: Mapping[str, Any], public: Ed25519PublicKey) -> bool:
    """Return whether a certificate is as it was signed."""
    try:
        public.verify(
            base64.b64decode(str(certificate.get("signature", ""))), _canonical(certificate)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _canonical(certificate: Mapping[str, Any]) -> bytes:
    members = {name: value for name, value in certificate.items() if name not in _UNSIGNED}
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
