"""A type of SNMP element, described by data: which columns hold what, in which unit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.snmp import mib
from adapters.values import Setting

KBIT = 1000
#: The kind of value that a column of each syntax holds.
SYNTAX_TYPES: Mapping[str, type] = {"gauge": int, "integer": int, "octets": str, "truth": bool}
TYPE_NAMES = {int: "a whole number", str: "a text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a port and the column that holds it.

    Attributes:
        name: "tag", or the name of a setting ("downstream", "enabled", ...).
        column: Object identifier of the column, instance excluded.
        syntax: "gauge", "integer", "octets" or "truth" (1 is true, 2 is false, as ifAdminStatus).
        scale: How many of our units one of the element's is (1000: the element counts in kbit/s).
        key: Column of the same table that holds the port's natural key.
        absent: Its value while no service uses the port; None: it is not touched then.
        least: Least value, in our unit; None: 0 for a gauge, any for an integer.
        most: Greatest value, in our unit, or most octets of a text; None: any.
        values: From the setting's words to the element's numbers; empty: it is a number.
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
        """The kind of value that the setting has."""
        return str if self.values else SYNTAX_TYPES[self.syntax]

    def is_valid_type(self, setting: Setting) -> bool:
        """Whether a value is of the kind that the column holds."""
        return type(setting) is self.value_type

    def problem(self, setting: Setting) -> str:
        """Return why the element cannot hold a value; empty if it can, without rounding it."""
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
        """Return a value as the element wants it."""
        if self.values:
            return self.values[str(setting)]
        if self.syntax == "octets":
            return str(setting).encode()
        if self.syntax == "truth":
            return mib.UP if setting else mib.DOWN
        return int(setting) // self.scale

    def decode(self, raw: int | bytes) -> Setting:
        """Return a value as we want it."""
        if isinstance(raw, bytes):
            return raw.decode("utf-8", "replace")
        if self.values:
            return next((word for word, one in self.values.items() if one == raw), str(raw))
        return raw == mib.UP if self.syntax == "truth" else raw * self.scale


@dataclass(frozen=True, slots=True)
class CounterColumn:
    """A counter and the column that holds it.

    Attributes:
        name: As in ``Sample.counter``.
        column: Object identifier of the column, instance excluded.
        unit: As in ``Sample.unit``.
    """

    name: str
    column: str
    unit: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A type of SNMP element.

    Attributes:
        name: What a target's option ``profile`` calls it.
        vendor: Who makes it.
        model: What it is.
        attributes: What can be set on a port, in the order in which a service is put on it: the
            tag first, so that an interrupted run can be found.
        counters: What is counted, indexed as IF-MIB is.
        access: Regular expression of the names of ports that a service can be put on; empty:
            those that have every attribute.
    """

    name: str
    vendor: str
    model: str
    attributes: tuple[Attribute, ...]
    counters: tuple[CounterColumn, ...]
    access: str = ""

    def is_access_port(self, port: str) -> bool:
        """Whether a port of this name may have a service."""
        return not self.access or re.search(self.access, port) is not None

    def attribute(self, name: str) -> Attribute:
        """Return the attribute of a name.

        Raises:
            KeyError: There is none.
        """
        for one in self.attributes:
            if one.name == name:
                return one
        raise KeyError(name)


TAG = Attribute("tag", mib.IF_ALIAS, "octets", absent="")
ENABLED = Attribute("enabled", mib.IF_ADMIN_STATUS, "truth", absent=True)

#: What every element with IF-MIB counts (RFC 2863).
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
    vendor="net-snmp",
    model="broadband gateway",
    attributes=(
        TAG,
        Attribute("downstream", mib.SVC_DOWN_KBPS, "gauge", KBIT, mib.SVC_IF_NAME, 0),
        Attribute("upstream", mib.SVC_UP_KBPS, "gauge", KBIT, mib.SVC_IF_NAME, 0),
        ENABLED,
    ),
    counters=IF_COUNTERS,
)
BUILT_IN_PROFILES = {one.name: one for one in (BROADBAND_GATEWAY,)}
