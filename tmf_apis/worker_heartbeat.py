"""Reports of a worker, from which ``/health/ready`` knows that it runs and reaches Temporal."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress

from pymongo.errors import PyMongoError

from tmf_apis.health import HEARTBEAT_PAUSE, HEARTBEATS
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.store.connection import MongoDatabase

log = logging.getLogger(__name__)

#: Time after which the report of a worker that has ended is deleted, in seconds.
_RETENTION = 86_400


class WorkerHeartbeat:
    """Writes the time, and the error of Temporal if it does not answer, every two seconds."""

    def __init__(
        self,
        database: MongoDatabase,
        executor: Executor,
        temporal_error: Callable[[], Awaitable[str]],
    ) -> None:
        """Store the collaborators.

        Args:
            database: The database.
            executor: Runs the writes.
            temporal_error: Returns why Temporal cannot be used; empty if it can.
        """
        self._reports = database[HEARTBEATS]
        self._executor = executor
        self._temporal_error = temporal_error
        self._id = f"{socket.gethostname()}:{os.getpid()}"
        self._silent = LastingCondition(
            log, "the worker cannot report", "the worker can report again"
        )

    def prepare(self) -> None:
        """Create the index that deletes old reports."""
        self._reports.create_index("at", expireAfterSeconds=_RETENTION)

    async def run(self, stop: asyncio.Event) -> None:
        """Report until ``stop`` is set; delete the report then."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            error = await self._temporal_error()
            await loop.run_in_executor(self._executor, self._write, error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), HEARTBEAT_PAUSE)
        await loop.run_in_executor(self._executor, self._delete)

    def _write(self, error: str) -> None:
        change = {"$set": {"temporal": error[:300]}, "$currentDate": {"at": True}}
        try:
            self._reports.update_one({"_id": self._id}, change, upsert=True)
        except PyMongoError as failure:
            self._silent.report(error=str(failure)[:300])
        else:
            self._silent.clear()

    def _delete(self) -> None:
        with suppress(PyMongoError):
            self._reports.delete_one({"_id": self._id})
