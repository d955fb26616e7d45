"""Periodic maintenance by the worker: unfinished writes, open orders, expired reservations."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from tmf_apis.engine import Engine
from tmf_apis.errors import TmfError
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.store.model import DELETED_TENANT

log = logging.getLogger(__name__)

#: Pause between two searches for unfinished writes, in seconds.
SIDE_EFFECT_INTERVAL = 30.0
#: Age at which an unfinished write counts as abandoned by its process.
MIN_PENDING_AGE = timedelta(seconds=15)
#: Pause between two searches for personal data whose retention time is over, in seconds.
PRIVACY_INTERVAL = 300.0
#: Shortest pause between two searches for expired reservations, in seconds.
MIN_SWEEP_INTERVAL = 60.0
# Names of the jobs in the log.
_SEALING = "encrypt personal data of stored documents"
_SWEEPING = "remove expired reservations"
_FINISHING = "finish interrupted writes"
_RESUMING = "resume open orders"


class Maintenance:
    """The maintenance jobs of one worker."""

    def __init__(  # noqa: PLR0913
        self,
        engine: Engine,
        repositories: RepositoryFactory,
        executor: Executor,
        *,
        long_task_executor: Executor,
        resume_orders: Callable[[], int],
        reservation_time: float,
    ) -> None:
        """Store the collaborators.

        Args:
            engine: Has the policies and finishes writes.
            repositories: Give access to the resources.
            executor: Runs blocking database calls.
            long_task_executor: Runs ``resume_orders``.
            resume_orders: Starts the workflows of open orders; returns their number.
            reservation_time: Lifetime of a reservation that is not renewed, in seconds.
        """
        self._engine = engine
        self._repositories = repositories
        self._executor = executor
        self._long_task_executor = long_task_executor
        self._resume_orders = resume_orders
        self._sweep_interval = max(MIN_SWEEP_INTERVAL, reservation_time / 4)
        self._failing = LastingCondition(
            log, "a maintenance job cannot be done yet", "a maintenance job is done again"
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run the jobs until ``stop`` is set."""
        await asyncio.gather(
            self._resume_side_effects(stop),
            self._sweep_reservations(stop),
            self._seal(stop),
            self._maintain_privacy(stop),
        )

    async def _maintain_privacy(self, stop: asyncio.Event) -> None:
        """Complete interrupted erasures; overwrite personal data whose time is over."""
        loop, privacy = asyncio.get_running_loop(), self._engine.privacy
        jobs = (
            (privacy.erasure.resume, "interrupted erasures completed"),
            (privacy.retention.run, "personal data overwritten after its retention time"),
        )
        while not stop.is_set():
            for job, message in jobs:
                try:
                    count = await loop.run_in_executor(self._long_task_executor, job)
                except (TmfError, PyMongoError) as error:
                    self._failing.report(message, job=message, error=str(error))
                else:
                    self._failing.clear(message, job=message)
                    if count:
                        log.info(message, extra={"count": count})
            await _is_set_within(stop, PRIVACY_INTERVAL)

    async def _seal(self, stop: asyncio.Event) -> None:
        """Seal the documents of earlier releases and settings, once."""
        loop = asyncio.get_running_loop()
        while not stop.is_set() and self._engine.settings.encryption:
            try:
                count = await loop.run_in_executor(
                    self._long_task_executor, self._engine.privacy.resealer.run
                )
            except (TmfError, PyMongoError) as error:
                self._failing.report(_SEALING, job=_SEALING, error=str(error))
                await _is_set_within(stop, SIDE_EFFECT_INTERVAL)
            else:
                self._failing.clear(_SEALING, job=_SEALING)
                if count:
                    log.info("personal data of stored documents encrypted", extra={"count": count})
                return

    async def _sweep_reservations(self, stop: asyncio.Event) -> None:
        """Remove expired reservations at intervals."""
        loop = asyncio.get_running_loop()
        while not await _is_set_within(stop, self._sweep_interval):
            try:
                count = await loop.run_in_executor(self._executor, self._release_expired)
            except (TmfError, PyMongoError) as error:
                self._failing.report(_SWEEPING, job=_SWEEPING, error=str(error))
            else:
                self._failing.clear(_SWEEPING, job=_SWEEPING)
                if count:
                    log.info("expired reservations removed", extra={"count": count})

    def _release_expired(self) -> int:
        tenants = self._engine.database["Resource"].distinct("tenant")
        return sum(
            reservations.release_expired(self._repositories.for_tenant(tenant))
            for tenant in tenants
            if tenant != DELETED_TENANT
        )

    async def _resume_side_effects(self, stop: asyncio.Event) -> None:
        """Finish the writes of processes that died, now and at intervals; resume orders once."""
        kinds = [kind for kind, policy in self._engine.policies.items() if policy.after_commit]
        orders_resumed = False
        while not stop.is_set():
            if not orders_resumed:
                orders_resumed = await self._try_resume_orders()
            before = datetime.now(UTC) - MIN_PENDING_AGE
            for kind in kinds:
                await self._finish_writes(kind, before)
            await _is_set_within(stop, SIDE_EFFECT_INTERVAL)

    async def _finish_writes(self, kind: str, before: datetime) -> None:
        loop, resume = asyncio.get_running_loop(), self._engine.writer.resume_after_commits
        try:
            count = await loop.run_in_executor(self._executor, resume, kind, before)
        except (TmfError, PyMongoError) as error:
            self._failing.report(
                f"{_FINISHING} {kind}", job=_FINISHING, kind=kind, error=str(error)
            )
        else:
            self._failing.clear(f"{_FINISHING} {kind}", job=_FINISHING, kind=kind)
            if count:
                log.warning(
                    "side effects of interrupted writes completed",
                    extra={"kind": kind, "count": count},
                )

    async def _try_resume_orders(self) -> bool:
        """Resume open orders; return False if they have to wait for Temporal or the database."""
        loop = asyncio.get_running_loop()
        try:
            count = await loop.run_in_executor(self._long_task_executor, self._resume_orders)
        except TmfError as error:
            self._failing.report(_RESUMING, job=_RESUMING, error=str(error))
            return False
        self._failing.clear(_RESUMING, job=_RESUMING)
        if count:
            log.info("open orders resumed", extra={"count": count})
        return True


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait up to ``seconds`` for an event; return whether it is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
