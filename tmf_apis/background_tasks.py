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
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

#: Longest time of one attempt; pause after a death of the worker that is noticed at the latest.
ATTEMPT_TIMEOUT, HEARTBEAT_TIMEOUT = timedelta(hours=24), timedelta(seconds=10)
#: Pause between two signs of life, in seconds.
HEARTBEAT_INTERVAL = 2.0
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)
)

BackgroundAction = Callable[[Repository, Resource], None]


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
    def workflow_id(self) -> str:
        """Id of its workflow."""
        return f"{self.kind}:{self.tenant}:{self.id}"


class TaskActivities:
    """The step, bound to the database."""

    def __init__(
        self,
        repositories: RepositoryFactory,
        actions: Mapping[str, BackgroundAction],
        executor: Executor,
    ) -> None:
        """Take what it works with.

        Args:
            repositories: Give access to the resources.
            actions: What does a task, by its kind.
            executor: Where tasks are done.
        """
        self._repositories = repositories
        self._actions = actions
        self._executor = executor

    @activity.defn(name="task-do")
    async def run_task(self, key: TaskKey) -> None:
        """Do a task as whoever made it."""
        work = asyncio.get_running_loop().run_in_executor(self._executor, self._run, key)
        while not (await asyncio.wait({work}, timeout=HEARTBEAT_INTERVAL))[0]:
            activity.heartbeat()
        await work

    def _run(self, key: TaskKey) -> None:
        try:
            desk = self._repositories.for_owner(key.tenant, key.kind, key.id)
            task = desk.get(key.kind, key.id)
        except NotFound:  # deleted meanwhile
            return
        self._actions[key.kind](desk, task)


@workflow.defn(name="Task", sandboxed=False)
class TaskWorkflow:
    """Does one task."""

    @workflow.run
    async def run(self, key: TaskKey) -> None:
        """Do a task, however often it takes."""
        await workflow.execute_activity_method(
            TaskActivities.run_task,
            key,
            start_to_close_timeout=ATTEMPT_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )
