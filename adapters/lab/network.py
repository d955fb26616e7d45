"""Network namespaces that belong to this process and are removed with it.

Their names contain the process that created them, so that parallel runs do not collide and the
leftovers of a crash are recognized. A reaper process reads a pipe from its owner: when the owner
ends, for whatever reason, the reaper removes everything.
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
#: Search path of the tools, also for a shell whose PATH lacks /usr/sbin.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"
#: Management networks: a /30 of the benchmarking range (RFC 2544) for each lab.
MANAGEMENT_PREFIX = "198.18.254"
MANAGEMENT_NETWORKS = 63
#: Networks of test heads: a /24 for each lab, and in it a /30 for each port.
TEST_HEAD_PREFIX = "198.19"
IPERF3_PORT = 5201
#: Time for a test head to open its port, in seconds.
START_TIMEOUT = 5.0
REAPER_SCRIPT = """
cat >/dev/null
for n in "$@"; do ip netns pids "$n" | xargs -r kill; done
sleep 0.2
for n in "$@"; do ip netns pids "$n" | xargs -r kill -9; ip netns del "$n"; done
rm -rf "$TMFLAB_FILES"
"""


class LabError(RuntimeError):
    """The machine cannot do what the lab needs; the message has the output of the command."""


def run(*command: str, batch: str = "") -> str:
    """Run a command, with ``batch`` as its input, and return its output.

    Raises:
        LabError: The command fails.
    """
    environment = os.environ | {"PATH": PATH}
    try:
        result = subprocess.run(  # noqa: S603 - fixed commands, generated names
            command, input=batch, capture_output=True, text=True, env=environment, check=False
        )
    except OSError as error:
        raise LabError(f"{command[0]}: {error}") from error
    if result.returncode:
        raise LabError(f"{' '.join(command)}: {result.stderr.strip() or result.returncode}")
    return result.stdout


def ip(*arguments: str, namespace: str = "", batch: Sequence[str] = ()) -> str:
    """Run iproute2 with arguments, or with a batch of commands, optionally in a namespace."""
    options = (*(("-n", namespace) if namespace else ()), *(("-batch", "-") if batch else ()))
    return run("ip", *options, *arguments, batch="\n".join(batch))


def process_start_time(process: int) -> str:
    """Return the start time of a process in clock ticks; empty if the process does not exist."""
    with suppress(OSError):
        stat = Path(f"/proc/{process}/stat").read_text("utf-8")
        return stat.rpartition(")")[2].split()[19]
    return ""


def namespace_prefix() -> str:
    """Return the prefix of the names of the namespaces of this process."""
    return f"tmflab-{os.getpid()}-{process_start_time(os.getpid())}-"


def stale_namespaces() -> Iterator[str]:
    """Yield the namespaces of labs whose process has ended."""
    with suppress(OSError):
        for path in NETNS_DIRECTORY.iterdir():
            match = NAMESPACE_PATTERN.match(path.name)
            if match and process_start_time(int(match[1])) != match[2]:
                yield path.name


def remove_stale_namespaces() -> None:
    """Remove the namespaces of labs whose process has ended."""
    for name in stale_namespaces():
        with suppress(LabError):
            for process in ip("netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), 9)
            ip("netns", "del", name)


@functools.cache
def lab_unavailable_reason() -> str | None:
    """Return in one line why this machine cannot run a lab; None if it can."""
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
    """The network of a gateway: namespaces of the gateway, the core, and each customer.

        server --(management, 198.18.254.x/30)-- gateway -- core
                                                   +-- cpe1, cpe2, ...

    Attributes:
        gateway: Name of the gateway's namespace.
        core: Name of the core's namespace.
        customers: Names of the customers' namespaces, by port of the gateway.
        server_address: Address of the server in the management network.
        gateway_address: Address of the gateway in the management network.
        head_addresses: Addresses of the customers' test heads, by port of the gateway. The server
            reaches a test head through the port.
        files: Directory for files, which is removed with the network.
    """

    def __init__(self, ports: int, files: Path) -> None:
        number = self._claim_number()
        prefix = f"{namespace_prefix()}{number}-"
        self.gateway, self.core = f"{prefix}gw", f"{prefix}core"
        self.customers = {f"sub{index}": f"{prefix}cpe{index}" for index in range(1, ports + 1)}
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
        """Claim a management network by creating its link; return its number."""
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
            ("/bin/sh", "-c", REAPER_SCRIPT, "reaper", *names),
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
        for index, port in enumerate(self.customers, 1):
            gateway += [f"address add 198.18.{index}.1/24 dev {port}", f"link set {port} up"]
            gateway += [f"address add {self._head_network}.{4 * index + 1}/30 dev {port}"]
        ip(namespace=self.gateway, batch=gateway)
        core = ["address add 198.18.0.2/30 dev gw0", "link set gw0 up"]
        ip(namespace=self.core, batch=[*core, "route add 198.18.0.0/16 via 198.18.0.1"])
        for index, (port, customer) in enumerate(self.customers.items(), 1):
            addresses = (f"198.18.{index}.2/24", f"{self.head_addresses[port]}/30")
            commands = [f"address add {address} dev wan0" for address in addresses]
            ip(namespace=customer, batch=commands)
            self.restore_link(port)
        self.run(self.gateway, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def run(self, namespace: str, *command: str) -> str:
        """Run a command in a namespace and return its output."""
        return run("ip", "netns", "exec", namespace, *command)

    def start_test_head(self, port: str) -> str:
        """Start the test head behind a port, an iperf3 server, and return its "host:port".

        Raises:
            LabError: iperf3 does not start in time.
        """
        if port not in self._head_processes:
            enter = ("ip", "netns", "exec", self.customers[port])
            self._head_processes[port] = subprocess.Popen(  # noqa: S603
                (*enter, "iperf3", "--server", "--port", str(IPERF3_PORT)),
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
        """Bring the link of a port up, at the customer's side."""
        index = list(self.customers).index(port) + 1
        ip(
            namespace=self.customers[port],
            batch=["link set wan0 up", f"route replace default via 198.18.{index}.1"],
        )

    def cut_link(self, port: str) -> None:
        """Take the link of a port down, at the customer's side."""
        ip("link", "set", "wan0", "down", namespace=self.customers[port])

    def remove(self) -> None:
        """Remove namespaces, links and files; safe to repeat."""
        for process in self._head_processes.values():
            process.kill()
            process.wait(5)
        self._head_processes = {}
        if self._reaper.stdin:
            self._reaper.stdin.close()
        self._reaper.wait(10)
        with suppress(LabError):
            ip("link", "del", self._link)  # exists only if the namespaces were never created
