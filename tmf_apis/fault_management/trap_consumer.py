"""Consumer of SNMP notifications: turns them into alarms and polls the elements when necessary."""

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from adapters import base
from adapters.errors import ElementError
from adapters.snmp.traps import (
    DEFAULT_LIMITS,
    Notification,
    ReceivedNotification,
    TokenBucket,
    TrapLimits,
    TrapReceiver,
)
from adapters.values import Target
from tmf_apis.element_access.breaker import CircuitOpenError
from tmf_apis.element_access.connections import Connections
from tmf_apis.errors import Stale, Unavailable
from tmf_apis.fault_management.alarm_writer import AlarmWriter
from tmf_apis.fault_management.duplicates import RecentNotifications
from tmf_apis.fault_management.element_registry import Element, ElementRegistry
from tmf_apis.fault_management.message_records import MessageRecords
from tmf_apis.fault_management.port_names import PortNames
from tmf_apis.fault_management.report_order import ReportOrder
from tmf_apis.fault_management.rules import names_port, report_from_notification
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.store.executor import run_blocking

log = logging.getLogger(__name__)

#: Interval at which the elements are read from the inventory and counts are stored, in seconds.
REFRESH_INTERVAL = 10.0
#: First and longest pause while the database or the listening address is unavailable, in seconds.
RETRY_PAUSES = (0.5, 10.0)
#: Most times in which the ports of an element are read again at once because of its notifications,
#: and on average in a second: an element may have ports that are not in its inventory.
REREADING_BURST, REREADING_RATE = 10, 0.1
#: Maximum time to poll an element, in seconds; maximum number of queued reports of an element.
POLL_TIMEOUT, QUEUE_SIZE = 30.0, 10_000
#: Pause between two writes of the times of engines, in seconds.
STORE_INTERVAL = 1.0


def _condition(begin: str, end: str, *, level: int = logging.WARNING) -> LastingCondition:
    return LastingCondition(log, begin, end, level=level)


@dataclass(slots=True)
class _ElementQueue:
    """The queued reports of one element, and the task that handles them in order."""

    queue: asyncio.Queue[ReceivedNotification]
    lock: asyncio.Lock
    task: asyncio.Task[None]


@dataclass(slots=True)
class TrapConsumer:
    """Receives notifications and writes alarms.

    Attributes:
        registry: The trusted elements.
        alarm_writer: Writes the alarms.
        connections: Open adapters.
        executor: Runs blocking database calls.
        address: Host and port to listen at; port 0 is replaced by the real one at the start.
        records: The stored times of engines and digests of messages.
        limits: The limits of the receiver.
        has_siblings: Other workers of the same server may have the address; this one takes over.
        wakeup: Set when the elements of the inventory may have changed.
    """

    registry: ElementRegistry
    alarm_writer: AlarmWriter
    connections: Connections
    executor: Executor
    address: tuple[str, int]
    records: MessageRecords
    limits: TrapLimits = DEFAULT_LIMITS
    has_siblings: bool = False
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    _port_names: dict[str, PortNames] = field(default_factory=dict)
    _rereadings: dict[str, TokenBucket] = field(default_factory=dict)
    _order: ReportOrder = field(default_factory=ReportOrder)
    _recent: RecentNotifications = field(default_factory=RecentNotifications)
    _polls: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _queues: dict[str, _ElementQueue] = field(default_factory=dict)
    _reachability_changes: dict[str, bool] = field(default_factory=dict)
    _taken_address: LastingCondition = field(
        default_factory=partial(
            _condition,
            "another worker receives notifications",
            "this worker receives notifications again",
            level=logging.INFO,
        )
    )
    _unusable_address: LastingCondition = field(
        default_factory=partial(
            _condition,
            "notifications cannot be received",
            "notifications can be received again",
            level=logging.ERROR,
        )
    )
    _unstored_times: LastingCondition = field(
        default_factory=partial(
            _condition, "times of engines are not stored", "times of engines are stored again"
        )
    )
    _unread_inventory: LastingCondition = field(
        default_factory=partial(
            _condition, "inventory cannot be read", "inventory can be read again"
        )
    )
    _delayed: LastingCondition = field(
        default_factory=partial(
            _condition, "notifications are delayed", "notifications are handled again"
        )
    )
    _unpolled: LastingCondition = field(
        default_factory=partial(_condition, "element not polled", "element polled again")
    )

    def note_circuit_change(self, target: Target, unreachable: bool) -> None:  # noqa: FBT001
        """Queue the alarm of an element that became unreachable, or reachable again."""
        for element in self.registry.elements.values():
            if (element.target.name, element.target.address) == (target.name, target.address):
                self._reachability_changes[element.key] = unreachable
                self.wakeup.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Receive notifications until ``stop`` is set."""
        pause, longest = RETRY_PAUSES
        while not stop.is_set():
            receiver = TrapReceiver(self.registry.senders, *self.address, limits=self.limits)
            try:
                async with receiver:
                    self.address = receiver.address
                    host, port = receiver.address
                    self._taken_address.clear(address=host, port=port)
                    self._unusable_address.clear(address=host, port=port)
                    log.info("receiving notifications", extra={"address": host, "port": port})
                    await self._run_tasks(receiver, stop)
            except OSError as error:
                host, port = self.address
                is_shared = error.errno == errno.EADDRINUSE and self.has_siblings
                condition = self._taken_address if is_shared else self._unusable_address
                condition.report(cause=str(error.errno), address=host, port=port, error=str(error))
                await _wait(stop, pause)
                pause = min(2 * pause, longest)

    async def _run_tasks(self, receiver: TrapReceiver, stop: asyncio.Event) -> None:
        tasks = [
            asyncio.create_task(self._dispatch(receiver)),
            asyncio.create_task(self._refresh_elements(receiver, stop)),
        ]
        storing = asyncio.create_task(self._store_engine_times(stop))
        await stop.wait()
        drain_tasks = [element_queue.task for element_queue in self._queues.values()]
        self._queues.clear()
        for task in [*tasks, *drain_tasks, *self._polls.values()]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._store_counts(receiver)
        await storing  # cancelled, it would lose the times that it has taken and not stored
        await self._store_changed_times()

    async def _store_engine_times(self, stop: asyncio.Event) -> None:
        """Store the newest times of engines at intervals, in one write for all of them."""
        while not stop.is_set():
            await _wait(stop, STORE_INTERVAL)
            await self._store_changed_times()

    async def _store_changed_times(self) -> None:
        changed = self.registry.senders.take_changed_times()
        try:
            await run_blocking(self.executor, self.records.save, changed)
        except Unavailable as error:  # later messages of the engines change the times again
            self._unstored_times.report(error=str(error))
        else:
            self._unstored_times.clear()

    async def _refresh_elements(self, receiver: TrapReceiver, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.wakeup.clear()
            try:
                elements = await run_blocking(self.executor, self.registry.read)
                times = await run_blocking(self.executor, self.records.load)
                self.registry.senders.restore_times(times)
                self.registry.senders.local_engine = await run_blocking(
                    self.executor, self.records.local_engine
                )
                for element in await run_blocking(self.executor, self.registry.trust, elements):
                    self.poll(element)
                await self._retry_unreachable()
                self._unread_inventory.clear()
                self._unpolled.forget_others(elements)
                self._delayed.forget_others(elements)
            except (Unavailable, Stale) as error:
                self._unread_inventory.report(error=str(error))
            except Exception:
                log.exception("elements cannot be refreshed")
            await self._store_counts(receiver)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wakeup.wait(), REFRESH_INTERVAL)

    async def _store_counts(self, receiver: TrapReceiver) -> None:
        """Add the numbers of datagrams since the last call to those of all workers."""
        counts = dict(receiver.reasons)
        try:
            await run_blocking(self.executor, self.records.add_counts, counts)
        except Unavailable as error:
            log.warning("counts of notifications are not stored", extra={"error": str(error)})
        else:
            receiver.reasons.subtract(counts)

    async def _retry_unreachable(self) -> None:
        """Write the changes of reachability and poll the elements whose retry is due."""
        for key, unreachable in list(self._reachability_changes.items()):
            if changed_element := self.registry.elements.get(key):
                await run_blocking(
                    self.executor,
                    self.alarm_writer.record_unreachable,
                    changed_element,
                    unreachable=unreachable,
                )
            if self._reachability_changes.get(key) == unreachable:
                del self._reachability_changes[key]
        for element in self.registry.elements.values():
            if self.connections.is_retry_due(element.target):
                self.poll(element)

    async def _dispatch(self, receiver: TrapReceiver) -> None:
        """Put each notification into the queue of its element: a slow element delays no other."""
        async for received in receiver:
            try:
                self._queue_for(received.notification.element).queue.put_nowait(received)
            except asyncio.QueueFull:
                receiver.counts["overflowed"] += 1

    def _queue_for(self, key: str) -> _ElementQueue:
        if key not in self._queues:
            queue: asyncio.Queue[ReceivedNotification] = asyncio.Queue(QUEUE_SIZE)
            task = asyncio.create_task(self._drain(queue))
            self._queues[key] = _ElementQueue(queue, asyncio.Lock(), task)
        return self._queues[key]

    async def _drain(self, queue: asyncio.Queue[ReceivedNotification]) -> None:
        while True:
            received = await queue.get()
            if await self._repeat(self._is_first, received):
                await self._repeat(self._try_handle, received)

    async def _repeat(
        self,
        step: Callable[[ReceivedNotification], Awaitable[bool | None]],
        received: ReceivedNotification,
    ) -> bool:
        """Repeat a step until it has a result, which is not None; return the result."""
        pause, longest = RETRY_PAUSES
        while (result := await step(received)) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
        return result

    async def _is_first(self, received: ReceivedNotification) -> bool | None:
        """Return whether a message is no replay; None if the database does not answer."""
        if not received.digest:
            return True
        context = {"element": received.notification.element}
        if received.notification.inform:
            return await self._is_first_inform(received)
        try:
            is_first = await run_blocking(self.executor, self.records.claim, received.digest)
        except Unavailable as error:
            self._delayed.report(received.notification.element, **context, error=str(error))
            return None
        if not is_first:
            log.warning("replayed notification dropped", extra=context)
        return is_first

    async def _is_first_inform(self, received: ReceivedNotification) -> bool | None:
        """Acknowledge an inform that has been stored already; its element sends it again.

        Its digest is stored after the alarm: a worker that ends in between loses nothing.
        """
        try:
            is_stored = await run_blocking(self.executor, self.records.is_claimed, received.digest)
        except Unavailable:
            return None
        if is_stored:
            received.acknowledge()
        return not is_stored

    async def _try_handle(self, received: ReceivedNotification) -> bool | None:
        """Handle a notification; return None if it must be retried."""
        try:
            await self._handle(received)
        except (Unavailable, Stale) as error:
            key = received.notification.element
            self._delayed.report(key, element=key, error=str(error))
            return None
        except Exception:
            log.exception(
                "notification not handled", extra={"element": received.notification.element}
            )
        self._delayed.clear(received.notification.element, element=received.notification.element)
        return True

    async def _handle(self, received: ReceivedNotification) -> None:
        notification = received.notification
        element = self.registry.elements.get(notification.element)
        if element is None:  # it has just been removed from the inventory
            return
        if not self._recent.is_duplicate(notification):
            await self._write_report(element, notification)
            self._recent.add(notification)
        if notification.inform and received.digest:
            await run_blocking(self.executor, self.records.claim, received.digest)
        received.acknowledge()

    async def _write_report(self, element: Element, notification: Notification) -> None:
        """Write the alarm of a notification, unless it is late; poll the element if necessary."""
        may_have_restarted = self._order.may_have_restarted(
            element.key, notification.boots, notification.uptime
        )
        ports = self._port_names.get(element.key)
        if names_port(notification):
            ports = await self._current_ports(
                element, notification, may_have_restarted=may_have_restarted
            )
        ports = ports or PortNames()
        report = report_from_notification(
            replace(notification, element=element.target.name), ports.names, ports.descriptions
        )
        is_late = self._order.is_late(element.key, report)
        if not is_late:
            async with self._queue_for(element.key).lock:
                await run_blocking(self.executor, self.alarm_writer.write_report, element, report)
        self._order.add(element.key, report)
        if report.needs_resync:
            self._port_names.pop(element.key, None)
            self.poll(element)
        elif may_have_restarted and self._may_reread(element):
            self.poll(element)

    async def _current_ports(
        self, element: Element, notification: Notification, *, may_have_restarted: bool
    ) -> PortNames | None:
        """Return the ports of an element, read again if they do not tell the port for certain."""
        ports = self._port_names.get(element.key)
        if ports is None:
            await asyncio.wait({self.poll(element)})
        elif ports.is_certain(notification):
            if ports.is_outdated(notification) and self._may_reread(element):
                self.poll(element)
        elif (
            may_have_restarted
            or ports.is_outdated(notification)
            or ports.discovered_at != await self._discovered_at(element)
        ) and self._may_reread(element):
            if running := self._running_poll(element):  # it may have begun before the change
                await asyncio.wait({running})
            await asyncio.wait({self.poll(element)})
        return self._port_names.get(element.key)

    async def _discovered_at(self, element: Element) -> datetime | None:
        return await run_blocking(self.executor, self.registry.discoveries.latest, element.key)

    def _may_reread(self, element: Element) -> bool:
        """Return whether a notification may cause the ports of its element to be read now."""
        now = time.monotonic()
        bucket = self._rereadings.setdefault(element.key, TokenBucket(REREADING_BURST, now))
        return bucket.take(REREADING_RATE, now, REREADING_BURST)

    def poll(self, element: Element) -> asyncio.Task[None]:
        """Start to poll an element, unless a poll is running; return the task."""
        if running := self._running_poll(element):
            return running
        self._polls[element.key] = asyncio.create_task(self._poll(element))
        return self._polls[element.key]

    def _running_poll(self, element: Element) -> asyncio.Task[None] | None:
        task = self._polls.get(element.key)
        return None if task is None or task.done() else task

    async def _poll(self, element: Element) -> None:
        try:
            async with asyncio.timeout(POLL_TIMEOUT), self._queue_for(element.key).lock:
                await self._resynchronise(element)
        except CircuitOpenError:  # an alarm reports this
            log.debug("element unreachable", extra={"element": element.target.name})
        except (ElementError, TimeoutError, Unavailable) as error:
            self._unpolled.report(
                element.key,
                cause=type(error).__name__,
                element=element.target.name,
                error=str(error),
            )
        except Exception:
            log.exception("element not polled", extra={"element": element.target.name})
        else:
            self._unpolled.clear(element.key, element=element.target.name)
        self._port_names.setdefault(element.key, PortNames())

    async def _resynchronise(self, element: Element) -> None:
        async with self.connections.acquire(element.target) as adapter:
            discovered_at = await self._discovered_at(element)
            inventory = await adapter.inventory()
            self._port_names[element.key] = PortNames.of(inventory.ports, discovered_at)
            await run_blocking(
                self.executor, self.alarm_writer.record_unreachable, element, unreachable=False
            )
            if base.CONDITIONS not in adapter.capabilities:
                return
            conditions = await adapter.active_conditions()
        await run_blocking(
            self.executor, self.alarm_writer.resynchronise, element, inventory, conditions
        )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
