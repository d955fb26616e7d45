"""One NETCONF session, asynchronous: a request, its reply, what it means."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

from lxml.etree import LxmlError
from lxml.etree import _Element as Element
from netconf_client.error import NetconfClientException, RpcError
from netconf_client.rpc import make_rpc

from adapters.errors import Unreachable
from adapters.netconf.identity import Identity
from adapters.netconf.refusals import BASE, failure, refusals
from adapters.netconf.wire import Link, connect

Found = TypeVar("Found")

CANDIDATE = "urn:ietf:params:netconf:capability:candidate:"
CONFIRMED = "urn:ietf:params:netconf:capability:confirmed-commit:"
PERSIST = "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
NOTIFICATION = "urn:ietf:params:netconf:capability:notification:"
#: Notifications that wait for us; what is beyond is found by looking.
QUEUE = 1000
#: Seconds after which a server is helped to see the first request; netconfd (2.13) leaves one that
#: it reads together with the hello lying until another one comes.
NUDGE = 1.0
#: Sessions that are opened or written to at the same moment.
THREADS = 32


@cache
def _threads() -> ThreadPoolExecutor:
    # Not the loop's own: elements that hang would take it from everybody else.
    return ThreadPoolExecutor(THREADS, thread_name_prefix="netconf")


class Session:
    """A session with one server; ``open_session`` makes one.

    Attributes:
        element: Name of the element.
        number: The server's number for the session.
        capabilities: What the server says it can do.
    """

    def __init__(self, element: str, link: Link, timeout: float) -> None:
        self.element = element
        self.number = int(link.session_id)
        self.capabilities: tuple[str, ...] = tuple(filter(None, link.server_capabilities))
        self._link, self._timeout = link, timeout
        self._heard = False

    @property
    def lost(self) -> bool:
        """Whether it is of no use any more."""
        return self._link.lost.is_set()

    def can(self, capability: str) -> bool:
        """Whether the server has a capability that begins so."""
        return any(one.startswith(capability) for one in self.capabilities)

    def close(self) -> None:
        """End it; the server gives back its locks. May be called twice."""
        self._link.lost.set()
        try:
            _threads().submit(self._link.close)  # it waits for a thread of the library's
        except RuntimeError:  # the interpreter ends
            self._link.close()

    async def call(self, body: str, *, patience: float = 0) -> Element:
        """Send a request and return its reply.

        Args:
            body: What stands inside <rpc>.
            patience: Seconds that the server may need beyond the usual.

        Raises:
            Conflict, Rejected: The server refuses.
            Unreachable: There is no reply, and the session is closed.
        """
        number = str(uuid4())
        try:
            async with asyncio.timeout(self._timeout + patience):
                reply = await self._exchange(make_rpc(body, number))
        except TimeoutError as error:
            self.close()
            text = f"no reply within {self._timeout + patience:g} s"
            raise Unreachable(self.element, text) from error
        except (NetconfClientException, LxmlError, OSError, EOFError) as error:
            self.close()
            raise Unreachable(self.element, f"the session was lost: {error!r}") from error
        except BaseException:
            self.close()  # its reply would be taken for the next one's
            raise
        self._examine(reply, number)
        return reply

    def _examine(self, reply: Element, number: str) -> None:
        if reply.getroottree().docinfo.doctype:
            self.close()
            raise Unreachable(self.element, "it sends a document type, which NETCONF forbids")
        if reply.get("message-id", number) != number:
            self.close()
            raise Unreachable(self.element, "it answers another question than the one asked")
        if found := refusals(reply):
            raise failure(self.element, found)

    async def _exchange(self, message: bytes) -> Element:
        loop = asyncio.get_running_loop()
        future: Future[Any] = await loop.run_in_executor(_threads(), self._link.send_rpc, message)
        if self.lost:
            self._link.close()  # it ended before the library knew of this request
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not self._heard and not (await asyncio.wait({waiting}, timeout=NUDGE))[0]:
            nothing = make_rpc('<get><filter type="subtree"/></get>', str(uuid4()))
            await loop.run_in_executor(_threads(), self._link.send_rpc, nothing)
        try:
            _, reply = await asyncio.shield(waiting)
        except RpcError as error:
            return error.reply_ele
        finally:
            self._heard = True
        return reply

    async def read(self, operation: str, *filters: str) -> Element:
        """Return the data of a <get> or <get-config> of running.

        Args:
            operation: "get" or "get-config".
            filters: Subtrees to read.
        """
        source = "<source><running/></source>" if operation == "get-config" else ""
        subtree = f'<filter type="subtree">{"".join(filters)}</filter>'
        reply = await self.call(f"<{operation}>{source}{subtree}</{operation}>")
        data = reply.find(f"{{{BASE}}}data")
        if data is None:
            raise Unreachable(self.element, "a reply without data")
        return data

    async def subscribe(self) -> "asyncio.Queue[Element | None]":
        """Ask for notifications and return where they arrive; None is the end."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Element | None](QUEUE)
        self._link.notifications = _Bridge(loop, queue)
        self._link.on_end = lambda: _into(loop, queue, None)
        space = "urn:ietf:params:xml:ns:netconf:notification:1.0"
        await self.call(f'<create-subscription xmlns="{space}"/>')
        return queue


class _Bridge:
    """The library's queue of notifications, led into our event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[Element | None]"
    ) -> None:
        self._loop, self._queue = loop, queue

    def put(self, item: tuple[bytes, Element]) -> None:
        _into(self._loop, self._queue, item[1])


def _into(
    loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[Element | None]", item: Element | None
) -> None:
    def put() -> None:
        if item is None and queue.full():
            queue.get_nowait()  # the end must be heard
        with suppress(asyncio.QueueFull):
            queue.put_nowait(item)

    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(put)


async def open_session(
    element: str, endpoint: tuple[str, int], identity: Identity, patience: float
) -> Session:
    """Open a session.

    Args:
        element: Name of the element.
        endpoint: Host and port.
        identity: Who we are and whom we expect.
        patience: Longest wait for one answer, in seconds.

    Raises:
        Unreachable, Rejected, Misconfigured: As ``wire.connect``.
    """
    link = await _kept(lambda: connect(element, endpoint, identity, patience), Link.close)
    return Session(element, link, patience)


async def _kept(make: Callable[[], Found], discard: Callable[[Found], object]) -> Found:
    """Run something in a thread; what it makes for nobody any more is discarded."""
    future = asyncio.get_running_loop().run_in_executor(_threads(), make)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:

        def done(made: "asyncio.Future[Found]") -> None:
            if not made.cancelled() and made.exception() is None:
                discard(made.result())

        future.add_done_callback(done)
        raise
