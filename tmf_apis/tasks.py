"""Stored tasks that outlast their request (imports, bill runs, acts on many alarms), durable.

One workflow a task with one long step: the law's ``begin``, which is safe to repeat.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from tmf_apis.errors import NotFound
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource

#: Longest time of one attempt; pause after a death of the worker that is noticed at the latest.
LONGEST, HEARTBEAT = timedelta(hours=24), timedelta(seconds=10)
#: Pause between two signs of life, in seconds.
BEAT = 2.0
AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))

Begin = Callable[[Desk, Resource], None]


@dataclass(frozen=True, slots=True)
class TaskKey:
    """Which task.

    Attributes:
        tenant: Whose it is.
        kind: Its kind.
        id: Its id.
    """

    tenant: str
    kind: str
    id: str

    @property
    def workflow(self) -> str:
        """Id of its workflow."""
        return f"{self.kind}:{self.tenant}:{self.id}"


class TaskActivities:
    """The step, bound to the database."""

    def __init__(self, desks: Desks, begin: Mapping[str, Begin], threads: Executor) -> None:
        """Take what it works with.

        Args:
            desks: Give access to the resources.
            begin: What does a task, by its kind.
            threads: Where tasks are done.
        """
        self._desks = desks
        self._begin = begin
        self._threads = threads

    @activity.defn(name="task-do")
    async def do(self, key: TaskKey) -> None:
        """Do a task as whoever made it."""
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._do, key)
        while not (await asyncio.wait({work}, timeout=BEAT))[0]:
            activity.heartbeat()
        await work

    def _do(self, key: TaskKey) -> None:
        try:
            desk = self._desks.owner(key.tenant, key.kind, key.id)
            task = desk.get(key.kind, key.id)
        except NotFound:  # deleted meanwhile
            return
        self._begin[key.kind](desk, task)


@workflow.defn(name="Task", sandboxed=False)
class TaskWorkflow:
    """Does one task."""

    @workflow.run
    async def run(self, key: TaskKey) -> None:
        """Do a task, however often it takes."""
        await workflow.execute_activity_method(
            TaskActivities.do,
            key,
            start_to_close_timeout=LONGEST,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=AGAIN,
        )
