"""The Ethernet switch of the lab: Open vSwitch in userspace, in a network namespace, with hosts.

It needs root and the Debian packages openvswitch-switch and iproute2, but no kernel module; see
``switch_unavailable_reason``. The switch silently ignores what the kernel does not support, such as
policing of received traffic.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from adapters.lab import network
from adapters.lab.element import LabElement
from adapters.lab.network import PATH, LabError, LabNetwork, ip, lab_unavailable_reason
from adapters.values import Target

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
OVSDB_PORT = 6640
STOP_TIMEOUT = 15.0  # seconds
#: Disables checksum offloading, because userspace switching forwards packets before the kernel
#: fills in their checksums. SIOCETHTOOL, ETHTOOL_STXCSUM (linux/ethtool.h).
DISABLE_CHECKSUMS_SCRIPT = """
import array, fcntl, socket, struct
value = array.array("B", struct.pack("II", 0x17, 0))
request = struct.pack("16sP", b"wan0", value.buffer_info()[0])
fcntl.ioctl(socket.socket(), 0x8946, request)
"""
RECEIVER_SCRIPT = """
import socket, sys, time
server = socket.create_server(("0.0.0.0", 5201))
print("ready", flush=True)
connection, _ = server.accept()
connection.settimeout(5)
start, octets = time.monotonic(), 0
while time.monotonic() < start + float(sys.argv[1]) and (chunk := connection.recv(65536)):
    octets += len(chunk)
print(octets * 8 / (time.monotonic() - start))
"""
SENDER_SCRIPT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 5201), 5)
try:
    while True:
        connection.sendall(bytes(65536))
except OSError:
    pass
"""
#: Exits with 0 if a host is reachable: ECONNREFUSED (111) is an answer of the host, too.
CONNECT_SCRIPT = """
import socket, sys
tcp = socket.socket()
tcp.settimeout(2)
sys.exit(tcp.connect_ex((sys.argv[1], 1)) not in (0, 111))
"""


def switch_unavailable_reason() -> str | None:
    """Return in one line why this machine cannot run a switch; None if it can."""
    if shutil.which("ovs-vswitchd", path=PATH) is None or not SCHEMA.exists():
        return "the switch needs a package: apt-get install openvswitch-switch"
    if os.geteuid() != 0:
        return "the switch needs root for its network namespaces"
    return lab_unavailable_reason() if shutil.which("snmpd", path=PATH) else None


class SwitchNetwork(LabNetwork):
    """The network of a switch: all hosts and the core in one subnet, each behind its own port.

    server --(management, 198.18.254.x/30)-- switch -- sub1 ... hosts, up0 ... core
    """

    def _build(self) -> None:
        hosts = {"up0": self.core, **self.customers}
        for name in (self.gateway, *hosts.values()):
            ip("netns", "add", name)
        links = [
            f"link set {self._link}m name mgmt0 netns {self.gateway}",
            f"address add {self.server_address}/30 dev {self._link}",
            f"link set {self._link} up",
        ]
        links += [
            f"link add {port} netns {self.gateway} type veth peer name wan0 netns {host}"
            for port, host in hosts.items()
        ]
        ip(batch=links)
        switch = ["link set lo up", f"address add {self.gateway_address}/30 dev mgmt0"]
        switch += ["link set mgmt0 up", *(f"link set {port} up" for port in hosts)]
        ip(namespace=self.gateway, batch=switch)
        for number, host in enumerate(hosts.values()):
            address = f"address add 198.18.0.{number + 1}/24 dev wan0"
            ip(namespace=host, batch=["link set lo up", address, "link set wan0 up"])
            self.run(host, sys.executable, "-IS", "-c", DISABLE_CHECKSUMS_SCRIPT)

    def restore_link(self, port: str) -> None:
        """Bring the link of a port up, at the host's side."""
        ip("link", "set", "wan0", "up", namespace=self.host(port))

    def cut_link(self, port: str) -> None:
        """Take the link of a port down, at the host's side."""
        ip("link", "set", "wan0", "down", namespace=self.host(port))

    def host(self, port: str) -> str:
        """Return the namespace behind a port."""
        return self.core if port == "up0" else self.customers[port]

    def address(self, port: str) -> str:
        """Return the address of the host behind a port."""
        return f"198.18.0.{1 + ['up0', *self.customers].index(port)}"


class SwitchLab(LabElement[SwitchNetwork]):
    """A switch with a bridge, and a port for each host; a context manager.

    Args:
        name: Name of the element.
        ports: Number of hosts at "sub1", ...; "up0" is the uplink.
    """

    def __init__(self, name: str = "switch-lab", *, ports: int = 3) -> None:
        super().__init__(name)
        self._ports = ports

    @property
    def target(self) -> Target:
        """The target of the switch, which needs no credentials."""
        options = {"uplinks": "up0"}
        return Target(
            self.name, f"{self.network.gateway_address}:{OVSDB_PORT}", "ovsdb", "", options
        )

    def _create_network(self, files: Path) -> SwitchNetwork:
        return SwitchNetwork(self._ports, files)

    def _start_element(self) -> None:
        network.run("ovsdb-tool", "create", str(self.network.files / "conf.db"), str(SCHEMA))
        self.start_database()
        version = self._run("ovs-vswitchd", "--version").split()[3]
        self.run_vsctl(
            "--no-wait", "init", "--", "set", "open_vswitch", ".", f"ovs_version={version}"
        )
        self.start_switch()
        bridge = ["--", "set", "bridge", "br0", "datapath_type=netdev"]
        names = ["up0", *self.network.customers]
        ports = [word for name in names for word in ("--", "add-port", "br0", name)]
        identity = ["--", "set", "open_vswitch", ".", f"external_ids:system-id={self.name}"]
        self.run_vsctl("add-br", "br0", *bridge, *ports, *identity)

    def _stop_element(self) -> None:
        self.stop("switch")
        self.stop("database")

    def start_database(self) -> None:
        """Start the database server with its existing database."""
        self._start_daemon(
            "database",
            "ovsdb-server",
            str(self.network.files / "conf.db"),
            f"--remote=punix:{self._socket}",
            f"--remote=ptcp:{OVSDB_PORT}:{self.network.gateway_address}",
        )

    def restart_database(self) -> None:
        """Start the database server again and wait until the switch has connected to it."""
        self.start_database()
        self.run_vsctl("wait-until", "interface", "br0", "link_state!=[]")

    def start_switch(self) -> None:
        """Start the switch itself."""
        self._start_daemon("switch", "ovs-vswitchd", f"unix:{self._socket}")

    def stop(self, daemon: str, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop the "database" or the "switch" with a signal; SIGKILL simulates a crash."""
        file = self.network.files / f"{daemon}.pid"
        if not file.exists():
            return
        process = int(file.read_text("ascii"))
        with suppress(ProcessLookupError):
            os.kill(process, stop_signal)
        end = time.monotonic() + STOP_TIMEOUT
        while Path(f"/proc/{process}").exists():
            if time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.01)
        file.unlink(missing_ok=True)

    def run_vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl on the switch and return its output."""
        return self._run("ovs-vsctl", f"--db=unix:{self._socket}", "-t", "10", *arguments)

    def can_reach(self, port: str, other: str) -> bool:
        """Return whether the host behind a port reaches the host behind another port."""
        target = self.network.address(other)
        with suppress(LabError):
            self.network.run(
                self.network.host(port), sys.executable, "-IS", "-c", CONNECT_SCRIPT, target
            )
            return True
        return False

    def measure_throughput(self, port: str, *, source: str, seconds: float = 1) -> float:
        """Return the throughput from the port ``source`` to a port, in bits per second.

        Raises:
            LabError: Nothing arrives.
        """
        enter, python = ("ip", "netns", "exec"), (sys.executable, "-IS", "-c")
        receiver_host, sender_host = self.network.host(port), self.network.host(source)
        with subprocess.Popen(  # noqa: S603
            (*enter, receiver_host, *python, RECEIVER_SCRIPT, str(seconds)),
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": PATH},
        ) as receiver:
            if receiver.stdout is None or not receiver.stdout.readline():
                raise LabError("the receiver does not start")
            sender = subprocess.Popen(  # noqa: S603
                (*enter, sender_host, *python, SENDER_SCRIPT, self.network.address(port)),
                env={"PATH": PATH},
            )
            try:
                output = receiver.stdout.readline()
            finally:
                sender.kill()
                sender.wait()
                receiver.kill()
        if not re.fullmatch(r"[\d.]+\n", output):
            raise LabError("nothing arrives")
        return float(output)

    @property
    def _socket(self) -> Path:
        return self.network.files / "db.sock"

    def _start_daemon(self, daemon: str, *command: str) -> None:
        files = self.network.files
        self._run(
            *command,
            f"--pidfile={files}/{daemon}.pid",
            f"--log-file={files}/{daemon}.log",
            f"--unixctl={files}/{daemon}.ctl",
            "-vconsole:off",
            "--no-chdir",
            "--detach",
        )

    def _run(self, *command: str) -> str:
        files = str(self.network.files)
        variables = (f"OVS_RUNDIR={files}", f"OVS_LOGDIR={files}", f"OVS_DBDIR={files}")
        return self.network.run(self.network.gateway, "env", *variables, *command)
