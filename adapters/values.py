"""The arguments and results of adapters.

All values are frozen and consist of plain types, so that the steps of a durable workflow can store
them as JSON and restore them unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

#: ``bool`` must come first: Temporal 1.x restores a value as the first type that accepts it, and
#: ``int`` accepts True.
Setting = bool | int | str


@dataclass(frozen=True, slots=True)
class Target:
    """The address of an element, and the adapter and credentials to use for it.

    Attributes:
        name: Name of the element, unique in the operator's network.
        address: Host name or IP address, with ":port" if it is not the default port of the
            adapter. An IPv6 address with a port is in brackets.
        adapter: Name of the adapter (``tmf adapters`` lists them).
        credentials: Name of the credentials; a target never contains the secret itself.
        options: Options of the adapter; see its documentation.
        tenant: Tenant that the element belongs to, for the rights on its credentials; empty on the
            command line.
    """

    name: str
    address: str
    adapter: str = "snmp"
    credentials: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    tenant: str = field(default="", compare=False)

    def endpoint(self, default: int) -> tuple[str, int]:
        """Return the host and the port, which is ``default`` if the address has none.

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
    """The identification of an element.

    Attributes:
        name: Name in the element's own configuration.
        vendor: Vendor; empty if the adapter cannot know it.
        model: Model; empty if the adapter cannot know it.
        software: Software and version, as the element reports them.
        serial: Serial number; empty if there is none.
        uptime: Time since the start of the management software, in seconds.
        boots: Number of starts so far; 0 if the element does not count them.
        chassis_id: Identifier by which it announces itself to its neighbours (LLDP); may be empty.
        unread: Names of the attributes that could not be read this time.
    """

    name: str
    vendor: str
    model: str
    software: str
    serial: str
    uptime: float
    boots: int
    chassis_id: str = ""
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of an element.

    Attributes:
        name: Natural key, stable over restarts (ifName).
        index: The element's current number of the port; a restart may change it.
        tag: Id of the service that uses the port, stored on the element; may be empty.
        enabled: Administrative state: whether the operator has switched it on.
        up: Operational state.
        speed: In bits per second; 0 if the element does not report it.
        mac: MAC address as "00:11:22:33:44:55"; may be empty.
        access: Whether it can carry a service.
        addresses: IP addresses with their prefix length where it is known ("192.0.2.1/24",
            "2001:db8::1"), in order.
        description: Another name of the interface (ifDescr); empty if it is the same as the name.
        state: Operational state in the words of RFC 2863 ("down", "dormant", "notPresent" ...);
            empty if the element does not report it.
        alias: Text that people have given to the interface (ifAlias); may be empty.
        unread: Names of the attributes that could not be read this time. With "name" in it, the
            name is a substitute.
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
    description: str = ""
    state: str = ""
    alias: str = ""
    unread: frozenset[str] = frozenset()

    @property
    def has_lost_link(self) -> bool:
        """True if the port should be up and is not; a port that waits or is not there is not."""
        return self.enabled and not self.up and self.state in {"", "down", "lowerLayerDown"}


@dataclass(frozen=True, slots=True)
class Component:
    """A hardware component of an element, or a module of its software.

    Attributes:
        name: Natural key on the element, stable over restarts.
        kind: "chassis", "card", "module", "powerSupply", "fan", "container", "stack" or "other".
        parent: Name of the component that contains it; empty: none.
        model: Model; may be empty.
        serial: Serial number; may be empty.
        software: Software or firmware version; may be empty.
        place: Where it is on the element, stable over restarts and different for all components;
            may be empty.
        unread: Names of the attributes that could not be read this time. With "name" in it, the
            name is a substitute.
    """

    name: str
    kind: str
    parent: str = ""
    model: str = ""
    serial: str = ""
    software: str = ""
    place: str = field(default="", compare=False)
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The element at the other end of a port's cable, as it announces itself (IEEE 802.1AB, LLDP).

    Attributes:
        port: Natural key of the local port.
        system: Name of the neighbour; may be empty.
        chassis: Identifier of the neighbour: a MAC address, an IP address or a text.
        remote_port: Identifier of the neighbour's port.
        remote_description: Description of the neighbour's port; may be empty.
    """

    port: str
    system: str
    chassis: str
    remote_port: str
    remote_description: str = ""


@dataclass(frozen=True, slots=True)
class UnreadTable:
    """A table of an element that could not be read, or not completely.

    Attributes:
        name: Name of the table or of its column ("ifTable", "ifOperStatus").
        reason: The reason ("genErr", "7 of 9 rows"), for people.
        part: Part of the inventory of which members may be missing for this reason: "ports",
            "components", "neighbours" or "addresses"; empty: only attributes are missing.
    """

    name: str
    reason: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.name} not read: {self.reason}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """The facts, ports, components and neighbours of an element.

    Attributes:
        facts: Identification of the element.
        ports: Ports, ordered by name.
        taken_at: Time of the read, in UTC.
        components: Components, each after the one that contains it.
        neighbours: Neighbours, ordered by port.
        unread: Tables that could not be read completely; what they contain is not gone.
    """

    facts: Facts
    ports: tuple[Port, ...]
    taken_at: datetime
    components: tuple[Component, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    unread: tuple[UnreadTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """The desired state of a service on an element.

    A setting has the same meaning on every element that supports it. The documentation of an
    adapter lists those that it supports, which may include others than these:

    - ``downstream``, ``upstream``: towards and from the customer, in bits per second; 0: no limit
    - ``enabled``: False: suspended or barred
    - ``vlan``: 1 to 4094
    - ``msisdn``: digits of the telephone number, country code first
    - ``circuitSwitched``, ``packetSwitched``: whether the subscriber may make calls, and use data

    Attributes:
        service_id: Id of the service; the element stores it as a tag if it can.
        port: Natural key of the port: its name, or the IMSI of a subscriber.
        settings: Name -> value; a setting that is missing is not changed.
        present: False: the service must be removed; the adapter defines which settings that resets.
        force: The port gets the desired state even if another service uses it.
        is_new: The service is on no other port of the element, so that an adapter need not read
            all ports to find out.
        port_index: ``Port.index`` when the port was read last. A restart may have changed it: an
            adapter uses it only after it has checked the name of the port with that index.
    """

    service_id: str
    port: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    present: bool = True
    force: bool = False
    is_new: bool = False
    port_index: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """The observed state of a service on an element.

    Attributes:
        service_id: Tag of the port; empty if the element cannot store tags.
        port: Natural key of the port.
        settings: All settings that an intent can have, as in ``Intent``.
        up: Operational state.
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
        before: Value at the time of the plan; rates in bits per second.
        after: Value after the step.
    """

    port: str
    attribute: str
    before: Setting
    after: Setting

    @property
    def inverse(self) -> "Step":
        """The step that reverts this one."""
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that bring an element to an intent; without steps it has that state already.

    Attributes:
        element: Name of the element.
        intent: The desired state.
        steps: The changes, in the order in which they must be made.
        precondition: The attributes of the port that the plan depends on, with their values at
            the time of the plan.
    """

    element: str
    intent: Intent
    steps: tuple[Step, ...]
    precondition: Mapping[str, Setting]

    @property
    def attempted(self) -> "Transaction":
        """The transaction to roll back if it is not known which steps were done."""
        return Transaction(self.element, self.intent, self.steps)


@dataclass(frozen=True, slots=True)
class Transaction:
    """The journal of the changes that were made to an element.

    Attributes:
        element: Name of the element.
        intent: The desired state.
        done: The steps that are done or may be done, in order.
        token: The element's identifier of a commit that must be confirmed; empty: there is none.
        stored: The values that the element stored in place of those of the steps (it rounds).
    """

    element: str
    intent: Intent
    done: tuple[Step, ...] = ()
    token: str = ""
    stored: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def inverse(self) -> tuple[Step, ...]:
        """The steps that revert the transaction, in order."""
        return tuple(step.inverse for step in reversed(self.done))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison of an element, which has just been read, with its desired state.

    Attributes:
        element: Name of the element.
        expected: The desired attributes.
        observed: The same attributes as read; those that the element does not have are missing.
        taken_at: Time of the read, in UTC.
    """

    element: str
    expected: Mapping[str, Setting]
    observed: Mapping[str, Setting]
    taken_at: datetime

    @property
    def good(self) -> bool:
        """True if all attributes have their expected values."""
        return not self.difference

    @property
    def difference(self) -> str:
        """The differences as a text for people; empty if there are none."""
        return ", ".join(
            f"{name} is {self.observed.get(name)!r} instead of {value!r}"
            for name, value in self.expected.items()
            if self.observed.get(name) != value
        )
