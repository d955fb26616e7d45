"""A step that fails by a mistake of this program, or of data: tried on, but never in silence."""

import logging

from pymongo.errors import PyMongoError

from tmf_apis.errors import Stale, Unavailable
from tmf_apis.fulfilment.execution import fallout, progress
from tmf_apis.fulfilment.execution.journal import FencedOff
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

log = logging.getLogger(__name__)

#: After so many failures in a row, about a minute, people are told.
REPORT_AFTER_ATTEMPTS = 8
#: What passes by itself.
TRANSIENT_ERRORS = (Unavailable, Stale, FencedOff, PyMongoError)


class RepeatedFailureReporter:
    """Tells people of steps that fail again and again."""

    def __init__(self, repositories: RepositoryFactory) -> None:
        self._repositories = repositories

    def report_failure(self, key: OrderKey, step: str, error: Exception, attempt: int) -> None:
        """Tell people of a failure that does not pass by itself, once it was tried often enough.

        Args:
            key: The order.
            step: What the step is called.
            error: What it fails with.
            attempt: Which attempt it was, from 1.
        """
        if isinstance(error, TRANSIENT_ERRORS) or attempt < REPORT_AFTER_ATTEMPTS:
            return
        facts = {"order": key.order, "tenant": key.tenant, "attempts": attempt}
        log.error("%s of an order fails again and again", step, exc_info=error, extra=facts)
        self._create_fallout_task(key, step, error, attempt)

    def report_recovery(self, key: OrderKey, step: str, attempt: int) -> None:
        """Say that a step went well at last; arguments as of ``report_failure``."""
        if attempt > REPORT_AFTER_ATTEMPTS:
            fallout.withdraw_failure(self._repositories.for_tenant(key.tenant), key, step)

    def _create_fallout_task(
        self, key: OrderKey, step: str, error: Exception, attempt: int
    ) -> None:
        desk = self._repositories.for_tenant(key.tenant)
        id = fallout.report_failure(desk, key, step, error, attempt)
        alert = (
            f"task {id}",
            progress.WAITING_FOR_PERSON,
            "a person has to look at an unexpected error",
        )

        def warn(order: Resource) -> Resource:
            return progress.with_alert(order, alert, desk.now)

        try:
            desk.change(key.kind, key.order, warn)
        except Exception:
            log.exception("an order cannot be told either", extra={"order": key.order})
