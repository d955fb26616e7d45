"""An order as a durable sequence of steps, with undo in reverse.

The code is run again from the start after every crash and must then do the same: no time, no
chance, no input but what steps have returned. It runs outside Temporal's sandbox, which would
load the modules anew for every order; ``tests/test_thread.py`` replays histories instead.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from tmf_apis.fulfilment.activities import Activities
from tmf_apis.fulfilment.values import (
    Attempt,
    Cancellation,
    Ending,
    Errand,
    Found,
    OrderKey,
    Outcome,
    Work,
)

#: Longest time of one attempt, in seconds: at the database, at an element.
QUICK, SLOW = timedelta(seconds=15), timedelta(seconds=120)
#: An element's step that gives no sign of life for so long is begun again elsewhere.
HEARTBEAT = timedelta(seconds=5)
#: How much longer than to do a step is tried to undo it.
UNDO = 4
AGAIN = RetryPolicy(initial_interval=timedelta(seconds=0.5), maximum_interval=timedelta(seconds=30))

T = TypeVar("T")
Undo = Callable[[], Awaitable[None]]


class _Cancelled(Exception):
    """The customer does not want it any more."""


@workflow.defn(name="ProductOrder", sandboxed=False)
class OrderWorkflow:
    """Works on one order until it has a final state."""

    def __init__(self) -> None:
        self._task = ""
        self._patience = timedelta(0)
        self._doubt = ""

    @workflow.signal
    def cancel(self, task: str) -> None:
        """Undo what was done; ``task`` is the id of the CancelProductOrder."""
        self._task = task

    @workflow.run
    async def run(self, key: OrderKey) -> str:
        """Work on an order.

        Returns:
            What was done, for people who look at the workflow.
        """
        work = await self._work(key)
        self._patience = timedelta(seconds=work.patience)
        done = 0
        for errand in work.errands:
            if self._task:
                break
            done += await self._provide(errand)
        if self._task:
            await self._quick(Activities.settle, Cancellation(key, self._task))
        elif work.plain or work.refused:
            await self._quick(Activities.finish, Outcome(key, work.plain, work.refused))
        return f"{done} of {len(work.errands)} on the network"

    async def _work(self, key: OrderKey) -> Work:
        work: Work = await self._quick(Activities.accept, key)
        while work.wait:
            await workflow.sleep(work.wait)
            work = await self._quick(Activities.accept, key)
        return work

    async def _provide(self, errand: Errand) -> bool:
        """Put one item on the network; return whether it is there."""
        self._doubt = ""
        undo: list[Undo] = []
        try:
            await self._forward(errand, undo)
        except _Cancelled:
            await self._back(undo)
            await workflow.wait_condition(lambda: bool(self._task))
        except ActivityError as error:
            reason = _reason(error)
            await self._back(undo)
            if self._doubt:
                reason = f"{reason}; the port is in doubt and kept out of use: {self._doubt}"
            await self._quick(Activities.finish, Outcome(errand.order, (), {errand.item: reason}))
        else:
            return True
        return False

    async def _forward(self, errand: Errand, undo: list[Undo]) -> None:
        port: list[Found] = []

        async def release() -> None:
            ending = Ending(errand, port[0] if port else None, self._doubt)
            await self._quick(Activities.release, ending)

        undo.append(release)
        found = await self._quick(Activities.reserve, errand, self._patience)
        port.append(found)
        plan = await self._slow(Activities.plan, found, self._patience)
        attempt = Attempt(found, plan)
        if plan.steps:
            undo.append(lambda: self._roll_back(attempt))
            await self._slow(Activities.apply, attempt, self._patience)
        await self._slow(Activities.verify, found, self._patience)
        if not await self._quick(Activities.activate, found, self._patience):
            raise _Cancelled

    async def _roll_back(self, attempt: Attempt) -> None:
        try:
            await self._slow(Activities.roll_back, attempt, self._patience * UNDO)
        except ActivityError as error:
            self._doubt = _reason(error)

    async def _back(self, undo: list[Undo]) -> None:
        for deed in reversed(undo):
            await deed()

    async def _quick(
        self,
        step: Callable[[Any, Any], Awaitable[T]],
        argument: object,
        patience: timedelta | None = None,
    ) -> T:
        """Do a step at the database; without ``patience`` it is tried for ever."""
        if patience is not None and self._task:
            raise _Cancelled
        return await workflow.execute_activity_method(
            step,
            argument,
            start_to_close_timeout=QUICK,
            schedule_to_close_timeout=patience,
            retry_policy=AGAIN,
        )

    async def _slow(
        self, step: Callable[[Any, Any], Awaitable[T]], argument: object, patience: timedelta
    ) -> T:
        """Do a step at an element; one that goes forward is given up when it is cancelled."""
        forward = step is not Activities.roll_back
        doing = workflow.start_activity_method(
            step,
            argument,
            start_to_close_timeout=min(SLOW, patience),
            schedule_to_close_timeout=patience,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=AGAIN,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        if forward:
            await workflow.wait_condition(lambda: bool(self._task) or doing.done())
            if not doing.done():
                doing.cancel()
        try:
            return await doing
        except ActivityError as error:
            if forward and self._task:
                raise _Cancelled from error
            raise


def _reason(error: ActivityError) -> str:
    """Return what went wrong in the words of the step, or else Temporal's."""
    cause: BaseException | None = error
    said = str(error.cause or error)
    while cause is not None:
        if isinstance(cause, ApplicationError):
            return cause.message
        cause = cause.__cause__
    return said
