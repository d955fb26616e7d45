"""Reports steps of an order that fail repeatedly by an error of this program or of its data."""

import logging

from pymongo.errors import PyMongoError

from tmf_apis.errors import Stale, Unavailable
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution import fallout, progress
from tmf_apis.fulfilment.execution.journal import FencedOff
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory

log = logging.getLogger(__name__)

#: Failed attempts in a row, about a minute, after which a failure is reported.
REPORT_AFTER_ATTEMPTS = 8
#: Errors that disappear by themselves and are never reported.
TRANSIENT_ERRORS = (Unavailable, Stale, FencedOff, PyMongoError)


class RepeatedFailureReporter:
    """Creates fallout tasks for steps that fail repeatedly; Temporal keeps retrying the steps."""

    def __init__(self, repositories: RepositoryFactory) -> None:
        self._repositories = repositories

    def report_failure(self, key: OrderKey, step: str, error: Exception, attempt: int) -> None:
        """Report a failure that is not transient after ``REPORT_AFTER_ATTEMPTS`` attempts.

        Args:
            key: The order.
            step: Name of the step.
            error: The error of the last attempt.
            attempt: Number of the attempt, from 1.
        """
        if isinstance(error, TRANSIENT_ERRORS) or attempt < REPORT_AFTER_ATTEMPTS:
            return
        context = {"order": key.order, "tenant": key.tenant, "step": step, "attempts": attempt}
        log.error("a step of an order fails repeatedly", exc_info=error, extra=context)
        self._create_fallout_task(key, step, error, attempt)

    def report_recovery(self, key: OrderKey, step: str, attempt: int) -> None:
        """Withdraw the fallout task of a step that has succeeded.

        Args:
            key: The order.
            step: Name of the step.
            attempt: Number of the attempt that succeeded, from 1.
        """
        if attempt > REPORT_AFTER_ATTEMPTS:
            fallout.withdraw_failure(
                self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant),
                key,
                step,
            )

    def _create_fallout_task(
        self, key: OrderKey, step: str, error: Exception, attempt: int
    ) -> None:
        repository = self._repositories.working_for(key.kind, key.order).for_tenant(key.tenant)
        id = fallout.report_failure(repository, key, step, error, attempt)
        alert = (
            f"task {id}",
            progress.WAITING_FOR_PERSON,
            "an unexpected error has to be resolved by a person",
        )
        schema = order_kinds.kind_of(key).schema

        def with_alert(order: Resource) -> Resource:
            return progress.with_alert(order, alert, repository.now, schema=schema)

        try:
            repository.change(key.kind, key.order, with_alert)
        except Exception:
            log.exception(
                "the alert about a failing step cannot be added to the order",
                extra={"order": key.order},
            )
