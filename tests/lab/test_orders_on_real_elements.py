"""Orders on real elements: confirmed commits, and the measured effect for the customer."""

import asyncio
import json
import re
import shutil
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress

import pytest
from netconf_client.ncclient import Manager

from adapters import registry
from adapters.credentials import Credentials
from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.lab.netconf import NetconfLab, netconf_unavailable_reason
from adapters.lab.network import LabError, run
from adapters.testing import MBIT
from tests.support.fulfilment_harness import FulfilmentHarness, order_item
from tests.support.netconf_session import open_local_session
from tests.support.waiting import wait_until
from tmf_apis.inventory.characteristics import with_characteristics
from tmf_apis.reconciliation.discovery import register
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of

MISSING = netconf_unavailable_reason() or lab_unavailable_reason()
if MISSING is None and shutil.which("iperf3") is None:
    MISSING = "the effect is measured by iperf3: apt-get install iperf3"
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


class RealOperator(FulfilmentHarness):
    """An operator with real elements."""

    def register_element(self, lab, **options):
        """Add an element to the inventory."""
        target = lab.target
        credential = f"{self.tenant}-{lab.name}"
        self.secrets[credential] = lab.credentials[lab.name]
        self.credentials.write_text(json.dumps(self.secrets))
        options = {**target.options, **options}
        self.target = type(target)(lab.name, target.address, target.adapter, credential, options)
        self.run_with_adapter(lambda adapter: register(self.repository, adapter))

    def run_with_adapter(self, function):
        """Return the awaited result of a function of the element's adapter."""

        async def run():
            credentials = Credentials(self.credentials)
            async with registry.create_adapter(self.target, credentials) as adapter:
                return await function(adapter)

        return self.run_async(run())

    def start_test_head(self, lab):
        """Start a test head on sub1, so that the effect on it is measured from now on."""
        address = {"testAddress": lab.network.start_test_head("sub1")}
        id = self.find_port(lab.name, "sub1")["id"]
        self.repository.change("Resource", id, lambda port: with_characteristics(port, address))

    def configured_service(self, port):
        """Return the service that the element has configured on a port, and its settings."""
        for service in self.run_with_adapter(lambda adapter: adapter.services()):
            if service.service_id and service.port == port:
                return service.service_id, service.settings
        return "", {}

    def remove_services(self):
        """Remove every service from the element."""

        async def remove(adapter):
            for service in await adapter.services():
                if service.service_id:
                    await adapter.remove(service.service_id)

        self.run_with_adapter(remove)


@pytest.fixture(scope="module")
def harness(tmp_path_factory, mongodb_uri, contracts):
    with client_of(Settings(mongodb_database="real"), mongodb_uri) as client:
        client.drop_database("real")
        folder = tmp_path_factory.mktemp("x")
        with RealOperator(contracts, client["real"], folder, fulfilment_confirm=10.0) as harness:
            yield harness
        client.drop_database("real")


@pytest.fixture(scope="module")
def lab():
    with NetconfLab() as lab:
        yield lab


@pytest.fixture
def operator(harness, lab):
    """An operator with the real NETCONF gateway and nothing else."""
    harness.use_new_tenant()
    harness.configure(fulfilment_patience=20.0, fulfilment_confirm=30.0)
    harness.register_element(lab, patience="0.4", timeout="5")
    yield harness
    harness.remove_services()


@pytest.fixture
def fibre(operator):
    return operator.create_offering(20, 10)


@pytest.fixture
def engineer(lab):
    """A NETCONF session of another client."""
    session = open_local_session(lab, "engineer")
    yield Manager(session, timeout=10)
    session.close()


def shaped_rate(lab, port="sub1"):
    """Return the rate that the kernel applies to a port, in Mbit/s; 0 if none."""
    command = "tc class show dev $0 2>/dev/null || true"  # the upstream device may not exist
    output = lab.network.run(lab.network.gateway, "sh", "-c", command, port)
    match = re.search(r"rate (\d+)Mbit", output)
    return int(match[1]) if match else 0


def shaped_rates(lab):
    """Return the rates that the kernel applies to sub1 downstream and upstream, in Mbit/s."""
    return shaped_rate(lab), shaped_rate(lab, "isub1")


def message(order):
    return order["productOrderErrorMessage"][0]["message"]


def add(operator, fibre, lab):
    """Order a service on sub1 and return its product id."""
    order = operator.run_order(
        operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    )
    assert order["state"] == "completed", message(order)
    return order["productOrderItem"][0]["product"]["id"]


#: Commands of tc(8) that override the rate of sub1.
RATE_OVERRIDE = """\
class add dev sub1 parent 1: classid 1:20 htb rate {rate}mbit ceil {rate}mbit
filter add dev sub1 parent 1: protocol all prio 1 u32 match u32 0 0 flowid 1:20
"""


@contextmanager
def overridden_rate(operator, lab, configured, rate):
    """Override the rate of sub1 as soon as the element has applied the configured one."""
    provisioner = operator.runner._provisioner
    verify = provisioner._verify
    in_gateway = ("ip", "netns", "exec", lab.network.gateway)

    def override():
        wait_until(lambda: shaped_rate(lab) == configured)
        run(*in_gateway, "tc", "-batch", "-", batch=RATE_OVERRIDE.format(rate=rate))

    async def override_and_verify(entry, adapter):
        await asyncio.to_thread(override)
        await verify(entry, adapter)

    provisioner._verify = override_and_verify
    try:
        yield
    finally:
        provisioner._verify = verify
    for command in ("filter del dev sub1 parent 1: prio 1", "class del dev sub1 classid 1:20"):
        with suppress(LabError):
            run(*in_gateway, "tc", *command.split())


def assert_no_pending_commit(engineer):
    """Assert that another client gets the lock: no commit waits for its confirmation."""
    engineer.lock(target="candidate")
    engineer.unlock(target="candidate")


def crash_before(operator, key, step, **arguments):
    """Advance an order; crash the worker before a step that is called with some arguments."""
    provisioner = operator.runner._provisioner
    original = getattr(provisioner, step)

    async def crash(entry, *rest, **more):
        if arguments.items() <= more.items():
            raise asyncio.CancelledError
        return await original(entry, *rest, **more)

    setattr(provisioner, step, crash)
    with pytest.raises(CancelledError):
        operator.advance(key)


def test_a_service_is_provided_upgraded_and_ended_by_confirmed_commits(
    operator, lab, fibre, engineer
):
    operator.start_test_head(lab)
    product = add(operator, fibre, lab)
    assert_no_pending_commit(engineer)
    assert operator.configured_service("sub1")[0] == product
    wait_until(lambda: shaped_rates(lab) == (20, 10))
    fast = operator.create_offering(80, 30)
    order = operator.run_order(
        operator.place_order(order_item("modify", offering=fast, product=product))
    )
    assert order["state"] == "completed", order
    assert operator.configured_service("sub1")[1]["downstream"] == 80 * MBIT
    wait_until(lambda: shaped_rates(lab) == (80, 30))
    operator.assert_consistent()
    order = operator.run_order(operator.place_order(order_item("delete", product=product)))
    assert order["state"] == "completed"
    assert operator.configured_service("sub1") == ("", {})
    wait_until(lambda: shaped_rate(lab) == 0)
    operator.assert_consistent()


def test_a_rate_that_differs_from_the_configuration_fails_the_order(operator, lab, fibre):
    operator.start_test_head(lab)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    with overridden_rate(operator, lab, 20, 200):
        order = operator.run_order(key)
    assert order["state"] == "failed"
    assert re.search(r"downstream is \d{8,9} instead of 20000000", message(order))
    assert operator.configured_service("sub1") == ("", {})
    wait_until(lambda: shaped_rate(lab) == 0)
    operator.assert_consistent()


def test_an_upgrade_without_effect_is_rolled_back(operator, lab, fibre):
    product = add(operator, fibre, lab)
    operator.start_test_head(lab)
    key = operator.place_order(
        order_item("modify", offering=operator.create_offering(90, 10), product=product)
    )
    with overridden_rate(operator, lab, 90, 5):
        order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "instead of 90000000" in message(order)
    assert operator.configured_service("sub1")[1]["downstream"] == 20 * MBIT
    assert operator.repository.get("Product", product)["productOffering"]["id"] == fibre
    operator.assert_consistent()


def test_a_change_that_was_reverted_without_confirmation_is_applied_again(operator, lab, fibre):
    operator.configure(fulfilment_patience=20.0, fulfilment_confirm=2.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    crash_before(operator, key, "_verify")
    assert operator.task_states(key) == {"1#1": "applied"}
    wait_until(lambda: shaped_rate(lab) == 20)
    wait_until(lambda: shaped_rate(lab) == 0)  # the element has reverted the unconfirmed change
    assert operator.configured_service("sub1") == ("", {})
    operator.configure(fulfilment_patience=20.0, fulfilment_confirm=30.0)
    order = operator.run_order(key)
    assert order["state"] == "completed", message(order)
    wait_until(lambda: shaped_rate(lab) == 20)
    operator.assert_consistent()


def test_a_new_worker_confirms_the_pending_commit_of_a_crashed_one(operator, lab, fibre, engineer):
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    crash_before(operator, key, "_verify")
    operator.restart_worker()
    order = operator.run_order(key)
    assert order["state"] == "completed", message(order)
    assert_no_pending_commit(engineer)
    operator.assert_consistent()


def test_cancelling_undoes_a_commit_that_a_crashed_worker_did_not_record(operator, lab, fibre):
    operator.configure(fulfilment_patience=2.0, fulfilment_confirm=60.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    crash_before(operator, key, "_update_entry", state="applied")  # the commit is not recorded
    assert operator.task_states(key) == {"1#1": "planned"}
    request = operator.request_cancellation(key)
    operator.restart_worker()
    operator.run_order(key)
    operator.resolve_cancellation(key, request)
    order = operator.get_order(key)
    assert order["state"] == "cancelled", order
    assert operator.configured_service("sub1") == ("", {})
    assert not operator.find_port(lab.name, "sub1").get("unknownStatus")
    operator.assert_consistent()


def test_an_order_waits_for_a_netconf_server_that_was_stopped(operator, lab, fibre):
    provisioner = operator.runner._provisioner
    verify = provisioner._verify
    states = []

    async def stop_server_and_verify(entry, adapter):
        if not states:
            states.append(entry.state)
            await asyncio.to_thread(lab.stop)
        await verify(entry, adapter)

    provisioner._verify = stop_server_and_verify
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    progress = operator.advance(key)
    assert states == ["applied"]
    assert progress.incomplete
    assert progress.retry_in > 0
    lab.start()
    order = operator.run_order(key)
    assert order["state"] == "completed", order
    wait_until(lambda: shaped_rate(lab) == 20)
    operator.assert_consistent()


def test_an_order_waits_for_the_lock_of_another_session(operator, lab, fibre, engineer):
    operator.configure(fulfilment_patience=20.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    operator.accept(key)
    engineer.lock(target="candidate")
    assert operator.advance(key).incomplete
    assert operator.configured_service("sub1") == ("", {})
    engineer.unlock(target="candidate")
    order = operator.run_order(key)
    assert order["state"] == "completed", order
    operator.assert_consistent()


def test_the_error_names_the_session_that_does_not_release_the_lock(operator, lab, fibre, engineer):
    operator.configure(fulfilment_patience=3.0)
    key = operator.place_order(order_item(offering=fibre, port=f"{lab.name} sub1"))
    engineer.lock(target="candidate")
    order = operator.run_order(key)
    engineer.unlock(target="candidate")
    assert order["state"] == "failed"
    assert f"session {engineer.session_id}" in message(order)
    operator.assert_consistent()


def test_the_effect_is_measured_on_an_snmp_gateway(harness):
    harness.use_new_tenant()
    harness.configure(fulfilment_patience=20.0)
    with SnmpLab() as lab:
        harness.register_element(lab)
        fibre = harness.create_offering(20, 10)
        product = add(harness, fibre, lab)
        assert shaped_rate(lab) == 20
        harness.start_test_head(lab)
        key = harness.place_order(
            order_item("modify", offering=harness.create_offering(60, 10), product=product)
        )
        with overridden_rate(harness, lab, 60, 300):
            order = harness.run_order(key)
        assert order["state"] == "failed"
        assert "instead of 60000000" in message(order)
        assert shaped_rate(lab) == 20
        harness.assert_consistent()
