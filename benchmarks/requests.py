"""Requests per second, latency and processor time of the server compared with the baseline.

``python -m benchmarks.requests`` runs both servers on the same database and measures them in turn.
The server runs on one core, load generator and database on the other. It prints the medians of the
rounds.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.load import NUMBER, RequestTemplate
from benchmarks.offerings import offering, offering_document

ROOT = Path(__file__).parent.parent
BASE_PATH = "/tmf-api/productCatalogManagement/v5"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
#: Maximum ratio of the processor time to that of the baseline.
MAX_RATIOS = {"get": 0.9, "list 20": 1.0, "list 100": 1.0, "filtered": 1.0, "fields": 0.9,
        "create": 1.6, "patch": 1.6}  # fmt: skip
#: Requests to the baseline and to the server, by name of the operation.
RequestPairs = dict[str, tuple[RequestTemplate, RequestTemplate]]


def processor_time(pid: int) -> float:
    """Return the processor time of a process and its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def pinned_command(command: list[str], core: int) -> list[str]:
    """Return a command that runs on a core, if there are several."""
    return ["taskset", "-c", str(core), *command] if (os.cpu_count() or 1) > 1 else command


def bind_to_core(pid: int, core: int) -> None:
    """Bind a process and its threads to a core, if there are several."""
    if (os.cpu_count() or 1) > 1:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def wait_until_ready(url: str, seconds: float) -> float:
    """Wait until a URL answers 200 and return the duration, in seconds."""
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310
            return time.perf_counter() - started
        time.sleep(0.02)
    raise SystemExit(f"{url} did not answer within {seconds:g} s")


@contextlib.contextmanager
def run_process(
    command: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process while the context is entered."""
    process = subprocess.Popen(  # noqa: S603 - our own servers
        command, env={**os.environ, **environment}, cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def measure_load(
    pid: int, port: int, template: RequestTemplate, seconds: float, connections: int
) -> dict[str, Any]:
    """Run the load generator; return its figures and the processor time per request, in us."""
    task = {
        "port": port,
        "template": {"method": template.method, "paths": template.paths, "body": template.body,
                 "headers": template.headers},
        "seconds": seconds,
        "connections": connections,
    }  # fmt: skip
    before = processor_time(pid)
    run = subprocess.run(  # noqa: S603 - our own program
        pinned_command([sys.executable, "-m", "benchmarks.load"], 1),
        input=json.dumps(task), capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(run.stdout)
    result["cpu"] = 1e6 * (processor_time(pid) - before) / result["count"]
    result["rate"] = result["count"] / result["seconds"]
    return result


def request_pairs(ids: list[str], token: str) -> RequestPairs:
    """Return the requests to the baseline and to the server for each operation."""
    authorization = f"Authorization: Bearer {token}\r\n"
    body = json.dumps(offering(7))
    paths = [f"/productOffering/{id}" for id in ids[:500]]
    lists = {
        "list 20": "/productOffering?limit=20",
        "list 100": "/productOffering?limit=100",
        "filtered": "/productOffering?lifecycleStatus=In%20test&limit=20",
        "fields": "/productOffering?fields=name,lifecycleStatus&limit=20",
    }
    pairs = {
        "get": (
            RequestTemplate("GET", paths),
            RequestTemplate("GET", [BASE_PATH + path for path in paths], "", authorization),
        )
    }
    for name, path in lists.items():
        pairs[name] = (
            RequestTemplate("GET", [path]),
            RequestTemplate("GET", [BASE_PATH + path], "", authorization),
        )
    pairs["create"] = (
        RequestTemplate("POST", ["/productOffering"], body),
        RequestTemplate("POST", [BASE_PATH + "/productOffering"], body, authorization),
    )
    change = json.dumps({"description": f"changed {NUMBER}"})
    pairs["patch"] = (
        RequestTemplate("PATCH", paths, change),
        RequestTemplate("PATCH", [BASE_PATH + path for path in paths], change, authorization),
    )
    return pairs


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--only", default="", help="names of operations, separated by commas")
    parser.add_argument("--port", type=int, default=8680)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_comparison(options, Path(folder))


def run_comparison(options: argparse.Namespace, folder: Path) -> None:
    """Start both servers on one database, load it, and measure the servers in turn."""
    environment = {
        "TMF_DATA_DIR": str(folder), "TMF_AUTH": "on", "TMF_LOG_LEVEL": "WARNING",
        # Limits that are counted but not reached.
        "TMF_CLIENT_RATE": "100000", "TMF_CLIENT_BURST": "1000000",
        "TMF_TENANT_RATE": "100000", "TMF_TENANT_BURST": "1000000",
    }  # fmt: skip
    tmf = [sys.executable, "-m", "tmf_apis"]
    serve = pinned_command([*tmf, "serve", "--port", str(options.port)], 0)
    with run_process(serve, environment) as server:
        duration = wait_until_ready(f"http://127.0.0.1:{options.port}/health/ready", 60)
        print(f"ready after {duration:.2f} s, database included")
        state = json.loads((folder / "mongod.json").read_text())
        bind_to_core(state["pid"], 1)
        uri = database_uri(folder)
        ids = store_offerings(uri, options.documents)
        token = subprocess.run(  # noqa: S603 - our own program
            [*tmf, "token"], env={**os.environ, **environment}, capture_output=True, text=True,
            check=True, cwd=ROOT,
        ).stdout.strip()  # fmt: skip
        port = options.port + 1
        baseline_environment = {"BASELINE_URI": uri, "BASELINE_DATABASE": "tmf"}
        command = pinned_command([sys.executable, "-m", "benchmarks.baseline", str(port)], 0)
        with run_process(command, baseline_environment) as baseline:
            wait_until_ready(f"http://127.0.0.1:{port}/productOffering/{ids[0]}", 20)
            print_comparison(options, request_pairs(ids, token), baseline.pid, server.pid)
        print(f"\nmemory of the server: {memory(server.pid):.0f} MiB")


def database_uri(folder: Path) -> str:
    """Return the URI of the embedded database."""
    from tmf_apis.settings import Settings  # noqa: PLC0415
    from tmf_apis.store.embedded_mongod import EmbeddedMongod  # noqa: PLC0415

    return EmbeddedMongod(Settings(data_dir=folder)).uri


def store_offerings(uri: str, count: int) -> list[str]:
    """Store offerings and return their ids."""
    with MongoClient[dict[str, Any]](uri) as client:
        collection = client["tmf"]["ProductOffering"]
        ids = []
        for start in range(0, count, 5000):
            documents = [
                offering_document(number) for number in range(start, min(count, start + 5000))
            ]
            ids += [document["id"] for document in documents]
            collection.insert_many(documents, ordered=False)
    return ids


def print_comparison(
    options: argparse.Namespace, pairs: RequestPairs, baseline_pid: int, server_pid: int
) -> None:
    """Print a line for each operation: medians of baseline and server, and their ratio."""
    print(f"\n{'':10}{'baseline':>30}{'server':>38}{'ratio':>12}  limit")
    print(
        f"{'':10}" + f"{'req/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'cpu us':>8}   " * 2 + "of cpu time"
    )
    names = [name for name in options.only.split(",") if name] or list(pairs)
    for name in names:
        baseline_template, server_template = pairs[name]
        rows: list[list[dict[str, Any]]] = [[], []]
        for _ in range(options.rounds):
            rows[0].append(
                measure_load(
                    baseline_pid,
                    options.port + 1,
                    baseline_template,
                    options.seconds,
                    options.connections,
                )
            )
            rows[1].append(
                measure_load(
                    server_pid, options.port, server_template, options.seconds, options.connections
                )
            )
        errors = sorted({status for row in (*rows[0], *rows[1]) for status in row["errors"]})
        medians = [
            {
                key: statistics.median(row[key] for row in side)
                for key in ("rate", "p50", "p99", "cpu")
            }
            for side in rows
        ]
        ratio = statistics.median(
            server["cpu"] / baseline["cpu"] for baseline, server in zip(*rows, strict=True)
        )
        verdict = "ok" if ratio <= MAX_RATIOS[name] else "OVER"
        cells = "".join(
            f"{side['rate']:9.0f}{side['p50']:8.2f}{side['p99']:8.2f}{side['cpu']:8.0f}   "
            for side in medians
        )
        print(
            f"{name:10}{cells}{ratio:6.2f}   {MAX_RATIOS[name]:.1f} {verdict}  {errors or ''}",
            flush=True,
        )


if __name__ == "__main__":
    main()
