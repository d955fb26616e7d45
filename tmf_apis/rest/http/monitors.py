"""Monitors: how work is going that outlasts its request.

A task says itself how it is going, so a monitor is a view of the task and stored nowhere. A client
gets one with ``Prefer: respond-async``: 202, and the monitor's address in ``Location``.

Source: TMF630 part 4, "Asynchronous operations"; RFC 7240 (``Prefer``).
"""

import re
from collections.abc import Mapping
from typing import Any

from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.http.messages import Request, Response
from tmf_apis.rest.pipeline.policy import Resource, ResourcePolicy

#: Final states of tasks that did not do what they were made for, in lower case.
FAILED_STATES = frozenset({"failed", "rejected", "terminatedwitherror", "cancelled", "canceled"})
_RESPOND_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)


def is_requested(headers: Mapping[str, str], policy: ResourcePolicy) -> bool:
    """Return whether an answer is to be 202: the client asked, and the work outlasts it."""
    return policy.run_in_background is not None and bool(
        _RESPOND_ASYNC.search(headers.get("prefer", ""))
    )


def monitor_path(base_path: str, kind: str, id: str) -> str:
    """Return the path of a task's monitor in an API.

    >>> monitor_path("/tmf-api/alarmManagement/v5", "AckAlarm", "42")
    '/tmf-api/alarmManagement/v5/monitor/AckAlarm-42'
    """
    return f"{base_path}/monitor/{kind}-{id}"


def accepted_response(location: str) -> Response:
    """Return the answer to a client that does not wait; ``location`` is the monitor's URL."""
    return Response(202, headers={"Location": location, "Preference-Applied": "respond-async"})


def monitor_resource(
    contract: Contract, policy: ResourcePolicy, task: Resource, request: Request
) -> Resource:
    """Return the monitor of a task.

    Args:
        contract: The API and version that the client speaks.
        policy: The law of the task's kind.
        task: The task as the client sees it.
        request: GET of the monitor.
    """
    reached = monitor_state(policy, task)
    href = str(task["href"])
    monitor: Resource = {
        "id": request.id,
        "href": f"{request.base_url}{contract.base_path}/monitor/{request.id}",
        "state": reached,
        "sourceHref": href,
        "request": {"method": "POST", "to": href.rpartition("/")[0]},
    }
    if reached != "InProgress":
        monitor["response"] = {"statusCode": "201", "body": task}
    return {**monitor, "@type": "Monitor"} if contract.version != "v4" else monitor


def monitor_state(policy: ResourcePolicy, body: Mapping[str, Any]) -> str:
    """Return the state of the work on a task: InProgress, Completed or Failed."""
    if policy.lifecycle is None:
        return "Completed"
    reached = str(body.get(policy.lifecycle.attribute, ""))
    if reached not in policy.lifecycle.final_states:
        return "InProgress"
    return "Failed" if reached.lower() in FAILED_STATES else "Completed"


def monitor_operation(number: str) -> Operation:
    """Return the operation that reads the monitors of an API."""
    return Operation(
        operation_id="retrieveMonitor",
        method="get",
        path="/monitor/{id}",
        action="retrieve",
        resource="monitor",
        schema="Monitor",
        kind="",
        body_schema=None,
        event_type=None,
        scopes=(f"{number.lower()}:read",),
    )
