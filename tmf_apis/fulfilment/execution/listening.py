"""What an order's workflow is told of: new orders, cancellations, changes, people's decisions."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tmf_apis.errors import NotFound, TmfError, Unavailable
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.fulfilment import kinds
from tmf_apis.fulfilment.execution.cancelling import settle
from tmf_apis.fulfilment.execution.journal import REQUESTED, Journal
from tmf_apis.fulfilment.execution.orders import OPEN, rank
from tmf_apis.fulfilment.execution.workflow import OrderWorkflow, workflow_id
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.periods import moment

log = logging.getLogger(__name__)


class Workflows(Protocol):
    """Begins workflows and tells them something."""

    def begin(self, workflow: Any, argument: object, id: str, priority: int = 0) -> None:  # noqa: ANN401
        """Begin one, unless it is running."""

    def signal(self, id: str, signal: Any, *arguments: object) -> bool:  # noqa: ANN401
        """Tell a running one something; return whether it is running."""


class Listening:
    """Listeners for the relay; each may be called again with the same event."""

    def __init__(self, desks: Desks, journal: Journal, workflows: Workflows) -> None:
        self._desks = desks
        self._journal = journal
        self._workflows = workflows

    @property
    def listeners(self) -> Mapping[str, Callable[[PendingEvent], None]]:
        """What is called with the events of which kind."""
        return {
            **dict.fromkeys(kinds.KINDS, self.order),
            **dict.fromkeys(kinds.CANCELLED_BY, self.cancellation),
            "FalloutTask": self.decision,
        }

    def resume(self) -> int:
        """Go on with every order that waits or was taken up, and has not ended; return how many.

        Where Temporal remembers them this does nothing: they are running. Where it has lost its
        memory, the journal has them.

        Raises:
            Unavailable: Database or Temporal do not answer; safe to repeat.
        """
        found = self._journal.open()
        for key in found:
            self._workflows.begin(OrderWorkflow.run, key, workflow_id(key))
        for kind in kinds.CANCELLED_BY:
            for tenant, id in self._journal.requests(kind):
                try:
                    self._cancel(tenant, kind, id)
                except Unavailable:
                    raise
                except TmfError as error:
                    facts = {"tenant": tenant, "resource": id}
                    log.warning("a request to cancel waits: %s", error, extra=facts)
        return len(found)

    def order(self, event: PendingEvent) -> None:
        """Begin to work on an order that is new, or go on with one that its customer changed.

        Most events are of what the workflow itself has written; they cost a look at the journal.
        """
        what, body = event["what"], event["body"]
        key = OrderKey(event["tenant"], event["resource"], event["kind"])
        state = body.get("state")
        if what == "Create" and state == "acknowledged":  # another one is somebody else's work
            self._begin(key, rank(body))
        elif what == "StateChange" and state in OPEN:
            self._go_on(key, rank(body))
        elif what == "AttributeValueChange" and self._is_amended(key, body):
            self._tell(key)

    def _go_on(self, key: OrderKey, priority: int) -> None:
        head = self._journal.head(key)
        if head is None:
            self._begin(key, priority)
        elif head.get("held"):
            self._tell(key)

    def _is_amended(self, key: OrderKey, order: Mapping[str, Any]) -> bool:
        """Return whether a date that the workflow waits for may have been changed."""
        if order.get("state") == "acknowledged":
            return bool(order.get("requestedStartDate"))
        if not (due := order.get("requestedCompletionDate")):
            return False
        head = self._journal.head(key)
        return head is not None and "ended" not in head and head.get("due") != moment(due)

    def cancellation(self, event: PendingEvent) -> None:
        """Tell an order's workflow that its customer does not want it any more."""
        if event["what"] == "Create":
            self._cancel(event["tenant"], event["kind"], event["resource"])

    def _cancel(self, tenant: str, what: str, id: str) -> None:
        desk = self._desks.staff(tenant)
        try:
            task = desk.get(what, id)
        except NotFound:
            return
        if task.get("state") not in REQUESTED:
            return
        kind = kinds.CANCELLED_BY[what]
        order = str((task.get(kind.form.reference) or {}).get("id"))
        key = OrderKey(tenant, order, kind.form.kind)
        if not self._workflows.signal(workflow_id(key), OrderWorkflow.cancel, id):
            settle(desk, kind, id)

    def decision(self, event: PendingEvent) -> None:
        """Tell an order's workflow that a person has decided."""
        order = event["body"].get("order")
        if event["what"] == "StateChange" and isinstance(order, dict) and order.get("id"):
            kind = str(order.get("@referredType") or "ProductOrder")
            self._tell(OrderKey(event["tenant"], str(order["id"]), kind))

    def _begin(self, key: OrderKey, priority: int) -> None:
        self._journal.expect(key)
        self._workflows.begin(OrderWorkflow.run, key, workflow_id(key), priority)

    def _tell(self, key: OrderKey) -> None:
        self._workflows.signal(workflow_id(key), OrderWorkflow.look)
