"""SNMP elements: the adapter, its client and wire format, profiles, traps and the simulator.

``SnmpElement`` is loaded when it is first asked for: the lab starts programs without the
site packages that use the wire format only, and pysnmp is not there then.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.snmp.element import SnmpElement

__all__ = ["SnmpElement"]


def __getattr__(name: str) -> object:
    if name != "SnmpElement":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from adapters.snmp.element import SnmpElement

    return SnmpElement
