"""What an engineer has done to elements: a file a transaction, written before anything is touched.

So what was done can be taken back from another session, or after this one was killed.
"""

import getpass
import json
import os
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.values import Plan, Target, Transaction
from tmf_apis.serialization import from_document, stored_as, to_document

FOLDER = "transactions"
#: What has become of a transaction.
STATE_APPLYING, STATE_APPLIED, STATE_STOPPED, STATE_NOT_AS_INTENDED, STATE_ROLLED_BACK = (
    "applying", "applied", "stopped in the middle", "not as asked", "rolled back",
)  # fmt: skip


class TransactionNotFound(Exception):
    """There is no such transaction, or its file is not one."""


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """One change of one element.

    Attributes:
        id: What the engineer calls it.
        started_at: When it was begun, in UTC, as RFC 3339 has it.
        user: Name of the user of the machine.
        target: The element.
        transaction: What was done, or may have been.
        state: What has become of it.
    """

    id: str
    started_at: str = field(metadata=stored_as("at"))
    user: str = field(metadata=stored_as("who"))
    target: Target
    transaction: Transaction
    state: str


class TransactionStore:
    """The files, in a folder of the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def begin(self, target: Target, plan: Plan) -> TransactionRecord:
        """Keep what is about to be done; from now on it can be rolled back."""
        now = datetime.now(UTC)
        id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self.save(
            TransactionRecord(id, at, _current_user(), target, plan.attempted, STATE_APPLYING)
        )

    def save(self, record: TransactionRecord, **changes: Any) -> TransactionRecord:  # noqa: ANN401
        """Write a record with changes; return it as it is now."""
        record = replace(record, **changes)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{record.id}.json"
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(to_document(record), file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o600)
        fresh.replace(path)
        return record

    def get(self, id: str) -> TransactionRecord:
        """Return a record.

        Raises:
            NoRecord: There is none.
        """
        known = {path.stem: path for path in sorted(self._folder.glob("*.json"))}
        if id not in known:
            last = ", ".join(list(known)[-3:]) or "none"
            raise TransactionNotFound(
                f"no transaction {id} in {self._folder}; the last ones: {last}"
            )
        try:
            return from_document(TransactionRecord, json.loads(known[id].read_text("utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise TransactionNotFound(f"{known[id]} is not a transaction: {error}") from error

    def all(self) -> list[TransactionRecord]:
        """Return every record, the latest first; files that are none are passed over."""
        found = []
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            try:
                found.append(self.get(path.stem))
            except TransactionNotFound:
                continue
        return found


def _current_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
