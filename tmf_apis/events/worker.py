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

from tmf_apis.events.deliveries import Deliveries
from tmf_apis.events.delivery import Deliverer
from tmf_apis.events.lane import Depot
from tmf_apis.events.relay import Application, Relay
from tmf_apis.events.signing import server_key
from tmf_apis.events.subscriptions import COLLECTION, Subscriptions
from tmf_apis.events.watching import Watch
from tmf_apis.security.outbound import Policy
from tmf_apis.settings import Settings

#: Deliveries under way at once in one process.
SLOTS = 400
#: Threads that wait for the database: for kinds to hand on, and for lanes.
RELAYS, LANES = 4, 8
#: How much longer than an attempt a lane's lease lasts, in seconds.
MARGIN = 10.0
#: Longest time that a relay holds a kind without a sign of life, in seconds.
LEASE = 4.0
#: Pause after a look at a kind, so that the next one is worth its questions, in seconds: where
#: somebody inside the server waits for it, and where not.
GATHER = (0.1, 0.25)
#: Longest time without a look while the change stream says that there is nothing, in seconds.
LONGEST = 30.0

Document = dict[str, Any]
log = logging.getLogger(__name__)


def queue(database: Database[Document], settings: Settings) -> Deliveries:
    """Return the queue of deliveries as the settings want it."""
    return Deliveries(
        database,
        delivered_kept=timedelta(hours=settings.delivery_hours),
        parked_kept=timedelta(days=settings.parked_days),
    )


def prepare(
    database: Database[Document], settings: Settings, kinds: Iterable[str], application: Application
) -> None:
    """Make the indexes that events need; safe to repeat."""
    deliveries = queue(database, settings)
    deliveries.prepare()
    Subscriptions(database, Policy(), limit=settings.hub_limit).prepare()
    Relay(database, deliveries, application, owner="").prepare(kinds)


async def run(  # noqa: PLR0913
    database: Database[Document],
    settings: Settings,
    kinds: Iterable[str],
    application: Application,
    stop: asyncio.Event,
    *,
    policy: Policy,
    owner: str = "",
    margin: float = MARGIN,
) -> None:
    """Hand on and deliver events until ``stop`` is set.

    Args:
        database: Where everything is; its client is used from several threads.
        settings: Time limits, pauses and the key of signatures.
        kinds: The kinds whose events are handed on.
        application: What the application makes of events.
        stop: Set it to end; what is under way is finished, within seconds.
        policy: Where callbacks may lead.
        owner: Name of this process. One that takes the place of another which is surely dead may
            have the same name and then need not wait for the other's leases to end.
        margin: How long a relay holds a kind at most without a sign of life, and how much longer
            than an attempt a lane is held, in seconds.
    """
    kinds = tuple(kinds)
    owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4()}"
    with ThreadPoolExecutor(RELAYS, "relay") as relays, ThreadPoolExecutor(LANES, "lane") as lanes:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(relays, prepare, database, settings, kinds, application)
        deliveries = queue(database, settings)
        depot = Depot(
            subscriptions=database[COLLECTION],
            deliveries=deliveries,
            key=await loop.run_in_executor(relays, server_key, database, settings.hub_secret),
            policy=policy,
            owner=owner,
            threads=lanes,
            slots=asyncio.Semaphore(SLOTS),
            patience=settings.callback_timeout,
            first=settings.retry_first,
            longest=settings.retry_longest,
            give_up=timedelta(days=settings.retry_days),
            pause=settings.relay_interval,
            margin=margin,
        )
        deliverer = Deliverer(depot)
        lease = min(margin, LEASE)
        relay = Relay(database, deliveries, application, owner=owner, lease=lease)
        hands = _Hands(relay, relays, deliverer, depot.pause, frozenset(application.listeners))
        news = {kind: asyncio.Event() for kind in kinds}

        def tell(kind: str) -> None:
            loop.call_soon_threadsafe(news[kind].set)

        def tell_all() -> None:
            for kind in kinds:
                tell(kind)

        watch = Watch(database, kinds, tell, tell_all)

        async def end() -> None:
            await stop.wait()
            tell_all()

        watch.start()
        try:
            await asyncio.gather(
                end(),
                deliverer.run(stop),
                *(hands.work(kind, news[kind], stop, watch) for kind in kinds),
            )
        finally:
            watch.stop()
            await asyncio.to_thread(watch.join)


@dataclass(frozen=True, slots=True)
class _Hands:
    """Runs the relay, one kind after another's wish."""

    relay: Relay
    threads: Executor
    deliverer: Deliverer
    pause: float
    heard: frozenset[str]

    async def work(self, kind: str, news: asyncio.Event, stop: asyncio.Event, watch: Watch) -> None:
        """Hand on a kind's events whenever there is news, and at intervals anyway."""
        rest = min(GATHER[kind not in self.heard], self.pause)
        try:
            while not stop.is_set():
                news.clear()
                await self._drain(kind, stop)
                await asyncio.sleep(rest)
                quiet = watch.open and not self.relay.waits(kind)
                try:
                    await asyncio.wait_for(news.wait(), LONGEST if quiet else self.pause)
                except TimeoutError:
                    await self._release(kind)
        finally:
            await self._release(kind)

    async def _release(self, kind: str) -> None:
        """Give the lease back: there is nothing to be done."""
        release = self.relay.release
        try:
            await asyncio.get_running_loop().run_in_executor(self.threads, release, kind)
        except PyMongoError as error:
            log.warning("a lease ends by itself: %s", error, extra={"kind": kind})

    async def _drain(self, kind: str, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def tell(subscriptions: set[str]) -> None:
            loop.call_soon_threadsafe(self.deliverer.wake, subscriptions)

        drain = partial(self.relay.drain, kind, stop.is_set, tell, keep=True)
        try:
            await loop.run_in_executor(self.threads, drain)
        except PyMongoError as error:
            log.warning("events cannot be handed on: %s", error, extra={"kind": kind})
        except Exception:
            log.exception("events cannot be handed on", extra={"kind": kind})
