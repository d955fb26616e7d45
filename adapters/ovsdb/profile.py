"""What can be set on a port of a switch."""

from dataclasses import dataclass

from adapters.values import Setting

MAX_VLAN = 4094  # IEEE 802.1Q, table 9-2


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a port.

    Attributes:
        name: "tag", the name of a setting, or "parked": whether a port without a service carries
            nothing.
        value_type: Type of its values.
        absent: Its value while no service uses the port.
        maximum: Largest value; None: no limit.
        scale: What its values must be a multiple of.
    """

    name: str
    value_type: type
    absent: Setting
    maximum: int | None = None
    scale: int = 1

    def is_valid_type(self, setting: Setting) -> bool:
        """Whether a value is of its kind."""
        return type(setting) is self.value_type

    def problem(self, setting: Setting) -> str:
        """Return why a port cannot hold a value; empty if it can."""
        if not self.is_valid_type(setting):
            return f"not {self.value_type.__name__}"
        if not isinstance(setting, int) or isinstance(setting, bool):
            return ""
        if setting < 0 or (self.maximum is not None and setting > self.maximum):
            return f"not from 0 to {self.maximum}" if self.maximum else "below zero"
        return f"the switch counts in steps of {self.scale}" if setting % self.scale else ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A way of using a switch.

    Attributes:
        parks_unused_ports: Whether a port without a service carries nothing.
    """

    parks_unused_ports: bool

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What can be set, in the order in which a service is put on a port."""
        return (
            Attribute("tag", str, ""),
            Attribute("vlan", int, 0, MAX_VLAN),
            Attribute("downstream", int, 0),
            Attribute("upstream", int, 0, scale=1000),
            Attribute("enabled", bool, absent=True),
            Attribute("parked", bool, absent=self.parks_unused_ports),
        )

    def attribute(self, name: str) -> Attribute:
        """Return the attribute of a name.

        Raises:
            KeyError: There is none.
        """
        return {one.name: one for one in self.attributes}[name]
