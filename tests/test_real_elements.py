"""Orders on real elements: commits that wait to be confirmed, and what the customer really gets."""

import asyncio
import json
import re
import shutil
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress

import pytest
from netconf_client.ncclient import Manager

from adapters import registry
from adapters.credentials import Credentials
from adapters.lab import Lab, available
from adapters.lab.netconf import NetconfLab, missing
from adapters.lab.network import LabError, run
from adapters.testing import MBIT
from tests.executing import Execution, item
from tests.test_netconf import session_of
from tmf_apis.fulfilment.characteristics import with_values
from tmf_apis.reconciliation.discovery import register
from tmf_apis.settings import Settings
from tmf_apis.store.connection import client as client_of

MISSING = missing() or available()
if MISSING is None and shutil.which("iperf3") is None:
    MISSING = "the effect is measured by iperf3: apt-get install iperf3"
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


class Real(Execution):
    """An operator with real elements."""

    def introduce(self, lab, **options):
        """Put an element into the inventory."""
        target = lab.target
        named = f"{self.tenant}-{lab.name}"
        self.secrets[named] = lab.credentials[lab.name]
        self.credentials.write_text(json.dumps(self.secrets))
        options = {**target.options, **options}
        self.target = type(target)(lab.name, target.address, target.adapter, named, options)

        async def go():
            async with registry.connect(self.target, Credentials(self.credentials)) as adapter:
                return await register(self.desk, adapter)

        self.do(go())

    def put_head(self, lab):
        """Have sub1 measured from now on."""
        address = {"testAddress": lab.site.head("sub1")}
        id = self.port(lab.name, "sub1")["id"]
        self.desk.change("Resource", id, lambda port: with_values(port, address))

    def on(self, port):
        """Return the service that the element says it has on a port, and its settings."""

        async def go():
            async with registry.connect(self.target, Credentials(self.credentials)) as adapter:
                return await adapter.services()

        found = {one.port: one for one in self.do(go()) if one.service_id}
        one = found.get(port)
        return (one.service_id, one.settings) if one else ("", {})

    def remove(self):
        """Take every service off the element."""

        async def go():
            async with registry.connect(self.target, Credentials(self.credentials)) as adapter:
                for one in await adapter.services():
                    if one.service_id:
                        await adapter.remove(one.service_id)

        self.do(go())


@pytest.fixture(scope="module")
def operator(tmp_path_factory, mongodb_uri, contracts):
    with client_of(Settings(mongodb_database="real"), mongodb_uri) as client:
        client.drop_database("real")
        folder = tmp_path_factory.mktemp("x")
        with Real(contracts, client["real"], folder, fulfilment_confirm=10.0) as it:
            yield it
        client.drop_database("real")


@pytest.fixture(scope="module")
def lab():
    with NetconfLab() as lab:
        yield lab


@pytest.fixture
def it(operator, lab):
    """An operator with the real NETCONF gateway and nothing else."""
    operator.fresh()
    operator.policy(fulfilment_patience=20.0, fulfilment_confirm=30.0)
    operator.introduce(lab, patience="0.4", timeout="5")
    yield operator
    operator.remove()


@pytest.fixture
def fibre(it):
    return it.offering(20, 10)


@pytest.fixture
def engineer(lab):
    """Somebody else's session."""
    session = session_of(lab, "engineer")
    yield Manager(session, timeout=10)
    session.close()


def shaped(lab, port="sub1"):
    """The rate that the kernel has for a port, in Mbit/s; 0: none."""
    shown = "tc class show dev $0 2>/dev/null || true"  # the one for upstream comes and goes
    said = lab.site.run(lab.site.gateway, "sh", "-c", shown, port)
    found = re.search(r"rate (\d+)Mbit", said)
    return int(found[1]) if found else 0


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.05)


def message(order):
    return order["productOrderErrorMessage"][0]["message"]


def add(it, fibre, lab):
    """Order a service on sub1 and return its product id."""
    order = it.run(it.post(item(offering=fibre, port=f"{lab.name} sub1")))
    assert order["state"] == "completed", message(order)
    return order["productOrderItem"][0]["product"]["id"]


BEHIND_ITS_BACK = """\
class add dev sub1 parent 1: classid 1:20 htb rate {rate}mbit ceil {rate}mbit
filter add dev sub1 parent 1: protocol all prio 1 u32 match u32 0 0 flowid 1:20
"""


@contextmanager
def meddling(it, lab, after, rate):
    """Let another rate flow as soon as the element has done what it says, and goes on saying."""
    provisioning = it.advancing._provisioning
    whole = provisioning._checked

    def meddle():
        until(lambda: shaped(lab) == after)
        inside = ("ip", "netns", "exec", lab.site.gateway)
        run(*inside, "tc", "-batch", "-", batch=BEHIND_ITS_BACK.format(rate=rate))

    async def checked(entry, adapter):
        await asyncio.to_thread(meddle)
        await whole(entry, adapter)

    provisioning._checked = checked
    try:
        yield
    finally:
        provisioning._checked = whole
    inside = ("ip", "netns", "exec", lab.site.gateway)
    for deed in ("filter del dev sub1 parent 1: prio 1", "class del dev sub1 classid 1:20"):
        with suppress(LabError):
            run(*inside, "tc", *deed.split())


def nothing_waits(engineer):
    """Whether no commit waits to be confirmed: then, and only then, anybody can have the lock."""
    engineer.lock(target="candidate")
    engineer.unlock(target="candidate")
    return True


def dying(it, key, step, **when):
    """Let the worker die when it comes to a step, as a process does: nothing more is written."""
    provisioning = it.advancing._provisioning
    whole = getattr(provisioning, step)

    async def stop(entry, *rest, **more):
        if when.items() <= more.items():
            raise asyncio.CancelledError
        return await whole(entry, *rest, **more)

    setattr(provisioning, step, stop)
    with pytest.raises(CancelledError):
        it.advance(key)


def test_a_service_is_provided_made_faster_and_ended_by_commits_that_are_confirmed(
    it, lab, fibre, engineer
):
    it.put_head(lab)
    product = add(it, fibre, lab)
    assert nothing_waits(engineer)
    assert it.on("sub1")[0] == product
    until(lambda: (shaped(lab), shaped(lab, "isub1")) == (20, 10))
    fast = it.offering(80, 30)
    order = it.run(it.post(item("modify", offering=fast, product=product)))
    assert order["state"] == "completed", order
    assert it.on("sub1")[1]["downstream"] == 80 * MBIT
    until(lambda: (shaped(lab), shaped(lab, "isub1")) == (80, 30))
    it.agrees()
    order = it.run(it.post(item("delete", product=product)))
    assert order["state"] == "completed"
    assert it.on("sub1") == ("", {})
    until(lambda: shaped(lab) == 0)
    it.agrees()


def test_an_element_that_says_a_rate_and_gives_another_is_found_out(it, lab, fibre):
    it.put_head(lab)
    key = it.post(item(offering=fibre, port=f"{lab.name} sub1"))
    with meddling(it, lab, 20, 200):
        order = it.run(key)
    assert order["state"] == "failed"
    assert re.search(r"downstream is \d{8,9} instead of 20000000", message(order))
    assert it.on("sub1") == ("", {})
    until(lambda: shaped(lab) == 0)
    it.agrees()


def test_an_upgrade_that_the_customer_does_not_get_is_taken_back(it, lab, fibre):
    product = add(it, fibre, lab)
    it.put_head(lab)
    key = it.post(item("modify", offering=it.offering(90, 10), product=product))
    with meddling(it, lab, 90, 5):
        order = it.run(key)
    assert order["state"] == "failed"
    assert "instead of 90000000" in message(order)
    assert it.on("sub1")[1]["downstream"] == 20 * MBIT
    assert it.desk.get("Product", product)["productOffering"]["id"] == fibre
    it.agrees()


def test_a_worker_that_dies_before_it_confirms_is_followed_by_one_that_does_it_anew(it, lab, fibre):
    it.policy(fulfilment_patience=20.0, fulfilment_confirm=2.0)
    key = it.post(item(offering=fibre, port=f"{lab.name} sub1"))
    it.accept(key)
    dying(it, key, "_checked")
    assert it.states(key) == {"1#1": "applied"}
    until(lambda: shaped(lab) == 20)
    until(lambda: shaped(lab) == 0, 10)  # the element's own doing: nobody has confirmed
    assert it.on("sub1") == ("", {})
    it.policy(fulfilment_patience=20.0, fulfilment_confirm=30.0)
    order = it.run(key)
    assert order["state"] == "completed", message(order)
    until(lambda: shaped(lab) == 20)
    it.agrees()


def test_a_worker_that_dies_is_followed_while_the_commit_still_waits(it, lab, fibre, engineer):
    key = it.post(item(offering=fibre, port=f"{lab.name} sub1"))
    it.accept(key)
    dying(it, key, "_checked")
    it.start()
    order = it.run(key)
    assert order["state"] == "completed", message(order)
    assert nothing_waits(engineer)
    it.agrees()


def test_what_a_worker_committed_before_it_died_is_taken_back_when_it_is_cancelled(it, lab, fibre):
    it.policy(fulfilment_patience=2.0, fulfilment_confirm=60.0)
    key = it.post(item(offering=fibre, port=f"{lab.name} sub1"))
    it.accept(key)
    dying(it, key, "_note", state="applied")  # committed, and nobody has written it down
    assert it.states(key) == {"1#1": "planned"}
    request = it.cancel(key)
    it.start()
    it.run(key)
    it.settle(key, request)
    order = it.order(key)
    assert order["state"] == "cancelled", order
    assert it.on("sub1") == ("", {})
    assert not it.port(lab.name, "sub1").get("unknownStatus")
    it.agrees()


def test_a_server_that_is_killed_in_the_middle_is_waited_for(it, lab, fibre):
    provisioning = it.advancing._provisioning
    checked = provisioning._checked
    killed = []

    async def kill(entry, adapter):
        if not killed:
            killed.append(entry.state)
            await asyncio.to_thread(lab.stop)
        await checked(entry, adapter)

    provisioning._checked = kill
    key = it.post(item(offering=fibre, port=f"{lab.name} sub1"))
    it.accept(key)
    report = it.advance(key)
    assert killed == ["applied"]
    assert report.open
    assert report.wait > 0
    lab.start()
    order = it.run(key)
    assert order["state"] == "completed", order
    until(lambda: shaped(lab) == 20)
    it.agrees()


def test_a_rival_that_keeps_the_lock_longer_than_our_patience_is_outlived(it, lab, fibre, engineer):
    it.policy(fulfilment_patience=20.0)
    key = it.post(item(offering=fibre, port=f"{lab.name} sub1"))
    it.accept(key)
    engineer.lock(target="candidate")
    assert it.advance(key).open
    assert it.on("sub1") == ("", {})
    engineer.unlock(target="candidate")
    order = it.run(key)
    assert order["state"] == "completed", order
    it.agrees()


def test_a_rival_that_never_gives_the_lock_back_is_named(it, lab, fibre, engineer):
    it.policy(fulfilment_patience=3.0)
    key = it.post(item(offering=fibre, port=f"{lab.name} sub1"))
    engineer.lock(target="candidate")
    order = it.run(key)
    engineer.unlock(target="candidate")
    assert order["state"] == "failed"
    assert f"session {engineer.session_id}" in message(order)
    it.agrees()


def test_the_effect_counts_over_snmp_too(operator):
    operator.fresh()
    operator.policy(fulfilment_patience=20.0)
    with Lab() as lab:
        operator.introduce(lab)
        fibre = operator.offering(20, 10)
        product = add(operator, fibre, lab)
        assert shaped(lab) == 20
        operator.put_head(lab)
        key = operator.post(item("modify", offering=operator.offering(60, 10), product=product))
        with meddling(operator, lab, 60, 300):
            order = operator.run(key)
        assert order["state"] == "failed"
        assert "instead of 60000000" in message(order)
        assert shaped(lab) == 20
        operator.agrees()
