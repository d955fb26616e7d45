"""The origin of a request in the workflows and activities that it causes.

A workflow that is started while a request or an event is handled carries the request's id and
``traceparent`` in a Temporal header. Its activities run with this origin, so that their log lines,
writes and events name the request.
"""

from collections.abc import Mapping
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.worker import Interceptor as WorkerInterceptor

from tmf_apis import tracing
from tmf_apis.security.request_origin import RequestOrigin, current_origin, resumed_origin

_HEADER = "tmf-request"
_ENCODING = {"encoding": b"binary/plain"}


class OriginInterceptor(ClientInterceptor, WorkerInterceptor):
    """Carries the origin of a request from the client of Temporal to the activities."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Return the interceptor of starts of workflows."""
        return _Starts(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002
    ) -> type[WorkflowInboundInterceptor]:
        """Return the interceptor of workflows."""
        return _Workflows

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Return the interceptor of activities."""
        return _Activities(next)


class _Starts(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.headers = _with_origin(input.headers, _payload(current_origin.get()))
        return await super().start_workflow(input)


class _Workflows(WorkflowInboundInterceptor):
    """Adds the header of the workflow to its activities; deterministic, it only copies."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._outbound = _StartedActivities(outbound)
        super().init(self._outbound)

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: ANN401
        self._outbound.origin = input.headers.get(_HEADER)
        return await super().execute_workflow(input)


class _StartedActivities(WorkflowOutboundInterceptor):
    origin: Payload | None = None

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_origin(input.headers, self.origin)
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_origin(input.headers, self.origin)
        return super().start_local_activity(input)


class _Activities(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: ANN401
        origin = _origin(input.headers.get(_HEADER))
        token = current_origin.set(origin)
        try:
            info = activity.info()
            facts: dict[str, str | int] = {
                "temporal.workflow.id": info.workflow_id or "",
                "attempt": info.attempt,
            }
            with tracing.span(info.activity_type, facts):
                return await super().execute_activity(input)
        finally:
            current_origin.reset(token)


def _with_origin(headers: Mapping[str, Payload], origin: Payload | None) -> Mapping[str, Payload]:
    return headers if origin is None else {**headers, _HEADER: origin}


def _payload(origin: RequestOrigin) -> Payload | None:
    """Return a header with the id of the request and its ``traceparent``; None if it has no id."""
    if not origin.request_id:
        return None
    return Payload(metadata=_ENCODING, data=f"{origin.request_id} {origin.trace}".encode())


def _origin(payload: Payload | None) -> RequestOrigin:
    request_id, _, trace = (payload.data if payload else b"").decode().partition(" ")
    return resumed_origin(request_id, trace)
