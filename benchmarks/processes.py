"""Requests per second with one HTTP process and with several, on the cores that there are.

``python -m benchmarks.processes`` starts a server for each number of processes on the same database
and measures them in turn. Database and load generator run on the same cores, so what they need is
printed beside what the server needs, and with it the highest ratio that is possible. A refused
create needs no database.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load import NUMBER, RequestTemplate
from benchmarks.offerings import offering
from benchmarks.requests import (
    BASE_PATH,
    ROOT,
    processor_time,
    run_process,
    store_offerings,
    wait_until_ready,
)
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod

#: Limits that are counted but not reached.
LIMITS = {
    f"TMF_{level}_{name}": "1000000"
    for level in ("CLIENT", "TENANT")
    for name in ("RATE", "BURST", "CONCURRENCY")
}


@dataclass(frozen=True, slots=True)
class MeasuredServer:
    """A running server.

    Attributes:
        processes: Number of its HTTP processes.
        port: Its port.
        pids: The process ids of the HTTP processes.
    """

    processes: int
    port: int
    pids: tuple[int, ...]

    def processor_time(self) -> float:
        """Return the processor time of the HTTP processes, in seconds."""
        return sum(map(processor_time, self.pids))


def child_pids(pid: int) -> tuple[int, ...]:
    """Return the HTTP processes of a supervisor; a server of one process is its own."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = " ".join((task / "children").read_text() for task in tasks).split()
    pids = (p for p in children if b"serve-process" in Path(f"/proc/{p}/cmdline").read_bytes())
    return tuple(map(int, pids)) or (pid,)


@contextlib.contextmanager
def running_server(processes: int, port: int, folder: Path, uri: str) -> Iterator[MeasuredServer]:
    """Run a server with a number of processes, without a worker."""
    environment = {
        **LIMITS,
        "TMF_DATA_DIR": str(folder),
        "TMF_AUTH": "on",
        "TMF_LOG_LEVEL": "WARNING",
        "TMF_MONGODB_URI": uri,
        "TMF_TEMPORAL_ADDRESS": "127.0.0.1:1",
        "TMF_WORKERS": "0",
        "TMF_PROCESSES": str(processes),
    }
    command = [sys.executable, "-m", "tmf_apis", "serve", "--port", str(port)]
    with run_process(command, environment) as server:
        wait_until_ready(f"http://127.0.0.1:{port}/health/ready", 120)
        yield MeasuredServer(processes, port, child_pids(server.pid))


def requests_to_measure(ids: list[str], token: str) -> dict[str, RequestTemplate]:
    """Return the requests by the name of their operation."""
    authorization = f"Authorization: Bearer {token}\r\n"
    paths = [f"{BASE_PATH}/productOffering/{id}" for id in ids[:500]]
    collection = f"{BASE_PATH}/productOffering"
    body, change = json.dumps(offering(7)), json.dumps({"description": f"changed {NUMBER}"})
    invalid = json.dumps({**offering(7), "lifecycleStatus": 7})
    return {
        "get": RequestTemplate("GET", paths, "", authorization),
        "list 20": RequestTemplate("GET", [f"{collection}?limit=20"], "", authorization),
        "refused": RequestTemplate("POST", [collection], invalid, authorization),
        "create": RequestTemplate("POST", [collection], body, authorization),
        "patch": RequestTemplate("PATCH", paths, change, authorization),
    }


def measure(
    server: MeasuredServer, mongod: int, template: RequestTemplate, options: argparse.Namespace
) -> dict[str, Any]:
    """Return requests per second, and processor time of server, database and load in us each."""
    task = {
        "port": server.port,
        "template": {
            "method": template.method,
            "paths": template.paths,
            "body": template.body,
            "headers": template.headers,
        },
        "seconds": options.seconds,
        "connections": options.connections,
    }
    before = os.times()
    server_before, database_before = server.processor_time(), processor_time(mongod)
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    after, result = os.times(), json.loads(run.stdout)
    load = after.children_user + after.children_system
    load -= before.children_user + before.children_system
    per_request = 1e6 / result["count"]
    return {
        "rate": result["count"] / result["seconds"],
        "server": (server.processor_time() - server_before) * per_request,
        "database": (processor_time(mongod) - database_before) * per_request,
        "load": load * per_request,
        "errors": result["errors"],
    }


def highest_ratio(result: Mapping[str, float]) -> float:
    """Return how much faster all cores together could be than one process on one of them."""
    total = result["server"] + result["database"] + result["load"]
    return max(1.0, (os.cpu_count() or 1) * result["server"] / total)


def print_scaling(
    servers: Sequence[MeasuredServer],
    mongod: int,
    requests: dict[str, RequestTemplate],
    options: argparse.Namespace,
) -> None:
    """Print for each operation and number of processes the medians of alternating rounds."""
    print(f"\n{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    columns = f"{'':10}{'processes':>10}{'req/s':>9}{'ratio':>8}{'possible':>10}"
    print(f"{columns}   cpu us: server  database  load")
    for name, template in requests.items():
        rows: dict[int, list[dict[str, Any]]] = {server.processes: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                rows[server.processes].append(measure(server, mongod, template, options))
        base = rows[servers[0].processes]
        possible = statistics.median(map(highest_ratio, base))
        for processes, results in rows.items():
            ratio = statistics.median(
                result["rate"] / first["rate"] for result, first in zip(results, base, strict=True)
            )
            rate, *costs = (
                statistics.median(result[key] for result in results)
                for key in ("rate", "server", "database", "load")
            )
            limit = min(processes / servers[0].processes, possible)
            errors = sorted({status for result in results for status in result["errors"]})
            print(
                f"{name:10}{processes:10}{rate:9.0f}{ratio:8.2f}{limit:10.2f}"
                f"{costs[0]:17.0f}{costs[1]:10.0f}{costs[2]:6.0f}  {errors or ''}",
                flush=True,
            )


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", default="", help="numbers; default: 1 and that of the cores")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--port", type=int, default=8690)
    options = parser.parse_args()
    cores = max(os.cpu_count() or 1, 2)
    numbers = [int(number) for number in options.processes.split(",") if number] or [1, cores]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        mongod = EmbeddedMongod(Settings(data_dir=Path(folder)))
        mongod.start()
        stack.callback(mongod.stop)
        servers = [
            stack.enter_context(
                running_server(number, options.port + index, Path(folder), mongod.uri)
            )
            for index, number in enumerate(numbers)
        ]
        ids = store_offerings(mongod.uri, options.documents)
        token = subprocess.run(
            [sys.executable, "-m", "tmf_apis", "token"],
            env={**os.environ, "TMF_DATA_DIR": folder},
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout.strip()
        pid = mongod.child.pid or 0
        print_scaling(servers, pid, requests_to_measure(ids, token), options)


if __name__ == "__main__":
    main()
