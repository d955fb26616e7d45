"""SIGKILL of worker, Temporal, database and server while orders are in progress."""

import asyncio
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.values import Target
from tests.support.consistency import check_consistency
from tests.support.fulfilment_harness import FINAL_STATES, order_item
from tests.support.live_server import ORDERS, ThreadedGateway, post_offering
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fulfilment.execution.journal import TASKS
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of
from tmf_apis.store.embedded_mongod import EmbeddedMongod

FAST_OPTIONS = {"timeout": "0.3", "retries": "1"}
GATEWAY_NAMES = ("one", "two", "three")
#: Longest time of an interrupted order on a busy machine, in seconds.
RECOVERY_TIMEOUT = 120.0


class GatewayHold:
    """Makes a gateway silent after its n-th SET, until it is released.

    Attributes:
        reached: Set when the gateway has become silent.
    """

    def __init__(self, gateway):
        self._gateway = gateway
        self._remaining_sets = 0
        self.reached = threading.Event()
        self._write = gateway.simulator._write
        gateway.simulator._write = self._counted_write

    def _counted_write(self, variable):
        status = self._write(variable)
        if self._remaining_sets:
            self._remaining_sets -= 1
            if not self._remaining_sets:
                self._gateway.simulator.fault_injection.silent = True
                self.reached.set()
        return status

    def hold_after(self, sets):
        """Become silent after a number of SETs from now; 0: never."""
        self._remaining_sets = sets
        self.reached.clear()

    def release(self):
        self._remaining_sets = 0
        self._gateway.simulator.fault_injection.silent = False


class Operator:
    """An operator with a running server and three gateways, used over HTTP."""

    def __init__(self, server, folder):
        self.server = server
        self.folder = folder
        self.credentials = folder / "credentials.json"
        self.secrets, self.gateways, self.holds = {}, {}, {}
        self.contracts = load_contracts(CONTRACTS_DIR, folder / "cache")
        self.connect()

    def connect(self):
        """Connect to the database at its present address."""
        settings = Settings(mongodb_timeout=30.0)
        self.client = client_of(settings, EmbeddedMongod(self.server.settings).uri)
        self.database = self.client["tmf"]
        engine = Engine(settings, self.contracts, self.database)
        self.repository = RepositoryFactory(engine.writer, "test").for_tenant("default")

    def add_gateway(self, gateway):
        """Register a gateway in the inventory."""
        simulator = gateway.simulator
        self.secrets |= simulator.credentials
        self.credentials.write_text(json.dumps(self.secrets))
        address = simulator.target.address
        target = Target(simulator.name, address, "snmp", simulator.name, FAST_OPTIONS)

        async def register_gateway():
            async with registry.create_adapter(target, Credentials(self.credentials)) as adapter:
                await register(self.repository, adapter)

        asyncio.run(register_gateway())
        self.gateways[simulator.name] = simulator
        self.holds[simulator.name] = GatewayHold(gateway)

    def post(self, path, body):
        with self.server.client() as client:
            answer = client.post(f"/tmf-api{path}", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def place_order(self, *items):
        body = {"@type": "ProductOrder", "productOrderItem": list(items)}
        return self.post(f"{ORDERS}/productOrder", body)["id"]

    def create_offering(self, down, up):
        return post_offering(self.post, down, up)

    def wait_for_final_states(self, *ids):
        """Wait for the final states of orders; return the orders."""

        def final():
            with suppress(httpx.HTTPError), self.server.client() as client:
                answers = [client.get(f"/tmf-api{ORDERS}/productOrder/{id}") for id in ids]
                if all(
                    answer.status_code == 200 and answer.json()["state"] in FINAL_STATES
                    for answer in answers
                ):
                    return [answer.json() for answer in answers]
            return None

        return wait_until(final, timeout=RECOVERY_TIMEOUT, pause=0.1)

    def wait_for_completion(self, *ids):
        """Wait until orders are completed; return the ids of their products."""
        orders = self.wait_for_final_states(*ids)
        assert [order["state"] for order in orders] == ["completed"] * len(ids), orders
        return [item["product"]["id"] for order in orders for item in order["productOrderItem"]]

    def task_states(self, order):
        documents = self.database[TASKS].find({"of": f"default:{order}", "what": "task"})
        return {document["state"] for document in documents}

    def kill(self, command):
        """Kill the child process whose command line contains a text with SIGKILL."""
        pid = wait_until(lambda: self.server.child_pid(command), timeout=RECOVERY_TIMEOUT)
        os.kill(pid, signal.SIGKILL)

    def release_gateways(self):
        for hold in self.holds.values():
            hold.release()

    def assert_consistent(self):
        check_consistency(self)


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    credentials = folder / "credentials.json"
    credentials.write_text("{}")
    server = ServerProcess(
        folder / "data",
        TMF_AUTH="off",
        TMF_CREDENTIALS_FILE=str(credentials),
        TMF_FULFILMENT_PATIENCE="300",
    )
    gateways = [ThreadedGateway(name, "127.0.0.1", 9) for name in GATEWAY_NAMES]
    try:
        server.start()
        operator = Operator(server, folder)
        for gateway in gateways:
            gateway.simulator.community = gateway.simulator.name
            gateway.__enter__()
            operator.add_gateway(gateway)
        operator.fibre = operator.create_offering(100, 40)
        operator.fast = operator.create_offering(1000, 500)
        operator.products = {
            name: operator.wait_for_completion(place_six_services(operator, name))
            for name in GATEWAY_NAMES[1:]
        }
        yield operator
        operator.client.close()
    finally:
        server.stop()
        for gateway in gateways:
            if gateway._thread.is_alive():
                gateway.__exit__()


def place_six_services(operator, gateway):
    items = [
        order_item(id=str(number), offering=operator.fibre, port=f"{gateway} sub{number}")
        for number in range(1, 7)
    ]
    return operator.place_order(*items)


@pytest.fixture(autouse=True)
def released_gateways(operator):
    yield
    operator.release_gateways()


def place_three_orders(operator, number):
    """Order a new service, an upgrade and a deletion, each on a gateway of its own."""
    upgraded = operator.products["two"][number - 1]
    deleted = operator.products["three"][number - 1]
    return [
        operator.place_order(order_item(offering=operator.fibre, port=f"one sub{number}")),
        operator.place_order(order_item("modify", offering=operator.fast, product=upgraded)),
        operator.place_order(order_item("delete", product=deleted)),
    ]


STEPS = ("reserved", "first SET", "second SET", "last SET", "verified", "active")
#: The number of SETs of the three orders at each step.
SETS = {"first SET": (1, 1, 1), "second SET": (2, 1, 2), "last SET": (3, 2, 3)}


@pytest.mark.parametrize("step", STEPS)
def test_orders_continue_after_the_worker_was_killed(operator, step):
    for gateway in operator.gateways.values():
        gateway.set_count = 0
    for name, sets in zip(GATEWAY_NAMES, SETS.get(step, (0, 0, 0)), strict=True):
        operator.holds[name].hold_after(sets)
    orders = place_three_orders(operator, STEPS.index(step) + 1)
    if step in SETS:
        for name in GATEWAY_NAMES:
            assert operator.holds[name].reached.wait(RECOVERY_TIMEOUT)
    else:
        wait_until(
            lambda: any(step in operator.task_states(order) for order in orders), pause=0.002
        )
    operator.kill("tmf_apis work")
    operator.release_gateways()
    operator.wait_for_completion(*orders)
    assert [gateway.set_count for gateway in operator.gateways.values()] == [3, 2, 3]
    operator.assert_consistent()


def place_partly_applied_order(operator, port):
    """Order a service; return when its gateway has become silent after the second SET."""
    operator.holds["one"].hold_after(2)
    order = operator.place_order(order_item(offering=operator.fibre, port=f"one {port}"))
    assert operator.holds["one"].reached.wait(RECOVERY_TIMEOUT)
    return order


@pytest.mark.parametrize("victim", ["server start-dev", "mongod"])
def test_an_order_continues_after_an_embedded_server_was_killed(operator, victim):
    port = "sub7" if victim == "mongod" else "sub8"
    order = place_partly_applied_order(operator, port)
    operator.kill(victim)
    operator.release_gateways()
    operator.wait_for_completion(order)
    operator.assert_consistent()


def test_concurrent_orders_on_one_element_survive_a_killed_worker(operator):
    def provide_items():
        return [
            order_item(offering=operator.fibre, port=f"two sub{number}") for number in range(7, 13)
        ]

    upgrades = [
        order_item("modify", offering=operator.fast, product=product)
        for product in operator.products["two"][:6]
    ]
    items = [*provide_items(), *upgrades, *provide_items()]  # each port is ordered twice
    with ThreadPoolExecutor(8) as executor:
        orders = list(executor.map(operator.place_order, items))
    wait_until(
        lambda: any("active" in operator.task_states(order) for order in orders), pause=0.002
    )
    operator.kill("tmf_apis work")
    states = [order["state"] for order in operator.wait_for_final_states(*orders)]
    assert states.count("completed") == 12
    assert states.count("failed") == 6
    operator.assert_consistent()


@pytest.mark.parametrize("temporal_database", ["kept", "deleted"])
def test_orders_continue_after_all_processes_were_killed(operator, temporal_database):
    ports = {"kept": ("sub9", "sub10"), "deleted": ("sub11", "sub12")}[temporal_database]
    order = place_partly_applied_order(operator, ports[0])
    new_order = operator.place_order(order_item(offering=operator.fibre, port=f"one {ports[1]}"))
    worker = operator.server.child_pid("tmf_apis work")
    operator.server.kill()
    assert worker
    operator.client.close()
    operator.release_gateways()
    if temporal_database == "deleted":
        files = list(operator.server.folder.rglob("temporal.db*"))
        assert files
        for file in files:
            file.unlink()
    operator.server.start()
    operator.connect()
    operator.wait_for_completion(order, new_order)
    operator.assert_consistent()
