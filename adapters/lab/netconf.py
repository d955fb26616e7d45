"""The NETCONF gateway of the lab: netconfd behind an SSH server, shaping real traffic.

It needs root and the Debian packages netconfd, netconfd-module-ietf-interfaces, openssh-server and
iproute2; see ``netconf_unavailable_reason``.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from adapters.lab.element import LabElement
from adapters.lab.forwarding_plane import ready_file
from adapters.lab.network import PATH, LabError, LabNetwork, lab_unavailable_reason, run
from adapters.lab.processes import log_tail
from adapters.values import Target

HERE = Path(__file__).parent
YANG_DIRECTORY = "/usr/share/yuma/modules"
TOOL_PACKAGES = {
    "netconfd": "netconfd",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
}
#: Time for each server to get ready, in seconds.
START_TIMEOUT = 10.0
SSHD_CONFIGURATION = """\
Port 830
ListenAddress {address}
HostKey {files}/hostkey
PidFile none
AuthorizedKeysFile {files}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxSessions 20
Subsystem netconf "/usr/sbin/netconf-subsystem --ncxserver-sockname=830@{files}/ncx.sock"
"""
#: Programs that the ietf-interfaces module of Debian calls, but does not contain. netconfd
#: exits when it reads an interface and the first program is missing.
HELPER_SCRIPTS = {
    "get-interface-ipv4": 'read -r xml 2>/dev/null <"$0.d/$1" && echo "$xml"\nexit 0\n',
    "ifconfig": 'exec ip link set dev "$1" "$2"\n',
}
IPV4_ADDRESS_XML = (
    '<ipv4 xmlns="urn:ietf:params:xml:ns:yang:ietf-ip"><address><ip>{}</ip>'
    "<prefix-length>{}</prefix-length></address></ipv4>"
)


def netconf_unavailable_reason() -> str | None:
    """Return in one line why this machine cannot run the gateway; None if it can."""
    if reason := lab_unavailable_reason():
        return reason
    packages = {
        TOOL_PACKAGES[tool] for tool in TOOL_PACKAGES if shutil.which(tool, path=PATH) is None
    }
    if not list(Path("/usr/lib").glob("*/yuma/libietf-interfaces.so")):
        packages.add("netconfd-module-ietf-interfaces")
    if packages:
        return f"the NETCONF gateway needs packages: apt-get install {' '.join(sorted(packages))}"
    return None


class NetconfLab(LabElement[LabNetwork]):
    """A broadband gateway that speaks NETCONF, with customers behind it; a context manager.

    Its configuration survives restarts of its software.

    Args:
        name: Name of the element.
        ports: Number of access ports: "sub1", ...; "up0" is the uplink.
    """

    def __init__(self, name: str = "nc-lab", *, ports: int = 2) -> None:
        super().__init__(name)
        self._ports = ports
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def server_socket(self) -> Path:
        """The Unix socket of netconfd."""
        return self.network.files / "ncx.sock"

    @property
    def target(self) -> Target:
        """The target of the gateway."""
        key = (self.network.files / "hostkey.pub").read_text("utf-8").strip()
        options = {"profile": "tmf-lab-access", "hostKey": " ".join(key.split()[:2])}
        return Target(self.name, self.network.gateway_address, "netconf", self.name, options)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """The content of the credentials file."""
        key = (self.network.files / "user").read_text("utf-8")
        return {self.name: {"user": "root", "private_key": key}}

    def _create_network(self, files: Path) -> LabNetwork:
        return LabNetwork(self._ports, files)

    def _start_element(self) -> None:
        self._write_configuration()
        self.start()

    def _stop_element(self) -> None:
        self.stop()

    def restart(self) -> None:
        """Restart the servers."""
        self.stop()
        self.start()

    def start(self) -> None:
        """Start the servers and wait until they are ready.

        Raises:
            LabError: A server does not get ready in time.
        """
        files = self.network.files
        ready_file(str(self.server_socket)).unlink(missing_ok=True)
        self.server_socket.unlink(missing_ok=True)
        self._spawn(
            "netconfd", f"--startup={files}/startup-cfg.xml", "--port=830",
            "--module=ietf-interfaces", "--module=ietf-system", "--module=tmf-lab-access",
            f"--modpath={YANG_DIRECTORY}:{YANG_DIRECTORY}/examples:{HERE / 'yang'}",
            "--target=candidate", "--with-validate=true", "--access-control=off",
            f"--ncxserver-sockname={self.server_socket}", f"--log={files}/netconfd.log",
            "--log-level=info",
        )  # fmt: skip
        self._wait_until(self._is_listening, "netconfd.log")
        self._spawn(
            sys.executable, "-S", "-m", "adapters.lab.forwarding_plane", str(self.server_socket),
            PYTHONPATH=str(HERE.parent.parent),
        )  # fmt: skip
        self._wait_until(ready_file(str(self.server_socket)).exists, "errors.log")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._spawn("/usr/sbin/sshd", "-D", "-f", f"{files}/sshd_config", "-E", f"{files}/sshd.log")
        self._wait_until(self._is_answering, "sshd.log")

    def stop(self) -> None:
        """Kill the servers, as a power failure does."""
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(5)
        self._processes = []

    def _spawn(self, *command: str, **environment: str) -> None:
        files = self.network.files
        # without the output of netconfd, which prints each request and has a log as well
        with (files / "errors.log").open("ab") as errors:
            process = subprocess.Popen(  # noqa: S603
                ("ip", "netns", "exec", self.network.gateway, *command),  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={"PATH": f"{files}/bin:{PATH}", "HOME": str(files)} | environment,
                start_new_session=True,
            )
        self._processes.append(process)

    def _wait_until(self, is_ready: Callable[[], bool], log: str) -> None:
        end = time.monotonic() + START_TIMEOUT
        while not is_ready():
            ended = self._processes[-1].poll() is not None
            if ended or time.monotonic() > end:
                output = log_tail(self.network.files / log)
                raise LabError(f"{log.removesuffix('.log')} does not get ready: {output}")
            time.sleep(0.02)

    def _is_listening(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as session:
            session.connect(str(self.server_socket))
            return True
        return False

    def _is_answering(self) -> bool:
        with suppress(OSError):
            socket.create_connection((self.network.gateway_address, 830), 0.2).close()
            return True
        return False

    def _write_configuration(self) -> None:
        files = self.network.files
        (files / "bin").mkdir()
        for name, script in HELPER_SCRIPTS.items():
            program = files / "bin" / name
            program.write_text(f"#!/bin/sh\n{script}", "utf-8")
            program.chmod(0o755)
        (files / "bin" / "get-interface-ipv4.d").mkdir()
        output = self.network.run(self.network.gateway, "ip", "-4", "-o", "address", "show")
        for line in reversed(output.splitlines()):  # the first address of an interface wins
            words = line.split()
            address = IPV4_ADDRESS_XML.format(*words[3].split("/"))
            (files / "bin" / "get-interface-ipv4.d" / words[1]).write_text(f"{address}\n", "utf-8")
        for key in ("hostkey", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(files / key))
        shutil.copy(files / "user.pub", files / "authorized_keys")
        configuration = SSHD_CONFIGURATION.format(address=self.network.gateway_address, files=files)
        (files / "sshd_config").write_text(configuration, "utf-8")
        empty = '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>'
        (files / "startup-cfg.xml").write_text(f"{empty}\n", "utf-8")
