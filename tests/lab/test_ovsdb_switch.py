"""The adapter with a real Open vSwitch: services, their traffic, and failures."""

import asyncio
import datetime as dt
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters import condition_types
from adapters.credentials import Secret
from adapters.errors import Conflict, Rejected, Unreachable, Unsupported
from adapters.lab.network import PATH, run
from adapters.lab.switch import SCHEMA, SwitchLab, switch_unavailable_reason
from adapters.ovsdb import OvsdbSwitch, operations
from adapters.testing import AdapterContract, provide
from adapters.values import Intent, Target

MBIT = 1_000_000
LINE = Intent("service-1", "sub1", {"vlan": 100, "downstream": 20 * MBIT})
OTHER = Intent("service-2", "sub2", {"vlan": 100})
needs_switch = pytest.mark.skipif(
    switch_unavailable_reason() is not None, reason=str(switch_unavailable_reason())
)
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def lab():
    with SwitchLab() as lab:
        yield lab


@pytest.fixture
async def switch(lab, anyio_backend):
    async with OvsdbSwitch(lab.target, Secret({})) as switch:
        yield switch
        for service in await switch.services():
            await switch.remove(service.service_id)


@needs_switch
class TestSwitch(AdapterContract):
    settings = {"vlan": 100, "downstream": 100 * MBIT}  # noqa: RUF012
    changed = {"vlan": 200, "downstream": 200 * MBIT}  # noqa: RUF012
    wrong = {"vlan": 5000}  # noqa: RUF012

    @pytest.fixture
    def adapter(self, switch):
        return switch

    @pytest.fixture
    def ports(self):
        return ("sub1", "sub2")


@needs_switch
async def test_services_reach_others_in_their_vlan_only(switch, lab):
    for intent in (LINE, OTHER, Intent("service-3", "sub3", {"vlan": 200})):
        await provide(switch, intent)
    assert lab.can_reach("sub1", "sub2")
    assert not lab.can_reach("sub1", "sub3")
    await provide(switch, Intent("service-3", "sub3", {"vlan": 100}))
    assert lab.can_reach("sub1", "sub3")


@needs_switch
async def test_the_downstream_rate_is_limited(switch, lab):
    await provide(switch, LINE)
    await provide(switch, OTHER)
    assert 15 * MBIT < lab.measure_throughput("sub1", source="sub2") < 21 * MBIT
    await provide(switch, Intent("service-1", "sub1", {"downstream": 60 * MBIT}))
    assert 40 * MBIT < lab.measure_throughput("sub1", source="sub2") < 63 * MBIT
    await provide(switch, Intent("service-1", "sub1", {"downstream": 0}))
    assert lab.measure_throughput("sub1", source="sub2", seconds=0.5) > 70 * MBIT


@needs_switch
async def test_a_suspended_service_carries_nothing_and_keeps_its_vlan(switch, lab):
    await provide(switch, LINE)
    await provide(switch, OTHER)
    await provide(switch, Intent("service-2", "sub2", {"enabled": False}))
    assert (await switch.read("service-2")).settings["vlan"] == 100
    assert not lab.can_reach("sub1", "sub2")
    assert not lab.can_reach("sub2", "up0")
    await provide(switch, Intent("service-2", "sub2", {"enabled": True}))
    assert lab.can_reach("sub1", "sub2")


@needs_switch
async def test_a_port_without_its_former_service_carries_nothing(switch, lab):
    await provide(switch, LINE)
    await provide(switch, OTHER)
    await switch.remove("service-2")
    assert not lab.can_reach("sub2", "sub1")
    assert not lab.can_reach("sub2", "up0")
    await provide(switch, OTHER)
    assert lab.can_reach("sub2", "sub1")


@needs_switch
async def test_idle_ports_stay_open_with_the_option_idle_open(switch, lab):
    await provide(switch, OTHER)
    await switch.remove("service-2")
    async with create_adapter(lab, idle="open") as open_switch:
        for port in ("sub2", "sub3"):
            await provide(open_switch, Intent("service-2", port, {"vlan": 100}))
            await open_switch.remove("service-2")
    assert lab.can_reach("sub2", "sub3")


@needs_switch
async def test_the_rows_of_a_rate_limit_are_deleted_with_it(switch, lab):
    await provide(switch, LINE)
    assert rows(lab, "qos") == rows(lab, "queue") == 1
    await provide(switch, Intent("service-1", "sub1", {"downstream": 30 * MBIT}))
    assert rows(lab, "qos") == rows(lab, "queue") == 1
    await switch.remove("service-1")
    assert rows(lab, "qos") == rows(lab, "queue") == 0


@needs_switch
async def test_a_foreign_qos_is_replaced_but_not_deleted(switch, lab):
    await provide(switch, OTHER)
    foreign = ("--id=@q", "create", "qos", "type=linux-htb", "other-config:max-rate=5000000")
    lab.run_vsctl("set", "port", "sub2", "qos=@q", "--", *foreign)
    assert (await switch.read("service-2")).settings["downstream"] == 5 * MBIT
    limited = Intent("service-2", "sub2", {"vlan": 100, "downstream": 7 * MBIT})
    await provide(switch, limited)
    assert (await switch.verify(limited)).good
    assert rows(lab, "qos") == 2
    await switch.remove("service-2")
    assert rows(lab, "qos") == 1
    lab.run_vsctl("--all", "destroy", "qos")


@needs_switch
async def test_foreign_external_ids_of_a_port_are_kept(switch, lab):
    lab.run_vsctl("set", "port", "sub1", "external_ids:cable=7")
    await provide(switch, LINE)
    await switch.remove("service-1")
    assert lab.run_vsctl("get", "port", "sub1", "external_ids").strip() == '{cable="7"}'
    lab.run_vsctl("clear", "port", "sub1", "external_ids")


@needs_switch
async def test_an_upstream_rate_is_refused_without_the_option_upstream(switch):
    with pytest.raises(Unsupported, match="sub1 upstream"):
        await switch.plan(Intent("service-1", "sub1", {"vlan": 100, "upstream": 10 * MBIT}))
    unlimited = Intent("service-1", "sub1", {"vlan": 100, "upstream": 0})
    assert (await switch.plan(unlimited)).steps


@needs_switch
async def test_the_userspace_switch_accepts_policing_and_ignores_it(lab, switch):
    intent = Intent("service-1", "sub1", {"vlan": 100, "upstream": 10 * MBIT})
    async with create_adapter(lab, upstream="policing") as policing:
        await provide(policing, intent)
        await provide(policing, OTHER)
        assert (await policing.verify(intent)).good
        assert lab.measure_throughput("sub2", source="sub1", seconds=0.5) > 50 * MBIT
        await policing.remove("service-1")


@needs_switch
@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
async def test_a_test_head_detects_an_ignored_rate_limit(lab):
    applied = Intent("service-1", "sub1", {"vlan": 100, "downstream": 20 * MBIT})
    ignored = Intent("service-1", "sub1", {"vlan": 100, "upstream": 10 * MBIT})
    lab.run_vsctl("set", "port", "up0", "tag=100")
    with run_test_head(lab, "sub1") as address:
        async with create_adapter(lab, upstream="policing", testAddress=address) as switch:
            await provide(switch, applied)
            assert await asyncio.to_thread(measure, lab, switch.target, applied) == ""
            await provide(switch, ignored)
            assert (await switch.verify(ignored)).good
            difference = await asyncio.to_thread(measure, lab, switch.target, ignored)
            assert "instead of 10000000" in difference
            await switch.remove("service-1")
            difference = await asyncio.to_thread(measure, lab, switch.target, applied)
            assert difference == "reachable is False instead of True"
    lab.run_vsctl("clear", "port", "up0", "tag")


@contextmanager
def run_test_head(lab, port):
    """Run a test head behind a port and yield its address."""
    address = lab.network.address(port)
    enter = ("ip", "netns", "exec", lab.network.host(port))
    server = ("iperf3", "--server", "--bind", address, "--forceflush")
    with subprocess.Popen(  # noqa: S603
        (*enter, *server), stdout=subprocess.PIPE, env={"PATH": PATH}
    ) as process:
        process.stdout.readline()
        yield address
        process.terminate()


def measure(lab, target, intent):
    """Measure from the core of the network, and return the difference."""
    script = (
        "import asyncio; from adapters.effect import measure; from adapters.values import *; "
        f"print(asyncio.run(measure({target!r}, {intent!r})).difference)"
    )
    return lab.network.run(lab.network.core, sys.executable, "-c", script).strip()


@needs_switch
async def test_an_uplink_cannot_carry_a_service(switch):
    with pytest.raises(Rejected, match="has no vlan") as caught:
        await switch.plan(Intent("service-1", "up0", {"vlan": 100}))
    assert caught.value.reason == "noSuchAttribute"


@needs_switch
async def test_a_service_without_a_vlan_is_refused(switch):
    with pytest.raises(Rejected, match="sub1 vlan"):
        await switch.plan(Intent("service-1", "sub1", {"downstream": MBIT}))


@needs_switch
async def test_a_port_changed_since_it_was_read_is_not_changed(switch, lab):
    snapshot = await switch._session.read()
    row = snapshot.ports["sub1"]
    target = {**snapshot.state(row), "tag": "service-1", "vlan": 100, "downstream": MBIT}
    lab.run_vsctl("set", "port", "sub1", "tag=300")
    with pytest.raises(Conflict, match="changed meanwhile"):
        await switch._session.commit(operations.port_operations(snapshot, row, target))
    assert lab.run_vsctl("get", "port", "sub1", "tag", "external_ids").split() == ["300", "{}"]
    assert rows(lab, "qos") == 0
    lab.run_vsctl("clear", "port", "sub1", "tag")


@needs_switch
async def test_a_service_provided_on_another_port_meanwhile_is_a_conflict(switch, lab):
    snapshot = await switch._session.read()
    row = snapshot.ports["sub1"]
    target = {**snapshot.state(row), "tag": "service-1", "vlan": 100}
    await provide(switch, Intent("service-1", "sub2", {"vlan": 100}))
    with pytest.raises(Conflict):
        await switch._session.commit(operations.port_operations(snapshot, row, target))
    assert (await switch.read("service-1")).port == "sub2"


@needs_switch
async def test_a_constraint_violation_rejects_the_whole_transaction(switch, lab):
    where = [["name", "==", "sub1"]]
    updates = [{"op": "update", "table": "Port", "where": where, "row": {"tag": 7}},
               {"op": "update", "table": "Port", "where": where, "row": {"tag": 5000}}]  # fmt: skip
    with pytest.raises(Rejected) as caught:
        await switch._session.commit(updates)
    assert caught.value.reason == "constraint violation"
    assert lab.run_vsctl("get", "port", "sub1", "tag").strip() == "[]"


@needs_switch
async def test_after_a_crash_of_the_database_a_plan_is_done_or_not(switch, lab):
    await provide(switch, LINE)
    fast = Intent("service-1", "sub1", {"vlan": 200, "downstream": 90 * MBIT})

    async def change_continuously():
        while True:
            for intent in (fast, LINE):
                await provide(switch, intent)

    changes = asyncio.create_task(change_continuously())
    await asyncio.sleep(0.2)
    await asyncio.to_thread(lab.stop, "database", signal.SIGKILL)
    with pytest.raises(Unreachable) as caught:
        await changes
    assert caught.value.again
    lab.restart_database()
    settings = (await switch.read("service-1")).settings.items()
    assert settings >= fast.settings.items() or settings >= LINE.settings.items()
    await provide(switch, fast)
    assert (await switch.verify(fast)).good


@needs_switch
async def test_a_stopped_switch_is_unreachable_and_not_verified(lab, switch):
    plan = await switch.plan(LINE)
    await asyncio.to_thread(lab.stop, "switch", signal.SIGKILL)
    async with create_adapter(lab, timeout="2") as hasty:
        with pytest.raises(Unreachable, match="did not apply its configuration"):
            await hasty.apply(plan)
        verdict = await hasty.verify(LINE)
        assert verdict.difference == "inForce is False instead of True"
        with pytest.raises(Unreachable):
            await hasty.apply(plan)
    lab.start_switch()
    assert (await switch.apply(plan)).done == plan.steps
    assert (await switch.verify(LINE)).good


@needs_switch
async def test_a_link_failure_and_its_end_are_reported(switch, lab):
    await provide(switch, LINE)
    faults = asyncio.Queue()
    monitor = asyncio.create_task(collect_faults(switch, faults))
    await asyncio.sleep(0.3)
    assert faults.empty()
    lab.cut_link("sub1")
    async with asyncio.timeout(20):
        fault = await faults.get()
    assert (fault.condition, fault.port, fault.active) == (condition_types.LINK_DOWN, "sub1", True)
    assert fault.attributes == {"tag": "service-1"}
    assert [condition.port for condition in await switch.active_conditions()] == ["sub1"]
    lab.restore_link("sub1")
    async with asyncio.timeout(20):
        assert not (await faults.get()).active
    monitor.cancel()


@needs_switch
async def test_a_link_failure_during_an_outage_is_reported_afterwards(lab):
    async with create_adapter(lab, poll="0.1") as switch:
        faults = asyncio.Queue()
        monitor = asyncio.create_task(collect_faults(switch, faults))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(lab.stop, "database", signal.SIGKILL)
        lab.cut_link("sub3")
        lab.restart_database()
        async with asyncio.timeout(20):
            assert (await faults.get()).port == "sub3"
        lab.restore_link("sub3")
        async with asyncio.timeout(20):
            assert not (await faults.get()).active
        monitor.cancel()


@needs_switch
async def test_the_inventory_has_the_bridge_and_its_ports(switch):
    inventory = await switch.inventory()
    assert inventory.facts.software.removeprefix("Open vSwitch ")[0].isdigit()
    assert [(part.name, part.kind, part.parent) for part in inventory.components] == [
        ("switch-lab", "chassis", ""),
        ("bridge br0", "module", "switch-lab"),
    ]
    access = {port.name: port.access for port in inventory.ports}
    assert access == {"br0": False, "sub1": True, "sub2": True, "sub3": True, "up0": False}
    assert {port.speed for port in inventory.ports if port.access} == {10_000 * MBIT}


@needs_switch
async def test_fifty_concurrent_changes_leave_a_consistent_service(switch):
    await provide(switch, LINE)
    await asyncio.gather(*(set_rate(switch, rate) for rate in range(1, 51)))
    assert (await switch.read("service-1")).settings["downstream"] % MBIT == 0


async def set_rate(switch, rate):
    try:
        await provide(switch, Intent("service-1", "sub1", {"downstream": rate * MBIT}))
    except Conflict:
        await asyncio.sleep(0)


async def collect_faults(switch, faults):
    async for fault in switch.faults():
        faults.put_nowait(fault)


def rows(lab, table):
    return lab.run_vsctl("--columns=_uuid", "list", table).count("_uuid")


def create_adapter(lab, **options):
    target = lab.target
    options = {**target.options, **options}
    return OvsdbSwitch(Target(target.name, target.address, "ovsdb", "", options), Secret({}))


@pytest.mark.skipif(not SCHEMA.exists(), reason="openvswitch-switch is not installed")
async def test_tls_authenticates_the_switch_by_the_authority_of_the_credentials(tmp_path):
    files = create_certificates(tmp_path)
    with TlsDatabase(tmp_path, files) as port:
        options = {"tls": "yes", "timeout": "5"}
        target = Target("tls", f"127.0.0.1:{port}", "ovsdb", "x", options)
        async with OvsdbSwitch(target, Secret(files)) as switch, asyncio.timeout(30):
            while True:
                try:
                    assert (await switch.probe()).vendor == "Open vSwitch"
                    break
                except Unreachable:
                    await asyncio.sleep(0.05)
        (tmp_path / "other").mkdir()
        other = {**files, "ca": create_certificates(tmp_path / "other")["ca"]}
        async with OvsdbSwitch(target, Secret(other)) as switch:
            with pytest.raises(Unreachable, match="certificate"):
                await switch.probe()


class TlsDatabase:
    """A database server that accepts TLS only."""

    def __init__(self, folder, files):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        run("ovsdb-tool", "create", str(folder / "db"), str(SCHEMA))
        self._command = (
            "ovsdb-server", folder / "db", f"--remote=pssl:{self._port}:127.0.0.1",
            f"--private-key={files['key']}", f"--certificate={files['certificate']}",
            f"--ca-cert={files['ca']}", f"--unixctl={folder}/ctl", "-vconsole:off", "--no-chdir",
        )  # fmt: skip

    def __enter__(self):
        self._process = subprocess.Popen(self._command, env={"PATH": PATH})  # noqa: S603
        return self._port

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(5)


def create_certificates(folder):
    """Create PEM files: an authority, a certificate of the authority, and its key; return them."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "switch")}
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {folder}"[-60:])])
    now = dt.datetime.now(dt.UTC)
    files = {}
    for name, key in keys.items():
        subject = issuer if name == "ca" else x509.Name([])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .sign(keys["ca"], hashes.SHA256())
        )
        files[name] = folder / f"{name}.pem"
        files[name].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private_key = folder / "key.pem"
    key_format = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    private_key.write_bytes(
        keys["switch"].private_bytes(pem, key_format, serialization.NoEncryption())
    )
    return {"ca": str(files["ca"]), "certificate": str(files["switch"]), "key": str(private_key)}
