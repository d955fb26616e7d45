"""Load generator with little overhead: keep-alive connections over asyncio streams."""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: In a body, it stands for eight digits that differ in each request.
NUMBER = "@number@"


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """A kind of request.

    Attributes:
        method: HTTP method.
        paths: Paths with query strings, used in turn.
        body: Body of each request, which can contain ``NUMBER``; empty: none.
        headers: Further header lines, each with its line end.
    """

    method: str
    paths: list[str]
    body: str = ""
    headers: str = ""


def _encoded_requests(template: RequestTemplate, port: int, first: int) -> Iterator[bytes]:
    body = template.body.encode()
    length = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if body else ""
    paths = template.paths[first:] + template.paths[:first]
    numbers = itertools.count(time.time_ns() // 1000)
    for path, number in zip(itertools.cycle(paths), numbers, strict=False):
        request_line = f"{template.method} {path} HTTP/1.1\r\n"
        head = f"{request_line}Host: 127.0.0.1:{port}\r\n{template.headers}{length}\r\n"
        yield head.encode() + body.replace(NUMBER.encode(), b"%08d" % (number % 10**8))


async def send_requests(  # noqa: PLR0913
    port: int,
    template: RequestTemplate,
    is_over: Callable[[], bool],
    times: list[float],
    error_statuses: list[int],
    *,
    pause: float = 0.0,
    first: int = 0,
) -> None:
    """Send requests over one connection, one after another.

    Args:
        port: The port of the server on this machine.
        template: The requests.
        is_over: Called before each request; True ends the function.
        times: Receives the latency of each request, in seconds.
        error_statuses: Receives each status other than 2xx.
        pause: Time between two requests, in seconds.
        first: Index of the first path.
    """
    requests = _encoded_requests(template, port, first)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    while not is_over():
        started = time.perf_counter()
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        start = lower.find(b"content-length:")
        length = int(lower[start + 15 : lower.index(b"\r\n", start)]) if start >= 0 else 0
        if length:
            await reader.readexactly(length)
        times.append(time.perf_counter() - started)
        if head[9:10] != b"2":
            error_statuses.append(int(head[9:12]))
        if pause:
            await asyncio.sleep(pause)
    writer.close()


async def run_load(
    port: int, template: RequestTemplate, seconds: float, connections: int
) -> dict[str, object]:
    """Send requests; return count, seconds, latencies in ms, and the statuses other than 2xx.

    Each connection begins with another path, so that few requests are for the same resource.
    """
    times: list[float] = []
    error_statuses: list[int] = []
    started = time.perf_counter()
    end = started + seconds

    def is_over() -> bool:
        return time.perf_counter() >= end

    await asyncio.gather(
        *(
            send_requests(
                port, template, is_over, times, error_statuses,
                first=number * len(template.paths) // connections,
            )
            for number in range(connections)
        )
    )  # fmt: skip
    duration = time.perf_counter() - started
    times.sort()
    return {
        "count": len(times),
        "seconds": duration,
        "p50": 1000 * times[len(times) // 2],
        "p99": 1000 * times[int(len(times) * 0.99)],
        "errors": sorted(set(error_statuses)),
    }


if __name__ == "__main__":
    task = json.loads(sys.stdin.read())
    result = asyncio.run(
        run_load(
            task["port"], RequestTemplate(**task["template"]), task["seconds"], task["connections"]
        )
    )
    print(json.dumps(result))
