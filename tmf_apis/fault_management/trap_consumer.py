"""The receiver of notifications: takes them one by one, and looks at elements where it must."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from adapters import base
from adapters.errors import ElementError
from adapters.snmp.traps import ReceivedNotification, TrapReceiver
from adapters.values import Target
from tmf_apis.element_access.breaker import CircuitOpenError
from tmf_apis.element_access.connections import Connections
from tmf_apis.errors import Stale, Unavailable
from tmf_apis.fault_management.alarm_writer import AlarmWriter
from tmf_apis.fault_management.element_registry import Element, ElementRegistry
from tmf_apis.fault_management.rules import AlarmReport, report_from_notification

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Pause between two looks at the inventory for elements, and at the counters, in seconds.
REFRESH_INTERVAL = 10.0
#: First and longest pause while the database or the address is not to be had, in seconds.
RETRY_PAUSES = (0.5, 10.0)
#: A report this much older than the last one of its problem was overtaken by it, in seconds; one
#: that is older still comes from an element that has started anew.
REORDERING_WINDOW = 30.0
#: Reports remembered, so that one that was sent twice is not counted.
DEDUPLICATION_SIZE = 10_000
#: Longest look at one element, in seconds; most reports of one element that wait.
POLL_TIMEOUT, QUEUE_SIZE = 30.0, 10_000


@dataclass(slots=True)
class _ElementQueue:
    """The reports of one element, handled one after another."""

    queue: asyncio.Queue[ReceivedNotification]
    lock: asyncio.Lock
    task: asyncio.Task[None]


@dataclass(slots=True)
class TrapConsumer:
    """Takes notifications until it is told to stop.

    Attributes:
        registry: Who may report.
        alarm_writer: Writes what is reported.
        connections: Open adapters.
        threads: Where the database is waited for.
        address: Where notifications arrive; the port is known once it runs.
        wakeup: Set when the inventory's elements may have changed.
    """

    registry: ElementRegistry
    alarm_writer: AlarmWriter
    connections: Connections
    threads: Executor
    address: tuple[str, int]
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    _port_names: dict[str, Mapping[int, str]] = field(default_factory=dict)
    _latest_uptime: dict[str, float] = field(default_factory=dict)
    _recent_event_ids: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _polls: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _queues: dict[str, _ElementQueue] = field(default_factory=dict)
    _reachability_changes: dict[str, bool] = field(default_factory=dict)

    def note_circuit_change(self, target: Target, unreachable: bool) -> None:  # noqa: FBT001
        """Queue the alarm of an element that became unreachable, or reachable again."""
        for one in self.registry.elements.values():
            if (one.target.name, one.target.address) == (target.name, target.address):
                self._reachability_changes[one.key] = unreachable
                self.wakeup.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Take notifications until ``stop`` is set."""
        pause, longest = RETRY_PAUSES
        while not stop.is_set():
            receiver = TrapReceiver(self.registry.senders, *self.address)
            try:
                async with receiver:
                    self.address = receiver.address
                    log.info("taking notifications at %s port %s", *receiver.address)
                    await self._run_tasks(receiver, stop)
            except OSError as error:
                log.error("cannot take notifications at %s port %s: %s", *self.address, error)
                await _wait(stop, pause)
                pause = min(2 * pause, longest)

    async def _run_tasks(self, receiver: TrapReceiver, stop: asyncio.Event) -> None:
        tasks = [
            asyncio.create_task(self._dispatch(receiver)),
            asyncio.create_task(self._refresh_elements(receiver, stop)),
        ]
        await stop.wait()
        lanes = [lane.task for lane in self._queues.values()]
        self._queues.clear()
        for task in [*tasks, *lanes, *self._polls.values()]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _refresh_elements(self, receiver: TrapReceiver, stop: asyncio.Event) -> None:
        told = 0
        while not stop.is_set():
            self.wakeup.clear()
            try:
                found = await self._run_in_thread(self.registry.read)
                for one in await self._run_in_thread(self.registry.trust, found):
                    self.poll(one)
                await self._retry_unreachable()
            except (Unavailable, Stale) as error:
                log.warning("the inventory cannot be read: %s", error)
            except Exception:
                log.exception("elements cannot be watched")
            lost = sum(receiver.counts[name] for name in ("refused", "malformed", "overflowed"))
            if lost > told:
                log.warning("notifications were not taken", extra=dict(receiver.counts))
                told = lost
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wakeup.wait(), REFRESH_INTERVAL)

    async def _retry_unreachable(self) -> None:
        """Write which elements do not answer; look at those that may be tried again."""
        for key, silent in list(self._reachability_changes.items()):
            if element := self.registry.elements.get(key):
                await self._run_in_thread(
                    partial(self.alarm_writer.record_unreachable, element, unreachable=silent)
                )
            if self._reachability_changes.get(key) == silent:
                del self._reachability_changes[key]
        for one in self.registry.elements.values():
            if self.connections.is_retry_due(one.target):
                self.poll(one)

    async def _dispatch(self, receiver: TrapReceiver) -> None:
        """Put each notification into its element's lane: a slow element delays no other."""
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
            pause, longest = RETRY_PAUSES
            while not await self._try_handle(received):
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)

    async def _try_handle(self, received: ReceivedNotification) -> bool:
        """Handle a notification; return False if it must be tried again."""
        try:
            await self._handle(received)
        except (Unavailable, Stale) as error:
            log.warning("a notification waits: %s", error)
            return False
        except Exception:
            log.exception("a notification cannot be handled")
        return True

    async def _handle(self, received: ReceivedNotification) -> None:
        one = received.notification
        element = self.registry.elements.get(one.element)
        if element is None:  # it left the inventory in this moment
            return
        if element.key not in self._port_names:
            await asyncio.wait({self.poll(element)})
        indexes = self._port_names.get(element.key, {})
        facts = report_from_notification(replace(one, element=element.target.name), indexes)
        if self._is_new(element, facts):
            async with self._queue_for(element.key).lock:
                await self._run_in_thread(self.alarm_writer.write_report, element, facts)
            self._remember(element, facts)
        received.acknowledge()
        if facts.needs_resync:
            self._port_names.pop(element.key, None)
            self.poll(element)

    def _is_new(self, element: Element, report: AlarmReport) -> bool:
        """Return whether a report is neither a repetition nor overtaken by a later one."""
        if f"{element.tenant}/{report.event_id}" in self._recent_event_ids:
            return False
        if report.uptime is None or report.needs_resync:
            return True
        latest = self._latest_uptime.get(f"{element.tenant}/{report.key}", 0.0)
        if late := 0 < latest - report.uptime < REORDERING_WINDOW:
            log.info("a late report is left out", extra={"problem": report.key})
        return not late

    def _remember(self, element: Element, report: AlarmReport) -> None:
        self._recent_event_ids[f"{element.tenant}/{report.event_id}"] = None
        if len(self._recent_event_ids) > DEDUPLICATION_SIZE:
            self._recent_event_ids.popitem(last=False)
        if report.needs_resync:  # the element's clock has started anew
            prefix = f"{element.tenant}/{report.element}/"
            self._latest_uptime = {
                k: v for k, v in self._latest_uptime.items() if not k.startswith(prefix)
            }
        if report.uptime is not None:
            self._latest_uptime[f"{element.tenant}/{report.key}"] = report.uptime

    def poll(self, element: Element) -> asyncio.Task[None]:
        """Begin to look at an element: its ports, and what is wrong with them now."""
        before = self._polls.get(element.key)
        if before is None or before.done():
            self._polls[element.key] = asyncio.create_task(self._poll(element))
        return self._polls[element.key]

    async def _poll(self, element: Element) -> None:
        try:
            async with asyncio.timeout(POLL_TIMEOUT), self._queue_for(element.key).lock:
                await self._resynchronise(element)
        except CircuitOpenError:  # its alarm says so
            log.debug("an element is left alone", extra={"at": element.target.name})
        except (ElementError, TimeoutError, Unavailable) as error:
            log.warning("cannot look at the element: %s", error, extra={"at": element.target.name})
        except Exception:
            log.exception("cannot look at the element", extra={"at": element.target.name})
        self._port_names.setdefault(element.key, {})

    async def _resynchronise(self, element: Element) -> None:
        async with self.connections.acquire(element.target) as adapter:
            seen = await adapter.inventory()
            numbered = [port for port in seen.ports if port.index.isdecimal()]
            self._port_names[element.key] = {int(port.index): port.name for port in numbered}
            await self._run_in_thread(
                partial(self.alarm_writer.record_unreachable, element, unreachable=False)
            )
            if base.CONDITIONS not in adapter.capabilities:
                return
            lasting = await adapter.active_conditions()
        await self._run_in_thread(self.alarm_writer.resynchronise, element, seen, lasting)

    async def _run_in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, partial(work, *arguments))


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
