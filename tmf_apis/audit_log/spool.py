"""The spool: entries of commands that do not use the database, in a file of the data directory.

``tmf token`` adds a line before it prints a token; a worker with the same data directory moves the
lines into the audit log. A worker that is killed meanwhile moves them again, with the same ids.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from tmf_apis.audit_log.entries import new_entry
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.security.request_origin import command_origin

#: Name of the file in the data directory.
SPOOL_FILE = "audit-log.spool"

Document = dict[str, Any]


def spool(file: Path, tenant: str, operation: str, facts: Mapping[str, Any]) -> None:
    """Add an entry to the spool; it is on the disk when the function returns.

    Args:
        file: The spool; it is created if need be.
        tenant: The tenant.
        operation: Name of the operation.
        facts: Further members of the entry.

    Raises:
        OSError: The file cannot be written.
    """
    entry = new_entry(tenant, operation, facts)
    with _locked(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as descriptor:
        os.write(descriptor, orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        os.fsync(descriptor)


def spool_token(
    data_dir: Path, tenant: str, subject: str, parties: Sequence[str], hours: float
) -> None:
    """Add the entry of a token that ``tmf token`` issues.

    Args:
        data_dir: The data directory.
        tenant: Tenant of the token.
        subject: Subject of the token.
        parties: Parties of the token; none: staff.
        hours: Lifetime of the token, in hours.

    Raises:
        OSError: The entry cannot be written; the token must not be used.
    """
    token = {"kind": "Token", "resource": subject, "tokenHours": hours}
    if parties:
        token["tokenParties"] = sorted(parties)
    facts = {"subject": "tmf-token", "account": command_origin().account, **token}
    spool(data_dir / SPOOL_FILE, tenant, "issue", facts)


def move_spool(file: Path, log: AuditLog) -> int:
    """Move the entries of the spool into the audit log; return their number.

    Raises:
        OSError: The file cannot be read.
    """
    if not file.exists() or not file.stat().st_size:
        return 0
    with _locked(file, os.O_RDWR) as descriptor:
        content = os.read(descriptor, os.fstat(descriptor).st_size)
        entries = [_entry(line) for line in content.splitlines() if line.strip()]
        log.append(entries)
        os.ftruncate(descriptor, 0)
    return len(entries)


@contextmanager
def _locked(file: Path, flags: int) -> Iterator[int]:
    """Open a file, readable only for its owner, and exclude other processes."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _entry(line: bytes) -> Document:
    """Return the entry of a line; a line that is damaged is an entry that says so."""
    try:
        entry: Document = orjson.loads(line)
        return {**entry, "time": datetime.fromisoformat(entry["time"])}
    except (ValueError, KeyError, TypeError):
        id = hashlib.sha256(line).hexdigest()[:32]
        return {**new_entry("default", "damagedSpool", {"subject": "tmf-apis"}), "_id": id}
