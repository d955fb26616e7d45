"""What an engineer has done to elements: a file a transaction, written before anything is touched.

So what was done can be taken back from another session, or after this one was killed.
"""

import getpass
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.values import Intent, Plan, Step, Target, Transaction

FOLDER = "transactions"
#: What has become of a transaction.
APPLYING, APPLIED, STOPPED, WRONG, UNDONE = (
    "applying", "applied", "stopped in the middle", "not as asked", "rolled back",
)  # fmt: skip


class NoRecord(Exception):
    """There is no such transaction, or its file is not one."""


@dataclass(frozen=True, slots=True)
class Record:
    """One change of one element.

    Attributes:
        id: What the engineer calls it.
        at: When it was begun, in UTC, as RFC 3339 has it.
        who: Name of the user of the machine.
        target: The element.
        transaction: What was done, or may have been.
        state: What has become of it.
    """

    id: str
    at: str
    who: str
    target: Target
    transaction: Transaction
    state: str


class Records:
    """The files, in a folder of the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def begin(self, target: Target, plan: Plan) -> Record:
        """Keep what is about to be done; from now on it can be rolled back."""
        now = datetime.now(UTC)
        id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self.keep(Record(id, at, _user(), target, plan.attempted, APPLYING))

    def keep(self, record: Record, **changes: Any) -> Record:  # noqa: ANN401
        """Write a record with changes; return it as it is now."""
        record = replace(record, **changes)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{record.id}.json"
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(asdict(record), file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o600)
        fresh.replace(path)
        return record

    def get(self, id: str) -> Record:
        """Return a record.

        Raises:
            NoRecord: There is none.
        """
        known = {path.stem: path for path in sorted(self._folder.glob("*.json"))}
        if id not in known:
            last = ", ".join(list(known)[-3:]) or "none"
            raise NoRecord(f"no transaction {id} in {self._folder}; the last ones: {last}")
        try:
            return _record(json.loads(known[id].read_text("utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise NoRecord(f"{known[id]} is not a transaction: {error}") from error

    def all(self) -> list[Record]:
        """Return every record, the latest first; files that are none are passed over."""
        found = []
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            try:
                found.append(self.get(path.stem))
            except NoRecord:
                continue
        return found


def _record(content: Mapping[str, Any]) -> Record:
    done = content["transaction"]
    transaction = Transaction(
        done["element"],
        Intent(**done["intent"]),
        tuple(Step(**step) for step in done["done"]),
        done["token"],
    )
    return Record(
        content["id"],
        content["at"],
        content["who"],
        Target(**content["target"]),
        transaction,
        content["state"],
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
