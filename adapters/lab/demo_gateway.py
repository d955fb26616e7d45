"""The gateway of the demo: a real one if this machine supports it, otherwise a simulated one."""

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
    """A gateway with fault injection; a context manager."""

    @property
    def server_address(self) -> str:
        """Address of the server to which the gateway sends notifications."""

    @property
    def target(self) -> Target:
        """The target of the gateway."""

    @property
    def credentials(self) -> Mapping[str, Mapping[str, str]]:
        """The content of the credentials file."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def up(self) -> Self:
        """Start the gateway."""

    def down(self) -> None:
        """Stop the gateway; safe to repeat."""

    def cut_link(self, port: str) -> None:
        """Take the link of a port down."""

    def restore_link(self, port: str) -> None:
        """Bring the link of a port up again."""

    def reject_setting(self, setting: str) -> None:
        """Make the gateway refuse to change a setting ("downstream", "upstream")."""

    def hang_on_setting(self, setting: str) -> None:
        """Make the gateway hang when a setting is changed."""

    def clear_faults(self) -> None:
        """End all injected faults."""

    def rate_limits(self, port: str) -> tuple[int, int]:
        """Return the downstream and upstream limits that are in effect on a port, in bit/s."""

    def test_head(self, port: str) -> str:
        """Return "host:port" of a test head at the customer's side; empty: there is none."""


class LabDemoGateway(SnmpLab):
    """The gateway of the lab with fault injection."""

    def reject_setting(self, setting: str) -> None:
        """Make the agent refuse to change a setting."""
        self._inject_fault(f"refuse {_column_oid(setting).rpartition('.')[2]}")

    def hang_on_setting(self, setting: str) -> None:
        """Make the agent hang when a setting is changed, until the fault is cleared."""
        self._inject_fault(f"hang {_column_oid(setting).rpartition('.')[2]}")

    def clear_faults(self) -> None:
        """End all injected faults."""
        self._inject_fault("")

    def rate_limits(self, port: str) -> tuple[int, int]:
        """Return the limits of the kernel for a port, in bit/s; 0: no limit."""
        return self._rate_limit(port), self._rate_limit(ifb_device(port))

    def test_head(self, port: str) -> str:
        """Return "host:port" of the iperf3 server behind a port; empty without iperf3."""
        return self.network.start_test_head(port) if shutil.which("iperf3", path=PATH) else ""

    def _inject_fault(self, fault: str) -> None:
        file = self.network.files / f"{FAULT_FILE}.new"
        file.write_text(fault, "utf-8")
        file.rename(self.network.files / FAULT_FILE)

    def _rate_limit(self, device: str) -> int:
        command = ("tc", "-s", "class", "show", "dev", device)
        try:
            output = self.network.run(self.network.gateway, *command)
        except LabError:  # without an ifb device there is no limit
            return 0
        match = TC_CLASS_PATTERN.search(output)
        return int(match[1]) * RATE_UNITS[match[2]] if match else 0


def _column_oid(setting: str) -> str:
    return BROADBAND_GATEWAY.attribute(setting).column


class SimulatedDemoGateway:
    """A simulated gateway that runs in a thread of its own.

    Args:
        name: Name of the element.
        ports: Number of access ports.
        trap_port: UDP port on loopback for notifications; 0: do not send any.
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
        """The target of the gateway."""
        return self._gateway.target

    @property
    def credentials(self) -> Mapping[str, Mapping[str, str]]:
        """The content of the credentials file."""
        return self._gateway.credentials

    def up(self) -> Self:
        """Start the gateway.

        Raises:
            RuntimeError: The gateway does not start in time.
        """
        self._started_event, self._stop_event = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._thread.start()
        if not self._started_event.wait(START_TIMEOUT):
            raise RuntimeError("the simulated gateway does not start")
        return self

    def down(self) -> None:
        """Stop the gateway; safe to repeat."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_event.set)
            self._thread.join(START_TIMEOUT)
            self._loop = None

    def cut_link(self, port: str) -> None:
        """Take the link of a port down."""
        self._run_in_loop(lambda: self._gateway.cut_link(port))

    def restore_link(self, port: str) -> None:
        """Bring the link of a port up again."""
        self._run_in_loop(lambda: self._gateway.restore_link(port))

    def reject_setting(self, setting: str) -> None:
        """Make the gateway refuse to change a setting."""
        self._inject_fault(FaultInjection(rejected_sets={_column_oid(setting): INCONSISTENT_VALUE}))

    def hang_on_setting(self, setting: str) -> None:
        """Make the gateway hang when a setting is changed."""
        self._inject_fault(FaultInjection(hang_column=_column_oid(setting)))

    def clear_faults(self) -> None:
        """End all injected faults."""
        self._inject_fault(FaultInjection())

    def rate_limits(self, port: str) -> tuple[int, int]:
        """Return the limits that are set on a port, in bit/s."""
        simulated = self._gateway.port(port)
        return simulated.downstream_kbps * KBIT, simulated.upstream_kbps * KBIT

    def test_head(self, port: str) -> str:  # noqa: ARG002
        """Return an empty text: a simulated gateway carries no traffic."""
        return ""

    def _inject_fault(self, fault: FaultInjection) -> None:
        self._run_in_loop(lambda: setattr(self._gateway, "fault_injection", fault))

    def _run_in_loop(self, action: Callable[[], None]) -> None:
        if self._loop is None:
            raise RuntimeError("the simulated gateway is not up")

        async def run() -> None:
            action()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(START_TIMEOUT)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._gateway:
            self._started_event.set()
            await self._stop_event.wait()


def create_demo_gateway(name: str, *, ports: int = 4, trap_port: int) -> tuple[DemoGateway, str]:
    """Create a gateway; return it and the reason why it is not a real one, empty if it is."""
    if (reason := lab_unavailable_reason()) is None:
        return LabDemoGateway(name, ports=ports, trap_port=trap_port), ""
    return SimulatedDemoGateway(name, ports=ports, trap_port=trap_port), reason
