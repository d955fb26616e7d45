"""Blocks: each seals consecutive entries of a tenant and has the hash of the block before; pure.

A block has the members::

    _id        "<tenant>:<number>"
    tenant     the tenant
    number     1, 2, 3 ...
    first      sequence of its first entry
    last       sequence of its last entry
    time       time of the sealing, in UTC, milliseconds
    previous   hash of the block before; of the first block: ``GENESIS_HASH``
    root       SHA-256 of ``digests``
    hash       SHA-256 of the canonical JSON of the members above, without ``_id``
    key        id of the key that signed it; absent without one
    signature  Ed25519 signature of ``hash``
    digests    SHA-256 digests of the entries, one after the other
    ids        ids of the entries; absent once each entry has its sequence
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from tmf_apis.audit_log.entries import digest
from tmf_apis.audit_log.signing import SigningKey

Document = dict[str, Any]

#: Hash before the first block of a chain.
GENESIS_HASH = "0" * 64
DIGEST_SIZE = 32
_HASHED = ("tenant", "number", "first", "last", "time", "previous", "root")
#: Members that a chain's anchor keeps of the last block that retention has dropped.
ANCHOR_MEMBERS = (*_HASHED, "hash", "key", "signature")


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of a chain.

    Attributes:
        tenant: The tenant.
        number: Number of the last block; 0 if there is none.
        last: Sequence of the last entry; 0 if there is none.
        hash: Hash of the last block.
    """

    tenant: str
    number: int = 0
    last: int = 0
    hash: str = GENESIS_HASH

    @classmethod
    def of(cls, tenant: str, block: Mapping[str, Any] | None) -> "ChainHead":
        """Return the end of a chain whose last block is given; None: the chain is empty."""
        if block is None:
            return cls(tenant)
        return cls(tenant, block["number"], block["last"], block["hash"])

    def checkpoint(self) -> str:
        """Return the text that a later verification can compare with.

        >>> ChainHead("acme", 2, 10, "ab").checkpoint()
        'acme 2 10 ab'
        """
        return f"{self.tenant} {self.number} {self.last} {self.hash}"

    @classmethod
    def from_checkpoint(cls, text: str) -> "ChainHead":
        """Return the end of a chain from the text of a checkpoint.

        Raises:
            ValueError: The text is not a checkpoint.
        """
        parts = text.split()
        if len(parts) != 4:  # noqa: PLR2004 - tenant, number, sequence, hash
            raise ValueError(f"expected tenant, block, sequence and hash, not {text[:80]!r}")
        return cls(parts[0], int(parts[1]), int(parts[2]), parts[3])


def next_block(head: ChainHead, entries: Sequence[Document], key: SigningKey | None) -> Document:
    """Return the block that seals entries at the end of a chain.

    Args:
        head: The end of the chain.
        entries: The entries in the order of their sequences; at least one.
        key: Signs the block; None: it is not signed.
    """
    digests = b"".join(
        digest({**entry, "sequence": sequence})
        for sequence, entry in enumerate(entries, head.last + 1)
    )
    now = datetime.now(UTC)
    number = head.number + 1
    block: Document = {
        "_id": f"{head.tenant}:{number}",
        "tenant": head.tenant,
        "number": number,
        "first": head.last + 1,
        "last": head.last + len(entries),
        "time": now.replace(microsecond=now.microsecond // 1000 * 1000),
        "previous": head.hash,
        "root": hashlib.sha256(digests).hexdigest(),
    }
    block["hash"] = block_hash(block)
    if key is not None:
        block["key"], block["signature"] = key.id, key.sign(block["hash"].encode())
    return {**block, "digests": digests, "ids": [entry["_id"] for entry in entries]}


def block_hash(block: Mapping[str, Any]) -> str:
    """Return the hash that a block must have."""
    members = {name: block[name] for name in _HASHED}
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NAIVE_UTC
    return hashlib.sha256(orjson.dumps(members, option=options)).hexdigest()


def block_problem(block: Mapping[str, Any], head: ChainHead) -> str:
    """Return why a block cannot follow the end of a chain; empty if it can.

    Args:
        block: The block.
        head: The end of the chain before it.
    """
    number = block["number"]
    if number != head.number + 1:
        return f"block {head.number + 1} is missing"
    if block["previous"] != head.hash or block["first"] != head.last + 1:
        return f"block {number} does not follow block {head.number}"
    if block_hash(block) != block["hash"]:
        return f"block {number} was altered"
    size = block["last"] - block["first"] + 1
    digests = bytes(block["digests"])
    if len(digests) != size * DIGEST_SIZE or hashlib.sha256(digests).hexdigest() != block["root"]:
        return f"the digests of block {number} were altered"
    return ""


def entry_digest(block: Mapping[str, Any], sequence: int) -> bytes:
    """Return the digest that a block has of one of its entries."""
    start = (sequence - block["first"]) * DIGEST_SIZE
    return bytes(block["digests"][start : start + DIGEST_SIZE])
