"""The version of workers in Temporal: workers of two releases can run at the same time.

A worker reports the version of its workflows. Temporal gives workflows, new and old, only to
workers of the current version, so that a worker never continues what a newer one has begun. The
first worker of a newer version makes that version the current one. When no worker of the current
version is left, as after a return to an earlier release, another version takes over.

Source: Temporal, "Worker Versioning".
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

log = logging.getLogger(__name__)

#: The version of the workflows and of their payloads. Raise it when a worker of the release before
#: could not continue what this one has begun.
WORKFLOW_VERSION = 1
#: Name of the deployment; its versions are numbers.
DEPLOYMENT = "tmf-apis"
#: First pause until Temporal knows a worker that has just started, and pause between two checks, in
#: seconds. Temporal refuses more than some requests a second.
REGISTRATION_PAUSE, CHECK_INTERVAL = 0.2, 10.0
#: A worker polls at least once in this time.
POLL_AGE = timedelta(seconds=90)


def deployment_config(version: int) -> WorkerDeploymentConfig:
    """Return the options of a worker of a version."""
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, str(version)),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


class WorkerDeployment:
    """The versions of the workers of a task queue."""

    def __init__(self, client: Client, task_queue: str, version: int = WORKFLOW_VERSION) -> None:
        """Store the collaborators.

        Args:
            client: The client of Temporal.
            task_queue: The task queue of the workers.
            version: The version of this worker.
        """
        self._client = client
        self._task_queue = task_queue
        self._version = version
        self._is_waiting = False

    async def is_supported(self) -> bool:
        """Return whether this Temporal has versions of workers.

        Raises:
            RPCError: Temporal does not answer.
        """
        try:
            await self.current_version()
        except RPCError as error:
            if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:  # asked too often, so it has them
                return True
            if error.status not in {RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED}:
                raise
            log.warning(
                "Temporal has no versions of workers: stop all workers before an upgrade",
                extra={"error": str(error)},
            )
            return False
        return True

    async def current_version(self) -> int:
        """Return the current version; 0 if there is none.

        Raises:
            RPCError: Temporal does not answer, or has no versions of workers.
        """
        request = DescribeWorkerDeploymentRequest(
            namespace=self._client.namespace, deployment_name=DEPLOYMENT
        )
        try:
            answer = await self._client.workflow_service.describe_worker_deployment(request)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return 0
            raise
        routing = answer.worker_deployment_info.routing_config
        return int(routing.current_deployment_version.build_id or 0)

    async def keep_current(self) -> None:
        """Make the version of this worker the current one whenever it should be; never return."""
        pause = REGISTRATION_PAUSE
        while True:
            try:
                await self._settle()
            except (
                RPCError
            ) as error:  # Temporal does not know this worker yet, or is asked too often
                log.debug("the version of the workers is not set yet", extra={"error": str(error)})
                await asyncio.sleep(pause)
                pause = min(2 * pause, CHECK_INTERVAL)
            else:
                await asyncio.sleep(CHECK_INTERVAL)
                pause = REGISTRATION_PAUSE

    async def _settle(self) -> None:
        """Set the current version if it is an older one, or has no workers."""
        current = await self.current_version()
        if current == self._version:
            self._is_waiting = False
            return
        if current > self._version and await self._has_workers(current):
            if not self._is_waiting:
                self._is_waiting = True
                log.warning(
                    "workers of a newer version are running: this worker gets no orders and tasks",
                    extra={"version": self._version, "current": current},
                )
            return
        await self._client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=self._client.namespace,
                deployment_name=DEPLOYMENT,
                build_id=str(self._version),
                identity=self._client.identity,
                ignore_missing_task_queues=True,
            )
        )
        log.info(
            "orders and tasks continue in this version",
            extra={"version": self._version, "before": current},
        )

    async def _has_workers(self, version: int) -> bool:
        """Return whether a worker of a version has asked for work lately."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        answer = await self._client.workflow_service.describe_task_queue(request)
        oldest = datetime.now(UTC) - POLL_AGE
        return any(
            poller.deployment_options.build_id == str(version)
            and poller.last_access_time.ToDatetime(UTC) > oldest
            for poller in answer.pollers
        )
