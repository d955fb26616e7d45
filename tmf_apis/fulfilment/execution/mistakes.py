"""A step that fails by a mistake of this program, or of data: tried on, but never in silence."""

import logging

from pymongo.errors import PyMongoError

from tmf_apis.errors import Stale, Unavailable
from tmf_apis.fulfilment.execution import fallout, progress
from tmf_apis.fulfilment.execution.journal import Superseded
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Resource

log = logging.getLogger(__name__)

#: After so many failures in a row, about a minute, people are told.
TRIES = 8
#: What passes by itself.
PASSING = (Unavailable, Stale, Superseded, PyMongoError)


class Mistakes:
    """Tells people of steps that fail again and again."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    def failed(self, key: OrderKey, step: str, error: Exception, attempt: int) -> None:
        """Tell people of a failure that does not pass by itself, once it was tried often enough.

        Args:
            key: The order.
            step: What the step is called.
            error: What it fails with.
            attempt: Which attempt it was, from 1.
        """
        if isinstance(error, PASSING) or attempt < TRIES:
            return
        facts = {"order": key.order, "tenant": key.tenant, "attempts": attempt}
        log.error("%s of an order fails again and again", step, exc_info=error, extra=facts)
        self._tell(key, step, error, attempt)

    def passed(self, key: OrderKey, step: str, attempt: int) -> None:
        """Say that a step went well at last; arguments as of ``failed``."""
        if attempt > TRIES:
            fallout.recovered(self._desks.staff(key.tenant), key, step)

    def _tell(self, key: OrderKey, step: str, error: Exception, attempt: int) -> None:
        desk = self._desks.staff(key.tenant)
        id = fallout.report(desk, key, step, error, attempt)
        alert = (f"task {id}", progress.PERSON, "a person has to look at an unexpected error")

        def warn(order: Resource) -> Resource:
            return progress.warned(order, alert, desk.now)

        try:
            desk.change(key.kind, key.order, warn)
        except Exception:
            log.exception("an order cannot be told either", extra={"order": key.order})
