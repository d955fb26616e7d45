"""An asynchronous NETCONF session: requests, replies and their errors."""

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
WRITABLE_RUNNING = "urn:ietf:params:netconf:capability:writable-running:"
CONFIRMED = "urn:ietf:params:netconf:capability:confirmed-commit:"
PERSIST = "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
NOTIFICATION = "urn:ietf:params:netconf:capability:notification:"
#: Number of unread notifications; the rest is dropped, and polling finds what they report.
NOTIFICATION_QUEUE_SIZE = 1000
#: Time to wait for the first reply before an empty request is sent, in seconds. netconfd 2.13 does
#: not process a request that it reads together with the hello until the next request arrives.
FIRST_REPLY_TIMEOUT = 1.0
#: Number of sessions that are opened or written to at the same time.
MAX_THREADS = 32


@cache
def _thread_pool() -> ThreadPoolExecutor:
    # not the executor of the loop, which elements that hang would block for other tasks
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="netconf")


class Session:
    """A session with one server; ``open_session`` creates it.

    Attributes:
        element: Name of the element.
        session_id: The session-id that the server assigned.
        capabilities: The capabilities of the server.
    """

    def __init__(self, element: str, link: NetconfLink, timeout: float) -> None:
        self.element = element
        self.session_id = int(link.session_id)
        self.capabilities: tuple[str, ...] = tuple(link.server_capabilities)
        self._link, self._timeout = link, timeout
        self._has_replied = False

    @property
    def is_lost(self) -> bool:
        """True if the session has ended."""
        return self._link.ended.is_set()

    def has_capability(self, capability: str) -> bool:
        """Return whether the server has a capability with this prefix."""
        return any(uri.startswith(capability) for uri in self.capabilities)

    @property
    def datastore(self) -> str:
        """The datastore to edit: "candidate", "running" without one, or empty: neither."""
        if self.has_capability(CANDIDATE):
            return "candidate"
        return "running" if self.has_capability(WRITABLE_RUNNING) else ""

    def close(self) -> None:
        """End the session; the server then releases its locks. Safe to repeat."""
        self._link.ended.set()
        try:
            _thread_pool().submit(self._link.close)  # it joins a thread of the library
        except RuntimeError:  # the interpreter is shutting down
            self._link.close()

    async def call(self, body: str) -> Element:
        """Send a request and return its reply.

        Args:
            body: Content of the <rpc> element.

        Raises:
            Conflict: The server refuses; the operation may succeed later.
            Rejected: The server refuses.
            Unreachable: There is no reply; the session is closed.
        """
        message_id = str(uuid4())
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._exchange(make_rpc(body, message_id))
        except TimeoutError as error:
            self.close()
            raise Unreachable(self.element, f"no reply within {self._timeout:g} s") from error
        except (NetconfClientException, LxmlError, OSError, EOFError) as error:
            self.close()
            raise Unreachable(self.element, f"the session was lost: {error!r}") from error
        except BaseException:
            self.close()  # a late reply must not be read as that of the next request
            raise
        self._check_reply(reply, message_id)
        return reply

    def _check_reply(self, reply: Element, message_id: str) -> None:
        if reply.getroottree().docinfo.doctype:
            self.close()
            raise Unreachable(self.element, "it sends a document type, which NETCONF forbids")
        if reply.get("message-id", message_id) != message_id:
            self.close()
            raise Unreachable(
                self.element, "the message-id of its reply is not that of the request"
            )
        if errors := reply_errors(reply):
            raise element_error(self.element, errors)

    async def _exchange(self, message: bytes) -> Element:
        loop = asyncio.get_running_loop()
        future: Future[Any] = await loop.run_in_executor(
            _thread_pool(), self._link.send_rpc, message
        )
        if self.is_lost:
            self._link.close()  # the session ended before the library registered this request
        response = asyncio.wrap_future(future)
        response.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not self._has_replied:
            await asyncio.wait({response}, timeout=FIRST_REPLY_TIMEOUT)
            if not response.done():
                empty = make_rpc('<get><filter type="subtree"/></get>', str(uuid4()))
                await loop.run_in_executor(_thread_pool(), self._link.send_rpc, empty)
        try:
            _, reply = await asyncio.shield(response)
        except RpcError as error:
            return error.reply_ele
        finally:
            self._has_replied = True
        return reply

    async def read(self, operation: str, *filters: str) -> Element:
        """Return the data of a <get>, or of a <get-config> of the running configuration.

        Args:
            operation: "get" or "get-config".
            filters: Subtrees to read.

        Raises:
            Rejected: The server refuses.
            Unreachable: There is no reply, or a reply without data.
        """
        source = "<source><running/></source>" if operation == "get-config" else ""
        subtree = f'<filter type="subtree">{"".join(filters)}</filter>'
        reply = await self.call(f"<{operation}>{source}{subtree}</{operation}>")
        data = reply.find(f"{{{BASE_NAMESPACE}}}data")
        if data is None:
            raise Unreachable(self.element, "the reply has no data")
        return data

    async def subscribe(self) -> "asyncio.Queue[Element | None]":
        """Subscribe to notifications and return their queue; None marks the end of the session."""
        loop = asyncio.get_running_loop()
        queue = asyncio.Queue[Element | None](NOTIFICATION_QUEUE_SIZE)
        self._link.notifications = _NotificationQueue(loop, queue)
        self._link.on_end = lambda: _put_threadsafe(loop, queue, None)
        space = "urn:ietf:params:xml:ns:netconf:notification:1.0"
        await self.call(f'<create-subscription xmlns="{space}"/>')
        return queue


class _NotificationQueue:
    """A replacement for the queue of the library that passes notifications to an event loop."""

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
            queue.get_nowait()  # make room: the end must not be dropped
        with suppress(asyncio.QueueFull):
            queue.put_nowait(item)

    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(put)


async def open_session(
    element: str, endpoint: tuple[str, int], identity: Identity, reply_timeout: float
) -> Session:
    """Open a session.

    Args:
        element: Name of the element.
        endpoint: Host and port.
        identity: Credentials and accepted host keys.
        reply_timeout: Longest wait for one reply, in seconds.

    Raises:
        Unreachable: There is no NETCONF server at the endpoint.
        Rejected: The server refuses the credentials.
        Misconfigured: The host key is not one of those that are accepted.
    """
    link = await _run_in_thread(
        lambda: connect(element, endpoint, identity, reply_timeout), NetconfLink.close
    )
    return Session(element, link, reply_timeout)


async def _run_in_thread(
    create: Callable[[], ResultT], discard: Callable[[ResultT], object]
) -> ResultT:
    """Create an object in a thread; discard it if the caller was cancelled meanwhile."""
    future = asyncio.get_running_loop().run_in_executor(_thread_pool(), create)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:

        def discard_result(created: "asyncio.Future[ResultT]") -> None:
            if not created.cancelled() and created.exception() is None:
                discard(created.result())

        future.add_done_callback(discard_result)
        raise
