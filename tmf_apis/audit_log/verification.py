"""Verification of a tenant's chain, block by block in constant memory."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tmf_apis.audit_log.blocks import (
    GENESIS_HASH,
    ChainHead,
    block_hash,
    block_problem,
    entry_digest,
)
from tmf_apis.audit_log.entries import digest, timestamp
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.audit_log.signing import PublicKeys

Document = dict[str, Any]


@dataclass(slots=True)
class ChainReport:
    """The result of a verification.

    Attributes:
        tenant: The tenant.
        head: The end of the verified part of the chain.
        entries: Number of verified entries.
        pending: Number of entries that are not sealed yet, and so cannot be verified.
        problem: The first problem: which entry or block, and what is wrong; empty: none.
    """

    tenant: str
    head: ChainHead
    entries: int = 0
    pending: int = 0
    problem: str = ""


class _ChainBroken(Exception):
    """The chain does not prove its entries; the message is the first problem."""


@dataclass(slots=True)
class Verifier:
    """Verifies chains.

    Attributes:
        log: The audit log.
        keys: The keys that may sign blocks; without any, signatures are not checked.
        retention: Age below which entries must not have been dropped; None: any may be.
        report_progress: Called with the number of verified entries of a tenant after each block.
    """

    log: AuditLog
    keys: PublicKeys = field(default_factory=PublicKeys)
    retention: timedelta | None = None
    report_progress: Callable[[int], object] = lambda _: None

    def verify(self, tenant: str, checkpoint: ChainHead | None = None) -> ChainReport:
        """Verify the chain of a tenant.

        Args:
            tenant: The tenant.
            checkpoint: The end that the chain had at an earlier time; None: not known.
        """
        pending = self.log.entries.count_documents({"tenant": tenant, "pending": True})
        report = ChainReport(tenant, ChainHead(tenant), pending=pending)
        try:
            self._verify(report, checkpoint)
        except _ChainBroken as error:
            report.problem = str(error)
        return report

    def _verify(self, report: ChainReport, checkpoint: ChainHead | None) -> None:
        tenant = report.tenant
        highest = self._highest_sequence(tenant)
        last = self.log.last_block(tenant)
        report.head = self._checked_anchor(tenant, checkpoint)
        for block in self._blocks(tenant, report.head.number, last):
            if problem := block_problem(block, report.head) or self.keys.problem(block):
                raise _ChainBroken(problem)
            self._verify_entries(tenant, block)
            report.head = ChainHead.of(tenant, block)
            _compare(checkpoint, report.head)
            report.entries += block["last"] - block["first"] + 1
            self.report_progress(report.entries)
        end = report.head
        if highest > end.last:
            raise _ChainBroken(f"entry {end.last + 1} is in no block")
        if checkpoint and checkpoint.number > end.number:
            raise _ChainBroken(
                f"the chain ends with entry {end.last}; the checkpoint has entry {checkpoint.last}"
            )
        self._check_unplaced(tenant)

    def _blocks(self, tenant: str, after: int, last: Document | None) -> Iterator[Document]:
        """Yield the blocks after a number up to the last one, in order."""
        numbers = {"$gt": after, "$lte": last["number"] if last else 0}
        yield from self.log.blocks.find({"tenant": tenant, "number": numbers}).sort("number", 1)

    def _checked_anchor(self, tenant: str, checkpoint: ChainHead | None) -> ChainHead:
        """Return the end of the part that retention has dropped, after checking it."""
        anchor = self.log.anchor(tenant)
        if anchor is None:
            return ChainHead(tenant)
        if block_hash(anchor) != anchor["hash"] or anchor["hash"] == GENESIS_HASH:
            raise _ChainBroken("the anchor of the dropped part was altered")
        if problem := self.keys.problem(anchor):
            raise _ChainBroken(f"anchor: {problem}")
        if self.retention is not None and anchor["time"] > datetime.now(UTC) - self.retention:
            raise _ChainBroken(
                f"entries up to {anchor['last']} of {timestamp(anchor['time'])} were dropped "
                "before their time"
            )
        head = ChainHead.of(tenant, anchor)
        _compare(checkpoint, head)
        return head

    def _verify_entries(self, tenant: str, block: Document) -> None:
        expected = block["first"]
        for entry in self._entries(tenant, block):
            sequence = entry.get("sequence")
            if sequence != expected:
                if isinstance(sequence, int) and sequence > expected:
                    raise _ChainBroken(f"entry {expected} is missing")
                raise _ChainBroken(f"entry {entry['_id']} was inserted before entry {expected}")
            if digest(entry) != entry_digest(block, expected):
                raise _ChainBroken(f"entry {expected} ({entry['_id']}) was altered")
            expected += 1
        if expected <= block["last"]:
            raise _ChainBroken(f"entry {expected} is missing")

    def _entries(self, tenant: str, block: Document) -> Iterator[Document]:
        """Yield the entries of a block in order, also if a sealer died before it applied it."""
        if "ids" not in block:
            sequences = {"$gt": block["first"] - 1, "$lt": block["last"] + 1}
            query = {"tenant": tenant, "sequence": sequences}
            yield from self.log.entries.find(query).sort("sequence", 1)
            return
        rows = {row["_id"]: row for row in self.log.entries.find({"_id": {"$in": block["ids"]}})}
        for sequence, id in enumerate(block["ids"], block["first"]):
            if id in rows:
                yield {**rows[id], "sequence": sequence}

    def _highest_sequence(self, tenant: str) -> float:
        query = {"tenant": tenant, "sequence": {"$type": "number"}}
        entry = self.log.entries.find_one(query, {"sequence": 1}, sort=[("sequence", -1)])
        return entry["sequence"] if entry else 0

    def _check_unplaced(self, tenant: str) -> None:
        """Refuse entries that are neither sealed nor waiting for it."""
        no_number = {"sequence": {"$not": {"$type": "number"}}, "pending": {"$ne": True}}
        query = {"tenant": tenant, "$or": [no_number, {"sequence": {"$lt": 1}}]}
        entry = self.log.entries.find_one(query, {"_id": 1}, hint="time")
        if entry is not None:
            raise _ChainBroken(f"entry {entry['_id']} was inserted without a sequence")


def _compare(checkpoint: ChainHead | None, head: ChainHead) -> None:
    """Refuse a chain that differs from a checkpoint."""
    if checkpoint and checkpoint.number == head.number and checkpoint != head:
        raise _ChainBroken(f"block {head.number} differs from the checkpoint")


def retention_of(settings_days: float) -> timedelta | None:
    """Return the retention time of a setting in days; None: entries are never dropped."""
    return timedelta(days=settings_days) if settings_days else None


def chain_heads(log: AuditLog, tenants: Mapping[str, object] | list[str]) -> list[ChainHead]:
    """Return the ends of the chains of tenants."""
    return [log.head(tenant, log.last_block(tenant)) for tenant in tenants]
