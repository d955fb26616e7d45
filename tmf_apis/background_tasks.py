"""Durable execution of stored tasks that outlast their request, such as imports and bill runs.

Each task is a Temporal workflow with one long activity: the policy's ``run_in_background``, which
is safe to repeat.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from tmf_apis.errors import NotFound
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

#: Longest time of one attempt; time without a heartbeat after which a worker counts as dead.
ATTEMPT_TIMEOUT, HEARTBEAT_TIMEOUT = timedelta(hours=24), timedelta(seconds=10)
#: Pause between two heartbeats, in seconds.
HEARTBEAT_INTERVAL = 2.0
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)
)

BackgroundAction = Callable[[Repository, Resource], None]


@dataclass(frozen=True, slots=True)
class TaskKey:
    """The key of a stored task.

    Attributes:
        tenant: The tenant.
        kind: The kind of the task.
        id: The id of the task.
    """

    tenant: str
    kind: str
    id: str

    @property
    def workflow_id(self) -> str:
        """Id of the task's workflow."""
        return f"{self.kind}:{self.tenant}:{self.id}"


class TaskActivities:
    """The activity of background tasks, with access to the resources."""

    def __init__(
        self,
        repositories: RepositoryFactory,
        actions: Mapping[str, BackgroundAction],
        executor: Executor,
    ) -> None:
        """Store the collaborators.

        Args:
            repositories: Give access to the resources.
            actions: The action of each kind of task.
            executor: Runs the actions.
        """
        self._repositories = repositories
        self._actions = actions
        self._executor = executor

    @activity.defn(name="task-do")
    async def run_task(self, key: TaskKey) -> None:
        """Run a task with the permissions of its owner."""
        call = partial(copy_context().run, self._run, key)
        future = asyncio.get_running_loop().run_in_executor(self._executor, call)
        while not (await asyncio.wait({future}, timeout=HEARTBEAT_INTERVAL))[0]:
            activity.heartbeat()
        await future

    def _run(self, key: TaskKey) -> None:
        try:
            repositories = self._repositories.working_for(key.kind, key.id)
            repository = repositories.for_owner(key.tenant, key.kind, key.id)
            task = repository.get(key.kind, key.id)
        except NotFound:  # deleted meanwhile
            return
        self._actions[key.kind](repository, task)


@workflow.defn(name="Task", sandboxed=False)
class TaskWorkflow:
    """Runs one task."""

    @workflow.run
    async def run(self, key: TaskKey) -> None:
        """Run a task; Temporal retries it until it succeeds."""
        await workflow.execute_activity_method(
            TaskActivities.run_task,
            key,
            start_to_close_timeout=ATTEMPT_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )
