"""Latency of one tenant while another one floods the server, and the cost of the limits.

``python -m benchmarks.fairness`` measures a quiet tenant alone and during several floods, in turn,
and prints the medians of the 95th percentiles and their ratio; it should be at most 2. The server
runs on one core, load generators and database on the other.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.load import RequestTemplate
from benchmarks.offerings import offering
from benchmarks.requests import (
    BASE_PATH,
    ROOT,
    bind_to_core,
    pinned_command,
    run_process,
    wait_until_ready,
)
from tmf_apis.rest.http.admission import Admission
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings

OFFERINGS = f"{BASE_PATH}/productOffering"
#: Largest ratio of the latencies with and without a flood.
MAX_RATIO = 2.0
#: Pause between two requests of the quiet tenant, in seconds.
QUIET_PAUSE = 0.01


def token(environment, tenant, subject):
    """Return a token of a tenant's staff."""
    command = [sys.executable, "-m", "tmf_apis", "token", "--tenant", tenant, "--subject", subject]
    run = subprocess.run(  # noqa: S603 - our own program
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True,
        cwd=ROOT,
    )  # fmt: skip
    return run.stdout.strip()


def store_offerings(url, bearer, count):
    """Create offerings of a tenant; return their paths."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {bearer}"}) as client:
        created = [client.post(OFFERINGS, json=offering(number)) for number in range(count)]
    return [f"{OFFERINGS}/{response.json()['id']}" for response in created]


def floods(paths, bearer):
    """Return the floods by name: a kind of request, and the number of connections."""
    head = f"Authorization: Bearer {bearer}\r\n"
    body = json.dumps(offering(7))
    search = f"{OFFERINGS}?name.regex=.*zz.*&limit=5"
    return {
        "get": (RequestTemplate("GET", paths, "", head), 64),
        "list": (RequestTemplate("GET", [f"{OFFERINGS}?limit=100"], "", head), 64),
        "search": (RequestTemplate("GET", [search], "", head), 64),
        "create": (RequestTemplate("POST", [OFFERINGS], body, head), 64),
        "invalid token": (RequestTemplate("GET", paths, "", head[:-20] + "AAAA\r\n"), 64),
    }


async def quiet_latencies(port, paths, bearer, seconds):
    """Send requests on one connection with pauses; return their latencies, in ms."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies = []
    end = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < end:
        path = paths[number % len(paths)]
        number += 1
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n\r\n"
        started = time.perf_counter()
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        latencies.append(1000 * (time.perf_counter() - started))
        assert answer.startswith(b"HTTP/1.1 200"), answer
        await asyncio.sleep(QUIET_PAUSE)
    writer.close()
    return latencies


@contextmanager
def flooding(port, template, seconds, connections):
    """Flood the server; yields a list that gets the figures of the flood at the end."""
    task = {
        "port": port,
        "template": {"method": template.method, "paths": template.paths, "body": template.body,
                 "headers": template.headers},
        "seconds": seconds,
        "connections": connections,
    }  # fmt: skip
    process = subprocess.Popen(  # noqa: S603 - our own program
        pinned_command([sys.executable, "-m", "benchmarks.load"], 1),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    process.stdin.write(json.dumps(task))
    process.stdin.close()
    time.sleep(0.7)
    figures = []
    yield figures
    figures.append(json.loads(process.stdout.read()))
    process.wait()


def percentile(values, part):
    return sorted(values)[int(len(values) * part)]


def measure(options, paths, bearers):
    """Print the latencies of the quiet tenant, alone and during each flood."""
    print(f"\n{'flood':15}{'alone p50':>10}{'p95 ms':>8}{'flooded p50':>13}{'p95 ms':>8}"
          f"{'ratio':>7}   flood/s  statuses")  # fmt: skip
    port, seconds, rounds = options.port, options.seconds, options.rounds
    for name, (template, connections) in floods(paths["noisy"], bearers["noisy"]).items():
        if options.only not in {"", name}:
            continue
        rows = []
        for _ in range(rounds):
            alone = asyncio.run(quiet_latencies(port, paths["quiet"], bearers["quiet"], seconds))
            with flooding(port, template, seconds + 1.2, connections) as figures:
                flooded = asyncio.run(
                    quiet_latencies(port, paths["quiet"], bearers["quiet"], seconds)
                )
            rows.append((alone, flooded, figures[0]))
            time.sleep(1)
        p50, p95 = (
            [statistics.median(percentile(row[n], part) for row in rows) for n in (0, 1)]
            for part in (0.5, 0.95)
        )
        rate = statistics.median(row[2]["count"] / row[2]["seconds"] for row in rows)
        statuses = sorted({status for row in rows for status in row[2]["errors"]})
        ratio = p95[1] / p95[0]
        verdict = "" if ratio <= MAX_RATIO else "  OVER"
        print(f"{name:15}{p50[0]:10.2f}{p95[0]:8.2f}{p50[1]:13.2f}{p95[1]:8.2f}{ratio:7.2f}"
              f"{rate:10.0f}  {statuses}{verdict}", flush=True)  # fmt: skip


def print_limiter_cost(count=100_000):
    """Print the time of admission for each request, in microseconds."""
    identities = [Identity(f"client-{n}", f"tenant-{n % 10}") for n in range(1000)]
    numbers = iter(range(10**9))
    admission = Admission(
        Settings(client_rate=1e9, client_burst=10**9, tenant_rate=1e9, tenant_burst=10**9),
        lambda _: identities[next(numbers) % 1000],
        lambda _: None,
    )

    async def ignore(_):
        pass

    async def admit():
        started = time.perf_counter()
        for _ in range(count):
            request = admission.enter({}, "127.0.0.1")
            with request:
                await request.with_rate_headers(ignore)({"type": "http.response.start"})
        return (time.perf_counter() - started) / count

    print(f"\nadmission and its headers: {1e6 * asyncio.run(admit()):.1f} us a request")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="name of one flood")
    parser.add_argument("--port", type=int, default=8690)
    options = parser.parse_args()
    print_limiter_cost()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "TMF_DATA_DIR": folder, "TMF_AUTH": "on", "TMF_LOG_LEVEL": "ERROR",
        }  # fmt: skip
        serve = [sys.executable, "-m", "tmf_apis", "serve", "--port", str(options.port)]
        with run_process(pinned_command(serve, 0), environment):
            url = f"http://127.0.0.1:{options.port}"
            wait_until_ready(f"{url}/health/ready", 60)
            bind_to_core(json.loads((Path(folder) / "mongod.json").read_text())["pid"], 1)
            bearers = {name: token(environment, name, name) for name in ("quiet", "noisy")}
            paths = {name: store_offerings(url, bearers[name], 300) for name in bearers}
            measure(options, paths, bearers)


if __name__ == "__main__":
    main()
