"""Relay and delivery together, as the worker process runs them."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
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
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings

#: Deliveries under way at once in one process.
MAX_CONCURRENT_DELIVERIES = 400
#: Threads that wait for the database: for kinds to hand on, and for lanes.
RELAY_THREADS, DISPATCHER_THREADS = 4, 8
#: How much longer than an attempt a lane's lease lasts, in seconds.
LEASE_MARGIN = 10.0
#: Longest time that a relay holds a kind without a sign of life, in seconds.
MAX_RELAY_LEASE = 4.0
#: Pause after a look at a kind, so that the next one is worth its questions, in seconds: where
#: somebody inside the server waits for it, and where not.
BATCH_PAUSES = (0.1, 0.25)
#: Longest time without a look while the change stream says that there is nothing, in seconds.
MAX_IDLE = 30.0

Document = dict[str, Any]
log = logging.getLogger(__name__)


def delivery_queue(database: Database[Document], settings: Settings) -> DeliveryQueue:
    """Return the queue of deliveries as the settings want it."""
    return DeliveryQueue(
        database,
        delivered_retention=timedelta(hours=settings.delivery_hours),
        parked_retention=timedelta(days=settings.parked_days),
    )


def prepare(
    database: Database[Document], settings: Settings, kinds: Iterable[str], handlers: EventHandlers
) -> None:
    """Make the indexes that events need; safe to repeat."""
    deliveries = delivery_queue(database, settings)
    deliveries.prepare()
    SubscriptionRepository(database, OutboundPolicy(), limit=settings.hub_limit).prepare()
    Relay(database, deliveries, handlers, owner="").prepare(kinds)


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
    """Hand on and deliver events until ``stop`` is set.

    Args:
        database: Where everything is; its client is used from several threads.
        settings: Time limits, pauses and the key of signatures.
        kinds: The kinds whose events are handed on.
        handlers: What the application makes of events.
        stop: Set it to end; what is under way is finished, within seconds.
        policy: Where callbacks may lead.
        owner: Name of this process. One that takes the place of another which is surely dead may
            have the same name and then need not wait for the other's leases to end.
        lease_margin: How long a relay holds a kind at most without a sign of life, and how much longer
            than an attempt a lane is held, in seconds.
    """
    kinds = tuple(kinds)
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"
    with (
        ThreadPoolExecutor(RELAY_THREADS, "relay") as relays,
        ThreadPoolExecutor(DISPATCHER_THREADS, "lane") as lanes,
    ):
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(relays, prepare, database, settings, kinds, handlers)
        deliveries = delivery_queue(database, settings)
        depot = DispatcherContext(
            subscriptions=database[COLLECTION],
            queue=deliveries,
            server_key=await loop.run_in_executor(
                relays, server_key, database, settings.hub_secret
            ),
            policy=policy,
            owner=owner,
            executor=lanes,
            process_limit=asyncio.Semaphore(MAX_CONCURRENT_DELIVERIES),
            attempt_timeout=settings.callback_timeout,
            retry_first=settings.retry_first,
            retry_longest=settings.retry_longest,
            max_age=timedelta(days=settings.retry_days),
            poll_interval=settings.relay_interval,
            lease_margin=lease_margin,
        )
        deliverer = DispatcherPool(depot)
        lease = min(lease_margin, MAX_RELAY_LEASE)
        relay = Relay(database, deliveries, handlers, owner=owner, lease_duration=lease)
        hands = _RelayRunner(
            relay, relays, deliverer, depot.poll_interval, frozenset(handlers.listeners)
        )
        news = {kind: asyncio.Event() for kind in kinds}

        def tell(kind: str) -> None:
            loop.call_soon_threadsafe(news[kind].set)

        def tell_all() -> None:
            for kind in kinds:
                tell(kind)

        watch = OutboxWatcher(database, kinds, tell, tell_all)

        async def end() -> None:
            await stop.wait()
            tell_all()

        watch.start()
        try:
            await asyncio.gather(
                end(),
                deliverer.run(stop),
                *(hands.run(kind, news[kind], stop, watch) for kind in kinds),
            )
        finally:
            watch.stop()
            await asyncio.to_thread(watch.join)


@dataclass(frozen=True, slots=True)
class _RelayRunner:
    """Runs the relay, one kind after another's wish."""

    relay: Relay
    executor: Executor
    dispatchers: DispatcherPool
    poll_interval: float
    kinds_with_listeners: frozenset[str]

    async def run(
        self, kind: str, wakeup: asyncio.Event, stop: asyncio.Event, watcher: OutboxWatcher
    ) -> None:
        """Hand on a kind's events whenever there is news, and at intervals anyway."""
        rest = min(BATCH_PAUSES[kind not in self.kinds_with_listeners], self.poll_interval)
        try:
            while not stop.is_set():
                wakeup.clear()
                await self._drain(kind, stop)
                await asyncio.sleep(rest)
                quiet = watcher.is_open and not self.relay.has_more(kind)
                try:
                    await asyncio.wait_for(wakeup.wait(), MAX_IDLE if quiet else self.poll_interval)
                except TimeoutError:
                    await self._release(kind)
        finally:
            await self._release(kind)

    async def _release(self, kind: str) -> None:
        """Give the lease back: there is nothing to be done."""
        release = self.relay.release
        try:
            await asyncio.get_running_loop().run_in_executor(self.executor, release, kind)
        except PyMongoError as error:
            log.warning("a lease ends by itself: %s", error, extra={"kind": kind})

    async def _drain(self, kind: str, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def tell(subscriptions: set[str]) -> None:
            loop.call_soon_threadsafe(self.dispatchers.wake, subscriptions)

        drain = partial(self.relay.drain, kind, stop.is_set, tell, keep_lease=True)
        try:
            await loop.run_in_executor(self.executor, drain)
        except PyMongoError as error:
            log.warning("events cannot be handed on: %s", error, extra={"kind": kind})
        except Exception:
            log.exception("events cannot be handed on", extra={"kind": kind})
