"""The worker's link to Temporal: kept up in the background, asked from any thread."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.common import Priority
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from tmf_apis.errors import Unavailable
from tmf_apis.settings import Settings
from tmf_apis.temporal_payloads import DATA_CONVERTER

log = logging.getLogger(__name__)

#: Name of the queue that our workers take their work from.
TASK_QUEUE = "tmf-apis"
#: First and longest pause between two attempts to connect, in seconds.
RECONNECT_PAUSES = (0.2, 10.0)
#: Longest wait of a listener for Temporal's answer, and for work under way at the end, in seconds.
CALL_TIMEOUT, SHUTDOWN_GRACE = 5.0, 3.0
#: A decision of a workflow takes milliseconds; a worker that takes so long is dead.
WORKFLOW_TASK_TIMEOUT = timedelta(seconds=5)
#: How late a step hears at most that it was cancelled.
HEARTBEAT_THROTTLE = timedelta(seconds=1)
#: Steps done at once, and workflows kept ready in memory.
MAX_ACTIVITIES, MAX_CACHED_WORKFLOWS = 50, 200
#: Steps at the database and decisions of workflows done at once: what is taken up has to fit into
#: memory, what waits stays in Temporal.
MAX_LOCAL_ACTIVITIES, MAX_WORKFLOW_TASKS = 16, 16

T = TypeVar("T")


class TemporalWorker:
    """A client and a worker, connected again whenever they fall."""

    def __init__(
        self,
        settings: Settings,
        workflows: Sequence[type],
        activities: Sequence[Callable[..., Any]],
        private_queue: tuple[str, Sequence[Callable[..., Any]]] = ("", ()),
    ) -> None:
        """Take what the worker does.

        Args:
            settings: Where Temporal is.
            workflows: Workflow classes.
            activities: The steps.
            private_queue: Name of a queue that only this worker takes steps from, and those steps.
        """
        self._private_queue = private_queue
        self._address = settings.temporal_address
        self._namespace = settings.temporal_namespace
        self._workflows = workflows
        self._activities = activities
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set."""
        self._loop = asyncio.get_running_loop()
        pause, longest = RECONNECT_PAUSES
        while not stop.is_set():
            try:
                await self._run_workers(stop)
            except (RPCError, RuntimeError, OSError) as error:
                log.warning("Temporal does not answer: %s", error, extra={"at": self._address})
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
                pause = min(2 * pause, longest)
            else:
                pause = RECONNECT_PAUSES[0]

    async def _run_workers(self, stop: asyncio.Event) -> None:
        client = self._client = self._client or await Client.connect(
            self._address, namespace=self._namespace, data_converter=DATA_CONVERTER
        )
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=self._workflows,
            activities=self._activities,
            build_id=version("tmf-apis"),  # the default hashes every module: seconds
            max_concurrent_activities=MAX_ACTIVITIES,
            max_concurrent_local_activities=MAX_LOCAL_ACTIVITIES,
            max_concurrent_workflow_tasks=MAX_WORKFLOW_TASKS,
            max_cached_workflows=MAX_CACHED_WORKFLOWS,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
            graceful_shutdown_timeout=timedelta(seconds=SHUTDOWN_GRACE),
            default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        )
        log.info("working for Temporal", extra={"at": self._address, "queue": TASK_QUEUE})
        workers = [worker]
        queue, steps = self._private_queue
        if queue:
            workers.append(
                Worker(
                    client,
                    task_queue=queue,
                    activities=steps,
                    build_id=version("tmf-apis"),
                    max_concurrent_activities=MAX_ACTIVITIES,
                    graceful_shutdown_timeout=timedelta(seconds=SHUTDOWN_GRACE),
                    default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
                    max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
                )
            )
        running = [asyncio.create_task(one.run()) for one in workers]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await asyncio.gather(
            *(one.shutdown() for one, its in zip(workers, running, strict=True) if not its.done())
        )
        await asyncio.gather(*running)

    def start(self, workflow: Any, argument: object, id: str, priority: int = 0) -> None:  # noqa: ANN401
        """Begin a workflow, unless it is running; may be called in any thread but the loop's.

        Args:
            workflow: The workflow's ``run``.
            argument: What it is given.
            id: Its name.
            priority: From 1, the first in the queue, to 5; 0: the middle.

        Raises:
            Unavailable: Temporal does not answer; nothing is lost by asking again.
        """

        async def start(client: Client) -> None:
            with suppress(WorkflowAlreadyStartedError):
                await client.start_workflow(
                    workflow,
                    argument,
                    id=id,
                    task_queue=TASK_QUEUE,
                    task_timeout=WORKFLOW_TASK_TIMEOUT,
                    priority=Priority(priority_key=priority) if priority else Priority.default,
                )

        self._call(start)

    def signal(self, id: str, signal: Any, *arguments: object) -> bool:  # noqa: ANN401
        """Tell a running workflow something; return whether it is running.

        Raises:
            Unavailable: Temporal does not answer.
        """

        async def tell(client: Client) -> bool:
            try:
                await client.get_workflow_handle(id).signal(signal, args=arguments)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
            return True

        return self._call(tell)

    def _call(self, request: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        if self._client is None or self._loop is None:
            raise Unavailable(f"Temporal does not answer at {self._address}")
        asked = asyncio.run_coroutine_threadsafe(request(self._client), self._loop)
        try:
            return asked.result(CALL_TIMEOUT)
        except (RPCError, TimeoutError) as error:
            asked.cancel()
            raise Unavailable(f"Temporal does not answer at {self._address}: {error}") from error
