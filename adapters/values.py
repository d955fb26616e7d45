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
        access: Whether a service profile can be set on it.
    """

    name: str
    index: str
    tag: str
    enabled: bool
    up: bool
    speed: int
    mac: str
    access: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an element consists of.

    Attributes:
        facts: What it is.
        ports: Its ports, ordered by name.
        taken_at: When it was read, in UTC.
    """

    facts: Facts
    ports: tuple[Port, ...]
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Intent:
    """How a port shall be.

    Attributes:
        service_id: The service that uses the port; written on it as its tag.
        port: Natural key of the port.
        downstream: Towards the customer, in bits per second; 0 is no limit.
        upstream: From the customer, in bits per second; 0 is no limit.
        enabled: Switched on (True), off (False) or left as it is (None).
        present: False: the service shall be gone from the port; the rates do not matter.
    """

    service_id: str
    port: str
    downstream: int = 0
    upstream: int = 0
    enabled: bool | None = None
    present: bool = True


@dataclass(frozen=True, slots=True)
class Observed:
    """How a port with a service on it is.

    Attributes:
        service_id: The tag on the port.
        port: Natural key of the port.
        downstream: Towards the customer, in bits per second; 0 is no limit.
        upstream: From the customer, in bits per second; 0 is no limit.
        enabled: Switched on by the operator.
        up: Working.
    """

    service_id: str
    port: str
    downstream: int
    upstream: int
    enabled: bool
    up: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one attribute of one port.

    Attributes:
        port: Natural key of the port.
        attribute: "tag", "downstream", "upstream", "enabled" or another of the adapter's.
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
