"""Sealing: appends new entries to the chain of their tenant, in batches behind the writes.

Any number of workers may seal; a lease gives the work to one of them. Two that believe to hold it
cannot fork a chain: the number of a block is unique, and a sealer reads the last block before it
reads the entries that are not sealed. The insertion of the block is the commit; the entries get
their sequence afterwards, which the next sealer repeats after a crash.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from tmf_apis.audit_log.blocks import ChainHead, next_block
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.audit_log.signing import SigningKey
from tmf_apis.store import leases
from tmf_apis.store.leases import LEASE_COLLECTION

#: Most entries in one block.
BLOCK_SIZE = 1000
#: Entries that get their sequence in one update.
CHUNK_SIZE = 100
#: Id of the lease, and its duration in seconds.
LEASE_ID, LEASE_DURATION = "audit_log", 30.0

Document = dict[str, Any]


class Sealer:
    """Seals the entries of every tenant."""

    def __init__(self, log: AuditLog, owner: str, key: SigningKey | None = None) -> None:
        """Create a sealer.

        Args:
            log: The audit log; its indexes exist.
            owner: Name of this process as the owner of the lease; unique.
            key: Signs the blocks; None: they are not signed.
        """
        self._log = log
        self._owner = owner
        self._key = key
        # The last write of a block is confirmed by the majority, and so are those before it.
        self._entries = log.entries.with_options(write_concern=WriteConcern(w=1))
        self._leases = log.database[LEASE_COLLECTION]

    def seal(self, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Seal all entries, unless another sealer holds the lease; return their number.

        Args:
            should_stop: Called before each batch; True ends the method.
        """
        if not self._log.has_pending() and not self._log.has_unapplied_blocks():
            return 0
        count = 0
        leases.create_if_absent(self._leases, LEASE_ID)
        try:
            while not should_stop():
                if not leases.acquire(self._leases, LEASE_ID, self._owner, LEASE_DURATION):
                    break
                sealed = self.seal_batch()
                count += sealed
                if not sealed:
                    break
        finally:
            leases.release(self._leases, LEASE_ID, self._owner)
        return count

    def seal_batch(self) -> int:
        """Seal up to ``BLOCK_SIZE`` entries of each tenant, without the lease; return their number.

        The end of a chain is read before its entries: what another sealer seals in between makes
        the insertion of the block fail.
        """
        for block in self._log.unapplied_blocks():
            self._apply(block)
        count = 0
        for tenant in self._log.pending_tenants():
            head = self._complete_chain(tenant)
            if entries := self._log.pending_entries(tenant, BLOCK_SIZE):
                count += self._append_block(head, entries)
        return count

    def _complete_chain(self, tenant: str) -> ChainHead:
        """Return the end of a chain after its last block is applied to its entries."""
        block = self._log.last_block(tenant)
        if block and "ids" in block:
            self._apply(block)
        return self._log.head(tenant, block)

    def _append_block(self, head: ChainHead, entries: list[Document]) -> int:
        """Seal entries by a new block; return 0 if another sealer was faster."""
        block = next_block(head, entries, self._key)
        try:
            self._log.blocks.insert_one(block)
        except DuplicateKeyError:
            return 0
        self._apply(block)
        return len(entries)

    def _apply(self, block: Document) -> None:
        """Give the entries of a block their sequence."""
        ids, first = block["ids"], block["first"]
        for start in range(0, len(ids), CHUNK_SIZE):
            chunk = ids[start : start + CHUNK_SIZE]
            self._entries.update_many(
                {"_id": {"$in": chunk}, "pending": True}, _sequence_update(chunk, first + start)
            )
        self._log.blocks.update_one({"_id": block["_id"]}, {"$unset": {"ids": ""}})


def _sequence_update(ids: Sequence[str], first: int) -> list[Document]:
    """Return the update that gives entries the sequences from ``first``, in the order of ``ids``.

    One update of many documents costs the database a third less than an update of each.
    """
    position = {"$indexOfArray": [{"$literal": list(ids)}, "$_id"]}
    return [{"$set": {"sequence": {"$add": [first, position]}}}, {"$unset": "pending"}]
