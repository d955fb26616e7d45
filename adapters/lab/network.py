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

NETNS_DIRECTORY = Path("/run/netns")
NAMESPACE_PATTERN = re.compile(r"tmflab-(\d+)-(\d+)-")
TOOL_PACKAGES = {"ip": "iproute2", "tc": "iproute2", "snmpd": "snmpd"}
#: Where the tools are, also for a shell whose PATH lacks them.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"
#: Management networks: one /30 of the benchmarking range (RFC 2544) for each lab.
MANAGEMENT_PREFIX = "198.18.254"
MANAGEMENT_NETWORKS = 63
#: One /24 for the test heads of each lab, and in it one /30 for each port.
TEST_HEAD_PREFIX = "198.19"
IPERF3_PORT = 5201
#: Seconds until a test head listens.
START_TIMEOUT = 5.0
REAPER_SCRIPT = """
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


def process_start_time(process: int) -> str:
    """Return when a process started, in the kernel's ticks; empty if there is none."""
    with suppress(OSError):
        stat = Path(f"/proc/{process}/stat").read_text("utf-8")
        return stat.rpartition(")")[2].split()[19]
    return ""


def namespace_prefix() -> str:
    """Return how the names of this process's namespaces begin."""
    return f"tmflab-{os.getpid()}-{process_start_time(os.getpid())}-"


def stale_namespaces() -> Iterator[str]:
    """Yield namespaces of ours whose process is gone."""
    with suppress(OSError):
        for one in NETNS_DIRECTORY.iterdir():
            owner = NAMESPACE_PATTERN.match(one.name)
            if owner and process_start_time(int(owner[1])) != owner[2]:
                yield one.name


def remove_stale_namespaces() -> None:
    """Remove what dead processes have left behind."""
    for name in stale_namespaces():
        with suppress(LabError):
            for process in ip("netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), 9)
            ip("netns", "del", name)


@functools.cache
def lab_unavailable_reason() -> str | None:
    """Return what is missing for a lab on this machine, in one line; None if nothing is."""
    if not Path("/proc/self/ns/net").exists():
        return "the lab needs Linux with network namespaces"
    if os.geteuid() != 0:
        return "the lab needs root for its network namespaces"
    missing = sorted(
        {TOOL_PACKAGES[tool] for tool in TOOL_PACKAGES if shutil.which(tool, path=PATH) is None}
    )
    if missing:
        return f"the lab needs packages: apt-get install {' '.join(missing)}"
    name = f"{namespace_prefix()}probe"
    try:
        ip("netns", "add", name)
        ip("link", "add", "probe", "type", "veth", "peer", "name", "other", namespace=name)
    except LabError as error:
        return f"the lab needs network namespaces: {error}"
    finally:
        with suppress(LabError):
            ip("netns", "del", name)
    return None


class LabNetwork:
    """A gateway's network: its namespace, one behind it, and one for each customer.

        server --(management, 198.18.254.x/30)-- gateway -- core
                                                   +-- cpe1, cpe2, ...

    Attributes:
        gateway, core: Names of namespaces.
        customers: Port of the gateway -> name of the customer's namespace.
        server_address: The server's end of the management link.
        gateway_address: The gateway's end.
        head_addresses: Port of the gateway -> address of the test head at the customer's, to which the
            server gets through the port.
        files: Directory for files, removed with the rest.
    """

    def __init__(self, ports: int, files: Path) -> None:
        number = self._claim_number()
        begin = f"{namespace_prefix()}{number}-"
        self.gateway, self.core = f"{begin}gw", f"{begin}core"
        self.customers = {f"sub{one}": f"{begin}cpe{one}" for one in range(1, ports + 1)}
        self.files = files
        self._link = f"tmflab{number}"
        self.server_address = f"{MANAGEMENT_PREFIX}.{4 * number + 1}"
        self.gateway_address = f"{MANAGEMENT_PREFIX}.{4 * number + 2}"
        self._head_network = f"{TEST_HEAD_PREFIX}.{number}"
        self.head_addresses = {
            port: f"{self._head_network}.{4 * int(port[3:]) + 2}" for port in self.customers
        }
        self._head_processes: dict[str, subprocess.Popen[bytes]] = {}
        self._reaper = self._start_reaper()
        try:
            self._build()
        except LabError:
            self.remove()
            raise

    @staticmethod
    def _claim_number() -> int:
        """Claim a management network: whoever makes its link has it."""
        for number in range(MANAGEMENT_NETWORKS):
            link = f"tmflab{number}"
            try:
                ip("link", "add", link, "type", "veth", "peer", "name", f"{link}m")
            except LabError as error:
                if "exists" not in str(error):
                    raise
            else:
                return number
        raise LabError(f"all {MANAGEMENT_NETWORKS} management networks are in use")

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        names = (self.gateway, self.core, *self.customers.values())
        return subprocess.Popen(  # noqa: S603
            ("/bin/sh", "-c", REAPER_SCRIPT, "caretaker", *names),
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
        ip("route", "add", f"{self._head_network}.0/24", "via", self.gateway_address)
        gateway = [
            "link set lo up",
            f"address add {self.gateway_address}/30 dev mgmt0",
            "link set mgmt0 up",
            "address add 198.18.0.1/30 dev up0",
            "link set up0 up",
        ]
        for place, port in enumerate(self.customers, 1):
            gateway += [f"address add 198.18.{place}.1/24 dev {port}", f"link set {port} up"]
            gateway += [f"address add {self._head_network}.{4 * place + 1}/30 dev {port}"]
        ip(namespace=self.gateway, batch=gateway)
        core = ["address add 198.18.0.2/30 dev gw0", "link set gw0 up"]
        ip(namespace=self.core, batch=[*core, "route add 198.18.0.0/16 via 198.18.0.1"])
        for place, (port, customer) in enumerate(self.customers.items(), 1):
            addresses = (f"198.18.{place}.2/24", f"{self.head_addresses[port]}/30")
            ip(namespace=customer, batch=[f"address add {one} dev wan0" for one in addresses])
            self.restore_link(port)
        self.run(self.gateway, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def run(self, namespace: str, *command: str) -> str:
        """Run a command inside a namespace and return what it prints."""
        return run("ip", "netns", "exec", namespace, *command)

    def start_test_head(self, port: str) -> str:
        """Return "host:port" of the test head behind a port, an iperf3 server that is started.

        Raises:
            LabError: There is no iperf3.
        """
        if port not in self._head_processes:
            inside = ("ip", "netns", "exec", self.customers[port])
            self._head_processes[port] = subprocess.Popen(  # noqa: S603
                (*inside, "iperf3", "--server", "--port", str(IPERF3_PORT)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": PATH},
                start_new_session=True,
            )
            end = time.monotonic() + START_TIMEOUT
            while not self.run(self.customers[port], "ss", "-Hltn", f"sport = :{IPERF3_PORT}"):
                if time.monotonic() > end:
                    raise LabError("iperf3 does not listen")
                time.sleep(0.02)
        return f"{self.head_addresses[port]}:{IPERF3_PORT}"

    def restore_link(self, port: str) -> None:
        """Switch on the far end of a port."""
        place = list(self.customers).index(port) + 1
        ip(
            namespace=self.customers[port],
            batch=["link set wan0 up", f"route replace default via 198.18.{place}.1"],
        )

    def cut_link(self, port: str) -> None:
        """Switch off the far end of a port: at the gateway that is a cut cable."""
        ip("link", "set", "wan0", "down", namespace=self.customers[port])

    def remove(self) -> None:
        """Remove namespaces, links and files; may be called twice."""
        for process in self._head_processes.values():
            process.kill()
            process.wait(5)
        self._head_processes = {}
        if self._reaper.stdin:
            self._reaper.stdin.close()
        self._reaper.wait(10)
        with suppress(LabError):
            ip("link", "del", self._link)  # left where the namespaces were never made
