"""The broadband gateway of the lab: an snmpd that shapes real traffic and reports real faults."""

import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from adapters import condition_types
from adapters.lab.element import LabElement
from adapters.lab.network import PATH, LabError, LabNetwork
from adapters.lab.processes import log_tail, stop_process
from adapters.snmp import mib
from adapters.snmp.wire import message
from adapters.snmp.wire.message import Pdu, Variable
from adapters.values import Target

AGENT_SCRIPT = Path(__file__).with_name("agent.py")
#: Name of the file, among those of the network, that injects faults into the agent.
FAULT_FILE = "fault"
#: Time for snmpd to answer its first request, in seconds.
START_TIMEOUT = 10.0
LINK_OBJECTS = " ".join(
    f".{oid}" for oid in (mib.IF_INDEX, mib.IF_ADMIN_STATUS, mib.IF_OPER_STATUS, mib.IF_DESCR)
)
#: Object identifiers instead of names, because Debian does not ship the MIB files. The monitors
#: poll once a second; -S suppresses a linkUp for each port at the start.
CONFIGURATION = """\
agentAddress udp:{address}:161
sysServices 72
sysName {name}
include_ifmib_iface_prefix sub up mgmt lo
createUser tmf SHA {auth} AES {priv}
rwuser tmf authPriv
rwcommunity {write} {server}
rocommunity {read} {server}
authtrapenable 1
{traps}
createUser _int SHA {internal} AES {internal}
iquerySecName _int
rouser _int
notificationEvent up .{link_up} {objects}
notificationEvent down .{link_down} {objects}
monitor -S -r 1 -e up "linkUp" .{status} != 2
monitor -S -r 1 -e down "linkDown" .{status} == 2
pass_persist .{table} {agent}
"""


class SnmpLab(LabElement[LabNetwork]):
    """A broadband gateway with customers behind it; a context manager.

    Args:
        name: Name of the element.
        ports: Number of access ports: "sub1", ...; "up0" is the uplink.
        trap_port: UDP port at ``server_address`` for notifications; 0: do not send any.
        version: SNMP version of the target and of the notifications: "3" or "2c".
        inform: Send informs instead of traps (v2c only).
    """

    def __init__(
        self,
        name: str = "gw-lab",
        *,
        ports: int = 2,
        trap_port: int = 0,
        version: str = "3",
        inform: bool = False,
    ) -> None:
        super().__init__(name)
        self.version = version
        self._ports, self._trap_port, self._inform = ports, trap_port, inform
        names = ("auth", "priv", "write", "read", "internal")
        self._secrets = {name: secrets.token_hex(8) for name in names}
        self._snmpd: subprocess.Popen[bytes] | None = None

    @property
    def server_address(self) -> str:
        """Address of the server to which the gateway sends notifications."""
        return self.network.server_address

    @property
    def target(self) -> Target:
        """The target of the gateway."""
        return Target(self.name, self.network.gateway_address, "snmp", self.name)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """The content of the credentials file: those of the target, and "<name>-read"."""
        community = {"community": self._secrets["write"]}
        user = {
            "user": "tmf",
            "auth": "SHA",
            "auth_password": self._secrets["auth"],
            "priv": "AES",
            "priv_password": self._secrets["priv"],
        }
        return {
            self.name: user if self.version == "3" else community,
            f"{self.name}-read": {"community": self._secrets["read"]},
        }

    def _create_network(self, files: Path) -> LabNetwork:
        return LabNetwork(self._ports, files)

    def _start_element(self) -> None:
        self._write_configuration()
        self.start()

    def _stop_element(self) -> None:
        self.stop()

    def restart(self) -> None:
        """Restart snmpd, which then sends a coldStart."""
        self.stop()
        self.start()

    def start(self) -> None:
        """Start snmpd and wait until it answers.

        Raises:
            LabError: snmpd does not answer in time.
        """
        files = self.network.files
        log = files / "snmpd.log"
        command = ("ip", "netns", "exec", self.network.gateway, "snmpd", "-f", "-I", "-smux", "-Lf")
        self._snmpd = subprocess.Popen(  # noqa: S603
            (*command, str(log)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # not -C -c: with these options snmpd does not read its state, and so loses its engine
            env={
                "PATH": PATH,
                "MIBS": "",
                "SNMPCONFPATH": f"{files}:{files}/state",
                "SNMP_PERSISTENT_DIR": str(files / "state"),
            },
            start_new_session=True,
        )
        end = time.monotonic() + START_TIMEOUT
        while not self._is_answering():
            if time.monotonic() > end or self._snmpd.poll() is not None:
                raise LabError(f"snmpd does not answer: {log_tail(log)}")

    def stop(self) -> None:
        """Stop snmpd."""
        if self._snmpd is not None:
            stop_process(self._snmpd)
            self._snmpd = None

    def _write_configuration(self) -> None:
        network, files = self.network, self.network.files
        wrapper = files / "agent"
        script = f"'{AGENT_SCRIPT}' '{files / FAULT_FILE}'"
        command = f"exec '{sys.executable}' -IS {script} 2>>'{files}/agent.log'"
        wrapper.write_text(f"#!/bin/sh\n{command}\n", "utf-8")
        wrapper.chmod(0o700)
        text = CONFIGURATION.format(
            name=self.name,
            address=network.gateway_address,
            server=network.server_address,
            traps=self._trap_directive(),
            link_up=condition_types.LINK_UP,
            link_down=condition_types.LINK_DOWN,
            status=mib.IF_OPER_STATUS,
            objects=LINK_OBJECTS,
            table=mib.SVC,
            agent=wrapper,
            **self._secrets,
        )
        descriptor = os.open(files / "snmpd.conf", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    def _trap_directive(self) -> str:
        if not self._trap_port:
            return ""
        sink = f"{self.network.server_address}:{self._trap_port}"
        if self.version == "3":
            auth, priv = self._secrets["auth"], self._secrets["priv"]
            return f"trapsess -v3 -u tmf -l authPriv -a SHA -A {auth} -x AES -X {priv} {sink}"
        inform = "-Ci " if self._inform else ""
        return f"trapsess {inform}-v2c -c {self._secrets['write']} {sink}"

    def _is_answering(self) -> bool:
        request = Pdu(message.GET, 1, variables=(Variable(mib.SYS_UP_TIME),))
        datagram = message.encode_community_message(
            message.V2C, self._secrets["read"].encode(), request
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.05)
            with suppress(OSError):
                udp.sendto(datagram, (self.network.gateway_address, 161))
                return bool(udp.recv(4096))
        time.sleep(0.02)
        return False
