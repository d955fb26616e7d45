"""The worker's part of the audit log: moves the spool, seals new entries and drops old ones."""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tmf_apis.audit_log.log import AuditLog
from tmf_apis.audit_log.retention import drop_before
from tmf_apis.audit_log.sealing import Sealer
from tmf_apis.audit_log.signing import SigningKey, key_file, load_or_create_key
from tmf_apis.audit_log.spool import SPOOL_FILE, move_spool
from tmf_apis.audit_log.verification import retention_of
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.settings import Settings
from tmf_apis.store.executor import run_blocking

log = logging.getLogger(__name__)

#: Pause between two searches for entries that are not sealed, in seconds.
SEAL_INTERVAL = 1.0
#: Pause between two searches for entries that are older than the retention time, in seconds.
DROP_INTERVAL = 3600.0
#: Subject of the entries that record dropped ones.
SUBJECT = "tmf-apis"


class AuditLogMaintenance:
    """Seals and drops entries until the worker stops."""

    def __init__(
        self, database: Database[dict[str, Any]], settings: Settings, executor: Executor
    ) -> None:
        """Create the maintenance; the database is not used yet.

        Args:
            database: The database.
            settings: The retention time, and the data directory with the key.
            executor: Runs the database calls.
        """
        self._log = AuditLog(database)
        self._retention = retention_of(settings.audit_log_days)
        self._executor = executor
        self._spool = settings.data_dir / SPOOL_FILE
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"
        self._sealer = Sealer(self._log, owner, _signing_key(settings))
        self._failing = LastingCondition(
            log, "audit log cannot be maintained", "audit log is maintained again"
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Seal entries at intervals, and drop old ones each hour, until ``stop`` is set."""
        next_drop = 0.0
        while not stop.is_set():
            await self._attempt("move", lambda: move_spool(self._spool, self._log))
            await self._attempt("seal", lambda: self._sealer.seal(stop.is_set))
            if time.monotonic() >= next_drop and await self._attempt("drop", self._drop):
                next_drop = time.monotonic() + DROP_INTERVAL
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SEAL_INTERVAL)

    async def _attempt(self, name: str, step: Callable[[], object]) -> bool:
        """Run a step in the executor; return False if it failed and has to be repeated."""
        try:
            await run_blocking(self._executor, step)
        except (PyMongoError, OSError) as error:
            self._failing.report(name, step=name, error=str(error)[:300])
            return False
        except Exception:
            log.exception("audit log cannot be maintained")
            return False
        self._failing.clear(name, step=name)
        return True

    def _drop(self) -> None:
        if self._retention is None:
            return
        count = drop_before(self._log, datetime.now(UTC) - self._retention, SUBJECT)
        if count:
            log.info("old audit entries dropped", extra={"count": count})


def _signing_key(settings: Settings) -> SigningKey | None:
    """Return the key of the data directory; None if it cannot be read or created."""
    try:
        return load_or_create_key(key_file(settings))
    except (OSError, ValueError) as error:
        log.error("blocks of the audit log are not signed", extra={"error": str(error)})  # noqa: TRY400
        return None
