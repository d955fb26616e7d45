"""Latencies that must not grow with the data: deep pages, and lists of many resources.

``python -m benchmarks.scale`` compares page 1,000 by cursor with page 1, and a list of 100 out of a
million resources with one out of a thousand. It prints the medians of single requests, sent in
turn, and the start-up time and memory of the server.
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
from typing import Any

from pymongo import MongoClient

from benchmarks.offerings import served_text
from benchmarks.requests import database_uri, memory, pinned_command, run_process, wait_until_ready

BASE_PATH = "/tmf-api/productCatalogManagement/v5"
SMALL_KIND, LARGE_KIND = "ProductCatalog", "Category"
NEXT_LINK = re.compile(r'<http://[^/]+([^>]+)>; rel="next"')


def resource_document(kind: str, number: int) -> dict[str, Any]:
    """Return the stored document of a small resource."""
    id = f"00000000-0000-7000-8000-{number:012d}"
    body = {"@type": kind, "name": f"{kind} {number}", "lifecycleStatus": "Active",
            "lastUpdate": "2026-01-02T03:04:05.678Z", "version": "1.0"}  # fmt: skip
    return {"_id": f"default:{id}", "tenant": "default", "id": id, "rev": 1, "parties": ["*"],
            "body": body, "text": served_text(kind, id, body)}  # fmt: skip


def store_resources(uri: str, kind: str, count: int) -> None:
    """Store resources in batches, two at the same time."""
    with MongoClient[dict[str, Any]](uri) as client, ThreadPoolExecutor(2) as pool:
        collection = client["tmf"][kind]

        def batch(start: int) -> None:
            stop = min(count, start + 5000)
            collection.insert_many(
                [resource_document(kind, n) for n in range(start, stop)], ordered=False
            )
            print(f"\r{kind}: {stop:,} of {count:,} stored", end="", flush=True)

        list(pool.map(batch, range(0, count, 5000)))
    print()


def time_request(connection: http.client.HTTPConnection, path: str) -> tuple[float, dict[str, str]]:
    """Send a request; return its duration in milliseconds and the headers of the response."""
    started = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    duration = 1000 * (time.perf_counter() - started)
    if response.status not in {200, 206}:
        raise SystemExit(f"{path}: {response.status}")
    return duration, dict(response.getheaders())


def compare_requests(
    connection: http.client.HTTPConnection, first: str, second: str, rounds: int
) -> str:
    """Return the medians of two requests that are sent in turn, and their ratio."""
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for row, path in zip(times, (first, second), strict=True):
            row.append(time_request(connection, path)[0])
    first_median, second_median = (statistics.median(row) for row in times)
    return (
        f"{first_median:8.2f} ms {second_median:8.2f} ms   ratio {second_median / first_median:.2f}"
    )


def find_page_path(connection: http.client.HTTPConnection, number: int) -> str:
    """Follow the links of a list and return the path of a page."""
    path = f"{BASE_PATH}/category?limit=100&after="
    for _ in range(number - 1):
        link = NEXT_LINK.search(time_request(connection, path)[1]["link"])
        if link is None:
            raise SystemExit("the list has fewer pages")
        path = link[1]
    return path


def main() -> None:
    """Run the benchmark and print the results."""
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
        with run_process(pinned_command(command, 0), environment):
            print(f"first start: ready after {wait_until_ready(url, 120):.2f} s")
            uri = database_uri(Path(folder))
            store_resources(uri, SMALL_KIND, 1000)
            store_resources(uri, LARGE_KIND, options.documents)
        with run_process(pinned_command(command, 0), environment) as server:
            print(f"second start: ready after {wait_until_ready(url, 120):.2f} s")
            print_comparison(options)
            print(f"memory of the server: {memory(server.pid):.0f} MiB")


def print_comparison(options: argparse.Namespace) -> None:
    """Print the comparisons."""
    connection = http.client.HTTPConnection("127.0.0.1", options.port)
    small, large = f"{BASE_PATH}/productCatalog?limit=100", f"{BASE_PATH}/category?limit=100"
    first = time_request(connection, large)[0]
    print(f"first total of {options.documents:,}: {first:.0f} ms")
    time.sleep(1)
    print(f"list of 100, of 1,000 and of {options.documents:,}:")
    print(compare_requests(connection, small, large, options.rounds))
    deep = find_page_path(connection, min(options.pages, options.documents // 100))
    print(f"page 1 and page {options.pages:,} by cursor:")
    print(compare_requests(connection, f"{large}&after=", deep, options.rounds))


if __name__ == "__main__":
    main()
