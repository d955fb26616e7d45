"""What goes into an adapter and comes out of it.

All values are frozen and consist of plain types, so that they can be kept as JSON between the
steps of a durable workflow and be the same afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

#: ``bool`` comes first: Temporal 1.x reads a value back as the first of these that takes it, and
#: ``int`` takes True.
Setting = bool | int | str


@dataclass(frozen=True, slots=True)
class Target:
    """Where an element is and how to talk to it.

    Attributes:
        name: The element's name, unique in the operator's network.
        address: Host name or address, with ":port" where it is not the usual one; an IPv6
            address with a port stands in brackets.
        adapter: Name of the adapter (``tmf adapters`` lists them).
        credentials: Name of the credentials; the secret itself is never carried.
        options: Further settings of the adapter, as its documentation says.
    """

    name: str
    address: str
    adapter: str = "snmp"
    credentials: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def endpoint(self, default: int) -> tuple[str, int]:
        """Return host and port, the port being ``default`` where the address has none.

        Raises:
            ValueError: The port is not a number.

        >>> Target("gw", "[2001:db8::1]:1161").endpoint(161)
        ('2001:db8::1', 1161)
        >>> Target("gw", "192.0.2.1").endpoint(161)
        ('192.0.2.1', 161)
        """
        if self.address.startswith("["):
            host, _, rest = self.address[1:].partition("]")
            return host, int(rest[1:]) if rest else default
        if self.address.count(":") == 1:
            host, _, port = self.address.partition(":")
            return host, int(port)
        return self.address, default


@dataclass(frozen=True, slots=True)
class Facts:
    """What an element is.

    Attributes:
        name: The name it gives itself.
        vendor: Who made it; empty where the adapter cannot tell.
        model: What it is; empty where the adapter cannot tell.
        software: Its software, in its own words.
        serial: Serial number; empty where it has none.
        uptime: Time since its management software started, in seconds.
        boots: How often it has started in its life; 0 where it does not count.
    """

    name: str
    vendor: str
    model: str
    software: str
    serial: str
    uptime: float
    boots: int


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of an element.

    Attributes:
        name: Natural key, stable over restarts (ifName).
        index: The element's own number for it now; never to be stored.
        tag: What is written on it: the id of the service that uses it, or empty.
        enabled: Switched on by the operator.
        up: Working.
        speed: In bits per second; 0 where the element does not say.
        mac: Hardware address as "00:11:22:33:44:55"; may be empty.
        access: Whether a service can be put on it.
        addresses: Its IP addresses with the length of their prefix where it is known
            ("192.0.2.1/24", "2001:db8::1"), in order.
    """

    name: str
    index: str
    tag: str
    enabled: bool
    up: bool
    speed: int
    mac: str
    access: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Component:
    """A part of an element that can be taken in the hand, or a module of its software.

    Attributes:
        name: Natural key on the element, stable over restarts.
        kind: "chassis", "card", "module", "powerSupply", "fan", "container", "stack" or "other".
        parent: Name of the component that it is in; empty: none.
        model: What it is; may be empty.
        serial: Serial number; may be empty.
        software: Its software or firmware; may be empty.
    """

    name: str
    kind: str
    parent: str = ""
    model: str = ""
    serial: str = ""
    software: str = ""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another element at the far end of a port's cable, as it says itself (IEEE 802.1AB, LLDP).

    Attributes:
        port: Natural key of our port.
        system: Name that the other gives itself; may be empty.
        chassis: Identifier of the other: a hardware address, an IP address or a text.
        remote_port: Identifier of its port.
    """

    port: str
    system: str
    chassis: str
    remote_port: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an element consists of.

    Attributes:
        facts: What it is.
        ports: Its ports, ordered by name.
        taken_at: When it was read, in UTC.
        components: Its parts, a part after the one that it is in.
        neighbours: Who is at the other ends of its cables, ordered by port.
    """

    facts: Facts
    ports: tuple[Port, ...]
    taken_at: datetime
    components: tuple[Component, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """How a service shall be on an element.

    Settings have one meaning on every element that has them; an adapter's documentation says
    which it knows and may add others:

    - ``downstream``, ``upstream``: towards and from the customer, in bits per second; 0: no limit
    - ``enabled``: True; False: suspended or barred
    - ``vlan``: 1 to 4094
    - ``msisdn``: digits of the telephone number, country code first
    - ``circuitSwitched``, ``packetSwitched``: whether the subscriber may call, and have data

    Attributes:
        service_id: The service; written on the element as its tag where there is room for one.
        port: Natural key of what carries it: a port's name, a subscriber's IMSI.
        settings: From name to value; what is not named is left as it is.
        present: False: the service shall be gone; what is then reset is up to the adapter.
    """

    service_id: str
    port: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    present: bool = True


@dataclass(frozen=True, slots=True)
class Observed:
    """How a service is on an element.

    Attributes:
        service_id: Its tag; empty where the element has no room for one.
        port: Natural key of what carries it.
        settings: Everything that an intent could have set, as in ``Intent``.
        up: Working.
    """

    service_id: str
    port: str
    settings: Mapping[str, Setting]
    up: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one attribute of one port.

    Attributes:
        port: Natural key of the port.
        attribute: "tag" or the name of a setting.
        before: Its value when it was planned; rates in bits per second.
        after: Its value when the step is done.
    """

    port: str
    attribute: str
    before: Setting
    after: Setting

    @property
    def inverse(self) -> "Step":
        """The step that takes this one back."""
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change, in order; without steps everything is as it shall be.

    Attributes:
        element: Name of the element.
        intent: What it is for.
        steps: The changes, in the order they must be made.
        precondition: The attributes of the port that the plan rests on, as they were found.
    """

    element: str
    intent: Intent
    steps: tuple[Step, ...]
    precondition: Mapping[str, Setting]

    @property
    def attempted(self) -> "Transaction":
        """The transaction to roll back when it is not known which of the steps were done."""
        return Transaction(self.element, self.intent, self.steps)


@dataclass(frozen=True, slots=True)
class Transaction:
    """The journal of what was done to an element.

    Attributes:
        element: Name of the element.
        intent: What it was for.
        done: The steps that were done or are in doubt, in order.
        token: The element's own name for a commit that waits to be confirmed; empty: none does.
    """

    element: str
    intent: Intent
    done: tuple[Step, ...] = ()
    token: str = ""

    @property
    def inverse(self) -> tuple[Step, ...]:
        """The steps that take it back, in order."""
        return tuple(step.inverse for step in reversed(self.done))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an element is as asked, from a fresh read.

    Attributes:
        element: Name of the element.
        expected: Attributes as asked.
        observed: The same attributes as read; one that is missing is not on the element.
        taken_at: When it was read, in UTC.
    """

    element: str
    expected: Mapping[str, Setting]
    observed: Mapping[str, Setting]
    taken_at: datetime

    @property
    def good(self) -> bool:
        """Whether everything is as asked."""
        return not self.difference

    @property
    def difference(self) -> str:
        """What is not as asked, for people; empty if all is."""
        return ", ".join(
            f"{name} is {self.observed.get(name)!r} instead of {wanted!r}"
            for name, wanted in self.expected.items()
            if self.observed.get(name) != wanted
        )
