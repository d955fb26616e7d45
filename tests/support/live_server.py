"""The whole system for tests: a server with its worker, a simulated gateway and a subscriber."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from adapters.snmp.simulator import SimulatedGateway
from tests.support.fulfilment_harness import (
    CATALOG_DEFAULTS,
    FINAL_STATES,
    port_state,
    speed_characteristics,
)
from tests.support.waiting import wait_until
from tmf_apis.store.embedded_temporal import free_port

ORDERS = "/productOrderingManagement/v5"
CATALOGUE = "/productCatalogManagement/v5"
INVENTORY = "/resourceInventoryManagement/v5"
ALARMS = "/alarmManagement/v5"
OPERATIONS = "/networkOperations/v5"
#: Longest time of an order on a busy machine, in seconds.
ORDER_TIMEOUT = 30.0


class ThreadedGateway:
    """A simulated gateway in a thread of its own."""

    def __init__(self, name, address, trap_port):
        self.simulator = SimulatedGateway(
            name, ports=12, address=(address, 0), trap_address=("127.0.0.1", trap_port)
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.run_async(self.simulator.__aenter__())
        return self

    def __exit__(self, *_):
        self.run_async(self.simulator.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run_async(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def call(self, method, *arguments):
        """Call one of the gateway's methods in the thread of its event loop."""

        async def call():
            method(*arguments)

        self.run_async(call())

    def port_state(self, port):
        """Return tag and rates, in kbit/s, of a port."""
        return port_state(self.simulator, port)


class Subscriber:
    """Receives and stores the notifications of hubs."""

    def __init__(self):
        received = self.notifications = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def callback(self):
        return f"http://127.0.0.1:{self._server.server_port}/listener"

    def events_of(self, type_, member, id):
        """Return the resources in the notifications of one event type and id, in order."""
        return [
            notification["event"][member]
            for notification in self.notifications
            if notification["eventType"] == type_ and notification["event"][member]["id"] == id
        ]


@dataclass
class LiveServer:
    """A running server, and a client of it."""

    base_url: str
    process: subprocess.Popen
    data_dir: Path
    trap_port: int
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))

    def post(self, path, body):
        answer = self.client.post(f"{self.base_url}{path}", json=body)
        assert answer.status_code in {201, 202}, answer.text
        return answer.json()

    def get(self, path, **query):
        answer = self.client.get(f"{self.base_url}{path}", params=query)
        assert answer.status_code in {200, 206}, answer.text
        return answer.json()

    def patch(self, path, body):
        answer = self.client.patch(f"{self.base_url}{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def place_order(self, action="add", *, offering=None, port="", product="", status="", **more):
        """Place an order of one item; return its id."""
        item = {"@type": "ProductOrderItem", "id": "1", "action": action}
        if offering:
            item["productOffering"] = {"@type": "ProductOfferingRef", "id": offering}
        value = {"@type": "Product", **({"id": product} if product else {})}
        if port:
            value["productCharacteristic"] = [
                {
                    "@type": "StringCharacteristic",
                    "name": "accessPort",
                    "valueType": "string",
                    "value": port,
                }
            ]
        if status:
            value["status"] = status
        if port or product:
            item["product"] = value
        body = {"@type": "ProductOrder", "productOrderItem": [item], **more}
        return self.post(f"{ORDERS}/productOrder", body)["id"]

    def wait_for_order(self, order, *, timeout=ORDER_TIMEOUT):
        """Wait for an order's final state and return the order."""

        def final():
            body = self.get(f"{ORDERS}/productOrder/{order}")
            return body if body["state"] in FINAL_STATES else None

        return wait_until(final, timeout=timeout)

    def children(self):
        """Return the ids of the server's child processes by command line."""
        pids = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    stat = (folder / "stat").read_text().rpartition(")")[2].split()
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if int(stat[1]) == self.process.pid and stat[0] != "Z":
                    pids[command] = int(folder.name)
        return pids

    def kill(self, pattern):
        """Kill the child process whose command line contains a text with SIGKILL."""
        pid = next(pid for command, pid in self.children().items() if pattern in command)
        os.kill(pid, signal.SIGKILL)

    def worker_log(self):
        file = self.data_dir / "worker.log"
        return file.read_text() if file.exists() else ""


@contextmanager
def live_server(data_dir, mongodb_uri, database, **environment):
    """Run a server with its worker until the block ends."""
    port, trap_port = free_port(), free_port()
    command = [sys.executable, "-W", "ignore", "-m", "tmf_apis", "serve"]
    with (data_dir / "serve.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--port", str(port), "--data-dir", str(data_dir)],
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "TMF_MONGODB_URI": mongodb_uri,
                "TMF_MONGODB_DATABASE": database,
                "TMF_TRAP_HOST": "0.0.0.0",  # noqa: S104
                "TMF_TRAP_PORT": str(trap_port),
                "TMF_RETRY_FIRST": "0.2",
                **environment,
            },
        )
    server = LiveServer(f"http://127.0.0.1:{port}/tmf-api", process, data_dir, trap_port)
    try:
        wait_until(lambda: _is_ready(port, process), timeout=60)
        wait_until(lambda: "working for Temporal" in server.worker_log(), timeout=60)
        yield server
    finally:
        process.terminate()
        process.wait(30)
        server.client.close()


def _is_ready(port, process):
    assert process.poll() is None, "the server ended"
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


def post_offering(post, down, up):
    """Create a broadband offering with rates in Mbit/s by ``post(path, body)``; return its id."""
    specification = post(
        f"{CATALOGUE}/productSpecification",
        {
            "@type": "ProductSpecification",
            "name": f"Access {down}/{up}",
            "productSpecCharacteristic": speed_characteristics(down, up),
            **CATALOG_DEFAULTS,
        },
    )
    return post(
        f"{CATALOGUE}/productOffering",
        {
            "@type": "ProductOffering",
            "name": f"Fibre {down}",
            "productSpecification": {"@type": "ProductSpecificationRef", "id": specification["id"]},
            **CATALOG_DEFAULTS,
        },
    )["id"]
