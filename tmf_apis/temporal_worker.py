"""The worker's connection to Temporal: reconnects in the background, callable from any thread."""

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
from temporalio.service import HttpConnectProxyConfig, RPCError, RPCStatusCode
from temporalio.worker import Worker

from tmf_apis.errors import Unavailable
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.settings import Settings
from tmf_apis.temporal_context import OriginInterceptor
from tmf_apis.temporal_deployment import (
    WORKFLOW_VERSION,
    WorkerDeployment,
    deployment_config,
)
from tmf_apis.temporal_payloads import DATA_CONVERTER

log = logging.getLogger(__name__)

#: Name of the task queue that all workers share.
TASK_QUEUE = "tmf-apis"
#: First and longest pause between two attempts to connect, in seconds.
RECONNECT_PAUSES = (0.2, 10.0)
#: Longest wait of a caller for Temporal, and for running activities at shutdown, in seconds.
CALL_TIMEOUT, SHUTDOWN_GRACE = 5.0, 3.0
#: Longest wait for the answer to a question about the health of Temporal.
HEALTH_TIMEOUT = timedelta(seconds=2)
#: Longest time of a workflow task, which normally takes milliseconds.
WORKFLOW_TASK_TIMEOUT = timedelta(seconds=5)
#: Longest delay until an activity learns that it was cancelled.
HEARTBEAT_THROTTLE = timedelta(seconds=1)
#: Most activities at once, and most workflows kept in memory.
MAX_ACTIVITIES, MAX_CACHED_WORKFLOWS = 50, 200
#: Most local activities and workflow tasks at once. The worker holds these in memory; the others
#: wait in Temporal.
MAX_LOCAL_ACTIVITIES, MAX_WORKFLOW_TASKS = 16, 16

#: Name of the embedded server for clients that connect by its socket.
EMBEDDED_NAME = "temporal.invalid:7233"

T = TypeVar("T")


async def connect(address: str, namespace: str) -> Client:
    """Return a client of Temporal.

    Args:
        address: Host and port, or ``unix:<path>`` for the embedded server.
        namespace: The namespace.
    """
    if not address.startswith("unix:"):
        return await Client.connect(
            address,
            namespace=namespace,
            data_converter=DATA_CONVERTER,
            interceptors=[OriginInterceptor()],
        )
    # The client knows unix sockets only as proxies; the socket leads to the same server for any
    # name.
    return await Client.connect(
        EMBEDDED_NAME,
        namespace=namespace,
        data_converter=DATA_CONVERTER,
        interceptors=[OriginInterceptor()],
        http_connect_proxy_config=HttpConnectProxyConfig(address),
    )


class TemporalWorker:
    """A Temporal client and its workers; both reconnect after a failure."""

    def __init__(
        self,
        settings: Settings,
        workflows: Sequence[type],
        activities: Sequence[Callable[..., Any]],
        private_queue: tuple[str, Sequence[Callable[..., Any]]] = ("", ()),
        version: int = WORKFLOW_VERSION,
    ) -> None:
        """Store the configuration; ``run`` connects.

        Args:
            settings: The configuration, with the address and the namespace of Temporal.
            workflows: Workflow classes.
            activities: Activity functions.
            private_queue: Name of a task queue for this worker only, and its activities.
            version: The version of the workflows.
        """
        self._version = version
        self._private_queue = private_queue
        self._address = settings.temporal_address
        self._namespace = settings.temporal_namespace
        self._workflows = workflows
        self._activities = activities
        self._unanswered = LastingCondition(
            log, "Temporal does not answer", "Temporal answers again"
        )
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run the workers until ``stop`` is set; reconnect after failures."""
        self._loop = asyncio.get_running_loop()
        pause, longest = RECONNECT_PAUSES
        while not stop.is_set():
            try:
                await self._run_workers(stop)
            except (RPCError, RuntimeError, OSError) as error:
                self._unanswered.report(address=self._address, error=str(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
                pause = min(2 * pause, longest)
            else:
                pause = RECONNECT_PAUSES[0]

    async def _run_workers(self, stop: asyncio.Event) -> None:
        client = self._client = self._client or await connect(self._address, self._namespace)
        deployment = WorkerDeployment(client, TASK_QUEUE, self._version)
        is_versioned = await deployment.is_supported()
        workers = [self._create_shared_worker(client, is_versioned=is_versioned)]
        if self._private_queue[0]:
            workers.append(self._create_private_worker(client))
        self._unanswered.clear(address=self._address)
        log.info("working for Temporal", extra={"address": self._address, "queue": TASK_QUEUE})
        runs = [asyncio.create_task(worker.run()) for worker in workers]
        stopping = asyncio.create_task(stop.wait())
        versioning = asyncio.create_task(deployment.keep_current() if is_versioned else stop.wait())
        await asyncio.wait({*runs, stopping, versioning}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        versioning.cancel()
        await asyncio.gather(
            *(
                worker.shutdown()
                for worker, run in zip(workers, runs, strict=True)
                if not run.done()
            )
        )
        await asyncio.gather(*runs)

    def _create_shared_worker(self, client: Client, *, is_versioned: bool) -> Worker:
        options = _common_options()
        if is_versioned:
            del options["build_id"]
            options["deployment_config"] = deployment_config(self._version)
        return Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=self._workflows,
            activities=self._activities,
            max_concurrent_local_activities=MAX_LOCAL_ACTIVITIES,
            max_concurrent_workflow_tasks=MAX_WORKFLOW_TASKS,
            max_cached_workflows=MAX_CACHED_WORKFLOWS,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
            **options,
        )

    def _create_private_worker(self, client: Client) -> Worker:
        queue, activities = self._private_queue
        return Worker(client, task_queue=queue, activities=activities, **_common_options())

    async def error(self) -> str:
        """Return why Temporal cannot be used; empty if it can."""
        if self._client is None:
            return f"no connection to {self._address}"
        try:
            is_serving = await self._client.service_client.check_health(timeout=HEALTH_TIMEOUT)
        except (RPCError, RuntimeError, OSError) as error:
            return f"{self._address}: {error}"
        return "" if is_serving else f"{self._address} does not serve"

    def start(self, workflow: Any, argument: object, id: str, priority: int = 0) -> None:  # noqa: ANN401
        """Start a workflow, unless it is running; callable from any thread except the event loop's.

        Args:
            workflow: The workflow's ``run``.
            argument: The argument of ``run``.
            id: The id of the workflow.
            priority: From 1, the highest, to 5; 0 for the default.

        Raises:
            Unavailable: Temporal does not answer; safe to repeat (HTTP 503).
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

    def start_with_signal(
        self,
        workflow: Any,  # noqa: ANN401
        argument: object,
        id: str,
        signal: str,
        *arguments: object,
    ) -> None:
        """Send a signal to a workflow, which is started first unless it is running.

        Args:
            workflow: The workflow's ``run``.
            argument: The argument of ``run``.
            id: The id of the workflow.
            signal: The name of the signal.
            *arguments: The arguments of the signal.

        Raises:
            Unavailable: Temporal does not answer; safe to repeat (HTTP 503).
        """

        async def start(client: Client) -> None:
            await client.start_workflow(
                workflow,
                argument,
                id=id,
                task_queue=TASK_QUEUE,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                start_signal=signal,
                start_signal_args=arguments,
            )

        self._call(start)

    def signal(self, id: str, signal: Any, *arguments: object) -> bool:  # noqa: ANN401
        """Send a signal to a workflow; return whether the workflow is running.

        Raises:
            Unavailable: Temporal does not answer (HTTP 503).
        """

        async def send(client: Client) -> bool:
            try:
                await client.get_workflow_handle(id).signal(signal, args=arguments)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
            return True

        return self._call(send)

    def _call(self, request: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        if self._client is None or self._loop is None:
            raise Unavailable(f"Temporal does not answer at {self._address}")
        future = asyncio.run_coroutine_threadsafe(request(self._client), self._loop)
        try:
            return future.result(CALL_TIMEOUT)
        except (RPCError, TimeoutError) as error:
            future.cancel()
            raise Unavailable(f"Temporal does not answer at {self._address}: {error}") from error


def _common_options() -> dict[str, Any]:
    """Return the options of all workers."""
    return {
        "build_id": version("tmf-apis"),  # the default hashes every module, which takes seconds
        "max_concurrent_activities": MAX_ACTIVITIES,
        "graceful_shutdown_timeout": timedelta(seconds=SHUTDOWN_GRACE),
        "default_heartbeat_throttle_interval": HEARTBEAT_THROTTLE,
        "max_heartbeat_throttle_interval": HEARTBEAT_THROTTLE,
    }
