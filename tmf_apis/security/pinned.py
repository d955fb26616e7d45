"""HTTP connections that go only where the guard permits, to the very address it checked.

The host stays in the URL, so ``Host``, SNI and the certificate check are those of the name; only
the connection is made to the checked address. No proxy, no cookies, redirects never followed.
"""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import httpcore
import httpx

from tmf_apis.errors import InvalidBody
from tmf_apis.security.addresses import Address
from tmf_apis.security.outbound import Policy, addresses_of, check, permitted


class AsyncPinned(httpcore.AsyncNetworkBackend):
    """Connects, asynchronously, to addresses that the policy permits."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first checked address of a host that answers.

        Raises:
            httpcore.ConnectError: None answers, or one of them is refused.
        """
        failure: Exception = httpcore.ConnectError(f"host {host} does not resolve")
        for address in _checked(host, await addresses_of(host), self._policy):
            try:
                return await self._plain.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Sleep, as httpcore asks between its own tries."""
        await self._plain.sleep(seconds)


class Pinned(httpcore.NetworkBackend):
    """Connects to addresses that the policy permits."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first checked address of a host that answers.

        Raises:
            httpcore.ConnectError: None answers, or one of them is refused.
        """
        shown = f"[{host}]" if ":" in host else host
        try:
            target = check(
                f"http://{shown}", loopback=self._policy.loopback, hosts=self._policy.hosts
            )
        except InvalidBody as error:
            raise httpcore.ConnectError(error.message) from None
        failure: Exception = httpcore.ConnectError(f"host {host} does not resolve")
        for address in target.addresses:
            try:
                return self._plain.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


def _checked(host: str, found: Iterable[Address], policy: Policy) -> tuple[str, ...]:
    try:
        return permitted(host, found, policy)
    except InvalidBody as error:
        raise httpcore.ConnectError(error.message) from None


@cache
def certificates() -> ssl.SSLContext:
    """Return the trust store, loaded once: it takes tens of milliseconds."""
    return httpx.create_ssl_context()


def async_pool(policy: Policy, *, connections: int) -> httpcore.AsyncConnectionPool:
    """Return a pool of kept-alive connections, at most ``connections`` at once."""
    return httpcore.AsyncConnectionPool(
        ssl_context=certificates(),
        max_connections=connections,
        keepalive_expiry=3.0,  # many servers close after five
        network_backend=AsyncPinned(policy),
    )


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.TransportError(str(error)) from error


class _Body(httpx.SyncByteStream):
    """A response's body, read in pieces."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class Transport(httpx.BaseTransport):
    """What ``httpx.Client`` sends through, so that every connection is checked and pinned."""

    def __init__(self, policy: Policy) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=certificates(), max_connections=4, network_backend=Pinned(policy)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; httpcore's errors leave as httpx's."""
        content = request.stream
        inner = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=content if isinstance(content, httpx.SyncByteStream) else None,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = self._pool.handle_request(inner)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def client(policy: Policy, *, patience: float) -> httpx.Client:
    """Return a client for URLs that others name (job files).

    Args:
        policy: Where it may go.
        patience: Longest wait for each step (connect, read, write), in seconds; the whole time
            is the caller's to watch while it reads the stream.
    """
    return httpx.Client(
        transport=Transport(policy), follow_redirects=False, trust_env=False, timeout=patience
    )
