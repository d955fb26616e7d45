"""Profiles: the attributes and counters of a type of SNMP element, with their MIB columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.snmp import mib
from adapters.values import Setting

KBIT = 1000
#: Syntax of a column -> type of the setting.
SYNTAX_TYPES: Mapping[str, type] = {"gauge": int, "integer": int, "octets": str, "truth": bool}
TYPE_NAMES = {int: "a whole number", str: "a text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a port and its MIB column.

    Attributes:
        name: "tag", or the name of a setting ("downstream", "enabled", ...).
        column: Object identifier of the column, instance excluded.
        syntax: "gauge", "integer", "octets" or "truth" (1 is true, 2 is false, as ifAdminStatus).
        scale: Units of the setting per unit of the column (1000: bit/s and kbit/s).
        key: Column of the same table that contains the natural key of the port.
        absent: Value while no service uses the port; None: removing a service does not reset it.
        least: Minimum, in the unit of the setting; None: 0 for a gauge,
            no minimum for an integer.
        most: Maximum, in the unit of the setting, or maximum length of a text in octets; None:
            no maximum.
        values: Value of the setting -> number in the column; empty: the setting is a number.
    """

    name: str
    column: str
    syntax: str
    scale: int = 1
    key: str = mib.IF_NAME
    absent: Setting | None = None
    least: int | None = None
    most: int | None = None
    values: Mapping[str, int] = field(default_factory=dict)

    @property
    def value_type(self) -> type:
        """Type of the setting."""
        return str if self.values else SYNTAX_TYPES[self.syntax]

    def is_valid_type(self, setting: Setting) -> bool:
        """Return whether a value has the type of the setting."""
        return type(setting) is self.value_type

    def problem(self, setting: Setting) -> str:
        """Return the reason why the element cannot store a value exactly; empty if it can."""
        if not self.is_valid_type(setting):
            return f"not {TYPE_NAMES[self.value_type]}"
        if self.values:
            return "" if setting in self.values else f"not one of {', '.join(self.values)}"
        if isinstance(setting, bool):
            return ""
        size = len(setting.encode()) if isinstance(setting, str) else setting
        return self._range_problem(size) or (
            f"the element counts in steps of {self.scale}" if size % self.scale else ""
        )

    def _range_problem(self, size: int) -> str:
        least = 0 if self.least is None and self.syntax == "gauge" else self.least
        if least is not None and size < least:
            return f"below {least or 'zero'}"
        unit = " octets" if self.syntax == "octets" else ""
        return f"more than {self.most}{unit}" if self.most is not None and size > self.most else ""

    def encode(self, setting: Setting) -> int | bytes:
        """Return the value of the column for a setting."""
        if self.values:
            return self.values[str(setting)]
        if self.syntax == "octets":
            return str(setting).encode()
        if self.syntax == "truth":
            return mib.UP if setting else mib.DOWN
        return int(setting) // self.scale

    def decode(self, raw: int | bytes) -> Setting:
        """Return the setting for a value of the column."""
        if isinstance(raw, bytes):
            return raw.decode("utf-8", "replace")
        if self.values:
            return next((word for word, number in self.values.items() if number == raw), str(raw))
        return raw == mib.UP if self.syntax == "truth" else raw * self.scale


@dataclass(frozen=True, slots=True)
class CounterColumn:
    """A counter and its MIB column.

    Attributes:
        name: See ``Sample.counter``.
        column: Object identifier of the column, instance excluded.
        unit: See ``Sample.unit``.
    """

    name: str
    column: str
    unit: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A type of SNMP element.

    Attributes:
        name: Name that the option ``profile`` of a target refers to.
        vendor: Vendor, for elements that do not report it; may be empty.
        model: Model, for elements that do not report it; may be empty.
        attributes: Attributes that can be set, in the order in which a service is set up. The tag
            is the first, so that the service can be found if the setup is interrupted.
        counters: Counters, indexed by ifIndex.
        access: Regular expression for the names of ports that can carry a service; empty: all
            ports that have every attribute.
    """

    name: str
    vendor: str
    model: str
    attributes: tuple[Attribute, ...]
    counters: tuple[CounterColumn, ...]
    access: str = ""

    def is_access_port(self, port: str) -> bool:
        """Return whether the pattern allows a service on a port with this name."""
        return not self.access or re.search(self.access, port) is not None

    def attribute(self, name: str) -> Attribute:
        """Return an attribute by name.

        Raises:
            KeyError: There is no such attribute.
        """
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise KeyError(name)


TAG = Attribute("tag", mib.IF_ALIAS, "octets", absent="")
ENABLED = Attribute("enabled", mib.IF_ADMIN_STATUS, "truth", absent=True)

#: Counters of every element with IF-MIB (RFC 2863).
IF_COUNTERS = (
    CounterColumn("octets_in", mib.IF_HC_IN_OCTETS, "octets"),
    CounterColumn("octets_out", mib.IF_HC_OUT_OCTETS, "octets"),
    CounterColumn("errors_in", mib.IF_IN_ERRORS, "packets"),
    CounterColumn("errors_out", mib.IF_OUT_ERRORS, "packets"),
    CounterColumn("discards_in", mib.IF_IN_DISCARDS, "packets"),
    CounterColumn("discards_out", mib.IF_OUT_DISCARDS, "packets"),
)

BROADBAND_GATEWAY = Profile(
    name="broadband-gateway",
    vendor="",
    model="",
    attributes=(
        TAG,
        Attribute("downstream", mib.SVC_DOWN_KBPS, "gauge", KBIT, mib.SVC_IF_NAME, 0),
        Attribute("upstream", mib.SVC_UP_KBPS, "gauge", KBIT, mib.SVC_IF_NAME, 0),
        ENABLED,
    ),
    counters=IF_COUNTERS,
)
BUILT_IN_PROFILES = {BROADBAND_GATEWAY.name: BROADBAND_GATEWAY}
