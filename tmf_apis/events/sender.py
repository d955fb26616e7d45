"""One attempt to deliver: signed, limited in time and response size, without redirects."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore

from tmf_apis.errors import InvalidBody
from tmf_apis.events.delivery_queue import Attempt
from tmf_apis.events.signatures import SENDER_HEADER, signature
from tmf_apis.security.outbound import OutboundPolicy, parse_url

#: Most bytes of a response body that are read.
MAX_RESPONSE_BYTES = 4096
#: Most digits of a ``Retry-After`` that are read.
MAX_RETRY_AFTER_DIGITS = 9
#: Exceptions that end an attempt.
SEND_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The receiver of deliveries.

    Attributes:
        url: The callback URL.
        key: Key of the signature.
        sender: Identity of the sending server.
        pool: The connections of this subscriber alone.
    """

    url: str
    key: str
    sender: str
    pool: httpcore.AsyncConnectionPool


async def send(
    subscriber: Subscriber,
    payload: bytes,
    policy: OutboundPolicy,
    attempt_timeout: float,
    trace: str = "",
) -> Attempt:
    """Send a payload to a subscriber once.

    Args:
        subscriber: The receiver.
        payload: The request body.
        policy: Hosts that callbacks may have; checked again at each attempt.
        attempt_timeout: Time limit of the whole attempt, in seconds.
        trace: The ``traceparent`` to send; empty: none.
    """
    started = time.monotonic()
    status: int | None = None
    retry_after = 0.0
    try:
        url = parse_url(subscriber.url, policy).url
        async with asyncio.timeout(attempt_timeout):
            status, retry_after = await _post(subscriber, url, payload, attempt_timeout, trace)
        error = "" if 200 <= status < 300 else _status_error(status)  # noqa: PLR2004
    except TimeoutError:
        error = f"no complete answer within {attempt_timeout:g} s"
    except InvalidBody as refusal:
        error = refusal.message
    except SEND_ERRORS as failure:
        error = f"{type(failure).__name__}: {failure}"
    return Attempt(not error, status, error, time.monotonic() - started, retry_after)


async def _post(
    subscriber: Subscriber, url: str, payload: bytes, attempt_timeout: float, trace: str
) -> tuple[int, float]:
    headers: list[tuple[bytes | str, bytes | str]] = [
        ("Host", _authority(url)),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(payload))),
        ("Accept", "*/*"),
        ("User-Agent", "tmf-apis"),
        (SENDER_HEADER, subscriber.sender),
        ("X-TMF-Signature", signature(subscriber.key, int(time.time()), payload)),
    ]
    if trace:
        headers.append(("traceparent", trace))
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), attempt_timeout)
    async with subscriber.pool.stream(
        "POST", url, headers=headers, content=payload, extensions={"timeout": timeouts}
    ) as response:
        response_headers = {name.lower(): value for name, value in response.headers}
        retry_after = _retry_after(response_headers.get(b"retry-after"))
        size = 0
        async for chunk in response.aiter_stream():
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                break
        return response.status, retry_after


def _authority(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].partition("?")[0]


def _status_error(status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _retry_after(value: bytes | None) -> float:
    """Return a ``Retry-After`` in seconds; 0 if it is absent or invalid.

    >>> _retry_after(b"120"), _retry_after(b"soon")
    (120.0, 0.0)
    """
    text = (value or b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:MAX_RETRY_AFTER_DIGITS])
    try:
        time_of_retry = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if not time_of_retry.tzinfo:
        time_of_retry = time_of_retry.replace(tzinfo=UTC)
    return max(0.0, (time_of_retry - datetime.now(UTC)).total_seconds())
