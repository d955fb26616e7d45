"""A load generator that costs little: keep-alive connections over plain asyncio streams."""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """One kind of request.

    Attributes:
        method: GET, POST or PATCH.
        paths: Paths with their queries, taken in turn.
        body: The body of each, or nothing.
        headers: Further header lines.
    """

    method: str
    paths: list[str]
    body: str = ""
    headers: str = ""


def _encoded_requests(template: RequestTemplate, port: int) -> Iterator[bytes]:
    body = template.body.encode()
    length = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if body else ""
    for path in itertools.cycle(template.paths):
        head = f"{template.method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{template.headers}{length}\r\n"
        yield head.encode() + body


async def _send_requests(
    port: int, requests: Iterator[bytes], end: float, times: list[float], error_statuses: list[int]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    while time.perf_counter() < end:
        started = time.perf_counter()
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        place = lower.find(b"content-length:")
        length = int(lower[place + 15 : lower.index(b"\r\n", place)]) if place >= 0 else 0
        if length:
            await reader.readexactly(length)
        times.append(time.perf_counter() - started)
        if head[9:10] != b"2":
            error_statuses.append(int(head[9:12]))
    writer.close()


async def run_load(
    port: int, template: RequestTemplate, seconds: float, connections: int
) -> dict[str, object]:
    """Return count, seconds, latencies in milliseconds and the statuses that were not 2xx."""
    times: list[float] = []
    bad: list[int] = []
    requests = _encoded_requests(template, port)
    started = time.perf_counter()
    end = started + seconds
    await asyncio.gather(
        *(_send_requests(port, requests, end, times, bad) for _ in range(connections))
    )
    took = time.perf_counter() - started
    times.sort()
    return {
        "count": len(times),
        "seconds": took,
        "p50": 1000 * times[len(times) // 2],
        "p99": 1000 * times[int(len(times) * 0.99)],
        "bad": sorted(set(bad)),
    }


if __name__ == "__main__":
    task = json.loads(sys.stdin.read())
    result = asyncio.run(
        run_load(
            task["port"], RequestTemplate(**task["shot"]), task["seconds"], task["connections"]
        )
    )
    print(json.dumps(result))
