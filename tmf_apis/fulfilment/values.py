"""What goes between an order's workflow and its activities: plain values, kept as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.values import Intent, Setting, Target
from tmf_apis.inventory.resource_state import ResourceUsage
from tmf_apis.serialization import stored_as


@dataclass(frozen=True, slots=True)
class OrderKey:
    """Which order.

    Attributes:
        tenant: Whose it is.
        order: Its id.
        kind: ``ProductOrder`` or ``ServiceOrder``.
    """

    tenant: str
    order: str
    kind: str = "ProductOrder"

    @property
    def qualified_id(self) -> str:
        """Its name among all orders: of what is kept of it, and of its workflow.

        >>> OrderKey("default", "42").qualified_id, OrderKey("default", "42", "ServiceOrder").qualified_id
        ('default:42', 'default:ServiceOrder:42')
        """
        kind = "" if self.kind == "ProductOrder" else f"{self.kind}:"
        return f"{self.tenant}:{kind}{self.order}"


@dataclass(frozen=True, slots=True)
class ResourceRequirement:
    """A resource that a task takes.

    Attributes:
        slot: Its name within the task.
        specification: Id of its ResourceSpecification; empty: of none.
        category: Category of the TMF639 resource that is taken (``accessPort``, ``simCard`` ...).
        characteristics: Characteristics that it must have.
        identifier: Id, name or value (an address, a number) of the one that is wanted; empty: any.
        places: Ids of the places where it may be; empty: anywhere.
        amount: How much of it is drawn, in the unit of its capacity (bit/s); 0: all of it.
        is_carrier: The service is set up on it: its natural key is the port of the intent.
        element_category: Category of the element that it is on; needs of one task that say the same are on the
            same element. Empty: on none, or it does not matter.
        optional: The task is done without it where there is none in the inventory.
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
class Task:
    """What is done for one service on one carrier: the node of an order's graph.

    Attributes:
        id: ``<item>#<n>``, unique in the order and the same whenever it is planned.
        item: Id of the order item.
        action: ``provide``, ``change`` or ``cease``; the undo of each is implied: gone again, as
            before, there again.
        product: Id of the product.
        cfs: Id of the customer facing service that it is a part of.
        service: Id of the resource facing service; the tag on the element.
        specification: Id of its ServiceSpecification; empty: of none.
        settings: What is known beforehand of the intent's settings.
        requirements: The resources that it takes; of a cease: those that the service has, whichever.
        derived_settings: From further settings to slot and characteristic of the resource that has them.
        depends_on: Ids of the tasks that are done before.
        is_move: Of a provide: the service runs on another carrier, which a later task frees.
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
        """Return who holds what is reserved for it; also the key under which steps repeat."""
        return f"{key.order}/{self.id}"


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service as the inventory shall have it.

    Attributes:
        id: Its id.
        name: What it is called.
        specification: Id of its ServiceSpecification; empty: of none.
        facing: ``customer`` or ``resource``.
        characteristics: By name.
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
    """A product as the inventory shall have it.

    Attributes:
        id: Its id.
        name: What it is called.
        offering: Id of its ProductOffering.
        specification: Id of its ProductSpecification; empty: of none.
        characteristics: By name.
        services: Ids of the services that realize it.
        status: What it is when all is done: ``active``, ``suspended`` or ``terminated``.
        parent: Id of the product that it is a part of; empty: of none.
    """

    id: str
    name: str = ""
    offering: str = ""
    specification: str = ""
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    status: str = "active"
    parent: str = ""


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """What becomes of one item of an order.

    Attributes:
        item: Its id.
        action: ``add``, ``modify``, ``delete`` or ``noChange``.
        change: ``new``, ``upgrade``, ``downgrade``, ``move``, ``suspend``, ``resume``, ``cease``,
            ``change`` (neither up nor down) or ``none``.
        product: The product as it shall be; None: the inventory is left alone.
        services: Its services as they shall be, of both facings.
        tasks: Ids of the tasks.
        bundled_products: Further products that a bundle brings, each with its ``parent``.
    """

    item: str
    action: str
    change: str = "none"
    product: ProductPlan | None = None
    services: tuple[ServicePlan, ...] = ()
    tasks: tuple[str, ...] = ()
    bundled_products: tuple[ProductPlan, ...] = field(default=(), metadata=stored_as("parts"))


@dataclass(frozen=True, slots=True)
class OrderDesign:
    """What an order wants done, as a graph; nothing where it is none of ours.

    Attributes:
        items: What becomes of each item that can be fulfilled.
        tasks: What is done on the network; each stands after those that it waits for.
        items_without_tasks: Ids of items that need nothing done on the network (some of ``items``).
        rejections: From the ids of items that cannot be fulfilled to all reasons.
    """

    items: tuple[ItemPlan, ...] = ()
    tasks: tuple[Task, ...] = ()
    items_without_tasks: tuple[str, ...] = ()
    rejections: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be done."""
        return not (self.items or self.rejections)


@dataclass(frozen=True, slots=True)
class Allocation:
    """What is reserved for a task, and how it was found.

    Attributes:
        task: Id of the task.
        service: Id of the service.
        action: ``provide``, ``change`` or ``cease``.
        resources: From the slots to the ids of the resources.
        names: From the slots to their names.
        previous_usage: From the slots to what was on each.
        settings: How the service shall be set up, derived settings included.
        element: Id of the element's resource; empty: nothing is done on an element.
        target: How the element is reached; None: nothing is done on one.
        port: Natural key of the carrier on the element.
        holder: Who holds the resources until they are activated.
        product: Id of the product.
        shared_slots: The slots of which only a part is drawn.
        carrier_slot: The slot that the service is set up on; empty: none.
        test_head: "host:port" of the test head behind the port; empty: as the element's options say.
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

    @property
    def intent(self) -> Intent:
        """How the carrier shall be on the element."""
        return Intent(self.service, self.port, dict(self.settings), present=self.action != "cease")


@dataclass(frozen=True, slots=True)
class UnmetRequirement:
    """Why a task cannot be done as things are.

    Attributes:
        item: Id of the order item.
        task: Id of the task.
        slot: Name of the need; empty: the task as a whole.
        category: Category of the resource that is wanted.
        reason: What is missing, for the customer.
    """

    item: str
    task: str
    slot: str
    category: str
    reason: str
