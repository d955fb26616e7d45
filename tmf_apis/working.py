"""``tmf work``: everything that goes on behind the requests, in one process.

Events are handed on and delivered, orders and jobs are worked on as Temporal workflows, and
notifications of elements become alarms. Each part goes on while another one's server is away.
"""

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from pymongo.errors import PyMongoError

from adapters.credentials import Credentials
from tmf_apis.assurance.network import Network
from tmf_apis.assurance.receiving import Receiving
from tmf_apis.assurance.watching import Watching
from tmf_apis.capacity.measuring import Measuring
from tmf_apis.capacity.polling import Polling
from tmf_apis.elements.connections import Connections
from tmf_apis.elements.leasing import LINGER, Leasing
from tmf_apis.engine import CONTRACTS, Engine
from tmf_apis.errors import NotFound, TmfError
from tmf_apis.events import worker
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.relay import Application, Listener
from tmf_apis.fulfilment import kinds
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.execution.assembling import Fulfilment
from tmf_apis.fulfilment.execution.listening import Listening
from tmf_apis.fulfilment.execution.workflow import OrderWorkflow
from tmf_apis.fulfilment.reservation import reserving
from tmf_apis.fulfilment.reservation.ports import ADDRESS
from tmf_apis.garbage import collect_later
from tmf_apis.reconciliation import tasks as reconciliation
from tmf_apis.reconciliation.schedule import Schedule, tenants
from tmf_apis.rest.contracts import load
from tmf_apis.rest.desk import Desks
from tmf_apis.settings import Settings
from tmf_apis.store.connection import Documents, connect
from tmf_apis.store.model import GONE
from tmf_apis.store.process import CannotStart
from tmf_apis.tasks import TaskActivities, TaskKey, TaskWorkflow
from tmf_apis.temporal import QUEUE, Temporal

log = logging.getLogger(__name__)

#: Who signs what the worker does.
SUBJECT = "tmf-apis"
#: Threads that wait for the database: for orders and notifications, for long tasks, for capacity.
QUICK, LONG, COUNTING = 8, 4, 2
#: Pause between two attempts to reach the database, in seconds.
PAUSE = 2.0
#: Pause between two looks at follow-ups that a dead process has left, in seconds; and the age at
#: which one is taken to be left and not under way.
FOLLOW_UP, UNDER_WAY = 30.0, timedelta(seconds=15)


class Work:
    """One worker."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        """Put the worker together.

        Args:
            settings: The configuration.
            engine: Works on resources.
        """
        self._settings = settings
        self._engine = engine
        self._desks = Desks(engine.writes, SUBJECT)
        credentials = Credentials(settings.credentials_file)
        self._quick = ThreadPoolExecutor(QUICK, "work")
        self._connections = Connections(
            credentials, Leasing(engine.database, self._quick, linger=LINGER)
        )
        self._long = ThreadPoolExecutor(LONG, "task")
        self._counting = ThreadPoolExecutor(COUNTING, "capacity")
        begins = {
            kind: law.begin
            for kind, law in engine.laws.items()
            if law.begin and kind not in kinds.CANCELLED_BY  # decided by fulfilment itself
        }
        begins |= reconciliation.begins(credentials, engine.database, settings)
        own = f"{QUEUE}-{uuid.uuid4().hex}"
        fulfilment = Fulfilment(
            engine.database, self._desks, self._connections, self._quick, settings, own
        )
        self._activities = fulfilment.activities
        fulfilment.prepare()
        tasks = TaskActivities(self._desks, begins, self._long)
        self._temporal = Temporal(
            settings,
            [OrderWorkflow, TaskWorkflow],
            [*fulfilment.activities.all(), tasks.do],
            (own, [fulfilment.activities.advance]),
        )
        self._receiving = Receiving(
            Network(engine.database, self._desks, credentials),
            Watching(engine.database, self._desks),
            self._connections,
            self._quick,
            (settings.trap_host, settings.trap_port),
        )
        self._capacity = Polling(
            engine.database,
            Measuring(engine.database, settings, self._desks),
            Network(engine.database, self._desks, credentials),
            self._connections,
            self._counting,
            settings.capacity_interval,
        )
        self._listeners: dict[str, list[Listener]] = {kind: [self._task] for kind in begins}
        listening = Listening(self._desks, fulfilment.journal, self._temporal)
        self._resume_orders = listening.resume
        for kind, listener in listening.listeners.items():
            self._listeners.setdefault(kind, []).append(listener)
        self._listeners["Resource"] = [self._resource]
        self._schedule = Schedule(
            self._desks,
            partial(tenants, engine.database),
            self._quick,
            {
                "NetworkDiscovery": (settings.discovery_interval, {}),
                "NetworkAudit": (settings.audit_interval, {"remedy": settings.audit_remedy}),
            },
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set."""
        self._loop = asyncio.get_running_loop()
        engine = self._engine
        try:
            await asyncio.gather(
                worker.run(
                    engine.database,
                    self._settings,
                    engine.kinds,
                    Application(engine.render, self._listeners),
                    stop,
                    policy=engine.policy,
                ),
                self._temporal.run(stop),
                self._receiving.run(stop),
                self._capacity.run(stop),
                self._schedule.run(stop),
                self._follow_up(stop),
                self._sweep(stop),
            )
        except Exception:
            # nothing here ends for sure once a part has failed, and half a worker is worse than
            # none: nobody would start another
            log.exception("a part of the worker failed; it ends and is to be started again")
            logging.shutdown()
            os._exit(1)
        finally:
            stop.set()
            await self._activities.close()
            await self._connections.close()
            for threads in (self._quick, self._long, self._counting):
                threads.shutdown(wait=False, cancel_futures=True)

    async def _sweep(self, stop: asyncio.Event) -> None:
        """Take away reservations that are over, so that nobody takes them for real ones."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(60.0, self._settings.reservation_time / 4))
                return
            try:
                done = await loop.run_in_executor(self._quick, self._swept)
            except (TmfError, PyMongoError) as error:
                log.warning("reservations are not swept: %s", error)
            else:
                if done:
                    log.info("reservations swept", extra={"count": done})

    def _swept(self) -> int:
        tenants = self._engine.database["Resource"].distinct("tenant")
        return sum(reserving.sweep(self._desks.staff(one)) for one in tenants if one != GONE)

    async def _follow_up(self, stop: asyncio.Event) -> None:
        """Do what writes have left undone whose process died, now and at intervals."""
        kinds = [kind for kind, law in self._engine.laws.items() if law.after]
        loop = asyncio.get_running_loop()
        resumed = False
        while not stop.is_set():
            if not resumed:
                resumed = await self._resumed()
            before = datetime.now(UTC) - UNDER_WAY
            for kind in kinds:
                try:
                    resume = self._engine.writes.resume
                    done = await loop.run_in_executor(self._quick, resume, kind, before)
                except (TmfError, PyMongoError) as error:
                    log.warning("follow-ups wait: %s", error, extra={"kind": kind})
                else:
                    if done:
                        log.warning("follow-ups done", extra={"kind": kind, "count": done})
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FOLLOW_UP)

    async def _resumed(self) -> bool:
        """Go on with the orders that were being worked on; return whether it could be done."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._long, self._resume_orders)
        except TmfError as error:
            log.info("open orders wait: %s", error)
            return False
        if found:
            log.info("open orders go on", extra={"count": found})
        return True

    def _task(self, event: PendingEvent) -> None:
        """Begin a task that is left to the worker."""
        machine = self._engine.laws[event["kind"]].lifecycle
        if event["what"] != "Create" or (machine and self._state(event) in machine.final):
            return
        key = TaskKey(event["tenant"], event["kind"], event["resource"])
        self._temporal.begin(TaskWorkflow.run, key, key.workflow)

    def _resource(self, event: PendingEvent) -> None:
        """Look for elements when one has come, gone or changed."""
        if ADDRESS in of_resource(event["body"]) and self._loop:
            self._loop.call_soon_threadsafe(self._receiving.news.set)

    def _state(self, event: PendingEvent) -> object:
        """Return the state that an event's resource has by now; None where it is gone."""
        machine = self._engine.laws[event["kind"]].lifecycle
        try:
            found = self._desks.staff(event["tenant"]).get(event["kind"], event["resource"])
        except NotFound:
            return None
        return found.get(machine.attribute) if machine else None


async def _until_told(begin: Callable[[asyncio.Event], Work | None]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    found = await loop.run_in_executor(None, begin, stop)
    if found is not None:
        collect_later()
        log.info("working", extra={"pid": os.getpid()})
        await found.run(stop)
        log.info("stopped")


def _begin(settings: Settings, stop: asyncio.Event) -> Work | None:
    contracts = load(CONTRACTS, settings.data_dir / "cache")
    database: Documents | None = None
    while database is None:
        try:
            database = connect(settings, settings.mongodb_uri)
        except CannotStart as error:
            log.error("%s; trying again", error)  # noqa: TRY400
            time.sleep(PAUSE)
        if stop.is_set():
            return None
    engine = Engine(settings, contracts, database)
    engine.prepare()
    engine.registry.start()  # import jobs hold files to the operator's own types too
    return Work(settings, engine)


def run(settings: Settings) -> None:
    """Work until a signal says stop.

    Raises:
        CannotStart: A setting that it needs is missing.
    """
    for name, value in (
        ("TMF_MONGODB_URI", settings.mongodb_uri),
        ("TMF_TEMPORAL_ADDRESS", settings.temporal_address),
    ):
        if not value:
            raise CannotStart(f"{name} is not set: the worker needs the servers of `tmf serve`")
    asyncio.run(_until_told(partial(_begin, settings)))
    logging.shutdown()
    os._exit(0)  # a task that cannot be interrupted is done again by the next worker
