"""The ports of the simulated gateway, and their rows in its MIBs."""

from dataclasses import dataclass

from adapters.snmp import mib
from adapters.snmp.wire import ber
from adapters.snmp.wire.ber import Value

GIGABIT = 1000  # ifHighSpeed, in Mbit/s
ETHERNET = 6  # ifType ethernetCsmacd
MAX_KBPS = 10_000_000
#: error-status, RFC 3416 section 3
GEN_ERR, WRONG_TYPE, WRONG_VALUE, NO_CREATION, NOT_WRITABLE = 5, 7, 10, 11, 17
#: The cable of a port: 1 connected, 2 cut. Another process can set it to inject a fault. The lab's
#: gateway does not have this column.
SIM_CABLE = "1.3.6.1.4.1.64999.1.9.1"
WRITABLE_COLUMNS = {
    mib.IF_ALIAS: ber.OCTETS,
    mib.IF_ADMIN_STATUS: ber.INTEGER,
    mib.SVC_DOWN_KBPS: ber.GAUGE32,
    mib.SVC_UP_KBPS: ber.GAUGE32,
    SIM_CABLE: ber.INTEGER,
}
ACCESS_COLUMNS = frozenset({mib.SVC_IF_NAME, mib.SVC_DOWN_KBPS, mib.SVC_UP_KBPS})
RANGES = {
    mib.IF_ADMIN_STATUS: range(1, 3),
    mib.SVC_DOWN_KBPS: range(MAX_KBPS + 1),
    mib.SVC_UP_KBPS: range(MAX_KBPS + 1),
    SIM_CABLE: range(1, 3),
}
ALIAS_LIMIT = 64


@dataclass(slots=True)
class SimulatedPort:
    """One port.

    Attributes:
        name: ifName.
        access: Whether it can carry a service.
        tag: ifAlias.
        enabled: ifAdminStatus.
        cable_connected: Whether its cable is connected.
        downstream_kbps: Rate towards the customer, in kbit/s.
        upstream_kbps: Rate from the customer, in kbit/s.
        octets_in: Octets received.
        octets_out: Octets sent.
        down_state: ifOperStatus while the cable is not connected.
        changed_at: ifLastChange, in hundredths of a second.
    """

    name: str
    access: bool = True
    tag: str = ""
    enabled: bool = True
    cable_connected: bool = True
    downstream_kbps: int = 0
    upstream_kbps: int = 0
    octets_in: int = 0
    octets_out: int = 0
    down_state: int = mib.DOWN
    changed_at: int = 0

    @property
    def is_up(self) -> bool:
        """True if ifOperStatus is up."""
        return self.enabled and self.cable_connected

    @property
    def oper_status(self) -> int:
        """The operational state (ifOperStatus)."""
        if not self.enabled:
            return mib.DOWN
        return mib.UP if self.cable_connected else self.down_state


def port_row(index: int, port: SimulatedPort) -> dict[str, tuple[int, Value]]:
    """Return the row of a port: column -> tag and value."""
    loopback = port.name == "lo"
    row: dict[str, tuple[int, Value]] = {
        mib.IF_INDEX: (ber.INTEGER, index),
        mib.IF_DESCR: (ber.OCTETS, port.name.encode()),
        mib.IF_TYPE: (ber.INTEGER, mib.SOFTWARE_LOOPBACK if loopback else ETHERNET),
        mib.IF_PHYS_ADDRESS: (ber.OCTETS, b"" if loopback else bytes((2, 0, 0, 0, 0, index % 256))),
        mib.IF_ADMIN_STATUS: (ber.INTEGER, mib.UP if port.enabled else mib.DOWN),
        mib.IF_OPER_STATUS: (ber.INTEGER, port.oper_status),
        mib.IF_LAST_CHANGE: (ber.TIME_TICKS, port.changed_at),
        mib.IF_IN_DISCARDS: (ber.COUNTER32, 0),
        mib.IF_IN_ERRORS: (ber.COUNTER32, 0),
        mib.IF_OUT_DISCARDS: (ber.COUNTER32, 0),
        mib.IF_OUT_ERRORS: (ber.COUNTER32, 0),
        mib.IF_NAME: (ber.OCTETS, port.name.encode()),
        mib.IF_HC_IN_OCTETS: (ber.COUNTER64, port.octets_in),
        mib.IF_HC_OUT_OCTETS: (ber.COUNTER64, port.octets_out),
        mib.IF_HIGH_SPEED: (ber.GAUGE32, GIGABIT),
        mib.IF_ALIAS: (ber.OCTETS, port.tag.encode()),
        mib.IF_COUNTER_DISCONTINUITY_TIME: (ber.TIME_TICKS, 0),
        SIM_CABLE: (ber.INTEGER, mib.UP if port.cable_connected else mib.DOWN),
    }
    if port.access:
        row[mib.SVC_IF_NAME] = (ber.OCTETS, port.name.encode())
        row[mib.SVC_DOWN_KBPS] = (ber.GAUGE32, port.downstream_kbps)
        row[mib.SVC_UP_KBPS] = (ber.GAUGE32, port.upstream_kbps)
    return row


def set_error_status(column: str, tag: int, value: Value) -> int:
    """Return the error-status of a SET; 0 if it is valid."""
    if column not in WRITABLE_COLUMNS:
        return NOT_WRITABLE
    if tag != WRITABLE_COLUMNS[column]:
        return WRONG_TYPE
    if isinstance(value, bytes):
        return WRONG_VALUE if len(value) > ALIAS_LIMIT else 0
    return 0 if value in RANGES[column] else WRONG_VALUE


def apply_set(port: SimulatedPort, column: str, value: Value) -> None:
    """Perform a SET that ``set_error_status`` has accepted."""
    if isinstance(value, bytes):
        port.tag = value.decode("utf-8", "replace")
    elif column == mib.IF_ADMIN_STATUS:
        port.enabled = value == mib.UP
    elif column == SIM_CABLE:
        port.cable_connected = value == mib.UP
    elif column == mib.SVC_DOWN_KBPS:
        port.downstream_kbps = int(value or 0)
    else:
        port.upstream_kbps = int(value or 0)
