"""A real switch: services over OVSDB, proved by traffic; and what goes wrong."""

import asyncio
import datetime as dt
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import registry
from adapters.credentials import Secret
from adapters.errors import Conflict, Misconfigured, Rejected, Unreachable, Unsupported
from adapters.lab.network import PATH, run
from adapters.lab.switch import SCHEMA, SwitchLab, switch_unavailable_reason
from adapters.ovsdb import OvsdbSwitch, operations
from adapters.ovsdb.jsonrpc import JsonDecoder
from adapters.ovsdb.session import parse_switch
from adapters.snmp import mib
from adapters.streams import ConnectionFailed
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
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def lab():
    with SwitchLab() as lab:
        yield lab


@pytest.fixture
async def switch(lab, anyio_backend):
    async with OvsdbSwitch(lab.target, Secret({})) as switch:
        yield switch
        for one in await switch.services():
            await switch.remove(one.service_id)


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
async def test_services_in_one_vlan_reach_each_other_and_no_others(switch, lab):
    for intent in (LINE, OTHER, Intent("service-3", "sub3", {"vlan": 200})):
        await provide(switch, intent)
    assert lab.can_reach("sub1", "sub2")
    assert not lab.can_reach("sub1", "sub3")
    await provide(switch, Intent("service-3", "sub3", {"vlan": 100}))
    assert lab.can_reach("sub1", "sub3")


@needs_switch
async def test_what_comes_down_is_what_was_sold(switch, lab):
    await provide(switch, LINE)
    await provide(switch, OTHER)
    assert 15 * MBIT < lab.measure_throughput("sub1", source="sub2") < 21 * MBIT
    await provide(switch, Intent("service-1", "sub1", {"downstream": 60 * MBIT}))
    assert 40 * MBIT < lab.measure_throughput("sub1", source="sub2") < 63 * MBIT
    await provide(switch, Intent("service-1", "sub1", {"downstream": 0}))
    assert lab.measure_throughput("sub1", source="sub2", seconds=0.5) > 70 * MBIT


@needs_switch
async def test_what_is_suspended_carries_nothing_and_keeps_its_vlan(switch, lab):
    await provide(switch, LINE)
    await provide(switch, OTHER)
    await provide(switch, Intent("service-2", "sub2", {"enabled": False}))
    assert (await switch.read("service-2")).settings["vlan"] == 100
    assert not lab.can_reach("sub1", "sub2")
    assert not lab.can_reach("sub2", "up0")
    await provide(switch, Intent("service-2", "sub2", {"enabled": True}))
    assert lab.can_reach("sub1", "sub2")


@needs_switch
async def test_a_port_that_has_had_a_service_carries_nothing(switch, lab):
    await provide(switch, LINE)
    await provide(switch, OTHER)
    await switch.remove("service-2")
    assert not lab.can_reach("sub2", "sub1")
    assert not lab.can_reach("sub2", "up0")
    await provide(switch, OTHER)
    assert lab.can_reach("sub2", "sub1")


@needs_switch
async def test_idle_ports_stay_open_where_the_operator_wants_it(switch, lab):
    await provide(switch, OTHER)
    await switch.remove("service-2")
    async with to(lab, idle="open") as other:
        for port in ("sub2", "sub3"):
            await provide(other, Intent("service-2", port, {"vlan": 100}))
            await other.remove("service-2")
    assert lab.can_reach("sub2", "sub3")


@needs_switch
async def test_nothing_is_left_of_a_limit_in_the_database(switch, lab):
    await provide(switch, LINE)
    assert rows(lab, "qos") == rows(lab, "queue") == 1
    await provide(switch, Intent("service-1", "sub1", {"downstream": 30 * MBIT}))
    assert rows(lab, "qos") == rows(lab, "queue") == 1
    await switch.remove("service-1")
    assert rows(lab, "qos") == rows(lab, "queue") == 0


@needs_switch
async def test_a_limit_of_somebody_else_is_replaced_and_left_to_them(switch, lab):
    await provide(switch, OTHER)
    strange = ("--id=@q", "create", "qos", "type=linux-htb", "other-config:max-rate=5000000")
    lab.run_vsctl("set", "port", "sub2", "qos=@q", "--", *strange)
    assert (await switch.read("service-2")).settings["downstream"] == 5 * MBIT
    limited = Intent("service-2", "sub2", {"vlan": 100, "downstream": 7 * MBIT})
    await provide(switch, limited)
    assert (await switch.verify(limited)).good
    assert rows(lab, "qos") == 2
    await switch.remove("service-2")
    assert rows(lab, "qos") == 1
    lab.run_vsctl("--all", "destroy", "qos")


@needs_switch
async def test_what_others_have_noted_on_a_port_stays(switch, lab):
    lab.run_vsctl("set", "port", "sub1", "external_ids:cable=7")
    await provide(switch, LINE)
    await switch.remove("service-1")
    assert lab.run_vsctl("get", "port", "sub1", "external_ids").strip() == '{cable="7"}'
    lab.run_vsctl("clear", "port", "sub1", "external_ids")


@needs_switch
async def test_a_rate_from_the_customer_is_refused_where_it_may_be_ignored(switch):
    with pytest.raises(Unsupported, match="sub1 upstream"):
        await switch.plan(Intent("service-1", "sub1", {"vlan": 100, "upstream": 10 * MBIT}))
    unlimited = Intent("service-1", "sub1", {"vlan": 100, "upstream": 0})
    assert (await switch.plan(unlimited)).steps


@needs_switch
async def test_this_switch_says_that_it_polices_and_does_not(lab, switch):
    intent = Intent("service-1", "sub1", {"vlan": 100, "upstream": 10 * MBIT})
    async with to(lab, upstream="policing") as other:
        await provide(other, intent)
        await provide(other, OTHER)
        assert (await other.verify(intent)).good
        assert lab.measure_throughput("sub2", source="sub1", seconds=0.5) > 50 * MBIT
        await other.remove("service-1")


@needs_switch
@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
async def test_a_test_head_at_the_customer_tells_a_kept_limit_from_an_ignored_one(lab):
    kept = Intent("service-1", "sub1", {"vlan": 100, "downstream": 20 * MBIT})
    ignored = Intent("service-1", "sub1", {"vlan": 100, "upstream": 10 * MBIT})
    lab.run_vsctl("set", "port", "up0", "tag=100")
    with head(lab, "sub1") as address:
        async with to(lab, upstream="policing", testAddress=address) as switch:
            await provide(switch, kept)
            assert await asyncio.to_thread(measured, lab, switch.target, kept) == ""
            await provide(switch, ignored)
            assert (await switch.verify(ignored)).good
            told = await asyncio.to_thread(measured, lab, switch.target, ignored)
            assert "instead of 10000000" in told
            await switch.remove("service-1")
            told = await asyncio.to_thread(measured, lab, switch.target, kept)
            assert told == "reachable is False instead of True"
    lab.run_vsctl("clear", "port", "up0", "tag")


@contextmanager
def head(lab, port):
    """Run a test head behind a port, and give its address."""
    address = lab.network.address(port)
    command = (
        "ip",
        "netns",
        "exec",
        lab.network.host(port),
        "iperf3",
        "-s",
        "-B",
        address,
        "--forceflush",
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PATH": PATH}) as process:
        process.stdout.readline()
        yield address
        process.terminate()


def measured(lab, target, intent):
    """Measure from the core, as the server does that stands there."""
    script = (
        "import asyncio; from adapters.effect import measure; from adapters.values import *; "
        f"print(asyncio.run(measure({target!r}, {intent!r})).difference)"
    )
    return lab.network.run(lab.network.core, sys.executable, "-c", script).strip()


@needs_switch
async def test_an_uplink_gets_no_service(switch):
    with pytest.raises(Rejected, match="has no vlan") as caught:
        await switch.plan(Intent("service-1", "up0", {"vlan": 100}))
    assert caught.value.reason == "noSuchAttribute"


@needs_switch
async def test_a_service_without_a_vlan_is_refused(switch):
    with pytest.raises(Rejected, match="sub1 vlan"):
        await switch.plan(Intent("service-1", "sub1", {"downstream": MBIT}))


@needs_switch
async def test_a_port_lost_to_a_rival_is_not_touched(switch, lab):
    seen = await switch._session.read()
    row = seen.ports["sub1"]
    wanted = {**seen.state(row), "tag": "service-1", "vlan": 100, "downstream": MBIT}
    lab.run_vsctl("set", "port", "sub1", "tag=300")
    with pytest.raises(Conflict, match="faster"):
        await switch._session.commit(operations.port_operations(seen, row, wanted))
    assert lab.run_vsctl("get", "port", "sub1", "tag", "external_ids").split() == ["300", "{}"]
    assert rows(lab, "qos") == 0
    lab.run_vsctl("clear", "port", "sub1", "tag")


@needs_switch
async def test_a_service_that_a_rival_has_put_elsewhere_is_not_put_twice(switch, lab):
    seen = await switch._session.read()
    row = seen.ports["sub1"]
    wanted = {**seen.state(row), "tag": "service-1", "vlan": 100}
    await provide(switch, Intent("service-1", "sub2", {"vlan": 100}))
    with pytest.raises(Conflict):
        await switch._session.commit(operations.port_operations(seen, row, wanted))
    assert (await switch.read("service-1")).port == "sub2"


@needs_switch
async def test_what_the_schema_forbids_is_rejected_and_nothing_of_it_done(switch, lab):
    where = [["name", "==", "sub1"]]
    two = [{"op": "update", "table": "Port", "where": where, "row": {"tag": 7}},
           {"op": "update", "table": "Port", "where": where, "row": {"tag": 5000}}]  # fmt: skip
    with pytest.raises(Rejected) as caught:
        await switch._session.commit(two)
    assert caught.value.reason == "constraint violation"
    assert lab.run_vsctl("get", "port", "sub1", "tag").strip() == "[]"


@needs_switch
async def test_a_database_that_is_killed_has_all_of_a_plan_or_nothing(switch, lab):
    await provide(switch, LINE)
    fast = Intent("service-1", "sub1", {"vlan": 200, "downstream": 90 * MBIT})

    async def back_and_forth():
        while True:
            for intent in (fast, LINE):
                await provide(switch, intent)

    working = asyncio.create_task(back_and_forth())
    await asyncio.sleep(0.2)
    await asyncio.to_thread(lab.stop, "database", signal.SIGKILL)
    with pytest.raises(Unreachable) as caught:
        await working
    assert caught.value.again
    lab.restart_database()
    found = (await switch.read("service-1")).settings.items()
    assert found >= fast.settings.items() or found >= LINE.settings.items()
    await provide(switch, fast)
    assert (await switch.verify(fast)).good


@needs_switch
async def test_a_switch_at_a_standstill_is_not_taken_for_done(lab, switch):
    plan = await switch.plan(LINE)
    await asyncio.to_thread(lab.stop, "switch", signal.SIGKILL)
    async with to(lab, timeout="0.3") as hasty:
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
async def test_a_cut_is_told_within_a_second_and_so_is_its_end(switch, lab):
    await provide(switch, LINE)
    seen = asyncio.Queue()
    watching = asyncio.create_task(watch(switch, seen))
    await asyncio.sleep(0.3)
    assert seen.empty()
    lab.cut_link("sub1")
    async with asyncio.timeout(1):
        fault = await seen.get()
    assert (fault.condition, fault.port, fault.active) == (mib.LINK_DOWN, "sub1", True)
    assert fault.attributes == {"tag": "service-1"}
    assert [one.port for one in await switch.active_conditions()] == ["sub1"]
    lab.restore_link("sub1")
    async with asyncio.timeout(1):
        assert not (await seen.get()).active
    watching.cancel()


@needs_switch
async def test_what_was_cut_while_the_database_was_away_is_told_afterwards(lab):
    async with to(lab, poll="0.1") as switch:
        seen = asyncio.Queue()
        watching = asyncio.create_task(watch(switch, seen))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(lab.stop, "database", signal.SIGKILL)
        lab.cut_link("sub3")
        lab.restart_database()
        async with asyncio.timeout(10):
            assert (await seen.get()).port == "sub3"
        lab.restore_link("sub3")
        async with asyncio.timeout(10):
            assert not (await seen.get()).active
        watching.cancel()


@needs_switch
async def test_the_inventory_has_the_bridge_and_its_ports(switch):
    inventory = await switch.inventory()
    assert inventory.facts.software.removeprefix("Open vSwitch ")[0].isdigit()
    assert [(one.name, one.kind, one.parent) for one in inventory.components] == [
        ("switch-lab", "chassis", ""),
        ("bridge br0", "module", "switch-lab"),
    ]
    access = {port.name: port.access for port in inventory.ports}
    assert access == {"br0": False, "sub1": True, "sub2": True, "sub3": True, "up0": False}
    assert {port.speed for port in inventory.ports if port.access} == {10_000 * MBIT}


@needs_switch
async def test_fifty_changes_at_once_are_all_done(switch):
    await provide(switch, LINE)
    await asyncio.gather(*(once_more(switch, rate) for rate in range(1, 51)))
    assert (await switch.read("service-1")).settings["downstream"] % MBIT == 0


async def once_more(switch, rate):
    try:
        await provide(switch, Intent("service-1", "sub1", {"downstream": rate * MBIT}))
    except Conflict:
        await asyncio.sleep(0)


async def watch(switch, seen):
    async for fault in switch.faults():
        seen.put_nowait(fault)


def rows(lab, table):
    return lab.run_vsctl("--columns=_uuid", "list", table).count("_uuid")


def to(lab, **options):
    target = lab.target
    options = {**target.options, **options}
    return OvsdbSwitch(Target(target.name, target.address, "ovsdb", "", options), Secret({}))


def test_it_is_found_by_its_name():
    assert registry.find_adapter("ovsdb") is OvsdbSwitch


@pytest.mark.skipif(not SCHEMA.exists(), reason="openvswitch-switch is not installed")
async def test_tls_knows_the_switch_by_the_authority_of_the_credentials(tmp_path):
    files = certificates(tmp_path)
    with database(tmp_path, files) as port:
        options = {"tls": "yes", "timeout": "1"}
        target = Target("tls", f"127.0.0.1:{port}", "ovsdb", "x", options)
        async with OvsdbSwitch(target, Secret(files)) as switch, asyncio.timeout(10):
            while True:
                try:
                    assert (await switch.probe()).vendor == "Open vSwitch"
                    break
                except Unreachable:
                    await asyncio.sleep(0.05)
        (tmp_path / "other").mkdir()
        strange = {**files, "ca": certificates(tmp_path / "other")["ca"]}
        async with OvsdbSwitch(target, Secret(strange)) as switch:
            with pytest.raises(Unreachable, match="certificate"):
                await switch.probe()


class database:  # noqa: N801 - a function but for its end
    """A database server that speaks TLS only."""

    def __init__(self, place, files):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        run("ovsdb-tool", "create", str(place / "db"), str(SCHEMA))
        self._command = (
            "ovsdb-server", place / "db", f"--remote=pssl:{self._port}:127.0.0.1",
            f"--private-key={files['key']}", f"--certificate={files['certificate']}",
            f"--ca-cert={files['ca']}", f"--unixctl={place}/ctl", "-vconsole:off", "--no-chdir",
        )  # fmt: skip

    def __enter__(self):
        self._process = subprocess.Popen(self._command, env={"PATH": PATH})
        return self._port

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(5)


def certificates(place):
    """Return names of PEM files: an authority, a certificate by it and its key."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "switch")}
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {place}"[-60:])])
    now = dt.datetime.now(dt.UTC)
    files = {}
    for name, one in keys.items():
        subject = issuer if name == "ca" else x509.Name([])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(one.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .sign(keys["ca"], hashes.SHA256())
        )
        files[name] = place / f"{name}.pem"
        files[name].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = place / "key.pem"
    form = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    secret.write_bytes(keys["switch"].private_bytes(pem, form, serialization.NoEncryption()))
    return {"ca": str(files["ca"]), "certificate": str(files["switch"]), "key": str(secret)}


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"[1]",
        b"{}" * 99,
        b'{"id": 1, "result": [], "error": null}',
        b'{"id": 1, "result": {"a": 1}}{"id": 2, "result": null}',
        b'{"id": 1, "result": [{"rows": [7]}, {"rows": 7}, {"rows": []}, {}, {}]}',
        b'{"' * 9999,
        b"\xff\xfe{",
    ],
)
async def test_what_is_no_switch_is_unreachable_in_time(noise):
    async def answer(reader, writer):
        await reader.read(100)
        writer.write(noise)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = Target("x", f"127.0.0.1:{port}", "ovsdb", "", {"timeout": "0.2"})
        async with OvsdbSwitch(target, Secret({})) as switch, asyncio.timeout(5):
            with pytest.raises(Unreachable) as caught:
                await switch.probe()
        assert caught.value.element == "x"


async def test_a_switch_that_is_not_there_is_unreachable():
    began = time.monotonic()
    async with OvsdbSwitch(Target("x", "127.0.0.1:1", "ovsdb"), Secret({})) as switch:
        with pytest.raises(Unreachable, match="cannot connect"):
            await switch.probe()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("127.0.0.1:x", {}),
        ("127.0.0.1", {"timeout": "soon"}),
        ("127.0.0.1", {"idle": "ajar"}),
        ("127.0.0.1", {"upstream": "hope"}),
        ("127.0.0.1", {"tls": "perhaps"}),
        ("127.0.0.1", {"tls": "yes"}),
        ("127.0.0.1", {"colour": "red"}),
    ],
)
def test_what_is_wrong_with_a_target_is_said_at_once(address, options):
    with pytest.raises(Misconfigured):
        OvsdbSwitch(Target("x", address, "ovsdb", "", options), Secret({}))


TEXT = st.text(max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ODD = st.sampled_from(
    [None, 7, -1.5, "x", [], {}, True, ["set", []], ["set", 7], ["map", []], ["map", [7]],
     ["map", {}], ["uuid", []], ["set", [["uuid", "u"], 7]], ["map", [[0, ["set", []]]]], 1e999]
)  # fmt: skip


ROWS = {
    table: st.fixed_dictionaries(
        {
            column: st.one_of(*[st.just(good)] * 9, ODD)
            for column, good in {"_uuid": ["uuid", "u"], **row}.items()
        }
    )
    for table, row in {
        "Open_vSwitch": {"cur_cfg": 1, "next_cfg": 1, "ovs_version": "3", "external_ids": 7},
        "Bridge": {"name": "b", "datapath_type": ""},
        "Port": {
            "name": "p", "tag": 7, "vlan_mode": ["set", []], "trunks": ["set", []],
            "qos": ["uuid", "u"], "external_ids": ["map", [["service", "s"]]],
            "interfaces": ["uuid", "u"],
        },
        "Interface": {
            "name": "p", "type": "", "admin_state": "up", "link_state": "up", "link_speed": 1,
            "mac_in_use": "m", "ofport": 1, "error": ["set", []], "ingress_policing_rate": 0,
            "statistics": ["map", [["rx_bytes", 7]]],
        },
        "QoS": {
            "type": "linux-htb", "other_config": ["map", [["max-rate", "7"]]],
            "queues": ["map", [[0, ["uuid", "q"]]]], "external_ids": ["map", []],
        },
    }.items()
}  # fmt: skip


@settings(max_examples=150)
@given(st.tuples(*(st.lists(row, max_size=2) for row in ROWS.values())))
def test_a_database_with_odd_values_is_refused_or_can_be_looked_at(tables):
    with suppress(ConnectionFailed):
        switch = parse_switch([{"rows": rows} for rows in tables])
        for row in switch.ports.values():
            state = switch.state(row)
            if "vlan" in state:
                wanted = {**state, "tag": "t", "vlan": 9, "downstream": 5, "enabled": False}
                assert json.dumps(operations.port_operations(switch, row, wanted))


@settings(max_examples=25)
@given(st.lists(st.dictionaries(TEXT, VALUES), max_size=5), st.booleans(), st.integers(1, 99))
def test_messages_are_the_same_however_they_arrive(messages, plain, size):
    octets = b" \n".join(json.dumps(one, ensure_ascii=plain).encode() for one in messages)
    splitter, found = JsonDecoder(), []
    for at in range(0, len(octets), size):
        found += splitter.feed(octets[at : at + size])
    assert found == messages


@given(st.lists(st.binary(max_size=50) | st.sampled_from([b'{"', b"}", b"{", b'\\"', b"[]"])))
def test_no_octets_are_too_hostile_to_be_read(pieces):
    splitter = JsonDecoder()
    with suppress(ConnectionFailed):
        for piece in pieces:
            splitter.feed(piece)
