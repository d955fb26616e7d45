"""One attempt to deliver: signed, bounded in time and in what is read, never redirected."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore

from tmf_apis.errors import InvalidBody
from tmf_apis.events.delivery_queue import Attempt
from tmf_apis.events.signatures import signature
from tmf_apis.security.outbound import OutboundPolicy, parse_url

#: Most bytes of an answer's body that are read.
MAX_RESPONSE_BYTES = 4096
#: Longest delay that a subscriber may ask for, as text.
MAX_RETRY_AFTER_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Where and how to send.

    Attributes:
        url: What is called.
        key: Key of its signature.
        pool: Its connections, shared with nobody else's.
    """

    url: str
    key: str
    pool: httpcore.AsyncConnectionPool


async def send(
    subscriber: Subscriber, payload: bytes, policy: OutboundPolicy, attempt_timeout: float
) -> Attempt:
    """Try to deliver once.

    Args:
        subscriber: Where to.
        payload: The body.
        policy: Where the server may be sent; asked again at each attempt.
        attempt_timeout: Longest time for everything together, in seconds.
    """
    began = time.monotonic()
    status: int | None = None
    wait = 0.0
    try:
        parse_url(subscriber.url, policy)
        async with asyncio.timeout(attempt_timeout):
            status, wait = await _post(subscriber, payload, attempt_timeout)
        error = "" if 200 <= status < 300 else _status_error(status)  # noqa: PLR2004
    except TimeoutError:
        error = f"no complete answer within {attempt_timeout:g} s"
    except InvalidBody as refusal:
        error = refusal.message
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    except (OSError, httpcore.UnsupportedProtocol, ValueError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    return Attempt(not error, status, error, time.monotonic() - began, wait)


async def _post(
    subscriber: Subscriber, payload: bytes, attempt_timeout: float
) -> tuple[int, float]:
    headers: list[tuple[bytes | str, bytes | str]] = [
        ("Host", _authority(subscriber.url)),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(payload))),
        ("Accept", "*/*"),
        ("User-Agent", "tmf-apis"),
        ("X-TMF-Signature", signature(subscriber.key, int(time.time()), payload)),
    ]
    steps = dict.fromkeys(("connect", "read", "write", "pool"), attempt_timeout)
    async with subscriber.pool.stream(
        "POST", subscriber.url, headers=headers, content=payload, extensions={"timeout": steps}
    ) as response:
        told = {name.lower(): value for name, value in response.headers}
        wait = _retry_after(told.get(b"retry-after"))
        size = 0
        async for chunk in response.aiter_stream():
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                break
        return response.status, wait


def _authority(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].partition("?")[0]


def _status_error(status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _retry_after(value: bytes | None) -> float:
    """Return a ``Retry-After`` in seconds; 0 where there is none that makes sense.

    >>> _retry_after(b"120"), _retry_after(b"soon")
    (120.0, 0.0)
    """
    text = (value or b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:MAX_RETRY_AFTER_DIGITS])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
