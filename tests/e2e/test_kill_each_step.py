"""Kill -9 of worker, Temporal, database and server while orders are worked on."""

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
from tests.support.fulfilment_harness import (
    FINAL_STATES,
    check_consistency,
    order_item,
    speed_characteristics,
)
from tests.support.live_server import CATALOGUE, ORDERS, ThreadedGateway, wait_until
from tests.support.server import ServerProcess
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fulfilment.execution.journal import TASKS
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of
from tmf_apis.store.embedded_mongod import EmbeddedMongod

HASTE = {"timeout": "0.3", "retries": "1"}
WRITTEN = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}
NAMES = ("one", "two", "three")
#: How long an order may take that was interrupted, on a busy machine, in seconds.
AGAIN = 120.0


class Held:
    """A gateway that falls silent after its n-th SET, until it is let go on."""

    def __init__(self, gateway):
        self.gateway, self.after = gateway, 0
        self.reached = threading.Event()
        write = gateway.it._write

        def counted(variable):
            status = write(variable)
            if self.after:
                self.after -= 1
                if not self.after:
                    gateway.simulator.fault_injection.silent = True
                    self.reached.set()
            return status

        gateway.it._write = counted

    def hold(self, after):
        """Fall silent after so many SETs from now."""
        self.after = after
        self.reached.clear()

    def go_on(self):
        self.after = 0
        self.gateway.simulator.fault_injection.silent = False


class Operator:
    """A served operator with three gateways, seen from outside."""

    def __init__(self, served, folder):
        self.served = served
        self.folder = folder
        self.credentials = folder / "credentials.json"
        self.secrets, self.gateways, self.held = {}, {}, {}
        self.contracts = load_contracts(CONTRACTS_DIR, folder / "cache")
        self.look()

    def look(self):
        """Look at the database where it is now."""
        settings = Settings(mongodb_timeout=30.0)
        self.client = client_of(settings, EmbeddedMongod(self.served.settings).uri)
        self.database = self.client["tmf"]
        engine = Engine(settings, self.contracts, self.database)
        self.desk = RepositoryFactory(engine.writer, "test").for_tenant("default")

    def add(self, gateway):
        it = gateway.it
        self.secrets |= it.credentials
        self.credentials.write_text(json.dumps(self.secrets))
        target = Target(it.name, it.target.address, "snmp", it.name, HASTE)

        async def go():
            async with registry.create_adapter(target, Credentials(self.credentials)) as adapter:
                await register(self.desk, adapter)

        asyncio.run(go())
        self.gateways[it.name] = it
        self.held[it.name] = Held(gateway)

    def post(self, path, body):
        with self.served.client() as client:
            answer = client.post(f"/tmf-api{path}", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def order(self, *items):
        body = {"@type": "ProductOrder", "productOrderItem": list(items)}
        return self.post(f"{ORDERS}/productOrder", body)["id"]

    def offering(self, down, up):
        characteristics = speed_characteristics(down, up)
        made = self.post(
            f"{CATALOGUE}/productSpecification",
            {"@type": "ProductSpecification", "name": f"Access {down}",
             "productSpecCharacteristic": characteristics, **WRITTEN},
        )  # fmt: skip
        reference = {"@type": "ProductSpecificationRef", "id": made["id"]}
        return self.post(
            f"{CATALOGUE}/productOffering",
            {"@type": "ProductOffering", "name": f"Fibre {down}",
             "productSpecification": reference, **WRITTEN},
        )["id"]  # fmt: skip

    def ended(self, *orders):
        """Wait for the final states of orders and return the orders."""

        def final():
            with suppress(httpx.HTTPError), self.served.client() as client:
                found = [client.get(f"/tmf-api{ORDERS}/productOrder/{id}") for id in orders]
                if all(
                    one.status_code == 200 and one.json()["state"] in FINAL_STATES for one in found
                ):
                    return [one.json() for one in found]
            return None

        return wait_until(final, timeout=AGAIN, pause=0.1)

    def completed(self, *orders):
        found = self.ended(*orders)
        assert [one["state"] for one in found] == ["completed"] * len(orders), found
        return [inside["product"]["id"] for one in found for inside in one["productOrderItem"]]

    def states(self, order):
        found = self.database[TASKS].find({"of": f"default:{order}", "what": "task"})
        return {one["state"] for one in found}

    def kill(self, word):
        os.kill(wait_until(lambda: self.served.child(word), timeout=AGAIN), signal.SIGKILL)

    def go_on(self):
        for one in self.held.values():
            one.go_on()

    def agrees(self):
        check_consistency(self)


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    credentials = folder / "credentials.json"
    credentials.write_text("{}")
    served = ServerProcess(
        folder / "data",
        TMF_AUTH="off",
        TMF_CREDENTIALS_FILE=str(credentials),
        TMF_FULFILMENT_PATIENCE="300",
    )
    gateways = [ThreadedGateway(name, "127.0.0.1", 9) for name in NAMES]
    try:
        served.start()
        it = Operator(served, folder)
        for one in gateways:
            one.simulator.community = one.simulator.name
            one.__enter__()
            it.add(one)
        it.fibre, it.fast = it.offering(100, 40), it.offering(1000, 500)
        it.products = {
            name: it.completed(
                it.order(
                    *(
                        order_item(id=str(n), offering=it.fibre, port=f"{name} sub{n}")
                        for n in range(1, 7)
                    )
                )
            )
            for name in NAMES[1:]
        }
        yield it
        it.client.close()
    finally:
        served.stop()
        for one in gateways:
            if one._thread.is_alive():
                one.__exit__()


@pytest.fixture(autouse=True)
def at_ease(operator):
    yield
    operator.go_on()


def three(operator, n):
    """Order a new service, a faster one and the end of one, each on a gateway of its own."""
    return [
        operator.order(order_item(offering=operator.fibre, port=f"one sub{n}")),
        operator.order(
            order_item("modify", offering=operator.fast, product=operator.products["two"][n - 1])
        ),
        operator.order(order_item("delete", product=operator.products["three"][n - 1])),
    ]


STEPS = ("reserved", "first SET", "second SET", "last SET", "verified", "active")
SETS = {"first SET": (1, 1, 1), "second SET": (2, 1, 2), "last SET": (3, 2, 3)}


@pytest.mark.parametrize("step", STEPS)
def test_orders_go_on_where_a_killed_worker_left_them(operator, step):
    it, n = operator, STEPS.index(step) + 1
    for one in it.gateways.values():
        one.sets = 0
    for name, sets in zip(NAMES, SETS.get(step, (0, 0, 0)), strict=True):
        it.held[name].hold(sets)
    orders = three(it, n)
    if step in SETS:
        for name in NAMES:
            assert it.held[name].reached.wait(AGAIN)
    else:
        wait_until(lambda: any(step in it.states(one) for one in orders), pause=0.002)
    it.kill("tmf_apis work")
    it.go_on()
    it.completed(*orders)
    assert [one.sets for one in it.gateways.values()] == [3, 2, 3]
    it.agrees()


def in_the_middle(operator, port):
    """Order a service and return when its gateway is silent in the middle."""
    operator.held["one"].hold(2)
    order = operator.order(order_item(offering=operator.fibre, port=f"one {port}"))
    assert operator.held["one"].reached.wait(AGAIN)
    return order


@pytest.mark.parametrize("victim", ["server start-dev", "mongod"])
def test_an_order_goes_on_when_a_server_of_ours_was_killed(operator, victim):
    order = in_the_middle(operator, "sub7" if victim == "mongod" else "sub8")
    operator.kill(victim)
    operator.go_on()
    operator.completed(order)
    operator.agrees()


def test_orders_at_once_on_one_element_survive_a_kill_in_between(operator):
    it = operator
    wanted = [order_item(offering=it.fibre, port=f"two sub{n}") for n in range(7, 13)]
    wanted += [
        order_item("modify", offering=it.fast, product=one) for one in it.products["two"][:6]
    ]
    twice = [order_item(offering=it.fibre, port=f"two sub{n}") for n in range(7, 13)]
    with ThreadPoolExecutor(8) as threads:
        orders = list(threads.map(it.order, [*wanted, *twice]))
    wait_until(lambda: any("active" in it.states(one) for one in orders), pause=0.002)
    it.kill("tmf_apis work")
    states = [one["state"] for one in it.ended(*orders)]
    assert states.count("completed") == 12
    assert states.count("failed") == 6
    it.agrees()


@pytest.mark.parametrize("memory", ["kept", "lost"])
def test_an_order_goes_on_when_everything_was_killed(operator, memory):
    it, ports = operator, {"kept": ("sub9", "sub10"), "lost": ("sub11", "sub12")}[memory]
    order = in_the_middle(it, ports[0])
    late = it.order(order_item(offering=it.fibre, port=f"one {ports[1]}"))  # acknowledged, then:
    worker = it.served.child_pid("tmf_apis work")
    it.served.kill()
    assert worker
    it.client.close()
    it.go_on()
    if memory == "lost":
        lost = list(it.served.folder.rglob("temporal.db*"))
        assert lost
        for file in lost:
            file.unlink()
    it.served.start()
    it.look()
    it.completed(order, late)
    it.agrees()
