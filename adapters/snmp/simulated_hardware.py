"""The components, addresses and neighbours of the simulated gateway, as rows of its MIBs."""

from collections.abc import Mapping

from adapters.snmp import mib
from adapters.snmp.simulated_port import SimulatedPort
from adapters.snmp.wire import ber
from adapters.snmp.wire.ber import Value

#: Object identifier -> tag and value.
MibRows = dict[str, tuple[int, Value]]

#: entPhysicalIndex -> class, container, position in it, name, model, serial number, software
PHYSICAL_ENTITIES = {
    1: (3, 0, 0, "chassis", "SIM-100", "{serial}", ""),
    2: (5, 1, 1, "slot 1", "", "", ""),
    3: (9, 2, 1, "line card 1", "SIM-LC-4", "{serial}-1", "1.0"),
    4: (6, 1, 1, "power supply 1", "SIM-PS", "{serial}-2", ""),
    5: (8, 3, 1, "temperature", "", "", ""),
    6: (10, 3, 1, "port 1", "", "", ""),
}
UPLINK_ADDRESS, PREFIX = (198, 18, 0, 1), 30
MAC_ADDRESS, INTERFACE_NAME = 4, 5  # LldpChassisIdSubtype, LldpPortIdSubtype


def entity_rows(serial: str) -> MibRows:
    """Return the rows of entPhysicalTable."""
    rows: MibRows = {}
    for index, entity in PHYSICAL_ENTITIES.items():
        entity_class, container, position, name, model, serial_format, software = entity
        columns: MibRows = {
            mib.ENT_DESCR: (ber.OCTETS, f"simulated {name}".encode()),
            mib.ENT_CONTAINED_IN: (ber.INTEGER, container),
            mib.ENT_CLASS: (ber.INTEGER, entity_class),
            mib.ENT_PARENT_REL_POS: (ber.INTEGER, position),
            mib.ENT_NAME: (ber.OCTETS, name.encode()),
            mib.ENT_SOFTWARE_REV: (ber.OCTETS, software.encode()),
            mib.ENT_SERIAL_NUM: (ber.OCTETS, serial_format.format(serial=serial).encode()),
            mib.ENT_MFG_NAME: (ber.OCTETS, b"simulated"),
            mib.ENT_MODEL_NAME: (ber.OCTETS, model.encode()),
        }
        rows |= {f"{column}.{index}": pair for column, pair in columns.items()}
    return rows


def topology_rows(ports: Mapping[int, SimulatedPort], neighbours: Mapping[str, str]) -> MibRows:
    """Return the rows of the addresses and the neighbours of ports.

    Args:
        ports: The ports by ifIndex.
        neighbours: Name of a port -> name of the element at the other end.
    """
    rows: MibRows = {}
    for index, port in ports.items():
        if port.name == "up0":
            rows |= _address_rows(index)
        if port.name != "lo":
            rows[f"{mib.LLDP_LOC_PORT_ID_SUBTYPE}.{index}"] = (ber.INTEGER, INTERFACE_NAME)
            rows[f"{mib.LLDP_LOC_PORT_ID}.{index}"] = (ber.OCTETS, port.name.encode())
            rows[f"{mib.LLDP_LOC_PORT_DESC}.{index}"] = (ber.OCTETS, b"")
        if port.name in neighbours and port.is_up:
            rows |= _neighbour_rows(index, neighbours[port.name])
    return rows


def _address_rows(index: int) -> MibRows:
    key = ".".join(map(str, (1, 4, *UPLINK_ADDRESS)))
    network = ".".join(map(str, (index, 1, 4, *UPLINK_ADDRESS[:3], 0, PREFIX)))
    return {
        f"{mib.IP_ADDRESS_IF_INDEX}.{key}": (ber.INTEGER, index),
        f"{mib.IP_ADDRESS_PREFIX}.{key}": (ber.OID, f"1.3.6.1.2.1.4.32.1.5.{network}"),
    }


def _neighbour_rows(index: int, name: str) -> MibRows:
    columns: MibRows = {
        mib.LLDP_REM_CHASSIS_ID_SUBTYPE: (ber.INTEGER, MAC_ADDRESS),
        mib.LLDP_REM_CHASSIS_ID: (ber.OCTETS, bytes((2, 0, 0, 1, 0, index % 256))),
        mib.LLDP_REM_PORT_ID_SUBTYPE: (ber.INTEGER, INTERFACE_NAME),
        mib.LLDP_REM_PORT_ID: (ber.OCTETS, b"ge-0/0/1"),
        mib.LLDP_REM_SYS_NAME: (ber.OCTETS, name.encode()),
    }
    return {f"{column}.0.{index}.1": pair for column, pair in columns.items()}
