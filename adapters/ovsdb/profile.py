"""The attributes of the ports of a switch."""

from dataclasses import dataclass

from adapters.values import Setting

MAX_VLAN = 4094  # IEEE 802.1Q, table 9-2


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a port.

    Attributes:
        name: "tag", the name of a setting, or "parked": whether all traffic is blocked on a port
            without a service.
        value_type: Type of the values.
        absent: Value while no service uses the port.
        maximum: Largest value; None: no limit.
        scale: Number of which the values must be multiples.
    """

    name: str
    value_type: type
    absent: Setting
    maximum: int | None = None
    scale: int = 1

    def is_valid_type(self, setting: Setting) -> bool:
        """Return whether a value is of the type of the attribute."""
        return type(setting) is self.value_type

    def problem(self, setting: Setting) -> str:
        """Return the reason why a port cannot store a value; empty if it can."""
        if not self.is_valid_type(setting):
            return f"not {self.value_type.__name__}"
        if not isinstance(setting, int) or isinstance(setting, bool):
            return ""
        if setting < 0 or (self.maximum is not None and setting > self.maximum):
            return f"not from 0 to {self.maximum}" if self.maximum else "below zero"
        return f"the switch counts in steps of {self.scale}" if setting % self.scale else ""


@dataclass(frozen=True, slots=True)
class Profile:
    """The configuration of a switch by its operator.

    Attributes:
        parks_unused_ports: Whether all traffic is blocked on ports without a service.
    """

    parks_unused_ports: bool

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The attributes in the order in which they are set for a new service."""
        return (
            Attribute("tag", str, ""),
            Attribute("vlan", int, 0, MAX_VLAN),
            Attribute("downstream", int, 0),
            Attribute("upstream", int, 0, scale=1000),
            Attribute("enabled", bool, absent=True),
            Attribute("parked", bool, absent=self.parks_unused_ports),
        )

    def attribute(self, name: str) -> Attribute:
        """Return the attribute with this name.

        Raises:
            KeyError: A port has no such attribute.
        """
        return {attribute.name: attribute for attribute in self.attributes}[name]
