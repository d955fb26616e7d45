"""Event listeners that start, wake and cancel the workflows of orders."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from tmf_apis.errors import NotFound, TmfError, Unavailable
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution import progress
from tmf_apis.fulfilment.execution.cancellation_requests import resolve_cancellation
from tmf_apis.fulfilment.execution.journal import OPEN_REQUEST_STATES, Journal
from tmf_apis.fulfilment.execution.order_updates import OPEN_STATES, is_final, priority_key
from tmf_apis.fulfilment.execution.workflow import OrderWorkflow, workflow_id
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.periods import canonical_timestamp
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

log = logging.getLogger(__name__)

#: Id, type and message of the alert of an order that cannot begin.
_WAITING_ALERT = (
    "temporal",
    progress.WAITING_FOR_TEMPORAL,
    "waiting for Temporal, which does not answer; the order begins as soon as it does",
)


class WorkflowClient(Protocol):
    """Starts and signals workflows."""

    def start(self, workflow: Any, argument: object, id: str, priority: int = 0) -> None:  # noqa: ANN401
        """Start a workflow, unless one with the id is running."""

    def start_with_signal(
        self,
        workflow: Any,  # noqa: ANN401
        argument: object,
        id: str,
        signal: str,
        *arguments: object,
    ) -> None:
        """Send a signal to a workflow, which is started first unless it is running."""

    def signal(self, id: str, signal: Any, *arguments: object) -> bool:  # noqa: ANN401
        """Send a signal to a workflow; return whether the workflow is running."""


class OrderEventHandler:
    """Listeners for the relay; each may be called again with the same event."""

    def __init__(
        self, repositories: RepositoryFactory, journal: Journal, workflow_client: WorkflowClient
    ) -> None:
        self._repositories = repositories
        self._journal = journal
        self._workflow_client = workflow_client

    @property
    def listeners(self) -> Mapping[str, Callable[[PendingEvent], None]]:
        """The listeners, by the kind of resource that an event is about."""
        return {
            **dict.fromkeys(order_kinds.ORDER_KINDS, self.handle_order),
            **dict.fromkeys(order_kinds.ORDER_KIND_BY_CANCEL_TASK, self.handle_cancellation),
            "FalloutTask": self.handle_decision,
        }

    def resume(self) -> int:
        """Start the workflows of all open orders and handle open requests to cancel.

        This changes nothing while Temporal still has the workflows. If Temporal has lost its
        database, the orders continue from the journal.

        Returns:
            The number of open orders.

        Raises:
            Unavailable: Database or Temporal do not answer; safe to repeat (HTTP 503).
        """
        keys = self._journal.open_orders()
        for key in keys:
            self._workflow_client.start(OrderWorkflow.run, key, workflow_id(key))
        for kind in order_kinds.ORDER_KIND_BY_CANCEL_TASK:
            for tenant, id in self._journal.open_cancellations(kind):
                try:
                    self._cancel(tenant, kind, id)
                except Unavailable:
                    raise
                except TmfError as error:
                    context = {"tenant": tenant, "resource": id, "error": str(error)}
                    log.warning("a request to cancel cannot be handled yet", extra=context)
        return len(keys)

    def handle_order(self, event: PendingEvent) -> None:
        """Start the workflow of a new order, or wake it after a change by the customer.

        Most events report changes by the workflow itself; they cost one read of the journal.
        """
        change, body = event["what"], event["body"]
        key = OrderKey(event["tenant"], event["resource"], event["kind"])
        state = body.get("state")
        if change == "Create" and state == "acknowledged":  # other states: another system's order
            self._start_workflow(key, priority_key(body))
        elif change == "StateChange" and state in OPEN_STATES:
            self._resume_order(key, priority_key(body))
        elif (change == "StateChange" and is_final(str(state))) or change == "Delete":
            self._wake_unplanned(key)
        elif change == "AttributeValueChange" and self._is_amended(key, body):
            self._wake_workflow(key)

    def _resume_order(self, key: OrderKey, priority: int) -> None:
        head = self._journal.head(key)
        if head is None:
            self._start_workflow(key, priority)
        elif head.get("held"):
            self._wake_workflow(key)

    def _wake_unplanned(self, key: OrderKey) -> None:
        """Wake the workflow of an order that ended unplanned; others may wait for it."""
        if self._journal.head(key) is None:
            self._wake_workflow(key)

    def _is_amended(self, key: OrderKey, order: Mapping[str, Any]) -> bool:
        """Return whether a date that the workflow waits for may have changed."""
        if order.get("state") == "acknowledged":
            return bool(order.get("requestedStartDate"))
        if not (due := order.get("requestedCompletionDate")):
            return False
        head = self._journal.head(key)
        return (
            head is not None and "ended" not in head and head.get("due") != canonical_timestamp(due)
        )

    def handle_cancellation(self, event: PendingEvent) -> None:
        """Pass a new request to cancel on to the workflow of its order."""
        if event["what"] == "Create":
            self._cancel(event["tenant"], event["kind"], event["resource"])

    def _cancel(self, tenant: str, task_kind: str, id: str) -> None:
        repository = self._repositories.for_tenant(tenant)
        try:
            task = repository.get(task_kind, id)
        except NotFound:
            return
        if task.get("state") not in OPEN_REQUEST_STATES:
            return
        kind = order_kinds.ORDER_KIND_BY_CANCEL_TASK[task_kind]
        order = str((task.get(kind.schema.order_reference) or {}).get("id"))
        key = OrderKey(tenant, order, kind.schema.kind)
        if self._workflow_client.signal(workflow_id(key), OrderWorkflow.cancel, id):
            return
        head = self._journal.head(key)
        if head is None or "ended" in head:
            resolve_cancellation(repository, kind, id)
        else:  # the workflow has ended just before, or Temporal has lost it
            self._workflow_client.start_with_signal(
                OrderWorkflow.run, key, workflow_id(key), OrderWorkflow.cancel.__name__, id
            )

    def handle_decision(self, event: PendingEvent) -> None:
        """Wake the workflows of all orders that wait for the decision of a fallout task."""
        if event["what"] != "StateChange":
            return
        body = event["body"]
        orders = json_objects([body.get("order"), *json_objects(body.get("affectedOrder"))])
        keys = [
            OrderKey(
                event["tenant"],
                str(order["id"]),
                str(order.get("@referredType") or "ProductOrder"),
            )
            for order in orders
            if order.get("id")
        ]
        for key in dict.fromkeys(keys):
            self._wake_workflow(key)

    def _start_workflow(self, key: OrderKey, priority: int) -> None:
        self._journal.enqueue(key)
        try:
            self._workflow_client.start(OrderWorkflow.run, key, workflow_id(key), priority)
        except Unavailable as error:
            context = {"tenant": key.tenant, "order": key.order, "error": str(error)}
            log.error("an order waits for Temporal", extra=context)  # noqa: TRY400
            self._warn_waiting(key)
            raise

    def _warn_waiting(self, key: OrderKey) -> None:
        """Add an alert to an order whose work cannot begin because Temporal does not answer."""
        schema = order_kinds.kind_of(key).schema
        repository = self._repositories.for_tenant(key.tenant)

        def with_alert(order: Resource) -> Resource:
            if order.get("state") not in OPEN_STATES:
                return order
            return progress.with_alert(order, _WAITING_ALERT, repository.now, schema=schema)

        with suppress(NotFound):  # deleted meanwhile
            repository.change(key.kind, key.order, with_alert)

    def _wake_workflow(self, key: OrderKey) -> None:
        self._workflow_client.signal(workflow_id(key), OrderWorkflow.wake_up)
