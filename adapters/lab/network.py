"""Network namespaces that belong to this process and go with it.

Names carry the process that made them, so that parallel runs do not meet and what a crash left
behind is found. A caretaker process holds the other end of a pipe: when its owner is gone, however
it went, the caretaker removes everything.
"""

import functools
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

NAMESPACES = Path("/run/netns")
NAME = re.compile(r"tmflab-(\d+)-(\d+)-")
TOOLS = {"ip": "iproute2", "tc": "iproute2", "snmpd": "snmpd"}
#: Where the tools are, also for a shell whose PATH lacks them.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"
#: Management networks: one /30 of the benchmarking range (RFC 2544) for each lab.
NETWORK = "198.18.254"
NETWORKS = 63
#: One /24 for the test heads of each lab, and in it one /30 for each port.
HEADS = "198.19"
IPERF3_PORT = 5201
#: Seconds until a test head listens.
PATIENCE = 5.0
CARETAKER = """
cat >/dev/null
for n in "$@"; do ip netns pids "$n" | xargs -r kill; done
sleep 0.2
for n in "$@"; do ip netns pids "$n" | xargs -r kill -9; ip netns del "$n"; done
rm -rf "$TMFLAB_FILES"
"""


class LabError(RuntimeError):
    """The machine does not do what the lab needs; the message has its own words."""


def run(*command: str, batch: str = "") -> str:
    """Run a command and return what it prints.

    Raises:
        LabError: It fails.
    """
    environment = os.environ | {"PATH": PATH}
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands with names of our own making
            command, input=batch, capture_output=True, text=True, env=environment, check=False
        )
    except OSError as error:
        raise LabError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def ip(*arguments: str, namespace: str = "", batch: Sequence[str] = ()) -> str:
    """Run iproute2, inside a namespace and with several commands at once if so asked."""
    inside = ("-n", namespace) if namespace else ()
    many = ("-batch", "-") if batch else ()
    return run("ip", *inside, *many, *arguments, batch="\n".join(batch))


def started(process: int) -> str:
    """Return when a process started, in the kernel's ticks; empty if there is none."""
    with suppress(OSError):
        stat = Path(f"/proc/{process}/stat").read_text("utf-8")
        return stat.rpartition(")")[2].split()[19]
    return ""


def prefix() -> str:
    """Return how the names of this process's namespaces begin."""
    return f"tmflab-{os.getpid()}-{started(os.getpid())}-"


def stale() -> Iterator[str]:
    """Yield namespaces of ours whose process is gone."""
    with suppress(OSError):
        for one in NAMESPACES.iterdir():
            owner = NAME.match(one.name)
            if owner and started(int(owner[1])) != owner[2]:
                yield one.name


def sweep() -> None:
    """Remove what dead processes have left behind."""
    for name in stale():
        with suppress(LabError):
            for process in ip("netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), 9)
            ip("netns", "del", name)


@functools.cache
def available() -> str | None:
    """Return what is missing for a lab on this machine, in one line; None if nothing is."""
    if not Path("/proc/self/ns/net").exists():
        return "the lab needs Linux with network namespaces"
    if os.geteuid() != 0:
        return "the lab needs root for its network namespaces"
    missing = sorted({TOOLS[tool] for tool in TOOLS if shutil.which(tool, path=PATH) is None})
    if missing:
        return f"the lab needs packages: apt-get install {' '.join(missing)}"
    name = f"{prefix()}probe"
    try:
        ip("netns", "add", name)
        ip("link", "add", "probe", "type", "veth", "peer", "name", "other", namespace=name)
    except LabError as error:
        return f"the lab needs network namespaces: {error}"
    finally:
        with suppress(LabError):
            ip("netns", "del", name)
    return None


class Site:
    """A gateway's network: its namespace, one behind it, and one for each customer.

        server --(management, 198.18.254.x/30)-- gateway -- core
                                                   +-- cpe1, cpe2, ...

    Attributes:
        gateway, core: Names of namespaces.
        customers: Port of the gateway -> name of the customer's namespace.
        server_address: The server's end of the management link.
        gateway_address: The gateway's end.
        heads: Port of the gateway -> address of the test head at the customer's, to which the
            server gets through the port.
        files: Directory for files, removed with the rest.
    """

    def __init__(self, ports: int, files: Path) -> None:
        number = self._claim_number()
        begin = f"{prefix()}{number}-"
        self.gateway, self.core = f"{begin}gw", f"{begin}core"
        self.customers = {f"sub{one}": f"{begin}cpe{one}" for one in range(1, ports + 1)}
        self.files = files
        self._link = f"tmflab{number}"
        self.server_address = f"{NETWORK}.{4 * number + 1}"
        self.gateway_address = f"{NETWORK}.{4 * number + 2}"
        self._heads = f"{HEADS}.{number}"
        self.heads = {port: f"{self._heads}.{4 * int(port[3:]) + 2}" for port in self.customers}
        self._listening: dict[str, subprocess.Popen[bytes]] = {}
        self._caretaker = self._hire()
        try:
            self._build()
        except LabError:
            self.remove()
            raise

    @staticmethod
    def _claim_number() -> int:
        """Claim a management network: whoever makes its link has it."""
        for number in range(NETWORKS):
            link = f"tmflab{number}"
            try:
                ip("link", "add", link, "type", "veth", "peer", "name", f"{link}m")
            except LabError as error:
                if "exists" not in str(error):
                    raise
            else:
                return number
        raise LabError(f"all {NETWORKS} management networks are in use")

    def _hire(self) -> subprocess.Popen[bytes]:
        names = (self.gateway, self.core, *self.customers.values())
        return subprocess.Popen(  # noqa: S603
            ("/bin/sh", "-c", CARETAKER, "caretaker", *names),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": PATH, "TMFLAB_FILES": str(self.files)},
            start_new_session=True,
        )

    def _build(self) -> None:
        for name in (self.gateway, self.core, *self.customers.values()):
            ip("netns", "add", name)
        links = [
            f"link set {self._link}m name mgmt0 netns {self.gateway}",
            f"address add {self.server_address}/30 dev {self._link}",
            f"link set {self._link} up",
            f"link add up0 netns {self.gateway} type veth peer name gw0 netns {self.core}",
        ]
        links += [
            f"link add {port} netns {self.gateway} type veth peer name wan0 netns {customer}"
            for port, customer in self.customers.items()
        ]
        ip(batch=links)
        ip("route", "add", f"{self._heads}.0/24", "via", self.gateway_address)
        gateway = [
            "link set lo up",
            f"address add {self.gateway_address}/30 dev mgmt0",
            "link set mgmt0 up",
            "address add 198.18.0.1/30 dev up0",
            "link set up0 up",
        ]
        for place, port in enumerate(self.customers, 1):
            gateway += [f"address add 198.18.{place}.1/24 dev {port}", f"link set {port} up"]
            gateway += [f"address add {self._heads}.{4 * place + 1}/30 dev {port}"]
        ip(namespace=self.gateway, batch=gateway)
        core = ["address add 198.18.0.2/30 dev gw0", "link set gw0 up"]
        ip(namespace=self.core, batch=[*core, "route add 198.18.0.0/16 via 198.18.0.1"])
        for place, (port, customer) in enumerate(self.customers.items(), 1):
            addresses = (f"198.18.{place}.2/24", f"{self.heads[port]}/30")
            ip(namespace=customer, batch=[f"address add {one} dev wan0" for one in addresses])
            self.connect(port)
        self.run(self.gateway, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def run(self, namespace: str, *command: str) -> str:
        """Run a command inside a namespace and return what it prints."""
        return run("ip", "netns", "exec", namespace, *command)

    def head(self, port: str) -> str:
        """Return "host:port" of the test head behind a port, an iperf3 server that is started.

        Raises:
            LabError: There is no iperf3.
        """
        if port not in self._listening:
            inside = ("ip", "netns", "exec", self.customers[port])
            self._listening[port] = subprocess.Popen(  # noqa: S603
                (*inside, "iperf3", "--server", "--port", str(IPERF3_PORT)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": PATH},
                start_new_session=True,
            )
            end = time.monotonic() + PATIENCE
            while not self.run(self.customers[port], "ss", "-Hltn", f"sport = :{IPERF3_PORT}"):
                if time.monotonic() > end:
                    raise LabError("iperf3 does not listen")
                time.sleep(0.02)
        return f"{self.heads[port]}:{IPERF3_PORT}"

    def connect(self, port: str) -> None:
        """Switch on the far end of a port."""
        place = list(self.customers).index(port) + 1
        ip(
            namespace=self.customers[port],
            batch=["link set wan0 up", f"route replace default via 198.18.{place}.1"],
        )

    def cut(self, port: str) -> None:
        """Switch off the far end of a port: at the gateway that is a cut cable."""
        ip("link", "set", "wan0", "down", namespace=self.customers[port])

    def remove(self) -> None:
        """Remove namespaces, links and files; may be called twice."""
        for process in self._listening.values():
            process.kill()
            process.wait(5)
        self._listening = {}
        if self._caretaker.stdin:
            self._caretaker.stdin.close()
        self._caretaker.wait(10)
        with suppress(LabError):
            ip("link", "del", self._link)  # left where the namespaces were never made
