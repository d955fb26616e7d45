"""Scheduler of discoveries and audits, safe with any number of workers.

The id of a scheduled task contains the number of its period, so only one task can be created for a
period. Otherwise it is like a task that a client creates. A worker creates the task of the current
period when it starts.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from datetime import timedelta

from pymongo.errors import PyMongoError

from tmf_apis.errors import Conflict, NotFound, TmfError
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.store.executor import run_blocking

log = logging.getLogger(__name__)

#: Longest pause between two checks for due tasks, in seconds.
POLL_INTERVAL = 10.0
#: Age at which scheduled tasks are deleted.
RETENTION = timedelta(days=30)
TASK_ID_PREFIX = "scheduled-"


class TaskScheduler:
    """Creates the tasks that are due."""

    def __init__(
        self,
        repositories: RepositoryFactory,
        tenants: Callable[[], Iterable[str]],
        executor: Executor | None,
        intervals: Mapping[str, tuple[float, Resource]],
    ) -> None:
        """Create a scheduler.

        Args:
            repositories: Give access to the tasks by tenant.
            tenants: Returns the tenants that have elements.
            executor: Runs blocking database calls; None: the default executor of asyncio.
            intervals: Interval in seconds (0: never) and attributes of the task, by kind.
        """
        self._repositories = repositories
        self._tenants = tenants
        self._executor = executor
        self._intervals = {
            kind: interval for kind, interval in intervals.items() if interval[0] > 0
        }
        self._delayed = LastingCondition(
            log, "scheduled tasks delayed", "scheduled tasks are created again"
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Create tasks until ``stop`` is set."""
        if not self._intervals:
            return
        shortest = min(seconds for seconds, _ in self._intervals.values())
        while not stop.is_set():
            try:
                await run_blocking(self._executor, self.create_due_tasks, time.time())
            except (TmfError, PyMongoError) as error:
                self._delayed.report(error=str(error))
            else:
                self._delayed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(shortest, POLL_INTERVAL))

    def create_due_tasks(self, now: float) -> int:
        """Create the tasks of a period, delete old ones, and return the number of new tasks.

        Args:
            now: A time in the period, in seconds since 1970.
        """
        created = 0
        for tenant in self._tenants():
            repository = self._repositories.for_tenant(tenant)
            for kind, (seconds, attributes) in self._intervals.items():
                task = {"@type": kind, **attributes, "id": f"{TASK_ID_PREFIX}{int(now // seconds)}"}
                if repository.find(kind, {"id": task["id"]}, limit=1):
                    continue
                with suppress(Conflict):
                    repository.create(kind, task)
                    created += 1
                query = {"creationDate": {"$lt": rfc3339(repository.now - RETENTION)}}
                for expired in repository.find(kind, query, limit=100):
                    if str(expired["id"]).startswith(TASK_ID_PREFIX):
                        with suppress(NotFound):
                            repository.delete(kind, expired["id"])
        return created
