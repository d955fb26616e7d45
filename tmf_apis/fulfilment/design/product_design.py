"""One product as it shall be: its services and what is done for them, with stable ids; pure."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.values import Setting
from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.decomposition import (
    Decomposition,
    DecompositionFailed,
    DerivedValues,
    ServiceNode,
)
from tmf_apis.fulfilment.design.offers import InstalledProduct, InstalledService
from tmf_apis.fulfilment.values import OrderKey, ResourceRequirement, ServicePlan, Task

#: What a service id may be made of: it is written on the port of an element.
_ELEMENT_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,60}")
#: Most services of one product.
_MAX_SERVICES = 500


@dataclass(frozen=True, slots=True)
class ItemContext:
    """What the tasks of one item have in common.

    Attributes:
        key: The order.
        item: Id of the item.
        identifiers: From category to what the order calls the resource that it wants.
        places: Ids of the places where resources may be.
        enabled: Whether the services are to be switched on; None: as they are.
    """

    key: OrderKey
    item: str
    identifiers: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class ProductDesign:
    """A product's services and tasks.

    Attributes:
        services: As they shall be, of both facings.
        tasks: Each after those that come before it.
        setting_changes: Pairs of settings, before and after, of services that are changed.
        is_move: A service goes to another carrier.
    """

    services: tuple[ServicePlan, ...] = ()
    tasks: tuple[Task, ...] = ()
    setting_changes: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = ()
    is_move: bool = False


def new_product_id(key: OrderKey, item: str) -> str:
    """Return the id of a new product: the same whenever the order is planned."""
    return element_safe_id(key, f"{key.order}-{item}")


def element_safe_id(key: OrderKey, name: str) -> str:
    """Return an id that can be written on an element.

    >>> element_safe_id(OrderKey("t", "o"), "o-1.2"), len(element_safe_id(OrderKey("t", "o"), "o-ä"))
    ('o-1.2', 36)
    """
    if _ELEMENT_SAFE_ID.fullmatch(name):
        return name
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key.tenant}:{name}"))


@dataclass(slots=True)
class _ServiceInstance:
    """One service; ``installed_service`` where it is in operation already."""

    node: ServiceNode
    id: str
    supporting_services: list[str] = field(default_factory=list)
    cfs: str = ""
    installed_service: InstalledService | None = None


def decompose_product(
    context: ItemContext,
    product: str,
    decomposition: Decomposition,
    characteristics: dict[str, Any],
    installed_product: InstalledProduct | None,
) -> ProductDesign:
    """Return a product's services and what has to be done so that they are as they shall be.

    Args:
        context: What orders it.
        product: Id of the product.
        decomposition: What it takes.
        characteristics: Its characteristics.
        installed_product: What is in operation of it; None: nothing.

    Raises:
        Faulty: It cannot be fulfilled; all reasons.
    """
    figures = decomposition.derived_values(characteristics)
    instances, left = _service_instances(
        context.key, product, decomposition, figures, installed_product
    )
    draw = _TaskBuilder(context, product, figures)
    by_level: dict[int, list[str]] = {}
    for level in decomposition.provisioning_order:
        after = tuple(
            t for one in decomposition.nodes[level - 1].depends_on for t in by_level.get(one, ())
        )
        for instance in instances[level]:
            task = draw.add_service(instance, after)
            if task:
                by_level.setdefault(level, []).append(task)
    for service in left:
        draw.add_cease(service.id, service.specification, tuple(draw.task_ids()))
    services = tuple(
        _service_plan(one, figures.characteristics[level])
        for level in range(1, len(figures.characteristics))
        for one in instances[level]
    )
    return ProductDesign(services, tuple(draw.tasks), tuple(draw.setting_changes), draw.is_move)


def cease_tasks(
    context: ItemContext, product: str, services: Sequence[InstalledService]
) -> tuple[Task, ...]:
    """Return what ends services; the last of them first."""
    draw = _TaskBuilder(context, product, DerivedValues((), ()))
    for service in reversed(services):
        draw.add_cease(service.id, service.specification, ())
    return tuple(draw.tasks)


def suspend_or_resume_tasks(
    context: ItemContext, product: str, services: Sequence[InstalledService]
) -> tuple[Task, ...]:
    """Return what suspends or resumes services, whatever else is set on them."""
    draw = _TaskBuilder(context, product, DerivedValues((), ()))
    for service in services:
        draw.add_suspend_or_resume(service)
    return tuple(draw.tasks)


def _service_instances(
    key: OrderKey,
    product: str,
    decomposition: Decomposition,
    derived_values: DerivedValues,
    installed_product: InstalledProduct | None,
) -> tuple[dict[int, list[_ServiceInstance]], list[InstalledService]]:
    """Return the services by level, and those in operation that are not wanted any more."""
    left = list(installed_product.services) if installed_product else []
    customers = dict(installed_product.customer_facing_services) if installed_product else {}
    taken = {service.id for service in left} | customers.keys()
    facing = {
        "resource": _candidate_ids(key, product, "."),
        "customer": _candidate_ids(key, f"{product}-cfs", "."),
    }
    made: dict[int, list[_ServiceInstance]] = {}
    reasons = []
    for node in decomposition.nodes:
        made[node.number] = []
        try:
            count = node.quantity.count(node.name, derived_values.characteristics[node.parent])
        except Unfulfillable as error:
            reasons.append(str(error))
            continue
        above = made[node.parent] if node.parent else [None]
        for parent in [one for one in above for _ in range(count)]:
            old = _pop_matching_service(left, node) if node.facing == "resource" else None
            id = (old.id if old else "") or _pop_cfs_id(customers, node, product)
            id = id or next(one for one in facing[node.facing] if one not in taken)
            one = _ServiceInstance(node, id, cfs=_cfs_id(node, id, parent), installed_service=old)
            made[node.number].append(one)
            if parent:
                parent.supporting_services.append(id)
            if sum(map(len, made.values())) > _MAX_SERVICES:
                raise DecompositionFailed([f"the product has more than {_MAX_SERVICES} services"])
    if reasons:
        raise DecompositionFailed(reasons)
    return made, left


def _cfs_id(node: ServiceNode, id: str, parent: _ServiceInstance | None) -> str:
    if node.facing == "customer":
        return id
    return parent.cfs if parent else ""


def _pop_matching_service(
    unmatched_services: list[InstalledService], node: ServiceNode
) -> InstalledService | None:
    for place, one in enumerate(unmatched_services):
        if one.specification in {"", node.specification}:
            return unmatched_services.pop(place)
    return None


def _pop_cfs_id(customer_facing_services: dict[str, str], node: ServiceNode, product: str) -> str:
    """Return the id of a customer facing service that is there already; empty: there is none.

    A service that was ordered by itself is the one at the top.
    """
    if node.facing != "customer":
        return ""
    if not node.parent and customer_facing_services.pop(product, None) is not None:
        return product
    inner = (
        id
        for id, of in customer_facing_services.items()
        if of == node.specification and id != product
    )
    if id := next(inner, ""):
        customer_facing_services.pop(id)
    return id


def _candidate_ids(key: OrderKey, name: str, separator: str) -> Iterator[str]:
    yield element_safe_id(key, name)
    for number in range(2, _MAX_SERVICES * 4):
        yield element_safe_id(key, f"{name}{separator}{number}")


def _service_plan(instance: _ServiceInstance, characteristics: Mapping[str, Any]) -> ServicePlan:
    node = instance.node
    return ServicePlan(
        instance.id,
        node.name,
        node.specification,
        node.facing,
        characteristics,
        tuple(instance.supporting_services),
    )


class _TaskBuilder:
    """Makes the tasks of one product, numbered within their item later."""

    def __init__(self, context: ItemContext, product: str, derived_values: DerivedValues) -> None:
        self.context, self.product, self.derived_values = context, product, derived_values
        self.tasks: list[Task] = []
        self.setting_changes: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self.is_move = False

    def task_ids(self) -> Iterator[str]:
        return (task.id for task in self.tasks)

    def add_service(self, instance: _ServiceInstance, depends_on: tuple[str, ...]) -> str:
        """Add what a service needs done; return the id of the task, empty without one."""
        node, running = instance.node, instance.installed_service
        settings = self._settings(node)
        needs = tuple(map(self._requirement, self.derived_values.requirements[node.number]))
        derived = {
            feed.characteristic.name: (feed.source_slot, feed.source_name)
            for feed in node.mappings
            if feed.source_slot
        }
        task = Task(
            self._next_id(), self.context.item, "provide", self.product, instance.cfs, instance.id,
            node.specification, settings, needs, derived, depends_on,
        )  # fmt: skip
        if running is None:
            return self._add(task)
        if self._is_move(running, needs):
            self.is_move = True
            made = self._add(replace(task, is_move=True))
            self.add_cease(instance.id, node.specification, (made,))
            return made
        if running.settings and all(running.settings.get(k) == v for k, v in settings.items()):
            return ""
        self.setting_changes.append((running.settings, settings))
        return self._add(replace(task, action="change"))

    def add_cease(self, service: str, specification: str, depends_on: tuple[str, ...]) -> None:
        """Add the end of a service."""
        self._add(
            Task(
                self._next_id(),
                self.context.item,
                "cease",
                self.product,
                "",
                service,
                specification,
                depends_on=depends_on,
            )
        )

    def add_suspend_or_resume(self, service: InstalledService) -> None:
        """Add the change of a service that only switches it on or off."""
        enabled = bool(self.context.enabled)
        if service.settings and service.settings.get("enabled", True) is enabled:
            return
        self._add(
            Task(
                self._next_id(),
                self.context.item,
                "change",
                self.product,
                "",
                service.id,
                service.specification,
                {"enabled": enabled},
            )
        )

    def _settings(self, node: ServiceNode) -> Mapping[str, Setting]:
        settings: Mapping[str, Setting] = self.derived_values.characteristics[node.number]
        if self.context.enabled is not None:
            return {**settings, "enabled": self.context.enabled}
        return settings

    def _requirement(self, requirement: ResourceRequirement) -> ResourceRequirement:
        order = self.context
        named = order.identifiers.get(requirement.category)
        if named is None and not (order.places and not requirement.amount):
            return requirement
        places = () if requirement.amount else order.places
        return replace(requirement, identifier="" if named is None else str(named), places=places)

    def _is_move(
        self, installed_service: InstalledService, requirements: tuple[ResourceRequirement, ...]
    ) -> bool:
        carrier = next((need for need in requirements if need.is_carrier), None)
        if carrier is None:
            return False
        if carrier.identifier:
            return (
                bool(installed_service.carrier_names)
                and carrier.identifier not in installed_service.carrier_names
            )
        return bool(
            carrier.places
            and installed_service.places
            and not installed_service.places & set(carrier.places)
        )

    def _next_id(self) -> str:
        return f"{self.context.item}#{len(self.tasks) + 1}"

    def _add(self, task: Task) -> str:
        self.tasks.append(task)
        return task.id
