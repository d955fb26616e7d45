"""Values that an order's workflow and its activities exchange; stored as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.values import Intent, Setting, Target
from tmf_apis.inventory.resource_state import ResourceUsage
from tmf_apis.serialization import stored_as


@dataclass(frozen=True, slots=True)
class OrderKey:
    """Identifies an order.

    Attributes:
        tenant: The tenant that the order belongs to.
        order: Id of the order.
        kind: ``ProductOrder`` or ``ServiceOrder``.
    """

    tenant: str
    order: str
    kind: str = "ProductOrder"

    @property
    def qualified_id(self) -> str:
        """Id that is unique among all orders; names its journal entries and its workflow.

        >>> OrderKey("default", "42").qualified_id
        'default:42'
        >>> OrderKey("default", "42", "ServiceOrder").qualified_id
        'default:ServiceOrder:42'
        """
        kind = "" if self.kind == "ProductOrder" else f"{self.kind}:"
        return f"{self.tenant}:{kind}{self.order}"


@dataclass(frozen=True, slots=True)
class ResourceRequirement:
    """A resource that a task requires.

    Attributes:
        slot: Its name within the task.
        specification: Id of its ResourceSpecification; empty: any.
        category: Category of the TMF639 resource (``accessPort``, ``simCard`` ...).
        characteristics: Characteristics that the resource must have.
        identifier: Id, name or value (an address, a number) of a certain resource; empty: any.
        places: Ids of the places where the resource may be; empty: anywhere.
        amount: Part of the resource's capacity that is used, in the unit of the capacity (bit/s);
            0: the resource is not shared.
        is_carrier: The service is set up on this resource; its natural key is the port of the
            intent.
        element_category: Category of the element that the resource is on. Requirements of one task
            with the same category are met on the same element. Empty: any or no element.
        optional: The task can be done without it if the inventory has no such resource.
    """

    slot: str
    specification: str = ""
    category: str = ""
    characteristics: Mapping[str, Setting] = field(
        default_factory=dict, metadata=stored_as("wanted")
    )
    identifier: str = field(default="", metadata=stored_as("named"))
    places: tuple[str, ...] = ()
    amount: int = 0
    is_carrier: bool = field(default=False, metadata=stored_as("carrier"))
    element_category: str = field(default="", metadata=stored_as("on"))
    optional: bool = False


@dataclass(frozen=True, slots=True)
class InstalledResource:
    """A resource that a service in operation has alone.

    Attributes:
        category: Its category.
        names: Its id, name, value and natural key.
        characteristics: Its characteristics by name.
    """

    category: str
    names: frozenset[str] = frozenset()
    characteristics: Mapping[str, Any] = field(default_factory=dict)

    def meets(self, requirement: ResourceRequirement) -> bool:
        """Return whether it meets a requirement; a characteristic that it lacks is ignored."""
        return (
            self.category == requirement.category
            and (not requirement.identifier or requirement.identifier in self.names)
            and all(
                self.characteristics.get(name, value) == value
                for name, value in requirement.characteristics.items()
            )
        )


@dataclass(frozen=True, slots=True)
class Task:
    """The work for one service on one carrier: a node of an order's task graph.

    Attributes:
        id: ``<item>#<n>``, unique in the order and the same each time the order is planned.
        item: Id of the order item.
        action: ``provide``, ``change`` or ``cease``. The compensation follows from it: the service
            is removed, gets its previous settings or is restored.
        product: Id of the product.
        cfs: Id of the customer facing service that the service is a part of.
        service: Id of the resource facing service; the tag on the element.
        specification: Id of its ServiceSpecification; empty: of none.
        settings: The settings of the intent that do not depend on the allocated resources.
        requirements: The resources that the task requires. None for a cease: it releases all
            resources of the service.
        derived_settings: From further settings to the slot of a resource and the characteristic
            with the value.
        depends_on: Ids of the tasks that are done before.
        is_move: Of a provide: the service runs on another carrier, which a later task releases.
    """

    id: str
    item: str
    action: str
    product: str
    cfs: str
    service: str
    specification: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    requirements: tuple[ResourceRequirement, ...] = field(default=(), metadata=stored_as("needs"))
    derived_settings: Mapping[str, tuple[str, str]] = field(
        default_factory=dict, metadata=stored_as("derived")
    )
    depends_on: tuple[str, ...] = field(default=(), metadata=stored_as("after"))
    is_move: bool = field(default=False, metadata=stored_as("replaces"))

    def holder(self, key: OrderKey) -> str:
        """Return the holder of the task's reservations; also the idempotency key of its steps."""
        return f"{key.order}/{self.id}"


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service as it is in the inventory after an order.

    Attributes:
        id: Its id.
        name: Its name.
        specification: Id of its ServiceSpecification; empty: of none.
        facing: ``customer`` or ``resource``.
        characteristics: Characteristics by name.
        supporting_services: Ids of the services that it consists of.
    """

    id: str
    name: str = ""
    specification: str = ""
    facing: str = "resource"
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    supporting_services: tuple[str, ...] = field(default=(), metadata=stored_as("parts"))


@dataclass(frozen=True, slots=True)
class ProductPlan:
    """A product as it is in the inventory after an order.

    Attributes:
        id: Its id.
        name: Its name.
        offering: Id of its ProductOffering.
        specification: Id of its ProductSpecification; empty: of none.
        characteristics: Characteristics by name.
        services: Ids of the services that realize it.
        status: ``active``, ``suspended`` or ``terminated``.
        parent: Id of the product that it is a part of; empty: of none.
        stale_characteristics: Names of characteristics that it has no more.
    """

    id: str
    name: str = ""
    offering: str = ""
    specification: str = ""
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    status: str = "active"
    parent: str = ""
    stale_characteristics: tuple[str, ...] = field(default=(), metadata=stored_as("stale"))


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """The results of an order item.

    Attributes:
        item: Id of the item.
        action: ``add``, ``modify``, ``delete`` or ``noChange``.
        change: ``new``, ``upgrade``, ``downgrade``, ``move``, ``suspend``, ``resume``, ``cease``,
            ``change`` (neither up nor down) or ``none``.
        product: The product after the order; None: the inventory is not changed.
        services: The services of the product after the order, of both facings.
        tasks: Ids of the tasks.
        bundled_products: Further products of a bundle, each with its ``parent``.
    """

    item: str
    action: str
    change: str = "none"
    product: ProductPlan | None = None
    services: tuple[ServicePlan, ...] = ()
    tasks: tuple[str, ...] = ()
    bundled_products: tuple[ProductPlan, ...] = field(default=(), metadata=stored_as("parts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDesign:
    """The plans and tasks that fulfil an order; empty if the order is fulfilled elsewhere.

    Attributes:
        items: Plans of the items that can be fulfilled.
        tasks: Tasks on the network, each after its dependencies.
        rejections: From the ids of the items that cannot be fulfilled to the reasons.
        never_fulfillable: Ids of those of them that name what does not exist or has ended.
    """

    items: tuple[ItemPlan, ...] = ()
    tasks: tuple[Task, ...] = ()
    rejections: Mapping[str, str] = field(default_factory=dict)
    never_fulfillable: frozenset[str] = frozenset()

    @property
    def is_rejected(self) -> bool:
        """The order can never be fulfilled."""
        return bool(self.never_fulfillable) and not self.items

    @property
    def is_empty(self) -> bool:
        """The order has nothing to fulfil and nothing to reject."""
        return not (self.items or self.rejections)


@dataclass(frozen=True, slots=True)
class Allocation:
    """The resources reserved for a task, with their state before.

    Attributes:
        task: Id of the task.
        service: Id of the service.
        action: ``provide``, ``change`` or ``cease``.
        resources: From slots to the ids of the resources.
        names: From slots to the names of the resources.
        previous_usage: From slots to the usage of the resources before the reservation.
        settings: All settings of the service, derived settings included.
        element: Id of the element's resource; empty: the task does not touch an element.
        target: Management address of the element; None: the task does not touch an element.
        port: Natural key of the carrier on the element.
        holder: Holder of the reservations until the resources are in use.
        product: Id of the product.
        shared_slots: Slots of resources that are shared.
        carrier_slot: Slot of the resource that the service is set up on; empty: none.
        test_head: "host:port" of the test head behind the port; empty: the one of the element's
            options.
        port_index: The carrier's index on the element when it was discovered last; may be empty.
        values: From slots to the values of the resources that the service has alone: a number, an
            address, the name of a port.
        released_slots: Slots of resources that the service had and has no more after the task.
        inherited_slots: Slots of resources that another task of the order releases first; the
            reservation passes from that task to this one.
    """

    task: str
    service: str
    action: str
    resources: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    previous_usage: Mapping[str, ResourceUsage] = field(
        default_factory=dict, metadata=stored_as("before")
    )
    settings: Mapping[str, Setting] = field(default_factory=dict)
    element: str = ""
    target: Target | None = None
    port: str = ""
    holder: str = ""
    product: str = ""
    shared_slots: tuple[str, ...] = field(default=(), metadata=stored_as("shared"))
    carrier_slot: str = field(default="", metadata=stored_as("carrier"))
    test_head: str = field(default="", metadata=stored_as("head"))
    port_index: str = field(default="", metadata=stored_as("index"))
    values: Mapping[str, Setting] = field(default_factory=dict)
    released_slots: tuple[str, ...] = field(default=(), metadata=stored_as("released"))
    inherited_slots: tuple[str, ...] = field(default=(), metadata=stored_as("inherited"))

    @property
    def intent(self) -> Intent:
        """Desired state of the carrier on the element."""
        return Intent(
            self.service,
            self.port,
            dict(self.settings),
            present=self.action != "cease",
            is_new=self.action == "provide",
            port_index=self.port_index,
        )

    @property
    def previous_intent(self) -> Intent:
        """State of the carrier on the element before the task."""
        before = self.previous_usage.get(self.carrier_slot, ResourceUsage())
        return replace(
            self.intent,
            settings=dict(before.settings),
            present=before.service == self.service,
            is_new=False,
        )


@dataclass(frozen=True, slots=True)
class UnmetRequirement:
    """A reason why a task cannot be done at the moment.

    Attributes:
        item: Id of the order item.
        task: Id of the task.
        slot: Slot of the requirement; empty: the reason concerns the whole task.
        category: Category of the required resource.
        reason: The reason, in words for the customer.
    """

    item: str
    task: str
    slot: str
    category: str
    reason: str
