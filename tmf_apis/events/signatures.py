"""Proof that a notification comes from this server: an HMAC over its time and body.

The header is ``X-TMF-Signature: t=<seconds since 1970>,v1=<hex>`` and the signed text is
``<t>.<body>``. Each subscription has a key of its own, derived from the server's; the subscriber
is told it once, in the ``X-Hub-Secret`` header of the answer to its registration.

Source: RFC 2104 (HMAC), with SHA-256.
"""

import hmac
import secrets
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database

#: Collection and document that the key lies in when the operator sets none.
SECRET_COLLECTION, HUB_SECRET_ID = "secret", "hub"


def server_key(database: Database[dict[str, Any]], configured: str) -> bytes:
    """Return the key that subscriptions' keys come from, made once unless it is configured."""
    if configured:
        return configured.encode()
    found = database[SECRET_COLLECTION].find_one_and_update(
        {"_id": HUB_SECRET_ID},
        {"$setOnInsert": {"key": secrets.token_bytes(32)}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    return bytes((found or {})["key"])


def subscription_key(root_key: bytes, subscription: str) -> str:
    """Return a subscription's key as it is told to the subscriber: 64 hexadecimal digits."""
    return hmac.digest(root_key, f"hub:{subscription}".encode(), "sha256").hex()


def signature(key: str, timestamp: int, body: bytes) -> str:
    """Return the value of the signature header.

    >>> signature("k", 1, b"{}")[:12]
    't=1,v1=3dd49'
    """
    signed = hmac.digest(key.encode(), b"%d.%b" % (timestamp, body), "sha256").hex()
    return f"t={timestamp},v1={signed}"
