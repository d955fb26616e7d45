"""SNMP elements: the adapter, its client and wire format, profiles, traps and the simulator.

``SnmpElement`` is imported on first use. The lab runs programs with ``python -S``, which use only
the wire format and cannot import pysnmp.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.snmp.element import SnmpElement

__all__ = ["SnmpElement"]


def __getattr__(name: str) -> object:
    if name != "SnmpElement":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from adapters.snmp.element import SnmpElement  # noqa: PLC0415 - see above

    return SnmpElement
