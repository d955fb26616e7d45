"""Application of a plan on an element without transactions: one step after the other."""

from collections.abc import Awaitable, Callable, Sequence

from adapters.errors import ElementError, PartiallyApplied, Rejected
from adapters.values import Plan, Step, Transaction


async def apply_steps(
    plan: Plan, steps: Sequence[Step], apply_step: Callable[[Step], Awaitable[None]]
) -> Transaction:
    """Apply the steps of a plan in order, and return the journal.

    The caller holds the lock of the element and has checked the precondition of the plan.

    Args:
        plan: The plan.
        steps: Its steps, in the order in which to apply them.
        apply_step: Applies one step; does nothing if the step is done already.

    Raises:
        ElementError: The first step failed, and the element is unchanged.
        PartiallyApplied: A later step failed, or it is not known whether a step was done.
    """
    done: tuple[Step, ...] = ()
    for step in steps:
        try:
            await apply_step(step)
        except ElementError as error:
            done += () if _has_no_effect(error) else (step,)
            if not done:
                raise
            transaction = Transaction(plan.element, plan.intent, done)
            raise PartiallyApplied(transaction, error) from error
        done += (step,)
    return Transaction(plan.element, plan.intent, done)


def _has_no_effect(error: ElementError) -> bool:
    """Return whether a failed request has certainly changed nothing (RFC 3416: undoFailed)."""
    return isinstance(error, Rejected) and error.reason != "undoFailed"
