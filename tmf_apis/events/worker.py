"""Relay and delivery together, as the worker process runs them."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
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
        margin: How long a relay holds a kind without a sign of life, and how much longer than an
            attempt a lane is held, in seconds.
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
        hands = _Hands(
            Relay(database, deliveries, application, owner=owner, lease=margin), relays, deliverer
        )
        news = {kind: asyncio.Event() for kind in kinds}

        def tell(kind: str) -> None:
            loop.call_soon_threadsafe(news[kind].set)

        watch = Watch(database, kinds, tell)
        watch.start()
        try:
            await asyncio.gather(
                deliverer.run(stop),
                *(hands.work(kind, news[kind], stop, depot.pause) for kind in kinds),
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

    async def work(self, kind: str, news: asyncio.Event, stop: asyncio.Event, pause: float) -> None:
        """Hand on a kind's events whenever there is news, and at intervals anyway."""
        loop = asyncio.get_running_loop()

        def tell(subscriptions: set[str]) -> None:
            loop.call_soon_threadsafe(self.deliverer.wake, subscriptions)

        while not stop.is_set():
            news.clear()
            try:
                await loop.run_in_executor(self.threads, self.relay.drain, kind, stop.is_set, tell)
            except PyMongoError as error:
                log.warning("events cannot be handed on: %s", error, extra={"kind": kind})
            except Exception:
                log.exception("events cannot be handed on", extra={"kind": kind})
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), pause)
