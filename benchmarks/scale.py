"""What must not grow with the data: a page deep in a list, and a list of many resources.

``python -m benchmarks.scale``: page 1,000 by cursor beside page 1, and the list of 100 from a
million stored beside the one from a thousand; medians of single requests, taken in turn. Start-up
and memory come along, because the server is started here anyway.
"""

import argparse
import http.client
import re
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pymongo import MongoClient

from benchmarks.requests import memory, pinned, running, until_ready, uri_of
from tmf_apis.rest.representation import texts

MOUNT = "/tmf-api/productCatalogManagement/v5"
SMALL, LARGE = "ProductCatalog", "Category"
NEXT = re.compile(r'<http://[^/]+([^>]+)>; rel="next"')


def document(kind: str, number: int) -> dict:
    """Return a small resource as it lies in the database."""
    id = f"00000000-0000-7000-8000-{number:012d}"
    body = {"@type": kind, "name": f"{kind} {number}", "lifecycleStatus": "Active",
            "lastUpdate": "2026-01-02T03:04:05.678Z", "version": "1.0"}  # fmt: skip
    return {"_id": f"default:{id}", "tenant": "default", "id": id, "rev": 1, "parties": ["*"],
            "body": body, "text": texts(kind, id, body)}  # fmt: skip


def fill(uri: str, kind: str, count: int) -> None:
    """Store resources, some batches at a time."""
    with MongoClient(uri) as client, ThreadPoolExecutor(2) as pool:
        collection = client["tmf"][kind]

        def batch(start: int) -> None:
            stop = min(count, start + 5000)
            collection.insert_many([document(kind, n) for n in range(start, stop)], ordered=False)
            print(f"\r{kind}: {stop:,} of {count:,} stored", end="", flush=True)

        list(pool.map(batch, range(0, count, 5000)))
    print()


def timed(connection: http.client.HTTPConnection, path: str) -> tuple[float, dict[str, str]]:
    """Return how long a request took, in milliseconds, and the headers of its answer."""
    started = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    took = 1000 * (time.perf_counter() - started)
    if answer.status not in {200, 206}:
        raise SystemExit(f"{path}: {answer.status}")
    return took, dict(answer.getheaders())


def beside(connection: http.client.HTTPConnection, first: str, second: str, rounds: int) -> str:
    """Return the medians of two requests taken in turn, and their ratio."""
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for row, path in zip(times, (first, second), strict=True):
            row.append(timed(connection, path)[0])
    one, other = (statistics.median(row) for row in times)
    return f"{one:8.2f} ms {other:8.2f} ms   ratio {other / one:.2f}"


def page(connection: http.client.HTTPConnection, number: int) -> str:
    """Walk by cursor and return the path of a page."""
    path = f"{MOUNT}/category?limit=100&after="
    for _ in range(number - 1):
        link = NEXT.search(timed(connection, path)[1]["link"])
        if link is None:
            raise SystemExit("there are fewer pages than asked for")
        path = link[1]
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--port", type=int, default=8690)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {"TMF_DATA_DIR": folder, "TMF_AUTH": "off", "TMF_LOG_LEVEL": "WARNING"}
        command = [sys.executable, "-m", "tmf_apis", "serve", "--port", str(options.port)]
        url = f"http://127.0.0.1:{options.port}/health/ready"
        with running(pinned(command, 0), environment):
            print(f"first start: ready after {until_ready(url, 120):.2f} s")
            uri = uri_of(Path(folder))
            fill(uri, SMALL, 1000)
            fill(uri, LARGE, options.documents)
        with running(pinned(command, 0), environment) as server:
            print(f"second start: ready after {until_ready(url, 120):.2f} s")
            compare(options)
            print(f"memory of the server: {memory(server.pid):.0f} MiB")


def compare(options: argparse.Namespace) -> None:
    """Print what stands beside what."""
    connection = http.client.HTTPConnection("127.0.0.1", options.port)
    small, large = f"{MOUNT}/productCatalog?limit=100", f"{MOUNT}/category?limit=100"
    first = timed(connection, large)[0]
    print(f"first total of {options.documents:,}: {first:.0f} ms")
    time.sleep(1)
    print(f"list of 100, of 1,000 and of {options.documents:,}:")
    print(beside(connection, small, large, options.rounds))
    deep = page(connection, min(options.pages, options.documents // 100))
    print(f"page 1 and page {options.pages:,} by cursor:")
    print(beside(connection, f"{large}&after=", deep, options.rounds))


if __name__ == "__main__":
    main()
