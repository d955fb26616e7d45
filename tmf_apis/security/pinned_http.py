"""HTTP connections to permitted hosts, pinned to the addresses that were checked.

The URL keeps the host name, so ``Host``, SNI and the certificate check use the name; only the
connection is made to the checked address. There are no proxies and no cookies, and redirects are
not followed.
"""

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import httpcore
import httpx

from tmf_apis.errors import InvalidBody
from tmf_apis.security.outbound import (
    OutboundPolicy,
    check_addresses,
    check_url,
    resolve_host_async,
)


class AsyncPinnedBackend(httpcore.AsyncNetworkBackend):
    """An asynchronous network backend that connects to permitted addresses only."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that accepts the connection.

        Raises:
            httpcore.ConnectError: No address accepts it, or the policy forbids one of them.
        """
        failure: Exception = httpcore.ConnectError(f"host {host} does not resolve")
        for address in await self._permitted_addresses(host, port):
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _permitted_addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses of a host; raise ``httpcore.ConnectError`` if one is forbidden."""
        check = partial(check_addresses, host, port, await resolve_host_async(host), self._policy)
        try:
            if self._policy.own.has_port(port):  # the check resolves the names of this server
                return await asyncio.to_thread(check)
            return check()
        except InvalidBody as error:
            raise httpcore.ConnectError(error.message) from None

    async def sleep(self, seconds: float) -> None:
        """Sleep between two attempts of httpcore."""
        await self._backend.sleep(seconds)


class PinnedBackend(httpcore.NetworkBackend):
    """A network backend that connects to permitted addresses only."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that accepts the connection.

        Raises:
            httpcore.ConnectError: No address accepts it, or the policy forbids one of them.
        """
        try:
            netloc = f"[{host}]" if ":" in host else host
            target = check_url(f"http://{netloc}:{port}", self._policy)
        except InvalidBody as error:
            raise httpcore.ConnectError(error.message) from None
        failure: Exception = httpcore.ConnectError(f"host {host} does not resolve")
        for address in target.addresses:
            try:
                return self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


@cache
def trust_store() -> ssl.SSLContext:
    """Return the trust store; it is loaded once, because that takes tens of milliseconds."""
    return httpx.create_ssl_context()


def async_connection_pool(
    policy: OutboundPolicy, *, max_connections: int
) -> httpcore.AsyncConnectionPool:
    """Return a pool of persistent connections, at most ``max_connections`` at a time."""
    return httpcore.AsyncConnectionPool(
        ssl_context=trust_store(),
        max_connections=max_connections,
        keepalive_expiry=3.0,  # many servers close idle connections after 5 s
        network_backend=AsyncPinnedBackend(policy),
    )


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise httpx's errors instead of httpcore's."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.TransportError(str(error)) from error


class _ResponseStream(httpx.SyncByteStream):
    """A response body that is read in chunks."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translate_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class PinnedTransport(httpx.BaseTransport):
    """A transport of ``httpx.Client`` whose connections are checked and pinned."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust_store(), max_connections=4, network_backend=PinnedBackend(policy)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raise httpx's errors instead of httpcore's."""
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
        with _translate_errors():
            response = self._pool.handle_request(inner)
        return httpx.Response(
            response.status, headers=response.headers, stream=_ResponseStream(response)
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def pinned_client(policy: OutboundPolicy, *, timeout: float) -> httpx.Client:
    """Return a client for URLs from clients (files of jobs).

    Args:
        policy: The permitted hosts.
        timeout: Time limit of each step (connect, read, write), in seconds. The caller must limit
            the total time while it reads the stream.
    """
    return httpx.Client(
        transport=PinnedTransport(policy), follow_redirects=False, trust_env=False, timeout=timeout
    )
