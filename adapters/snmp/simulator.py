"""A broadband gateway that is not there: a real SNMP agent over UDP, without root.

It stands in where the machine cannot have a real element: it speaks SNMP v2c on loopback with the
object identifiers of the lab's gateway, sends linkDown and linkUp, and misbehaves on command.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from adapters.snmp import mib
from adapters.snmp.simulated_hardware import entity_rows, topology_rows
from adapters.snmp.simulated_port import (
    ACCESS_COLUMNS,
    NO_CREATION,
    SimulatedPort,
    apply_set,
    port_row,
    set_error_status,
)
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.agent import MibView, respond
from adapters.snmp.wire.ber import Malformed, Value, split_object_id
from adapters.snmp.wire.message import Pdu, Variable
from adapters.values import Target

GARBAGE = b"\x30\x03noise"


@dataclass(slots=True)
class FaultInjection:
    """What the gateway does wrong; all of it may be changed at any time.

    Attributes:
        silent: It answers nothing.
        unanswered_sets: Columns whose SET it does without answering, each with how many times it does so.
        rejected_sets: Columns it refuses to set, each with an error-status of RFC 3416.
        ignore_sets: It answers "ok" to a SET and does nothing.
        hang_column: A column; when it is to be set the gateway falls silent. Empty: none.
        send_garbage: It answers with octets that are not SNMP.
        endless_tables: Its tables never end.
    """

    silent: bool = False
    unanswered_sets: dict[str, int] = field(default_factory=dict)
    rejected_sets: dict[str, int] = field(default_factory=dict)
    ignore_sets: bool = False
    hang_column: str = ""
    send_garbage: bool = False
    endless_tables: bool = False


class SimulatedGateway(asyncio.DatagramProtocol):
    """The gateway; an asynchronous context manager.

    Args:
        name: sysName.
        ports: Number of access ports ("sub1", ...); "up0" is the uplink.
        address: Address to listen at, port 0 for a free one. On loopback each gateway may have
            its own (127.0.0.11, ...), so that a trap's source tells which it is.
        community: Community of requests and traps.
        trap_address: Address that traps go to; None: it sends none.
    """

    def __init__(
        self,
        name: str = "gw-sim",
        *,
        ports: int = 4,
        address: tuple[str, int] = ("127.0.0.1", 0),
        community: str = "simulated",
        trap_address: tuple[str, int] | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.community = community
        self.trap_address = trap_address
        self.ports = {1: SimulatedPort("lo", access=False), 2: SimulatedPort("up0", access=False)}
        self.ports |= {2 + number: SimulatedPort(f"sub{number}") for number in range(1, ports + 1)}
        self.fault_injection = FaultInjection()
        self.serial = f"SIM-{zlib.crc32(name.encode()):08X}"
        self.neighbours: dict[str, str] = {"up0": "core-1"}
        self.boots = 1
        self.set_count = 0
        self._start_time = time.monotonic()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=self.address
        )
        self.address = self._transport.get_extra_info("sockname")[:2]
        self._notify(mib.COLD_START)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # asyncio closes the socket in its next round

    @property
    def target(self) -> Target:
        """How to reach it; the credentials are named after it."""
        host, port = self.address
        return Target(self.name, f"{host}:{port}", "snmp", self.name)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """What belongs into the credentials file."""
        return {self.name: {"community": self.community}}

    def port(self, name: str) -> SimulatedPort:
        """Return a port.

        Raises:
            KeyError: There is none of this name.
        """
        return next(self.ports[index] for index in self.ports if self.ports[index].name == name)

    def cut_link(self, name: str) -> None:
        """Cut the cable of a port."""
        self._change_port(name, lambda port: setattr(port, "cable_connected", False))

    def restore_link(self, name: str) -> None:
        """Mend the cable of a port."""
        self._change_port(name, lambda port: setattr(port, "cable_connected", True))

    def restart(self, *, shift: int = 0) -> None:
        """Start anew: counters from 0, and port indexes moved by ``shift``."""
        self.boots += 1
        self._start_time = time.monotonic()
        self.ports = {index + shift: port for index, port in self.ports.items()}
        for port in self.ports.values():
            port.octets_in = port.octets_out = 0
        self._notify(mib.COLD_START)

    def _change_port(self, name: str, change: Callable[[SimulatedPort], None]) -> None:
        index, port = next(pair for pair in self.ports.items() if pair[1].name == name)
        before = port.is_up
        change(port)
        if port.is_up != before:
            self._notify(
                mib.LINK_UP if port.is_up else mib.LINK_DOWN,
                Variable(f"{mib.IF_INDEX}.{index}", ber.INTEGER, index),
                self._variable(mib.IF_ADMIN_STATUS, index),
                self._variable(mib.IF_OPER_STATUS, index),
                self._variable(mib.IF_DESCR, index),
            )

    def _notify(self, trap: str, *variables: Variable) -> None:
        if self.trap_address is None or self._transport is None:
            return
        head = (
            Variable(mib.SYS_UP_TIME, ber.TIME_TICKS, self._uptime()),
            Variable(mib.SNMP_TRAP_OID, ber.OID, trap),
        )
        content = Pdu(message.TRAP, self._uptime(), variables=head + variables)
        datagram = message.encode_community_message(message.V2C, self.community.encode(), content)
        self._transport.sendto(datagram, self.trap_address)

    def _uptime(self) -> int:
        return int((time.monotonic() - self._start_time) * 100)

    def _variable(self, column: str, index: int) -> Variable:
        oid = f"{column}.{index}"
        return Variable(oid, *self._mib_view()[split_object_id(oid)])

    def _mib_view(self) -> MibView:
        found: dict[str, tuple[int, Value]] = {
            mib.SYS_DESCR: (ber.OCTETS, b"simulated broadband gateway 1.0"),
            mib.SYS_OBJECT_ID: (ber.OID, mib.SVC),
            mib.SYS_UP_TIME: (ber.TIME_TICKS, self._uptime()),
            mib.SYS_NAME: (ber.OCTETS, self.name.encode()),
            mib.SNMP_ENGINE_BOOTS: (ber.INTEGER, self.boots),
        }
        found |= entity_rows(self.serial) | topology_rows(self.ports, self.neighbours)
        for index, port in self.ports.items():
            found |= {f"{column}.{index}": pair for column, pair in port_row(index, port).items()}
        return {split_object_id(oid): found[oid] for oid in sorted(found, key=split_object_id)}

    def _write(self, variable: Variable) -> int:
        column, _, index = variable.oid.rpartition(".")
        port = self.ports.get(int(index))
        if port is None or (column in ACCESS_COLUMNS and not port.access):
            return NO_CREATION
        if (status := self.fault_injection.rejected_sets.get(column)) or (
            status := set_error_status(column, variable.tag, variable.value)
        ):
            return status
        self.set_count += 1
        if not self.fault_injection.ignore_sets:
            self._change_port(port.name, lambda port: apply_set(port, column, variable.value))
        return 0

    def _is_unanswered(self, variables: Sequence[Variable]) -> bool:
        deaf = self.fault_injection.unanswered_sets
        for column in _columns(variables):
            if deaf.get(column, 0) > 0:
                deaf[column] -= 1
                return True
        return False

    def datagram_received(self, datagram: bytes, source: tuple[str, int]) -> None:
        """Answer a request; anything else is dropped, as agents do."""
        wrong = self.fault_injection
        try:
            version, community, request = message.decode_community_message(datagram)
        except Malformed:
            return
        if wrong.silent or community != self.community.encode() or version != message.V2C:
            return
        if not isinstance(request, Pdu) or self._transport is None:
            return
        if request.tag == message.SET and wrong.hang_column in _columns(request.variables):
            wrong.silent = True
            return
        if (response := respond(request, self._mib_view(), self._write)) is None:
            return
        if wrong.endless_tables:
            deeper = (Variable(f"{one.oid}.1", ber.INTEGER, 1) for one in request.variables)
            response = replace(response, variables=tuple(deeper))
        if request.tag == message.SET and self._is_unanswered(request.variables):
            return
        reply = message.encode_community_message(version, community, response)
        self._transport.sendto(GARBAGE if wrong.send_garbage else reply, source)


def _columns(variables: Sequence[Variable]) -> list[str]:
    return [one.oid.rpartition(".")[0] for one in variables]


async def run(
    name: str, address: tuple[str, int], community: str, trap_address: tuple[str, int] | None
) -> None:
    """Be a gateway until cancelled: what ``tmf simulate`` does."""
    async with SimulatedGateway(
        name, address=address, community=community, trap_address=trap_address
    ):
        await asyncio.Event().wait()
