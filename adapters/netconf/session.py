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
from adapters.netconf.rpc_errors import BASE_NAMESPACE, element_error, reply_errors
from adapters.netconf.transport import NetconfLink, connect

ResultT = TypeVar("ResultT")

CANDIDATE = "urn:ietf:params:netconf:capability:candidate:"
CONFIRMED = "urn:ietf:params:netconf:capability:confirmed-commit:"
PERSIST = "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
NOTIFICATION = "urn:ietf:params:netconf:capability:notification:"
#: Notifications that wait for us; what is beyond is found by looking.
NOTIFICATION_QUEUE_SIZE = 1000
#: Seconds after which a server is helped to see the first request; netconfd (2.13) leaves one that
#: it reads together with the hello lying until another one comes.
FIRST_REPLY_TIMEOUT = 1.0
#: Sessions that are opened or written to at the same moment.
MAX_THREADS = 32


@cache
def _thread_pool() -> ThreadPoolExecutor:
    # Not the loop's own: elements that hang would take it from everybody else.
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="netconf")


class Session:
    """A session with one server; ``open_session`` makes one.

    Attributes:
        element: Name of the element.
        session_id: The server's number for the session.
        capabilities: What the server says it can do.
    """

    def __init__(self, element: str, link: NetconfLink, timeout: float) -> None:
        self.element = element
        self.session_id = int(link.session_id)
        self.capabilities: tuple[str, ...] = tuple(filter(None, link.server_capabilities))
        self._link, self._timeout = link, timeout
        self._has_replied = False

    @property
    def is_lost(self) -> bool:
        """Whether it is of no use any more."""
        return self._link.ended.is_set()

    def has_capability(self, capability: str) -> bool:
        """Whether the server has a capability that begins so."""
        return any(one.startswith(capability) for one in self.capabilities)

    def close(self) -> None:
        """End it; the server gives back its locks. May be called twice."""
        self._link.ended.set()
        try:
            _thread_pool().submit(self._link.close)  # it waits for a thread of the library's
        except RuntimeError:  # the interpreter ends
            self._link.close()

    async def call(self, body: str, *, extra_timeout: float = 0) -> Element:
        """Send a request and return its reply.

        Args:
            body: What stands inside <rpc>.
            extra_timeout: Seconds that the server may need beyond the usual.

        Raises:
            Conflict, Rejected: The server refuses.
            Unreachable: There is no reply, and the session is closed.
        """
        number = str(uuid4())
        try:
            async with asyncio.timeout(self._timeout + extra_timeout):
                reply = await self._exchange(make_rpc(body, number))
        except TimeoutError as error:
            self.close()
            text = f"no reply within {self._timeout + extra_timeout:g} s"
            raise Unreachable(self.element, text) from error
        except (NetconfClientException, LxmlError, OSError, EOFError) as error:
            self.close()
            raise Unreachable(self.element, f"the session was lost: {error!r}") from error
        except BaseException:
            self.close()  # its reply would be taken for the next one's
            raise
        self._check_reply(reply, number)
        return reply

    def _check_reply(self, reply: Element, message_id: str) -> None:
        if reply.getroottree().docinfo.doctype:
            self.close()
            raise Unreachable(self.element, "it sends a document type, which NETCONF forbids")
        if reply.get("message-id", message_id) != message_id:
            self.close()
            raise Unreachable(self.element, "it answers another question than the one asked")
        if found := reply_errors(reply):
            raise element_error(self.element, found)

    async def _exchange(self, message: bytes) -> Element:
        loop = asyncio.get_running_loop()
        future: Future[Any] = await loop.run_in_executor(
            _thread_pool(), self._link.send_rpc, message
        )
        if self.is_lost:
            self._link.close()  # it ended before the library knew of this request
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        if (
            not self._has_replied
            and not (await asyncio.wait({waiting}, timeout=FIRST_REPLY_TIMEOUT))[0]
        ):
            nothing = make_rpc('<get><filter type="subtree"/></get>', str(uuid4()))
            await loop.run_in_executor(_thread_pool(), self._link.send_rpc, nothing)
        try:
            _, reply = await asyncio.shield(waiting)
        except RpcError as error:
            return error.reply_ele
        finally:
            self._has_replied = True
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
        data = reply.find(f"{{{BASE_NAMESPACE}}}data")
        if data is None:
            raise Unreachable(self.element, "a reply without data")
        return data

    async def subscribe(self) -> "asyncio.Queue[Element | None]":
        """Ask for notifications and return where they arrive; None is the end."""
        loop, queue = (
            asyncio.get_running_loop(),
            asyncio.Queue[Element | None](NOTIFICATION_QUEUE_SIZE),
        )
        self._link.notifications = _NotificationQueue(loop, queue)
        self._link.on_end = lambda: _put_threadsafe(loop, queue, None)
        space = "urn:ietf:params:xml:ns:netconf:notification:1.0"
        await self.call(f'<create-subscription xmlns="{space}"/>')
        return queue


class _NotificationQueue:
    """The library's queue of notifications, led into our event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[Element | None]"
    ) -> None:
        self._loop, self._queue = loop, queue

    def put(self, item: tuple[bytes, Element]) -> None:
        _put_threadsafe(self._loop, self._queue, item[1])


def _put_threadsafe(
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
    element: str, endpoint: tuple[str, int], identity: Identity, timeout: float
) -> Session:
    """Open a session.

    Args:
        element: Name of the element.
        endpoint: Host and port.
        identity: Who we are and whom we expect.
        timeout: Longest wait for one answer, in seconds.

    Raises:
        Unreachable, Rejected, Misconfigured: As ``wire.connect``.
    """
    link = await _run_in_thread(
        lambda: connect(element, endpoint, identity, timeout), NetconfLink.close
    )
    return Session(element, link, timeout)


async def _run_in_thread(
    create: Callable[[], ResultT], discard: Callable[[ResultT], object]
) -> ResultT:
    """Run something in a thread; what it makes for nobody any more is discarded."""
    future = asyncio.get_running_loop().run_in_executor(_thread_pool(), create)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:

        def done(made: "asyncio.Future[ResultT]") -> None:
            if not made.cancelled() and made.exception() is None:
                discard(made.result())

        future.add_done_callback(done)
        raise
