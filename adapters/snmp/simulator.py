"""A simulated broadband gateway: an SNMP v2c agent over UDP, which needs no root privileges.

It replaces a real element on machines that cannot run one. It has the object identifiers of the
lab's gateway, sends linkDown and linkUp traps, and can simulate faults.
"""

import asyncio
import itertools
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from types import TracebackType
from typing import Self

from adapters import condition_types
from adapters.snmp import mib
from adapters.snmp.simulated_hardware import entity_rows, topology_rows
from adapters.snmp.simulated_port import (
    ACCESS_COLUMNS,
    GEN_ERR,
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
    """The faults that the gateway simulates; all may be changed at any time.

    Attributes:
        silent: Answer no request.
        unanswered_sets: Column -> number of SET requests to perform without answering.
        rejected_sets: Column -> error-status (RFC 3416) with which to reject each SET.
        ignore_sets: Answer SET requests with success, but do not perform them.
        hang_column: Column whose SET makes the gateway silent; empty: none.
        send_garbage: Answer with octets that are not SNMP.
        endless_tables: Return tables without an end.
        starting: Answer each request with genErr, as agents do while they start.
        rounding: Column -> step to which the gateway rounds the value of a SET down.
    """

    silent: bool = False
    unanswered_sets: dict[str, int] = field(default_factory=dict)
    rejected_sets: dict[str, int] = field(default_factory=dict)
    ignore_sets: bool = False
    hang_column: str = ""
    send_garbage: bool = False
    endless_tables: bool = False
    starting: bool = False
    rounding: dict[str, int] = field(default_factory=dict)


class SimulatedGateway(asyncio.DatagramProtocol):
    """The gateway; an asynchronous context manager.

    Args:
        name: sysName.
        ports: Number of access ports ("sub1", ...); "up0" is the uplink.
        address: Address to listen on; port 0 selects a free port. On loopback each gateway may
            have its own address (127.0.0.11, ...), which identifies it as the source of a trap.
        community: Community of requests and traps.
        trap_address: Destination of traps; None: none are sent.
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
        self.request_count = 0
        self._start_time = time.monotonic()
        self._request_ids = itertools.count(1)
        self._transport: asyncio.DatagramTransport | None = None
        self._view: tuple[object, dict[tuple[int, ...], tuple[int, Value]]] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=self.address
        )
        self.address = self._transport.get_extra_info("sockname")[:2]
        self._notify(condition_types.COLD_START)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)  # asyncio closes the socket in its next iteration

    @property
    def target(self) -> Target:
        """The target of the gateway; its credentials have the name of the gateway."""
        host, port = self.address
        return Target(self.name, f"{host}:{port}", "snmp", self.name)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """The contents of a credentials file for the gateway."""
        return {self.name: {"community": self.community}}

    def port(self, name: str) -> SimulatedPort:
        """Return a port by name.

        Raises:
            KeyError: There is no such port.
        """
        return self.ports[self._index(name)]

    def _index(self, name: str) -> int:
        for index, port in self.ports.items():
            if port.name == name:
                return index
        raise KeyError(name)

    def cut_link(self, name: str) -> None:
        """Disconnect the cable of a port."""
        self._change_port(name, lambda port: setattr(port, "cable_connected", False))

    def restore_link(self, name: str) -> None:
        """Connect the cable of a port."""
        self._change_port(name, lambda port: setattr(port, "cable_connected", True))

    def restart(self, *, shift: int = 0) -> None:
        """Restart: reset the counters and shift the index of each port."""
        self.boots += 1
        self._start_time = time.monotonic()
        self.ports = {index + shift: port for index, port in self.ports.items()}
        for port in self.ports.values():
            port.octets_in = port.octets_out = port.changed_at = 0
        self._notify(condition_types.COLD_START)

    def _change_port(self, name: str, change: Callable[[SimulatedPort], None]) -> None:
        index = self._index(name)
        port = self.ports[index]
        was_up = port.is_up
        change(port)
        if port.is_up != was_up:
            port.changed_at = self._uptime()
            self._notify(
                condition_types.LINK_UP if port.is_up else condition_types.LINK_DOWN,
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
        pdu = Pdu(message.TRAP, next(self._request_ids), variables=head + variables)
        datagram = message.encode_community_message(message.V2C, self.community.encode(), pdu)
        self._transport.sendto(datagram, self.trap_address)

    def _uptime(self) -> int:
        return int((time.monotonic() - self._start_time) * 100)

    def _variable(self, column: str, index: int) -> Variable:
        oid = f"{column}.{index}"
        return Variable(oid, *self._mib_view()[split_object_id(oid)])

    def _mib_view(self) -> MibView:
        """Return the variables; those of an unchanged gateway are not sorted again."""
        ports = [(index, *astuple(port)) for index, port in self.ports.items()]
        state = (self.name, self.serial, self.boots, ports, dict(self.neighbours))
        if self._view is None or self._view[0] != state:
            self._view = state, self._create_view()
        view = self._view[1]
        view[split_object_id(mib.SYS_UP_TIME)] = (ber.TIME_TICKS, self._uptime())
        return view

    def _create_view(self) -> dict[tuple[int, ...], tuple[int, Value]]:
        rows: dict[str, tuple[int, Value]] = {
            mib.SYS_DESCR: (ber.OCTETS, b"simulated broadband gateway 1.0"),
            mib.SYS_OBJECT_ID: (ber.OID, mib.SVC),
            mib.SYS_UP_TIME: (ber.TIME_TICKS, 0),
            mib.SYS_NAME: (ber.OCTETS, self.name.encode()),
            mib.SNMP_ENGINE_BOOTS: (ber.INTEGER, self.boots),
        }
        rows |= entity_rows(self.serial) | topology_rows(self.ports, self.neighbours)
        for index, port in self.ports.items():
            rows |= {f"{column}.{index}": pair for column, pair in port_row(index, port).items()}
        return {split_object_id(oid): rows[oid] for oid in sorted(rows, key=split_object_id)}

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
        value, step = variable.value, self.fault_injection.rounding.get(column, 1)
        if isinstance(value, int):
            value -= value % step
        if not self.fault_injection.ignore_sets:
            self._change_port(port.name, lambda port: apply_set(port, column, value))
        return 0

    def _is_unanswered(self, variables: Sequence[Variable]) -> bool:
        remaining = self.fault_injection.unanswered_sets
        for column in _columns(variables):
            if remaining.get(column, 0) > 0:
                remaining[column] -= 1
                return True
        return False

    def _respond(self, request: Pdu) -> Pdu | None:
        if self.fault_injection.starting:
            return replace(request, tag=message.RESPONSE, error_status=GEN_ERR)
        response = respond(request, self._mib_view(), self._write)
        if response is not None and self.fault_injection.endless_tables:
            children = (Variable(f"{parent.oid}.1", ber.INTEGER, 1) for parent in request.variables)
            response = replace(response, variables=tuple(children))
        return response

    def datagram_received(self, datagram: bytes, source: tuple[str, int]) -> None:
        """Answer a request; drop any other datagram, as agents do."""
        faults = self.fault_injection
        try:
            version, community, request = message.decode_community_message(datagram)
        except Malformed:
            return
        if faults.silent or community != self.community.encode() or version != message.V2C:
            return
        if not isinstance(request, Pdu) or self._transport is None:
            return
        self.request_count += 1
        if request.tag == message.SET and faults.hang_column in _columns(request.variables):
            faults.silent = True
            return
        if (response := self._respond(request)) is None:
            return
        if request.tag == message.SET and self._is_unanswered(request.variables):
            return
        reply = message.encode_community_message(version, community, response)
        self._transport.sendto(GARBAGE if faults.send_garbage else reply, source)


def _columns(variables: Sequence[Variable]) -> list[str]:
    return [variable.oid.rpartition(".")[0] for variable in variables]
