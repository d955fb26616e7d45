"""Discoveries and audits at intervals, each done by one worker among any number.

The period stands in the id of the task, so only one can be made for it; the rest is as with tasks
that people ask for. A worker that starts makes the task of the period that it finds itself in.
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
from tmf_apis.inventory.ports import MANAGEMENT_ADDRESS
from tmf_apis.rest.pipeline.policy import Resource, rfc3339
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT

log = logging.getLogger(__name__)

#: Longest pause between two looks at the clock, in seconds.
POLL_INTERVAL = 10.0
#: Tasks of the schedule are kept so long.
RETENTION = timedelta(days=30)
TASK_ID_PREFIX = "scheduled-"


def tenants_with_elements(database: MongoDatabase) -> list[str]:
    """Return every tenant that has elements."""
    with translate_errors():
        found = database["Resource"].distinct(
            "tenant", {"body.resourceCharacteristic.name": MANAGEMENT_ADDRESS}
        )
    return sorted(one for one in found if one != DELETED_TENANT)


class TaskScheduler:
    """Makes tasks whose time has come."""

    def __init__(
        self,
        repositories: RepositoryFactory,
        tenants: Callable[[], Iterable[str]],
        threads: Executor,
        intervals: Mapping[str, tuple[float, Resource]],
    ) -> None:
        """Take what it works with.

        Args:
            repositories: Give access to the inventories.
            tenants: Those that have elements.
            threads: Where the database is waited for.
            intervals: From the kinds of tasks to their interval in seconds, 0 for never, and the
                attributes of the task.
        """
        self._repositories = repositories
        self._tenants = tenants
        self._threads = threads
        self._intervals = {kind: one for kind, one in intervals.items() if one[0] > 0}

    async def run(self, stop: asyncio.Event) -> None:
        """Make tasks until ``stop`` is set."""
        if not self._intervals:
            return
        shortest = min(seconds for seconds, _ in self._intervals.values())
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            try:
                await loop.run_in_executor(self._threads, self.create_due_tasks, time.time())
            except (TmfError, PyMongoError) as error:
                log.warning("the schedule waits: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(shortest, POLL_INTERVAL))

    def create_due_tasks(self, now: float) -> int:
        """Make the tasks of a period, forget those that are old, and return how many are new.

        Args:
            now: A time in the period, in seconds since 1970.
        """
        made = 0
        for tenant in self._tenants():
            desk = self._repositories.for_tenant(tenant)
            for kind, (seconds, attributes) in self._intervals.items():
                task = {"@type": kind, **attributes, "id": f"{TASK_ID_PREFIX}{int(now // seconds)}"}
                if desk.find(kind, {"id": task["id"]}, limit=1):
                    continue
                with suppress(Conflict):
                    desk.create(kind, task)
                    made += 1
                old = {"creationDate": {"$lt": rfc3339(desk.now - RETENTION)}}
                for one in desk.find(kind, old, limit=100):
                    if str(one["id"]).startswith(TASK_ID_PREFIX):
                        with suppress(NotFound):
                            desk.delete(kind, one["id"])
        return made
