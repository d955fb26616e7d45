"""The lab's NETCONF gateway: netconfd behind an SSH server, shaping real traffic.

Needs root, and the Debian packages netconfd, netconfd-module-ietf-interfaces, openssh-server and
iproute2. ``missing()`` says what is not there.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from adapters.lab.configured import followed
from adapters.lab.network import PATH, LabError, Site, available, run
from adapters.lab.onsite import OnSite
from adapters.values import Target

HERE = Path(__file__).parent
MODULES = "/usr/share/yuma/modules"
TOOLS = {
    "netconfd": "netconfd",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
}
#: Seconds that a server has to get ready.
PATIENCE = 10.0
SSHD = """\
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
#: Debian's module calls both and brings neither; without the first, which it calls for each
#: interface it shows, the server ends itself.
PROGRAMS = {
    "get-interface-ipv4": 'read -r said 2>/dev/null <"$0.d/$1" && echo "$said"\nexit 0\n',
    "ifconfig": 'exec ip link set dev "$1" "$2"\n',
}
ADDRESS = (
    '<ipv4 xmlns="urn:ietf:params:xml:ns:yang:ietf-ip"><address><ip>{}</ip>'
    "<prefix-length>{}</prefix-length></address></ipv4>"
)


def missing() -> str | None:
    """Return what is missing for this gateway on this machine, in one line; None if nothing is."""
    if reason := available():
        return reason
    packages = {TOOLS[tool] for tool in TOOLS if shutil.which(tool, path=PATH) is None}
    if not list(Path("/usr/lib").glob("*/yuma/libietf-interfaces.so")):
        packages.add("netconfd-module-ietf-interfaces")
    if packages:
        return f"the NETCONF gateway needs packages: apt-get install {' '.join(sorted(packages))}"
    return None


class NetconfLab(OnSite[Site]):
    """A broadband gateway that speaks NETCONF, with customers behind it; a context manager.

    What it is told lasts as long as the lab, restarts of its software included.

    Args:
        name: What the element is called.
        ports: Number of access ports: "sub1", ...; "up0" is the uplink.
    """

    def __init__(self, name: str = "nc-lab", *, ports: int = 2) -> None:
        super().__init__(name)
        self._ports = ports
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def socket(self) -> Path:
        """The server's socket for sessions from this machine."""
        return self.site.files / "ncx.sock"

    @property
    def target(self) -> Target:
        """How to reach the gateway."""
        key = (self.site.files / "hostkey.pub").read_text("utf-8").strip()
        options = {"profile": "tmf-lab-access", "hostKey": " ".join(key.split()[:2])}
        return Target(self.name, self.site.gateway_address, "netconf", self.name, options)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """What belongs into the credentials file."""
        key = (self.site.files / "user").read_text("utf-8")
        return {self.name: {"user": "root", "private_key": key}}

    def _lay(self, files: Path) -> Site:
        return Site(self._ports, files)

    def _begin(self) -> None:
        self._configure()
        self.start()

    def _end(self) -> None:
        self.stop()

    def restart(self) -> None:
        """Restart the gateway's management software."""
        self.stop()
        self.start()

    def start(self) -> None:
        """Start the servers and wait until they are ready.

        Raises:
            LabError: They do not get ready.
        """
        files = self.site.files
        followed(str(self.socket)).unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        self._spawn(
            "netconfd", f"--startup={files}/startup-cfg.xml", "--port=830",
            "--module=ietf-interfaces", "--module=ietf-system", "--module=tmf-lab-access",
            f"--modpath={MODULES}:{MODULES}/examples:{HERE / 'yang'}",
            "--target=candidate", "--with-validate=true", "--access-control=off",
            f"--ncxserver-sockname={self.socket}", f"--log={files}/netconfd.log",
            "--log-level=info",
        )  # fmt: skip
        self._await(self._listens, "netconfd.log")
        root = str(HERE.parent.parent)
        self._spawn(sys.executable, "-S", "-m", "adapters.lab.configured", str(self.socket),
                    PYTHONPATH=root)  # fmt: skip
        self._await(followed(str(self.socket)).exists, "errors.log")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._spawn("/usr/sbin/sshd", "-D", "-f", f"{files}/sshd_config", "-E", f"{files}/sshd.log")
        self._await(self._answers, "sshd.log")

    def stop(self) -> None:
        """Stop the servers, as a power failure does."""
        for process in reversed(self._running):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(5)
        self._running = []

    def _spawn(self, *command: str, **environment: str) -> None:
        files = self.site.files
        # netconfd prints for each request; what it has to say is in its log.
        with (files / "errors.log").open("ab") as errors:
            process = subprocess.Popen(  # noqa: S603
                ("ip", "netns", "exec", self.site.gateway, *command),  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={"PATH": f"{files}/bin:{PATH}", "HOME": str(files)} | environment,
                start_new_session=True,
            )
        self._running.append(process)

    def _await(self, ready: Callable[[], bool], log: str) -> None:
        end = time.monotonic() + PATIENCE
        while not ready():
            ended = self._running[-1].poll() is not None
            if ended or time.monotonic() > end:
                file = self.site.files / log
                said = file.read_text("utf-8", "replace")[-500:] if file.exists() else "nothing"
                raise LabError(f"{log.removesuffix('.log')} does not get ready; it said: {said}")
            time.sleep(0.02)

    def _listens(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as session:
            session.connect(str(self.socket))
            return True
        return False

    def _answers(self) -> bool:
        with suppress(OSError):
            socket.create_connection((self.site.gateway_address, 830), 0.2).close()
            return True
        return False

    def _configure(self) -> None:
        files = self.site.files
        (files / "bin").mkdir()
        for name, script in PROGRAMS.items():
            program = files / "bin" / name
            program.write_text(f"#!/bin/sh\n{script}", "utf-8")
            program.chmod(0o755)
        (files / "bin" / "get-interface-ipv4.d").mkdir()
        listed = self.site.run(self.site.gateway, "ip", "-4", "-o", "address", "show")
        for line in reversed(listed.splitlines()):  # the first one of an interface stays
            words = line.split()
            address = ADDRESS.format(*words[3].split("/"))
            (files / "bin" / "get-interface-ipv4.d" / words[1]).write_text(f"{address}\n", "utf-8")
        for key in ("hostkey", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(files / key))
        shutil.copy(files / "user.pub", files / "authorized_keys")
        configuration = SSHD.format(address=self.site.gateway_address, files=files)
        (files / "sshd_config").write_text(configuration, "utf-8")
        empty = '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>'
        (files / "startup-cfg.xml").write_text(f"{empty}\n", "utf-8")
