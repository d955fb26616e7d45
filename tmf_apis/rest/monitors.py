"""Monitors: how work is going that outlasts its request.

A task says itself how it is going, so a monitor is a view of the task and stored nowhere. A client
gets one with ``Prefer: respond-async``: 202, and the monitor's address in ``Location``.

Source: TMF630 part 4, "Asynchronous operations"; RFC 7240 (``Prefer``).
"""

import re
from collections.abc import Mapping
from typing import Any

from tmf_apis.rest.contracts import Contract, Operation
from tmf_apis.rest.law import Law, Resource
from tmf_apis.rest.messages import Request, Response

#: Final states of tasks that did not do what they were made for, in lower case.
FAILED = frozenset({"failed", "rejected", "terminatedwitherror", "cancelled", "canceled"})
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)


def wanted(headers: Mapping[str, str], law: Law) -> bool:
    """Return whether an answer is to be 202: the client asked, and the work outlasts it."""
    return law.begin is not None and bool(_ASYNC.search(headers.get("prefer", "")))


def path(base_path: str, kind: str, id: str) -> str:
    """Return the path of a task's monitor in an API.

    >>> path("/tmf-api/alarmManagement/v5", "AckAlarm", "42")
    '/tmf-api/alarmManagement/v5/monitor/AckAlarm-42'
    """
    return f"{base_path}/monitor/{kind}-{id}"


def accepted(location: str) -> Response:
    """Return the answer to a client that does not wait; ``location`` is the monitor's URL."""
    return Response(202, headers={"Location": location, "Preference-Applied": "respond-async"})


def shown(contract: Contract, law: Law, task: Resource, request: Request) -> Resource:
    """Return the monitor of a task.

    Args:
        contract: The API and version that the client speaks.
        law: The law of the task's kind.
        task: The task as the client sees it.
        request: GET of the monitor.
    """
    reached = state(law, task)
    href = str(task["href"])
    monitor: Resource = {
        "id": request.id,
        "href": f"{request.base}{contract.base_path}/monitor/{request.id}",
        "state": reached,
        "sourceHref": href,
        "request": {"method": "POST", "to": href.rpartition("/")[0]},
    }
    if reached != "InProgress":
        monitor["response"] = {"statusCode": "201", "body": task}
    return {**monitor, "@type": "Monitor"} if contract.version != "v4" else monitor


def state(law: Law, body: Mapping[str, Any]) -> str:
    """Return the state of the work on a task: InProgress, Completed or Failed."""
    if law.lifecycle is None:
        return "Completed"
    reached = str(body.get(law.lifecycle.attribute, ""))
    if reached not in law.lifecycle.final:
        return "InProgress"
    return "Failed" if reached.lower() in FAILED else "Completed"


def operation(number: str) -> Operation:
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
        event=None,
        scopes=(f"{number.lower()}:read",),
    )
