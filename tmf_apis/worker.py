"""``tmf work``: all background work in one process.

The worker relays and delivers events, runs orders and tasks as Temporal workflows, turns SNMP
notifications into alarms and measures the capacity of the network. Each part continues while the
server of another part is unavailable.
"""

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from adapters.credentials import Credentials
from adapters.snmp.traps import TrapLimits
from adapters.values import Target
from tmf_apis import tracing
from tmf_apis.audit_log.maintenance import AuditLogMaintenance
from tmf_apis.background_tasks import BackgroundAction, TaskActivities, TaskKey, TaskWorkflow
from tmf_apis.capacity.meter import CapacityMeter
from tmf_apis.capacity.poller import CapacityPoller
from tmf_apis.element_access.access_policy import AccessPolicy
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import LINGER, ElementLeases
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.errors import NotFound
from tmf_apis.events import event_worker
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.events.relay import EventHandlers, EventListener
from tmf_apis.fault_management.alarm_writer import AlarmWriter
from tmf_apis.fault_management.element_registry import ElementRegistry
from tmf_apis.fault_management.message_records import MessageRecords
from tmf_apis.fault_management.trap_consumer import TrapConsumer
from tmf_apis.fulfilment import order_kinds
from tmf_apis.fulfilment.execution.composition import Fulfilment
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.fulfilment.execution.workflow import OrderWorkflow
from tmf_apis.gc_tuning import tune_gc
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.inventory.tenants import tenants_with_elements
from tmf_apis.maintenance import Maintenance
from tmf_apis.reconciliation import task_handlers as reconciliation
from tmf_apis.reconciliation.scheduler import TaskScheduler
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.security.private_directory import private_files
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase, connect
from tmf_apis.store.managed_process import prepare_data_directory
from tmf_apis.store.process import CannotStart
from tmf_apis.temporal_worker import TASK_QUEUE, TemporalWorker
from tmf_apis.worker_heartbeat import WorkerHeartbeat

log = logging.getLogger(__name__)

#: Subject of the worker's writes.
SUBJECT = "tmf-apis"
#: Threads for blocking calls: of orders and notifications, of long tasks, of capacity.
QUICK_THREADS, TASK_THREADS, CAPACITY_THREADS = 8, 4, 2
#: Pause between two attempts to reach the database, in seconds.
DATABASE_RETRY_PAUSE = 2.0


class Worker:
    """The background work of one process."""

    def __init__(self, settings: Settings, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        """Create all parts of the worker.

        Args:
            settings: The configuration.
            engine: Reads and writes resources.
            loop: The event loop that runs the worker.
        """
        self._settings = settings
        self._engine = engine
        self._loop = loop
        self._quick_executor = ThreadPoolExecutor(QUICK_THREADS, "work")
        self._task_executor = ThreadPoolExecutor(TASK_THREADS, "task")
        self._capacity_executor = ThreadPoolExecutor(CAPACITY_THREADS, "capacity")
        self._repositories = RepositoryFactory(engine.writer, SUBJECT)
        credentials = Credentials(settings.credentials_file)
        self._access_policy = AccessPolicy.from_settings(settings)
        self._connections = Connections(
            credentials,
            ElementLeases(engine.database, self._quick_executor, linger=LINGER),
            policy=self._access_policy,
            on_circuit_change=self._handle_circuit_change,
        )
        private_queue = f"{TASK_QUEUE}-{uuid.uuid4().hex}"
        fulfilment = Fulfilment(
            engine.database,
            self._repositories,
            self._connections,
            self._quick_executor,
            settings,
            private_queue,
        )
        fulfilment.create_indexes()
        self._activities = fulfilment.activities
        actions = self._background_actions(credentials)
        tasks = TaskActivities(self._repositories, actions, self._task_executor)
        self._temporal = TemporalWorker(
            settings,
            [OrderWorkflow, TaskWorkflow],
            [*fulfilment.activities.activity_functions(), tasks.run_task],
            (private_queue, [fulfilment.activities.advance]),
        )
        order_events = OrderEventHandler(self._repositories, fulfilment.journal, self._temporal)
        self._listeners = self._event_listeners(actions, order_events)
        self._trap_consumer = self._create_trap_consumer(credentials)
        self._capacity_poller = self._create_capacity_poller(credentials)
        self._scheduler = self._create_scheduler()
        self._audit_log = AuditLogMaintenance(engine.database, settings, self._quick_executor)
        self._heartbeat = WorkerHeartbeat(
            engine.database, self._quick_executor, self._temporal.error
        )
        self._heartbeat.prepare()
        self._maintenance = Maintenance(
            engine,
            self._repositories,
            self._quick_executor,
            long_task_executor=self._task_executor,
            resume_orders=order_events.resume,
            reservation_time=settings.reservation_time,
        )

    def _background_actions(self, credentials: Credentials) -> dict[str, BackgroundAction]:
        """Return the actions of stored tasks, by kind; fulfilment handles cancellations itself."""
        actions = {
            kind: policy.run_in_background
            for kind, policy in self._engine.policies.items()
            if policy.run_in_background and kind not in order_kinds.ORDER_KIND_BY_CANCEL_TASK
        }
        return actions | reconciliation.task_handlers(
            credentials, self._engine.database, self._settings
        )

    def _event_listeners(
        self, task_kinds: Iterable[str], order_events: OrderEventHandler
    ) -> dict[str, list[EventListener]]:
        """Return the listeners by the kind of resource that an event is about."""
        listeners: dict[str, list[EventListener]] = {
            kind: [self._start_task] for kind in task_kinds
        }
        for kind, listener in order_events.listeners.items():
            listeners.setdefault(kind, []).append(listener)
        listeners["Resource"] = [self._handle_resource]
        return listeners

    def _create_trap_consumer(self, credentials: Credentials) -> TrapConsumer:
        database = self._engine.database
        records = MessageRecords(database)
        records.create_indexes()
        return TrapConsumer(
            ElementRegistry(
                database,
                self._repositories,
                credentials,
                self._access_policy,
                relays=self._settings.trap_relays,
            ),
            AlarmWriter(database, self._repositories),
            self._connections,
            self._quick_executor,
            (self._settings.trap_host, self._settings.trap_port),
            records,
            TrapLimits(size=self._settings.trap_bytes, rate=self._settings.trap_rate),
            has_siblings=self._settings.workers > 1,
        )

    def _create_capacity_poller(self, credentials: Credentials) -> CapacityPoller:
        database = self._engine.database
        return CapacityPoller(
            database,
            CapacityMeter(database, self._settings, self._repositories),
            ElementRegistry(database, self._repositories, credentials, self._access_policy),
            self._connections,
            self._capacity_executor,
            self._settings.capacity_interval,
        )

    def _create_scheduler(self) -> TaskScheduler:
        settings = self._settings
        return TaskScheduler(
            self._repositories,
            partial(tenants_with_elements, self._engine.database),
            self._quick_executor,
            {
                "NetworkDiscovery": (settings.discovery_interval, {}),
                "NetworkAudit": (settings.audit_interval, {"remedy": settings.audit_remedy}),
            },
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until ``stop`` is set; end the process if a part fails."""
        engine = self._engine
        try:
            await asyncio.gather(
                event_worker.run(
                    engine.database,
                    self._settings,
                    engine.kinds,
                    EventHandlers(engine.render_event, self._listeners, engine.data_keys),
                    stop,
                    policy=engine.outbound_policy,
                ),
                self._temporal.run(stop),
                self._trap_consumer.run(stop),
                self._capacity_poller.run(stop),
                self._scheduler.run(stop),
                self._maintenance.run(stop),
                self._audit_log.run(stop),
                self._heartbeat.run(stop),
            )
        except Exception:
            # A part may not react to ``stop``, and the supervisor restarts only ended processes.
            log.exception("a part of the worker failed; the worker ends and the server restarts it")
            logging.shutdown()
            os._exit(1)
        finally:
            stop.set()
            await self._activities.close()
            await self._connections.close()
            for executor in (self._quick_executor, self._task_executor, self._capacity_executor):
                executor.shutdown(wait=False, cancel_futures=True)

    def _start_task(self, event: PendingEvent) -> None:
        """Start the workflow of a new task, unless the task has ended already."""
        lifecycle = self._engine.policies[event["kind"]].lifecycle
        if event["what"] != "Create":
            return
        if lifecycle and self._current_state(event) in lifecycle.final_states:
            return
        key = TaskKey(event["tenant"], event["kind"], event["resource"])
        self._temporal.start(TaskWorkflow.run, key, key.workflow_id)

    def _handle_resource(self, event: PendingEvent) -> None:
        """Make fault management read the elements again after a change of an element."""
        if MANAGEMENT_ADDRESS in resource_characteristics(event["body"]):
            self._loop.call_soon_threadsafe(self._trap_consumer.wakeup.set)

    def _handle_circuit_change(self, target: Target, unreachable: bool) -> None:  # noqa: FBT001
        """Report to fault management that an element is unreachable, or reachable again."""
        self._trap_consumer.note_circuit_change(target, unreachable)

    def _current_state(self, event: PendingEvent) -> object:
        """Return the current state of an event's resource; None if it was deleted."""
        lifecycle = self._engine.policies[event["kind"]].lifecycle
        repository = self._repositories.for_tenant(event["tenant"])
        try:
            resource = repository.get(event["kind"], event["resource"])
        except NotFound:
            return None
        return resource.get(lifecycle.attribute) if lifecycle else None


async def _run_until_signal(settings: Settings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = await loop.run_in_executor(None, _build, settings, loop, stop)
    if worker is not None:
        tune_gc()
        log.info("working", extra={"pid": os.getpid()})
        await worker.run(stop)
        log.info("stopped")


def _build(
    settings: Settings, loop: asyncio.AbstractEventLoop, stop: asyncio.Event
) -> Worker | None:
    """Connect to the database and create the worker; return None if ``stop`` is set meanwhile."""
    contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
    database: MongoDatabase | None = None
    while database is None:
        try:
            database = connect(settings, settings.mongodb_uri)
        except CannotStart as error:
            log.error("cannot start yet; trying again", extra={"error": str(error)})  # noqa: TRY400
            time.sleep(DATABASE_RETRY_PAUSE)
        if stop.is_set():
            return None
    engine = Engine(settings, contracts, database)
    engine.prepare()
    engine.resources.usage.start(engine.kinds)
    engine.extension_registry.start()  # import jobs also validate the operator's own types
    return Worker(settings, engine, loop)


def run(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT, then end the process.

    Raises:
        CannotStart: A required setting is missing.
    """
    for name, value in (
        ("TMF_MONGODB_URI", settings.mongodb_uri),
        ("TMF_TEMPORAL_ADDRESS", settings.temporal_address),
    ):
        if not value:
            raise CannotStart(f"{name} is not set: the worker needs the servers of `tmf serve`")
    with private_files():
        prepare_data_directory(settings.data_dir)
        tracing.configure(settings, "tmf-worker")
        asyncio.run(_run_until_signal(settings))
        tracing.shutdown()
        logging.shutdown()
    os._exit(0)  # tasks that cannot be interrupted are repeated by the next worker
