"""Signatures that prove the origin of notifications: an HMAC over their time and body.

The header is ``X-TMF-Signature: t=<seconds since 1970>,v1=<hex>`` and the signed text is
``<t>.<body>``. Each subscription has a key of its own, derived from the server's key. The
subscriber receives it once, in the ``X-Hub-Secret`` header of the response to its registration.

Source: RFC 2104 (HMAC), with SHA-256.
"""

import hmac
import secrets
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database

#: Collection and id of the document that stores the server's key if none is configured.
SECRET_COLLECTION, HUB_SECRET_ID = "secret", "hub"


#: Header of notifications that identifies the sender.
SENDER_HEADER = "X-TMF-Sender"


def server_key(database: Database[dict[str, Any]], configured: str) -> bytes:
    """Return the key from which the keys of subscriptions are derived.

    Unless it is configured, a random key is generated and stored in the database once.
    """
    if configured:
        return configured.encode()
    document = database[SECRET_COLLECTION].find_one_and_update(
        {"_id": HUB_SECRET_ID},
        {"$setOnInsert": {"key": secrets.token_bytes(32)}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    return bytes((document or {})["key"])


def sender_id(root_key: bytes) -> str:
    """Return the value of ``SENDER_HEADER``: the same for all servers and workers of a database.

    A server refuses what it has sent itself, so that no subscriptions form a loop.
    """
    return hmac.digest(root_key, b"sender", "sha256").hex()[:32]


def subscription_key(root_key: bytes, subscription: str) -> str:
    """Return the key of a subscription: 64 hexadecimal digits."""
    return hmac.digest(root_key, f"hub:{subscription}".encode(), "sha256").hex()


def signature(key: str, timestamp: int, body: bytes) -> str:
    """Return the value of the signature header.

    >>> signature("k", 1, b"{}")[:12]
    't=1,v1=3dd49'
    """
    signed = hmac.digest(key.encode(), b"%d.%b" % (timestamp, body), "sha256").hex()
    return f"t={timestamp},v1={signed}"
