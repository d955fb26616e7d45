"""Decisions on fallout tasks."""

from types import SimpleNamespace

import pytest

from tests.support.memory_repository import request_context
from tmf_apis.errors import Conflict
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.network_operations import fallout


def test_a_task_without_order_cannot_be_retried_and_signals_no_workflow():
    task = {"@type": "FalloutTask", "id": "t", "state": "open", "task": "settingDiffers: port 1"}
    with pytest.raises(Conflict, match="resolveDifference"):
        fallout.on_change(task, {**task, "decision": "retry"}, request_context())
    cancelled = fallout.on_change(task, {**task, "decision": "cancel"}, request_context())
    assert (cancelled["state"], cancelled["decidedBy"]) == ("resolved", "tester")
    waiting = {**task, "order": {"id": "o-1"}}
    retried = fallout.on_change(waiting, {**waiting, "decision": "retry"}, request_context())
    assert retried["state"] == "resolved"
    signals = []
    workflows = SimpleNamespace(signal=lambda *arguments: signals.append(arguments))
    event = {"what": "StateChange", "tenant": "default", "body": cancelled}
    OrderEventHandler(None, None, workflows).handle_decision(event)
    assert signals == []
