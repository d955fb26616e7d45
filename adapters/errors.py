"""What can go wrong with an element; adapters let out nothing else.

ElementError
  Misconfigured        the target, its credentials or its adapter are not usable: a person acts
  Unreachable          no answer in time: try again later
  Rejected             the element refuses: do not try again, tell who asked
    Unsupported        the element or its adapter has no such operation
  Conflict             the element is not as planned, or locked: read and plan again
  PartiallyApplied     some steps are done, one is not: roll back
  NotVerified          the element says one thing and is another: roll back, raise an alarm
"""

from adapters.values import Transaction, Verdict


class ElementError(Exception):
    """An operation on an element failed.

    Attributes:
        element: Name of the element.
        message: What failed and what would have helped.
        again: Whether the same call may succeed later without anybody acting.
    """

    again: bool = False

    def __init__(self, element: str, message: str) -> None:
        super().__init__(element, message)
        self.element = element
        self.message = message

    def __str__(self) -> str:
        return f"{self.element}: {self.message}"


class Misconfigured(ElementError):
    """The target, its credentials or its adapter are not usable as they are configured."""


class Unreachable(ElementError):
    """The element did not answer in time; whether it did what it was asked is not known."""

    again = True


class Rejected(ElementError):
    """The element refuses what it was asked, and has not done it.

    Attributes:
        path: What it refuses: a port and attribute, or an object identifier; may be empty.
        reason: The element's own word for it ("wrongValue", "noAccess", ...).
    """

    def __init__(self, element: str, message: str, *, path: str = "", reason: str = "") -> None:
        super().__init__(element, message)
        self.path = path
        self.reason = reason


class Unsupported(Rejected):
    """The element, or the adapter for it, has no such operation; see ``capabilities``."""


class Conflict(ElementError):
    """The element is not as the plan found it, or somebody holds it; read and plan again."""

    again = True


class PartiallyApplied(ElementError):
    """A step failed after others were done; ``again``: the same plan may be applied again.

    Attributes:
        transaction: What was done, the step in doubt included; give it to ``rollback``.
        failure: Why it stopped.
    """

    def __init__(self, transaction: Transaction, failure: ElementError) -> None:
        done = ", ".join(step.attribute for step in transaction.done)
        super().__init__(transaction.element, f"stopped after {done}: {failure.message}")
        self.transaction = transaction
        self.failure = failure
        self.again = failure.again


class NotVerified(ElementError):
    """What was read back is not what was asked for.

    Attributes:
        verdict: Expected and observed values.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.element, f"not as asked: {verdict.difference}")
        self.verdict = verdict
