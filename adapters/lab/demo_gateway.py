"""A gateway to show things on: the lab's where the machine can have it, or else a simulated one."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, Self

from adapters.lab.agent import RATE_UNITS, TC_CLASS_PATTERN, ifb_device
from adapters.lab.gateway import FAULT_FILE, SnmpLab
from adapters.lab.network import PATH, LabError, lab_unavailable_reason
from adapters.snmp.profile import BROADBAND_GATEWAY, KBIT
from adapters.snmp.simulator import FaultInjection, SimulatedGateway
from adapters.values import Target

START_TIMEOUT = 10.0  # seconds
INCONSISTENT_VALUE = 12  # error-status, RFC 3416 section 3


class DemoGateway(Protocol):
    """A gateway that runs; a context manager."""

    @property
    def server_address(self) -> str:
        """Address at which the server hears the gateway's notifications."""

    @property
    def target(self) -> Target:
        """How to reach it."""

    @property
    def credentials(self) -> Mapping[str, Mapping[str, str]]:
        """What belongs into the credentials file."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def up(self) -> Self:
        """Start it."""

    def down(self) -> None:
        """End it; may be called twice."""

    def cut_link(self, port: str) -> None:
        """Cut the cable of a port."""

    def restore_link(self, port: str) -> None:
        """Mend the cable of a port."""

    def reject_setting(self, setting: str) -> None:
        """Refuse to change a setting ("downstream", "upstream") from now on."""

    def hang_on_setting(self, setting: str) -> None:
        """Fall silent as soon as a setting is to be changed."""

    def clear_faults(self) -> None:
        """Do what is asked again."""

    def rate_limits(self, port: str) -> tuple[int, int]:
        """Return what a port is limited to down and up, in bit/s, looked at from inside."""

    def test_head(self, port: str) -> str:
        """Return "host:port" of a test head at the customer's side; empty: there is none."""


class LabDemoGateway(SnmpLab):
    """The lab's gateway, which can be made to misbehave."""

    def reject_setting(self, setting: str) -> None:
        """Refuse to change a setting from now on."""
        self._inject_fault(f"refuse {_column_oid(setting).rpartition('.')[2]}")

    def hang_on_setting(self, setting: str) -> None:
        """Fall silent as soon as a setting is to be changed; it is changed when all is well."""
        self._inject_fault(f"hang {_column_oid(setting).rpartition('.')[2]}")

    def clear_faults(self) -> None:
        """Do what is asked again."""
        self._inject_fault("")

    def rate_limits(self, port: str) -> tuple[int, int]:
        """Return what the kernel limits a port to, in bit/s; 0: to nothing."""
        return self._rate_limit(port), self._rate_limit(ifb_device(port))

    def test_head(self, port: str) -> str:
        """Return where the iperf3 server behind a port is; empty: there is no iperf3 here."""
        return self.network.start_test_head(port) if shutil.which("iperf3", path=PATH) else ""

    def _inject_fault(self, fault: str) -> None:
        new = self.network.files / f"{FAULT_FILE}.new"
        new.write_text(fault, "utf-8")
        new.rename(self.network.files / FAULT_FILE)

    def _rate_limit(self, device: str) -> int:
        try:
            said = self.network.run(
                self.network.gateway, "tc", "-s", "class", "show", "dev", device
            )
        except LabError:  # no such device: nothing was ever limited there
            return 0
        found = TC_CLASS_PATTERN.search(said)
        return int(found[1]) * RATE_UNITS[found[2]] if found else 0


def _column_oid(setting: str) -> str:
    return BROADBAND_GATEWAY.attribute(setting).column


class SimulatedDemoGateway:
    """A simulated gateway in a thread of its own.

    Args:
        name: What the element is called.
        ports: Number of access ports.
        trap_port: UDP port on loopback that notifications go to; 0: it sends none.
    """

    server_address = "127.0.0.1"

    def __init__(self, name: str, *, ports: int = 4, trap_port: int) -> None:
        traps = (self.server_address, trap_port) if trap_port else None
        self._gateway = SimulatedGateway(name, ports=ports, trap_address=traps)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_event, self._stop_event = threading.Event(), asyncio.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def target(self) -> Target:
        """How to reach it."""
        return self._gateway.target

    @property
    def credentials(self) -> Mapping[str, Mapping[str, str]]:
        """What belongs into the credentials file."""
        return self._gateway.credentials

    def up(self) -> Self:
        """Start it.

        Raises:
            RuntimeError: It does not start.
        """
        self._started_event, self._stop_event = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._thread.start()
        if not self._started_event.wait(START_TIMEOUT):
            raise RuntimeError("the simulated gateway does not start")
        return self

    def down(self) -> None:
        """End it."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_event.set)
            self._thread.join(START_TIMEOUT)
            self._loop = None

    def cut_link(self, port: str) -> None:
        """Cut the cable of a port."""
        self._run_in_loop(lambda: self._gateway.cut_link(port))

    def restore_link(self, port: str) -> None:
        """Mend the cable of a port."""
        self._run_in_loop(lambda: self._gateway.restore_link(port))

    def reject_setting(self, setting: str) -> None:
        """Refuse to change a setting from now on."""
        refused = FaultInjection(rejected_sets={_column_oid(setting): INCONSISTENT_VALUE})
        self._run_in_loop(lambda: setattr(self._gateway, "fault_injection", refused))

    def hang_on_setting(self, setting: str) -> None:
        """Fall silent as soon as a setting is to be changed."""
        hanging = FaultInjection(hang_column=_column_oid(setting))
        self._run_in_loop(lambda: setattr(self._gateway, "fault_injection", hanging))

    def clear_faults(self) -> None:
        """Do what is asked again."""
        self._run_in_loop(lambda: setattr(self._gateway, "fault_injection", FaultInjection()))

    def rate_limits(self, port: str) -> tuple[int, int]:
        """Return what a port is said to be limited to, in bit/s."""
        one = self._gateway.port(port)
        return one.downstream_kbps * KBIT, one.upstream_kbps * KBIT

    def test_head(self, port: str) -> str:  # noqa: ARG002
        """Return nothing: no traffic goes through a simulated gateway."""
        return ""

    def _run_in_loop(self, action: Callable[[], None]) -> None:
        if self._loop is None:
            raise RuntimeError("the simulated gateway is not up")

        async def do() -> None:
            action()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(START_TIMEOUT)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._gateway:
            self._started_event.set()
            await self._stop_event.wait()


def create_demo_gateway(name: str, *, ports: int = 4, trap_port: int) -> tuple[DemoGateway, str]:
    """Return a gateway that is not up yet, and why it is not a real one; empty if it is."""
    if (reason := lab_unavailable_reason()) is None:
        return LabDemoGateway(name, ports=ports, trap_port=trap_port), ""
    return SimulatedDemoGateway(name, ports=ports, trap_port=trap_port), reason
