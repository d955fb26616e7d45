"""Idempotency keys: a repeated request with the same key gets the first response again."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """An ``Idempotency-Key`` in the scope of its client.

    Attributes:
        tenant: The client's tenant.
        key: Hash of the tenant, the subject, the operation and the client's key.
        body_hash: Hash of the request's body; the same key with another body is an error.
        expires_at: Expiry of the key, in seconds since the epoch.
    """

    tenant: str
    key: str
    body_hash: str
    expires_at: float

    @classmethod
    def from_request(cls, parts: tuple[str, ...], body: bytes, *, hours: float) -> "IdempotencyKey":
        """Return the key of a request.

        Args:
            parts: The scope of the key and the key itself; the first part is the tenant.
            body: The body of the request.
            hours: Lifetime of the key, in hours.
        """
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return cls(parts[0], key, hashlib.sha256(body).hexdigest(), time.time() + hours * 3600)

    def to_document(self, text: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the stored form of the key, with the JSON of the first response per version."""
        return {"key": self.key, "hash": self.body_hash, "until": self.expires_at, "text": text}
