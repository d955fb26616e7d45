"""Rows per second of an import job, and how much it slows concurrent readers.

``python -m benchmarks.importing`` starts ``tmf serve``, stores offerings, measures readers (GET of
one offering and a list of 20) while nothing else runs, and then during import jobs of new
offerings of 3 KB. It prints medians and 95th percentiles side by side.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import orjson

from benchmarks.load import RequestTemplate, send_requests
from benchmarks.offerings import offering
from benchmarks.requests import BASE_PATH, run_process, wait_until_ready

PORT = 18473
URL = f"http://127.0.0.1:{PORT}"
#: Offerings that the readers read one by one.
READ = 500
#: Concurrent readers of each kind of request, and the pause of a reader between two requests, in
#: seconds: the readers load the server, but do not saturate it.
READERS, PAUSE = 2, 0.01


def call(method: str, path: str, body: object = None) -> Any:
    """Send one request; return the JSON of the response."""
    request = urllib.request.Request(  # noqa: S310 - our own server
        URL + BASE_PATH + path,
        method=method,
        data=None if body is None else orjson.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return json.load(response)


def write_file(folder: Path, name: str, rows: int, prefix: str) -> str:
    """Write offerings to the file area of the default tenant; return the URL of the file."""
    area = folder / "files" / "tenant-default"
    area.mkdir(parents=True, exist_ok=True)
    with (area / name).open("wb") as file:
        for number in range(rows):
            file.write(orjson.dumps({"id": f"{prefix}-{number}", **offering(number)}) + b"\n")
    return f"file:{name}"


def run_job(url: str) -> tuple[float, dict[str, Any]]:
    """Run an import job; return its duration in seconds and the job."""
    started = time.perf_counter()
    job = call("POST", "/importJob", {"@type": "ImportJob", "url": url})
    while job["status"] not in {"Succeeded", "Failed"}:
        time.sleep(0.05)
        job = call("GET", f"/importJob/{job['id']}")
    return time.perf_counter() - started, job


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return median and 95th percentile, in milliseconds."""
    ordered = sorted(times)
    return 1000 * statistics.median(ordered), 1000 * ordered[int(len(ordered) * 0.95)]


async def read_while(task: asyncio.Future[Any]) -> dict[str, tuple[float, float]]:
    """Send read requests until a future is done; return the percentiles of each kind."""
    paths = [f"{BASE_PATH}/productOffering/stored-{number}" for number in range(READ)]
    templates = {
        "get": RequestTemplate("GET", paths),
        "list 20": RequestTemplate("GET", [f"{BASE_PATH}/productOffering?limit=20"]),
        "filtered": RequestTemplate(
            "GET", [f"{BASE_PATH}/productOffering?lifecycleStatus=Launched&limit=20"]
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in templates}
    errors: list[int] = []
    readers = [
        send_requests(PORT, template, task.done, times[name], errors, pause=PAUSE)
        for name, template in templates.items()
        for _ in range(READERS)
    ]
    await asyncio.gather(*readers)
    if errors:
        raise SystemExit(f"requests failed: {sorted(set(errors))}")
    return {name: percentiles(values) for name, values in times.items()}


async def measure(folder: Path, rows: int, rounds: int) -> None:
    """Measure and print."""
    loop = asyncio.get_running_loop()
    heads = [f"{name} {p}" for name in ("get", "list", "filtered") for p in ("p50", "p95")]
    print(f"{'':14}{'rows/s':>8}{''.join(f'{head:>14}' for head in heads)}")
    for number in range(rounds):
        quiet = await read_while(loop.create_task(asyncio.sleep(5)))
        print_row("quiet", "", quiet)
        url = write_file(folder, f"import-{number}.ndjson", rows, f"row-{number}")
        job = loop.run_in_executor(None, run_job, url)
        busy = await read_while(job)
        seconds, result = job.result()
        if result["status"] != "Succeeded":
            raise SystemExit(f"the job failed: {result}")
        print_row("import", f"{rows / seconds:.0f}", busy)


def print_row(name: str, rate: str, latencies: dict[str, tuple[float, float]]) -> None:
    """Print the latencies of one measurement, in milliseconds."""
    numbers = [f"{value:14.1f}" for pair in latencies.values() for value in pair]
    print(f"{name:14}{rate:>8}{''.join(numbers)}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stored", type=int, default=READ, help="offerings stored before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        command = [sys.executable, "-m", "tmf_apis", "serve", "--port", str(PORT)]
        environment = {"TMF_AUTH": "off", "TMF_DATA_DIR": str(folder)}
        with run_process([*command, "--data-dir", str(folder)], environment):
            wait_until_ready(f"{URL}/health/ready", 150)
            run_job(write_file(folder, "stored.ndjson", max(options.stored, READ), "stored"))
            asyncio.run(measure(folder, options.rows, options.rounds))


if __name__ == "__main__":
    main()
