"""The event worker: runs the relay and the dispatchers in the worker process."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.dispatcher import DispatcherContext
from tmf_apis.events.dispatcher_pool import DispatcherPool
from tmf_apis.events.outbox_watcher import OutboxWatcher
from tmf_apis.events.relay import EventHandlers, Relay
from tmf_apis.events.signatures import server_key
from tmf_apis.events.subscriptions import COLLECTION, SubscriptionRepository
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings
from tmf_apis.store.data_keys import DataKeys

#: Most concurrent deliveries of one process.
MAX_CONCURRENT_DELIVERIES = 400
#: Threads for the database calls of the relay and of the dispatchers.
RELAY_THREADS, DISPATCHER_THREADS = 4, 8
#: Difference between the duration of a subscription's lease and that of an attempt, in seconds.
LEASE_MARGIN = 10.0
#: Longest duration of the relay's lease of a kind, in seconds.
MAX_RELAY_LEASE = 4.0
#: Pause between two batches of a kind, so that a batch has many events, in seconds. It is shorter
#: for kinds with listeners inside the server.
LISTENER_BATCH_PAUSE, BATCH_PAUSE = 0.1, 0.25
#: Poll interval while the change stream is open and reports no events, in seconds.
MAX_IDLE = 30.0

Document = dict[str, Any]
log = logging.getLogger(__name__)


def delivery_queue(
    database: Database[Document], settings: Settings, keys: DataKeys | None = None
) -> DeliveryQueue:
    """Return the queue of deliveries with the configured retention times."""
    return DeliveryQueue(
        database,
        delivered_retention=timedelta(hours=settings.delivery_hours),
        parked_retention=timedelta(days=settings.parked_days),
        keys=keys,
    )


def prepare(
    database: Database[Document], settings: Settings, kinds: Iterable[str], handlers: EventHandlers
) -> None:
    """Create the indexes and leases that events need; safe to repeat."""
    queue = delivery_queue(database, settings)
    queue.prepare()
    SubscriptionRepository(database, OutboundPolicy(), limit=settings.hub_limit).prepare()
    Relay(database, queue, handlers, owner="").prepare(kinds)


async def run(  # noqa: PLR0913
    database: Database[Document],
    settings: Settings,
    kinds: Iterable[str],
    handlers: EventHandlers,
    stop: asyncio.Event,
    *,
    policy: OutboundPolicy,
    owner: str = "",
    lease_margin: float = LEASE_MARGIN,
) -> None:
    """Relay and deliver events until ``stop`` is set.

    Args:
        database: The database; its client is used from several threads.
        settings: Time limits, pauses and the key of signatures.
        kinds: The kinds whose events are relayed.
        handlers: Renders events and receives them inside the server.
        stop: Set it to end; work in progress is completed within seconds.
        policy: Hosts that callbacks may have.
        owner: Name of this process, as the owner of leases. A process that replaces one that is
            certainly dead can reuse its name; then it need not wait until the leases expire.
        lease_margin: Longest duration of the relay's lease of a kind, and difference between the
            duration of a subscription's lease and that of an attempt, in seconds.
    """
    kinds = tuple(kinds)
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"
    with (
        ThreadPoolExecutor(RELAY_THREADS, "relay") as relay_executor,
        ThreadPoolExecutor(DISPATCHER_THREADS, "dispatcher") as dispatcher_executor,
    ):
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(relay_executor, prepare, database, settings, kinds, handlers)
        queue = delivery_queue(database, settings, handlers.data_keys)
        context = DispatcherContext(
            subscriptions=database[COLLECTION],
            queue=queue,
            server_key=await loop.run_in_executor(
                relay_executor, server_key, database, settings.hub_secret
            ),
            policy=policy,
            owner=owner,
            executor=dispatcher_executor,
            process_limit=asyncio.Semaphore(MAX_CONCURRENT_DELIVERIES),
            attempt_timeout=settings.callback_timeout,
            retry_first=settings.retry_first,
            retry_longest=settings.retry_longest,
            max_age=timedelta(days=settings.retry_days),
            max_backlog=settings.hub_backlog,
            poll_interval=settings.relay_interval,
            lease_margin=lease_margin,
        )
        dispatchers = DispatcherPool(context)
        lease_duration = min(lease_margin, MAX_RELAY_LEASE)
        relay = Relay(database, queue, handlers, owner=owner, lease_duration=lease_duration)
        runner = _RelayRunner(
            relay,
            relay_executor,
            dispatchers,
            context.poll_interval,
            frozenset(handlers.listeners),
        )
        wakeups = {kind: asyncio.Event() for kind in kinds}

        def wake(kind: str) -> None:
            loop.call_soon_threadsafe(wakeups[kind].set)

        def wake_all() -> None:
            for kind in kinds:
                wake(kind)

        async def wake_all_on_stop() -> None:
            await stop.wait()
            wake_all()

        watcher = OutboxWatcher(database, kinds, wake, wake_all)
        watcher.start()
        try:
            await asyncio.gather(
                wake_all_on_stop(),
                dispatchers.run(stop),
                *(runner.run(kind, wakeups[kind], stop, watcher) for kind in kinds),
            )
        finally:
            watcher.stop()
            await asyncio.to_thread(watcher.join)


@dataclass(frozen=True, slots=True)
class _RelayRunner:
    """Runs the relay for each kind, when it is woken and at intervals."""

    relay: Relay
    executor: Executor
    dispatchers: DispatcherPool
    poll_interval: float
    kinds_with_listeners: frozenset[str]
    unrelayed: LastingCondition = field(
        default_factory=lambda: LastingCondition(
            log, "events cannot be relayed", "events are relayed again"
        )
    )
    unreleased: LastingCondition = field(
        default_factory=lambda: LastingCondition(
            log, "lease not released; it expires", "lease released again"
        )
    )

    async def run(
        self, kind: str, wakeup: asyncio.Event, stop: asyncio.Event, watcher: OutboxWatcher
    ) -> None:
        """Relay the events of a kind after each wakeup, and at intervals, until stopped."""
        pause = LISTENER_BATCH_PAUSE if kind in self.kinds_with_listeners else BATCH_PAUSE
        pause = min(pause, self.poll_interval)
        try:
            while not stop.is_set():
                wakeup.clear()
                await self._drain(kind, stop)
                await asyncio.sleep(pause)
                is_idle = watcher.is_open and not self.relay.has_more(kind)
                interval = MAX_IDLE if is_idle else self.poll_interval
                try:
                    await asyncio.wait_for(wakeup.wait(), interval)
                except TimeoutError:
                    await self._release(kind)
        finally:
            await self._release(kind)

    async def _release(self, kind: str) -> None:
        """Release the lease of a kind."""
        release = self.relay.release
        try:
            await asyncio.get_running_loop().run_in_executor(self.executor, release, kind)
        except PyMongoError as error:
            self.unreleased.report(kind, kind=kind, error=str(error))
        else:
            self.unreleased.clear(kind, kind=kind)

    async def _drain(self, kind: str, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def wake(subscriptions: set[str]) -> None:
            loop.call_soon_threadsafe(self.dispatchers.wake, subscriptions)

        drain = partial(self.relay.drain, kind, stop.is_set, wake, keep_lease=True)
        try:
            await loop.run_in_executor(self.executor, drain)
        except PyMongoError as error:
            self.unrelayed.report(kind, kind=kind, error=str(error))
        except Exception:
            log.exception("events cannot be relayed", extra={"kind": kind})
        else:
            self.unrelayed.clear(kind, kind=kind)
