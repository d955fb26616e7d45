"""Retention: drops the oldest blocks with their entries and keeps the anchor of the rest."""

from datetime import datetime
from typing import Any

from tmf_apis.audit_log.blocks import ANCHOR_MEMBERS
from tmf_apis.audit_log.entries import new_entry
from tmf_apis.audit_log.log import AuditLog

Document = dict[str, Any]


def drop_before(log: AuditLog, instant: datetime, subject: str) -> int:
    """Drop the blocks that were sealed before an instant; return the number of dropped entries.

    For each tenant an entry records it. The anchor, the last dropped block without its digests, is
    stored first, so a repetition after a crash completes the removal.

    Args:
        log: The audit log.
        instant: Entries that were sealed before it are dropped, in UTC.
        subject: Subject of the entry that records it.
    """
    return sum(_drop(log, tenant, instant, subject) for tenant in log.blocks.distinct("tenant"))


def _drop(log: AuditLog, tenant: str, instant: datetime, subject: str) -> int:
    query = {"tenant": tenant, "time": {"$lt": instant}, "ids": {"$exists": False}}
    last = log.blocks.find_one(query, {"digests": 0}, sort=[("number", -1)])
    if last is None:
        return 0
    facts = {"subject": subject, "kind": "AuditLog", "until": last["time"]}
    log.append([new_entry(tenant, "drop", facts, droppedSequence=last["last"])])
    anchor = {name: last[name] for name in ANCHOR_MEMBERS if name in last}
    log.chains.update_one({"_id": tenant}, {"$set": {"anchor": anchor}}, upsert=True)
    sealed = {"tenant": tenant, "sequence": {"$lte": last["last"]}}
    count = log.entries.delete_many(sealed).deleted_count
    log.blocks.delete_many({"tenant": tenant, "number": {"$lte": last["number"]}})
    return count
