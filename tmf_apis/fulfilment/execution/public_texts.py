"""Texts about the network in an order that a party can read; pure.

Errors of elements contain names, addresses and settings of the network. The operator's staff find
them in fallout tasks and in the worker's log.
"""

from dataclasses import replace

from tmf_apis.fulfilment.execution.journal import Batch
from tmf_apis.fulfilment.execution.order_updates import OrderUpdate

#: Failure reason of an item whose task on the network has failed.
NETWORK_FAILED = "the network could not be changed for it"
_NETWORK, _NO_ANSWER = "the network", "it does not answer at the moment"
_STEP_FAILED = "a step on the network has failed"
#: What was undone for a cancelled order.
UNDONE = "all work that had begun"


def public_update(update: OrderUpdate, batch: Batch) -> OrderUpdate:
    """Return an update of an order without details of the network.

    Args:
        update: The update with all details.
        batch: The batch.
    """
    reasons = {item.item_id: item.public_reason or item.reason for item in batch.items}
    return replace(
        update,
        failure_reasons={id: reasons[id] for id in update.failure_reasons},
        unreachable_items=dict.fromkeys(update.unreachable_items, (_NETWORK, _NO_ANSWER)),
        fallout_items={item: (id, _STEP_FAILED) for item, (id, _) in update.fallout_items.items()},
        notes=[
            f"task {entry.task.id} was skipped by a decision of the operator"
            for entry in batch.entries
            if entry.skip_reason
        ],
    )
