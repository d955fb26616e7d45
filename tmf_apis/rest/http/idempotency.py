"""The ``Idempotency-Key`` of a request: the same key again gets the first answer again."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """An ``Idempotency-Key`` in the scope of who sent it.

    Attributes:
        tenant: The client's tenant.
        key: Tenant, subject, operation and the client's key.
        body_hash: Of the request's body: the same key with another body is a mistake.
        expires_at: When the key is forgotten, in seconds since the epoch.
    """

    tenant: str
    key: str
    body_hash: str
    expires_at: float

    @classmethod
    def from_request(cls, parts: tuple[str, ...], body: bytes, *, hours: float) -> "IdempotencyKey":
        """Make one of the request's parts, the tenant first."""
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return cls(parts[0], key, hashlib.sha256(body).hexdigest(), time.time() + hours * 3600)

    def to_document(self, text: Mapping[str, bytes]) -> dict[str, Any]:
        """Return what is stored beside the resource: the key, and the first answer to it."""
        return {"key": self.key, "hash": self.body_hash, "until": self.expires_at, "text": text}
