"""The exceptions of adapters; no other exception leaves an adapter.

ElementError
  Misconfigured        the target, its credentials or its adapter are not usable: needs a person
  Unreachable          no answer in time: try again later
    InvalidAnswer      it answers, but its answer cannot be decoded
      DamagedAnswer    only the answer to this request cannot be decoded
  AdapterFailed        the adapter failed at an answer that it does not expect
  Rejected             the element refuses: do not try again, report it to the requester
    Unsupported        the element or its adapter does not support the operation
  Conflict             the element has changed since the plan, or is locked: read and plan again
    PortTaken          another service uses the port
  PartiallyApplied     some steps are done, one is not: roll back
  NotVerified          the element reports success but has another state: roll back
"""

from adapters.values import Transaction, Verdict


class ElementError(Exception):
    """An operation on an element failed.

    Attributes:
        element: Name of the element.
        message: The cause of the failure, and a remedy where there is one.
        again: Whether the same call may succeed later without intervention.
    """

    again: bool = False

    def __init__(self, element: str, message: str) -> None:
        super().__init__(element, message)
        self.element = element
        self.message = message

    def __str__(self) -> str:
        return f"{self.element}: {self.message}"


class Misconfigured(ElementError):
    """The configuration of the target, its credentials or its adapter is not usable."""


class Unreachable(ElementError):
    """The element did not answer in time; it may or may not have performed the operation."""

    again = True


class InvalidAnswer(Unreachable):
    """The element answered, but its answer cannot be decoded."""


class DamagedAnswer(InvalidAnswer):
    """The answer to one request cannot be decoded; a smaller request may have a valid answer."""


class AdapterFailed(ElementError):
    """The adapter failed with an exception that is not an ``ElementError``.

    The element gave an answer that the adapter does not expect, or the adapter has a defect.
    """


class Rejected(ElementError):
    """The element refuses an operation and has not performed it.

    Attributes:
        path: The refused part: a port and an attribute, or an object identifier; may be empty.
        reason: The reason in the terms of the element's protocol ("wrongValue", "noAccess", ...).
    """

    def __init__(self, element: str, message: str, *, path: str = "", reason: str = "") -> None:
        super().__init__(element, message)
        self.path = path
        self.reason = reason


class Unsupported(Rejected):
    """The element or its adapter does not support the operation; see ``capabilities``."""


class Conflict(ElementError):
    """The element does not have the state of the plan, or is locked; read and plan again."""

    again = True


class PortTaken(Conflict):
    """Another service, or one that nobody knows, uses the port."""

    again = False


class PartiallyApplied(ElementError):
    """A step failed after others were done; ``again``: the same plan may be applied again.

    Attributes:
        transaction: The steps that are done or may be done; pass it to ``rollback``.
        failure: The error of the failed step.
    """

    def __init__(self, transaction: Transaction, failure: ElementError) -> None:
        done = ", ".join(step.attribute for step in transaction.done)
        super().__init__(transaction.element, f"stopped after {done}: {failure.message}")
        self.transaction = transaction
        self.failure = failure
        self.again = failure.again


class NotVerified(ElementError):
    """The state that was read back differs from the expected one.

    Attributes:
        verdict: The expected and the observed values.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.element, f"verification failed: {verdict.difference}")
        self.verdict = verdict
