"""Records of the changes of elements, each in a file that is written before the change.

A change can thus be rolled back from another session, or after its session was killed.
"""

import getpass
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.values import Plan, Target, Transaction
from tmf_apis.serialization import from_document, stored_as, to_document

FOLDER = "transactions"
#: States of a transaction, as stored.
STATE_APPLYING, STATE_APPLIED, STATE_STOPPED, STATE_NOT_AS_INTENDED, STATE_ROLLED_BACK = (
    "applying", "applied", "stopped in the middle", "not as asked", "rolled back",
)  # fmt: skip


class TransactionNotFound(Exception):
    """There is no such transaction, or its file is invalid."""


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A change of an element.

    Attributes:
        id: Id of the record, printed for ``tmf element rollback``.
        started_at: Start of the change, in UTC, in the format of RFC 3339.
        user: Name of the operating system user.
        target: The element.
        transaction: The steps that were done, or may have been done.
        state: One of the states ``STATE_...``.
    """

    id: str
    started_at: str = field(metadata=stored_as("at"))
    user: str = field(metadata=stored_as("who"))
    target: Target
    transaction: Transaction
    state: str


class TransactionStore:
    """The records, in a folder of the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def begin(self, target: Target, plan: Plan) -> TransactionRecord:
        """Record a plan before it is applied, so that it can be rolled back."""
        now = datetime.now(UTC)
        id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        started_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        user = _current_user()
        return self.save(
            TransactionRecord(id, started_at, user, target, plan.attempted, STATE_APPLYING)
        )

    def save(self, record: TransactionRecord, **changes: Any) -> TransactionRecord:  # noqa: ANN401
        """Write a record with changes and return the changed record."""
        record = replace(record, **changes)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{record.id}.json"
        temporary = path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(to_document(record), file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o600)
        temporary.replace(path)
        return record

    def get(self, id: str) -> TransactionRecord:
        """Return a record.

        Raises:
            TransactionNotFound: There is no such record, or its file is invalid.
        """
        paths = {path.stem: path for path in sorted(self._folder.glob("*.json"))}
        if id not in paths:
            latest = ", ".join(list(paths)[-3:]) or "none"
            raise TransactionNotFound(
                f"no transaction {id} in {self._folder}; the latest ones: {latest}"
            )
        try:
            return from_document(TransactionRecord, json.loads(paths[id].read_text("utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise TransactionNotFound(f"{paths[id]} is not a transaction: {error}") from error

    def all(self) -> list[TransactionRecord]:
        """Return all records, the latest first; invalid files are skipped."""
        records = []
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            with suppress(TransactionNotFound):
                records.append(self.get(path.stem))
        return records


def _current_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
