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
from adapters.values import Target
from tmf_apis.background_tasks import TaskActivities, TaskKey, TaskWorkflow
from tmf_apis.capacity.meter import CapacityMeter
from tmf_apis.capacity.poller import CapacityPoller
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import LINGER, ElementLeases
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.errors import NotFound, TmfError
from tmf_apis.events import event_worker
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.relay import EventHandlers, EventListener
from tmf_apis.fault_management.alarm_writer import AlarmWriter
from tmf_apis.fault_management.element_registry import ElementRegistry
from tmf_apis.fault_management.trap_consumer import TrapConsumer
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution.composition import Fulfilment
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.fulfilment.execution.workflow import OrderWorkflow
from tmf_apis.fulfilment.reservation import reservations
from tmf_apis.gc_tuning import tune_gc
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.ports import MANAGEMENT_ADDRESS
from tmf_apis.inventory.tenants import tenants_with_elements
from tmf_apis.reconciliation import task_handlers as reconciliation
from tmf_apis.reconciliation.scheduler import TaskScheduler
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase, connect
from tmf_apis.store.model import DELETED_TENANT
from tmf_apis.store.process import CannotStart
from tmf_apis.temporal_worker import TASK_QUEUE, TemporalWorker

log = logging.getLogger(__name__)

#: Who signs what the worker does.
SUBJECT = "tmf-apis"
#: Threads that wait for the database: for orders and notifications, for long tasks, for capacity.
QUICK_THREADS, TASK_THREADS, CAPACITY_THREADS = 8, 4, 2
#: Pause between two attempts to reach the database, in seconds.
DATABASE_RETRY_PAUSE = 2.0
#: Pause between two looks at follow-ups that a dead process has left, in seconds; and the age at
#: which one is taken to be left and not under way.
SIDE_EFFECT_INTERVAL, MIN_PENDING_AGE = 30.0, timedelta(seconds=15)


class Worker:
    """One worker."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        """Put the worker together.

        Args:
            settings: The configuration.
            engine: Works on resources.
        """
        self._settings = settings
        self._engine = engine
        self._repositories = RepositoryFactory(engine.writer, SUBJECT)
        credentials = Credentials(settings.credentials_file)
        self._quick_executor = ThreadPoolExecutor(QUICK_THREADS, "work")
        self._connections = Connections(
            credentials,
            ElementLeases(engine.database, self._quick_executor, linger=LINGER),
            on_circuit_change=self._handle_circuit_change,
        )
        self._task_executor = ThreadPoolExecutor(TASK_THREADS, "task")
        self._capacity_executor = ThreadPoolExecutor(CAPACITY_THREADS, "capacity")
        begins = {
            kind: law.run_in_background
            for kind, law in engine.policies.items()
            if law.run_in_background
            and kind not in order_kinds.ORDER_KIND_BY_CANCEL_TASK  # decided by fulfilment itself
        }
        begins |= reconciliation.task_handlers(credentials, engine.database, settings)
        own = f"{TASK_QUEUE}-{uuid.uuid4().hex}"
        fulfilment = Fulfilment(
            engine.database,
            self._repositories,
            self._connections,
            self._quick_executor,
            settings,
            own,
        )
        self._activities = fulfilment.activities
        fulfilment.create_indexes()
        tasks = TaskActivities(self._repositories, begins, self._task_executor)
        self._temporal = TemporalWorker(
            settings,
            [OrderWorkflow, TaskWorkflow],
            [*fulfilment.activities.activity_functions(), tasks.run_task],
            (own, [fulfilment.activities.advance]),
        )
        self._trap_consumer = TrapConsumer(
            ElementRegistry(engine.database, self._repositories, credentials),
            AlarmWriter(engine.database, self._repositories),
            self._connections,
            self._quick_executor,
            (settings.trap_host, settings.trap_port),
        )
        self._capacity_poller = CapacityPoller(
            engine.database,
            CapacityMeter(engine.database, settings, self._repositories),
            ElementRegistry(engine.database, self._repositories, credentials),
            self._connections,
            self._capacity_executor,
            settings.capacity_interval,
        )
        self._listeners: dict[str, list[EventListener]] = {
            kind: [self._start_task] for kind in begins
        }
        listening = OrderEventHandler(self._repositories, fulfilment.journal, self._temporal)
        self._resume_orders = listening.resume
        for kind, listener in listening.listeners.items():
            self._listeners.setdefault(kind, []).append(listener)
        self._listeners["Resource"] = [self._handle_resource]
        self._schedule = TaskScheduler(
            self._repositories,
            partial(tenants_with_elements, engine.database),
            self._quick_executor,
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
                event_worker.run(
                    engine.database,
                    self._settings,
                    engine.kinds,
                    EventHandlers(engine.render_event, self._listeners),
                    stop,
                    policy=engine.outbound_policy,
                ),
                self._temporal.run(stop),
                self._trap_consumer.run(stop),
                self._capacity_poller.run(stop),
                self._schedule.run(stop),
                self._resume_side_effects(stop),
                self._sweep_reservations(stop),
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
            for threads in (self._quick_executor, self._task_executor, self._capacity_executor):
                threads.shutdown(wait=False, cancel_futures=True)

    async def _sweep_reservations(self, stop: asyncio.Event) -> None:
        """Take away reservations that are over, so that nobody takes them for real ones."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(60.0, self._settings.reservation_time / 4))
                return
            try:
                done = await loop.run_in_executor(self._quick_executor, self._release_expired)
            except (TmfError, PyMongoError) as error:
                log.warning("reservations are not swept: %s", error)
            else:
                if done:
                    log.info("reservations swept", extra={"count": done})

    def _release_expired(self) -> int:
        tenants = self._engine.database["Resource"].distinct("tenant")
        return sum(
            reservations.release_expired(self._repositories.for_tenant(one))
            for one in tenants
            if one != DELETED_TENANT
        )

    async def _resume_side_effects(self, stop: asyncio.Event) -> None:
        """Do what writes have left undone whose process died, now and at intervals."""
        kinds = [kind for kind, law in self._engine.policies.items() if law.after_commit]
        loop = asyncio.get_running_loop()
        resumed = False
        while not stop.is_set():
            if not resumed:
                resumed = await self._try_resume_orders()
            before = datetime.now(UTC) - MIN_PENDING_AGE
            for kind in kinds:
                try:
                    resume = self._engine.writer.resume_after_commits
                    done = await loop.run_in_executor(self._quick_executor, resume, kind, before)
                except (TmfError, PyMongoError) as error:
                    log.warning("follow-ups wait: %s", error, extra={"kind": kind})
                else:
                    if done:
                        log.warning("follow-ups done", extra={"kind": kind, "count": done})
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SIDE_EFFECT_INTERVAL)

    async def _try_resume_orders(self) -> bool:
        """Go on with the orders that were being worked on; return whether it could be done."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._task_executor, self._resume_orders)
        except TmfError as error:
            log.info("open orders wait: %s", error)
            return False
        if found:
            log.info("open orders go on", extra={"count": found})
        return True

    def _start_task(self, event: PendingEvent) -> None:
        """Begin a task that is left to the worker."""
        machine = self._engine.policies[event["kind"]].lifecycle
        if event["what"] != "Create" or (
            machine and self._current_state(event) in machine.final_states
        ):
            return
        key = TaskKey(event["tenant"], event["kind"], event["resource"])
        self._temporal.start(TaskWorkflow.run, key, key.workflow_id)

    def _handle_resource(self, event: PendingEvent) -> None:
        """Look for elements when one has come, gone or changed."""
        if MANAGEMENT_ADDRESS in resource_characteristics(event["body"]) and self._loop:
            self._loop.call_soon_threadsafe(self._trap_consumer.wakeup.set)

    def _handle_circuit_change(self, target: Target, unreachable: bool) -> None:  # noqa: FBT001
        """Report to fault management that an element is unreachable, or reachable again."""
        self._trap_consumer.note_circuit_change(target, unreachable)

    def _current_state(self, event: PendingEvent) -> object:
        """Return the state that an event's resource has by now; None where it is gone."""
        machine = self._engine.policies[event["kind"]].lifecycle
        try:
            found = self._repositories.for_tenant(event["tenant"]).get(
                event["kind"], event["resource"]
            )
        except NotFound:
            return None
        return found.get(machine.attribute) if machine else None


async def _run_until_signal(build: Callable[[asyncio.Event], Worker | None]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    found = await loop.run_in_executor(None, build, stop)
    if found is not None:
        tune_gc()
        log.info("working", extra={"pid": os.getpid()})
        await found.run(stop)
        log.info("stopped")


def _build(settings: Settings, stop: asyncio.Event) -> Worker | None:
    contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
    database: MongoDatabase | None = None
    while database is None:
        try:
            database = connect(settings, settings.mongodb_uri)
        except CannotStart as error:
            log.error("%s; trying again", error)  # noqa: TRY400
            time.sleep(DATABASE_RETRY_PAUSE)
        if stop.is_set():
            return None
    engine = Engine(settings, contracts, database)
    engine.prepare()
    engine.extension_registry.start()  # import jobs hold files to the operator's own types too
    return Worker(settings, engine)


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
    asyncio.run(_run_until_signal(partial(_build, settings)))
    logging.shutdown()
    os._exit(0)  # a task that cannot be interrupted is done again by the next worker
