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
from adapters.traps import Received, TrapReceiver
from adapters.values import Target
from tmf_apis.assurance.network import Element, Network
from tmf_apis.assurance.rules import AlarmFacts, of_notification
from tmf_apis.assurance.watching import Watching
from tmf_apis.elements.breaker import LeftAlone
from tmf_apis.elements.connections import Connections
from tmf_apis.errors import Stale, Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Pause between two looks at the inventory for elements, and at the counters, in seconds.
REFRESH = 10.0
#: First and longest pause while the database or the address is not to be had, in seconds.
PAUSES = (0.5, 10.0)
#: A report this much older than the last one of its problem was overtaken by it, in seconds; one
#: that is older still comes from an element that has started anew.
OVERTAKEN = 30.0
#: Reports remembered, so that one that was sent twice is not counted.
REMEMBERED = 10_000
#: Longest look at one element, in seconds; most reports of one element that wait.
LOOK, LANE = 30.0, 10_000


@dataclass(slots=True)
class _Lane:
    """The reports of one element, handled one after another."""

    queue: asyncio.Queue[Received]
    turn: asyncio.Lock
    task: asyncio.Task[None]


@dataclass(slots=True)
class Receiving:
    """Takes notifications until it is told to stop.

    Attributes:
        network: Who may report.
        watching: Writes what is reported.
        connections: Open adapters.
        threads: Where the database is waited for.
        address: Where notifications arrive; the port is known once it runs.
        news: Set when the inventory's elements may have changed.
    """

    network: Network
    watching: Watching
    connections: Connections
    threads: Executor
    address: tuple[str, int]
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _indexes: dict[str, Mapping[int, str]] = field(default_factory=dict)
    _latest: dict[str, float] = field(default_factory=dict)
    _repeats: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _looking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _silent: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connections.told = self._heard

    def _heard(self, target: Target, silent: bool) -> None:  # noqa: FBT001
        """Note that an element is left alone, or answers again; it is written down soon."""
        for one in self.network.elements.values():
            if (one.target.name, one.target.address) == (target.name, target.address):
                self._silent[one.key] = silent
                self.news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Take notifications until ``stop`` is set."""
        pause, longest = PAUSES
        while not stop.is_set():
            receiver = TrapReceiver(self.network.senders, *self.address)
            try:
                async with receiver:
                    self.address = receiver.address
                    log.info("taking notifications at %s port %s", *receiver.address)
                    await self._work(receiver, stop)
            except OSError as error:
                log.error(  # noqa: TRY400 - the address is taken or not ours: the text says all
                    "cannot take notifications at %s port %s: %s", *self.address, error
                )
                await _wait(stop, pause)
                pause = min(2 * pause, longest)

    async def _work(self, receiver: TrapReceiver, stop: asyncio.Event) -> None:
        tasks = [
            asyncio.create_task(self._sort(receiver)),
            asyncio.create_task(self._refresh(receiver, stop)),
        ]
        await stop.wait()
        lanes = [lane.task for lane in self._lanes.values()]
        self._lanes.clear()
        for task in [*tasks, *lanes, *self._looking.values()]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _refresh(self, receiver: TrapReceiver, stop: asyncio.Event) -> None:
        told = 0
        while not stop.is_set():
            self.news.clear()
            try:
                found = await self._in_thread(self.network.read)
                for one in await self._in_thread(self.network.trust, found):
                    self.look(one)
                await self._try_again()
            except (Unavailable, Stale) as error:
                log.warning("the inventory cannot be read: %s", error)
            except Exception:
                log.exception("elements cannot be watched")
            lost = sum(receiver.counted[name] for name in ("refused", "malformed", "overflowed"))
            if lost > told:
                log.warning("notifications were not taken", extra=dict(receiver.counted))
                told = lost
            with suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), REFRESH)

    async def _try_again(self) -> None:
        """Write which elements do not answer; look at those that may be tried again."""
        for key, silent in list(self._silent.items()):
            if element := self.network.elements.get(key):
                await self._in_thread(partial(self.watching.silence, element, silent=silent))
            if self._silent.get(key) == silent:
                del self._silent[key]
        for one in self.network.elements.values():
            if self.connections.due(one.target):
                self.look(one)

    async def _sort(self, receiver: TrapReceiver) -> None:
        """Put each notification into its element's lane: a slow element delays no other."""
        async for received in receiver:
            try:
                self._lane(received.notification.element).queue.put_nowait(received)
            except asyncio.QueueFull:
                receiver.counted["overflowed"] += 1

    def _lane(self, key: str) -> _Lane:
        if key not in self._lanes:
            queue: asyncio.Queue[Received] = asyncio.Queue(LANE)
            task = asyncio.create_task(self._follow(queue))
            self._lanes[key] = _Lane(queue, asyncio.Lock(), task)
        return self._lanes[key]

    async def _follow(self, queue: asyncio.Queue[Received]) -> None:
        while True:
            received = await queue.get()
            pause, longest = PAUSES
            while not await self._handled(received):
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)

    async def _handled(self, received: Received) -> bool:
        """Handle a notification; return False if it must be tried again."""
        try:
            await self._handle(received)
        except (Unavailable, Stale) as error:
            log.warning("a notification waits: %s", error)
            return False
        except Exception:
            log.exception("a notification cannot be handled")
        return True

    async def _handle(self, received: Received) -> None:
        one = received.notification
        element = self.network.elements.get(one.element)
        if element is None:  # it left the inventory in this moment
            return
        if element.key not in self._indexes:
            await asyncio.wait({self.look(element)})
        indexes = self._indexes.get(element.key, {})
        facts = of_notification(replace(one, element=element.target.name), indexes)
        if self._is_news(element, facts):
            async with self._lane(element.key).turn:
                await self._in_thread(self.watching.report, element, facts)
            self._remember(element, facts)
        received.acknowledge()
        if facts.resync:
            self._indexes.pop(element.key, None)
            self.look(element)

    def _is_news(self, element: Element, facts: AlarmFacts) -> bool:
        """Return whether a report is neither a repetition nor overtaken by a later one."""
        if f"{element.tenant}/{facts.repeat}" in self._repeats:
            return False
        if facts.uptime is None or facts.resync:
            return True
        latest = self._latest.get(f"{element.tenant}/{facts.key}", 0.0)
        if late := 0 < latest - facts.uptime < OVERTAKEN:
            log.info("a late report is left out", extra={"problem": facts.key})
        return not late

    def _remember(self, element: Element, facts: AlarmFacts) -> None:
        self._repeats[f"{element.tenant}/{facts.repeat}"] = None
        if len(self._repeats) > REMEMBERED:
            self._repeats.popitem(last=False)
        if facts.resync:  # the element's clock has started anew
            prefix = f"{element.tenant}/{facts.element}/"
            self._latest = {k: v for k, v in self._latest.items() if not k.startswith(prefix)}
        if facts.uptime is not None:
            self._latest[f"{element.tenant}/{facts.key}"] = facts.uptime

    def look(self, element: Element) -> asyncio.Task[None]:
        """Begin to look at an element: its ports, and what is wrong with them now."""
        before = self._looking.get(element.key)
        if before is None or before.done():
            self._looking[element.key] = asyncio.create_task(self._look(element))
        return self._looking[element.key]

    async def _look(self, element: Element) -> None:
        try:
            async with asyncio.timeout(LOOK), self._lane(element.key).turn:
                await self._compare(element)
        except LeftAlone:  # its alarm says so
            log.debug("an element is left alone", extra={"at": element.target.name})
        except (ElementError, TimeoutError, Unavailable) as error:
            log.warning("cannot look at the element: %s", error, extra={"at": element.target.name})
        except Exception:
            log.exception("cannot look at the element", extra={"at": element.target.name})
        self._indexes.setdefault(element.key, {})

    async def _compare(self, element: Element) -> None:
        async with self.connections.to(element.target) as adapter:
            seen = await adapter.inventory()
            numbered = [port for port in seen.ports if port.index.isdecimal()]
            self._indexes[element.key] = {int(port.index): port.name for port in numbered}
            await self._in_thread(partial(self.watching.silence, element, silent=False))
            if base.CONDITIONS not in adapter.capabilities:
                return
            lasting = await adapter.active_conditions()
        await self._in_thread(self.watching.compare, element, seen, lasting)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, partial(work, *arguments))


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
