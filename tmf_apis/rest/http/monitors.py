"""Monitors: the progress of tasks that continue after their request.

A task has its own state, so a monitor is a view of the task and is not stored. A client that sends
``Prefer: respond-async`` receives 202 with the URL of the monitor in ``Location``.

Source: TMF630 part 4, "Asynchronous operations"; RFC 7240 (``Prefer``).
"""

import re
from collections.abc import Mapping
from typing import Any

from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.http.messages import Request, Response
from tmf_apis.rest.pipeline.policy import Resource, ResourcePolicy

#: Final states of tasks that did not succeed, in lower case.
FAILED_STATES = frozenset({"failed", "rejected", "terminatedwitherror", "cancelled", "canceled"})
_RESPOND_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)


def is_requested(headers: Mapping[str, str], policy: ResourcePolicy) -> bool:
    """Return whether to answer 202: the client prefers it, and the task outlasts the request."""
    return policy.run_in_background is not None and bool(
        _RESPOND_ASYNC.search(headers.get("prefer", ""))
    )


def monitor_path(base_path: str, kind: str, id: str) -> str:
    """Return the path of the monitor of a task in an API.

    >>> monitor_path("/tmf-api/alarmManagement/v5", "AckAlarm", "42")
    '/tmf-api/alarmManagement/v5/monitor/AckAlarm-42'
    """
    return f"{base_path}/monitor/{kind}-{id}"


def accepted_response(location: str) -> Response:
    """Return the response to a client that does not wait; ``location`` is the monitor's URL."""
    return Response(202, headers={"Location": location, "Preference-Applied": "respond-async"})


def monitor_resource(
    contract: Contract, policy: ResourcePolicy, task: Resource, request: Request
) -> Resource:
    """Return the monitor of a task.

    Args:
        contract: The API and version of the request.
        policy: The policy of the task's kind.
        task: The task in the form of that version.
        request: The GET request for the monitor.
    """
    state = monitor_state(policy, task)
    href = str(task["href"])
    monitor: Resource = {
        "id": request.id,
        "href": f"{request.base_url}{contract.base_path}/monitor/{request.id}",
        "state": state,
        "sourceHref": href,
        "request": {"method": "POST", "to": href.rpartition("/")[0]},
    }
    if state != "InProgress":
        monitor["response"] = {"statusCode": "201", "body": task}
    return {**monitor, "@type": "Monitor"} if contract.version != "v4" else monitor


def monitor_state(policy: ResourcePolicy, body: Mapping[str, Any]) -> str:
    """Return the monitor state of a task: InProgress, Completed or Failed."""
    if policy.lifecycle is None:
        return "Completed"
    state = str(body.get(policy.lifecycle.attribute, ""))
    if state not in policy.lifecycle.final_states:
        return "InProgress"
    return "Failed" if state.lower() in FAILED_STATES else "Completed"


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
