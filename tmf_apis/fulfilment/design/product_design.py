"""Design of one product: its services with stable ids, and the tasks that lead to them; pure."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.values import Setting
from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.catalog import InstalledProduct, InstalledService
from tmf_apis.fulfilment.design.decomposition import (
    Decomposition,
    DecompositionFailed,
    DerivedValues,
    ServiceNode,
)
from tmf_apis.fulfilment.design.requested_resources import RequestedResources
from tmf_apis.fulfilment.design.service_changes import (
    is_move,
    is_unchanged,
    reset_settings,
)
from tmf_apis.fulfilment.values import OrderKey, ResourceRequirement, ServicePlan, Task

#: Form of an id that can be written on the port of an element.
_ELEMENT_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,60}")
#: Largest number of services of one product.
_MAX_SERVICES = 500


@dataclass(frozen=True, slots=True)
class ItemContext:
    """Attributes of an item that all its tasks depend on.

    Attributes:
        key: Identifies the order.
        item: Id of the item.
        identifiers: From categories to the resources that the order requests, by id or name.
        places: Ids of the places where the resources may be.
        enabled: The services are to be enabled or disabled; None: neither.
    """

    key: OrderKey
    item: str
    identifiers: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class ProductDesign:
    """The services and tasks of a product.

    Attributes:
        services: Its services after the tasks, of both facings.
        tasks: Its tasks, each after its dependencies.
        setting_changes: Settings before and after, of the services that are changed.
        is_move: A service moves to another carrier.
    """

    services: tuple[ServicePlan, ...] = ()
    tasks: tuple[Task, ...] = ()
    setting_changes: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = ()
    is_move: bool = False


def new_product_id(key: OrderKey, item: str) -> str:
    """Return the id of a new product, which is the same each time the order is planned."""
    return element_safe_id(key, f"{key.order}-{item}")


def element_safe_id(key: OrderKey, name: str) -> str:
    """Return ``name``, or a UUID derived from it if ``name`` cannot be written on an element.

    >>> key = OrderKey("t", "o")
    >>> element_safe_id(key, "o-1.2"), len(element_safe_id(key, "o-ä"))
    ('o-1.2', 36)
    """
    if _ELEMENT_SAFE_ID.fullmatch(name):
        return name
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key.tenant}:{name}"))


@dataclass(slots=True)
class _ServiceInstance:
    """An instance of a service; ``installed_service`` is set if it is in operation."""

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
    """Return the services of a product and the tasks that lead to them.

    Args:
        context: The item that orders the product.
        product: Id of the product.
        decomposition: The services and resources that the product consists of.
        characteristics: The characteristics of the product.
        installed_product: The product as it is in operation; None: it is new.

    Raises:
        DecompositionFailed: The product cannot be fulfilled; the error has all reasons.
    """
    derived_values = decomposition.derived_values(characteristics)
    instances, surplus_services = _Instantiation(
        context.key, product, derived_values, installed_product
    ).instances(decomposition)
    builder = _TaskBuilder(context, product, derived_values, installed_product)
    if installed_product and (installed_product.has_places or surplus_services):
        builder.present_places = _places_of(installed_product)
    tasks_by_node: dict[int, list[str]] = {}
    for number in decomposition.provisioning_order:
        depends_on = tuple(
            task
            for required in decomposition.nodes[number - 1].depends_on
            for task in tasks_by_node.get(required, ())
        )
        for instance in instances[number]:
            if task := builder.add_service(instance, depends_on):
                tasks_by_node.setdefault(number, []).append(task)
    for service in surplus_services:
        builder.add_cease(service.id, service.specification, builder.task_ids())
    services = tuple(
        _service_plan(instance, derived_values.characteristics[node.number])
        for node in decomposition.nodes
        for instance in instances[node.number]
    )
    return ProductDesign(
        services, tuple(builder.tasks), tuple(builder.setting_changes), builder.is_move
    )


def cease_tasks(
    context: ItemContext, product: str, services: Sequence[InstalledService]
) -> tuple[Task, ...]:
    """Return the tasks that end services, in reverse order of the services."""
    builder = _TaskBuilder(context, product, DerivedValues((), ()))
    for service in reversed(services):
        builder.add_cease(service.id, service.specification, ())
    return tuple(builder.tasks)


def suspend_or_resume_tasks(
    context: ItemContext, product: str, services: Sequence[InstalledService]
) -> tuple[Task, ...]:
    """Return the tasks that suspend or resume services without changing other settings."""
    builder = _TaskBuilder(context, product, DerivedValues((), ()))
    for service in services:
        builder.add_suspend_or_resume(service)
    return tuple(builder.tasks)


class _Instantiation:
    """Assigns ids to the service instances of a product; services in operation keep theirs."""

    def __init__(
        self,
        key: OrderKey,
        product: str,
        derived_values: DerivedValues,
        installed_product: InstalledProduct | None,
    ) -> None:
        installed = installed_product or InstalledProduct()
        self._product = product
        self._derived_values = derived_values
        self._unmatched_services = list(installed.services)
        self._unmatched_cfs = dict(installed.customer_facing_services)
        self._used_ids = {service.id for service in installed.services} | self._unmatched_cfs.keys()
        self._candidate_ids = {
            "resource": _candidate_ids(key, product),
            "customer": _candidate_ids(key, f"{product}-cfs"),
        }
        self._instances: dict[int, list[_ServiceInstance]] = {}
        self._specifications: set[str] = set()

    def instances(
        self, decomposition: Decomposition
    ) -> tuple[dict[int, list[_ServiceInstance]], list[InstalledService]]:
        """Return the instances by node number, and the services in operation to be ended.

        Raises:
            DecompositionFailed: There are too many or too few services; the error has all reasons.
        """
        reasons = []
        self._specifications = {node.specification for node in decomposition.nodes}
        for node in decomposition.nodes:
            self._instances[node.number] = []
            parent_characteristics = self._derived_values.characteristics[node.parent]
            try:
                count = node.quantity.count(node.name, parent_characteristics)
            except Unfulfillable as error:
                reasons.append(str(error))
                continue
            parents = self._instances[node.parent] if node.parent else [None]
            for parent in parents:
                for _ in range(count):
                    self._add(node, parent)
        if reasons:
            raise DecompositionFailed(reasons)
        return self._instances, self._unmatched_services

    def _add(self, node: ServiceNode, parent: _ServiceInstance | None) -> None:
        installed = self._pop_installed(node) if node.facing == "resource" else None
        id = installed.id if installed else self._pop_cfs_id(node)
        id = id or next(id for id in self._candidate_ids[node.facing] if id not in self._used_ids)
        cfs = id if node.facing == "customer" else parent.cfs if parent else ""
        instance = _ServiceInstance(node, id, cfs=cfs, installed_service=installed)
        self._instances[node.number].append(instance)
        if parent:
            parent.supporting_services.append(id)
        if sum(map(len, self._instances.values())) > _MAX_SERVICES:
            raise DecompositionFailed([f"the product has more than {_MAX_SERVICES} services"])

    def _pop_installed(self, node: ServiceNode) -> InstalledService | None:
        """Return the service in operation that an instance continues; None if it is new.

        If no service has the specification of the node, it is one on a carrier of the same category
        whose own specification the product has no more: it stays where it is.
        """
        for index, service in enumerate(self._unmatched_services):
            if service.specification in {"", node.specification}:
                return self._unmatched_services.pop(index)
        category = _carrier_category(node)
        for index, service in enumerate(self._unmatched_services):
            is_left_over = service.specification not in self._specifications
            if is_left_over and service.carrier and service.carrier.category == category:
                return self._unmatched_services.pop(index)
        return None

    def _pop_cfs_id(self, node: ServiceNode) -> str:
        """Return the id of an existing customer facing service; empty if there is none.

        A service that was ordered by itself is the top node.
        """
        if node.facing != "customer":
            return ""
        if not node.parent and self._unmatched_cfs.pop(self._product, None) is not None:
            return self._product
        ids = (
            id
            for id, specification in self._unmatched_cfs.items()
            if specification == node.specification and id != self._product
        )
        if id := next(ids, ""):
            self._unmatched_cfs.pop(id)
        return id


def _carrier_category(node: ServiceNode) -> str:
    """Return the category of the carrier of a service, or else of its first resource."""
    slots = [slot for slot in node.slots if slot.is_carrier] or list(node.slots)
    return slots[0].category if slots else ""


def _candidate_ids(key: OrderKey, name: str) -> Iterator[str]:
    yield element_safe_id(key, name)
    for number in range(2, _MAX_SERVICES * 4):
        yield element_safe_id(key, f"{name}.{number}")


def _places_of(product: InstalledProduct) -> tuple[str, ...]:
    return tuple(sorted({place for service in product.services for place in service.places}))


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
    """Builds the tasks of one product, numbered from 1.

    Attributes:
        present_places: Ids of the places for further services, if the order names none.
        tasks: The tasks so far.
        setting_changes: Settings before and after, of the services that are changed.
        is_move: A service moves to another carrier.
    """

    def __init__(
        self,
        context: ItemContext,
        product: str,
        derived_values: DerivedValues,
        installed_product: InstalledProduct | None = None,
    ) -> None:
        self._context, self._product, self._derived_values = context, product, derived_values
        self._installed_product = installed_product or InstalledProduct()
        self._requested = RequestedResources(context.identifiers, self._installed_product.services)
        self.present_places: tuple[str, ...] = ()
        self.tasks: list[Task] = []
        self.setting_changes: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self.is_move = False

    def task_ids(self) -> tuple[str, ...]:
        return tuple(task.id for task in self.tasks)

    def add_service(self, instance: _ServiceInstance, depends_on: tuple[str, ...]) -> str:
        """Add the task that provides or changes a service; return its id, empty if none is due."""
        node, installed = instance.node, instance.installed_service
        settings = self._settings(node)
        requirements = tuple(
            self._requirement(each, installed)
            for each in self._derived_values.requirements[node.number]
        )
        derived_settings = {
            mapping.characteristic.name: (mapping.source_slot, mapping.source_name)
            for mapping in node.mappings
            if mapping.source_slot
        }
        task = self._task(
            "provide",
            instance.id,
            node.specification,
            cfs=instance.cfs,
            settings=settings,
            requirements=requirements,
            derived_settings=derived_settings,
            depends_on=depends_on,
        )
        if installed is None:
            return self._add(task)
        if is_move(installed, requirements):
            self.is_move = True
            task_id = self._add(replace(task, is_move=True))
            self.add_cease(instance.id, node.specification, (task_id,))
            return task_id
        reset = reset_settings(installed, node.specification, {*settings, *derived_settings})
        settings = {**settings, **reset}
        if is_unchanged(installed, settings, requirements):
            return ""
        self.setting_changes.append((installed.settings, settings))
        return self._add(replace(task, action="change", settings=settings))

    def add_cease(self, service: str, specification: str, depends_on: tuple[str, ...]) -> None:
        """Add the task that ends a service."""
        self._add(self._task("cease", service, specification, depends_on=depends_on))

    def add_suspend_or_resume(self, service: InstalledService) -> None:
        """Add the task that enables or disables a service.

        The inventory may have the service in that state already, and the element not.
        """
        settings = {"enabled": bool(self._context.enabled)}
        self._add(self._task("change", service.id, service.specification, settings=settings))

    def _settings(self, node: ServiceNode) -> Mapping[str, Setting]:
        settings: Mapping[str, Setting] = self._derived_values.characteristics[node.number]
        if self._context.enabled is None:
            return settings
        # a service that its characteristics switch off (a barred card) stays off when it is resumed
        enabled = self._context.enabled and settings.get("enabled", True)
        return {**settings, "enabled": enabled}

    def _requirement(
        self, requirement: ResourceRequirement, installed: InstalledService | None
    ) -> ResourceRequirement:
        """Return a requirement with the resource and the places that the order requests.

        A resource that many services share may be anywhere. A service that a product gets in
        addition is where the product is.
        """
        if requirement.amount:
            identifier = self._context.identifiers.get(requirement.category)
            return replace(requirement, identifier="" if identifier is None else str(identifier))
        identifier = self._requested.take(requirement.category, installed.id if installed else "")
        places = self._context.places
        if requirement.is_carrier and installed is None:
            places = places or self.present_places
        return replace(requirement, identifier=identifier, places=places)

    def _task(
        self,
        action: str,
        service: str,
        specification: str,
        *,
        cfs: str = "",
        **attributes: Any,  # noqa: ANN401
    ) -> Task:
        id = f"{self._context.item}#{len(self.tasks) + 1}"
        return Task(
            id,
            self._context.item,
            action,
            self._product,
            cfs,
            service,
            specification,
            **attributes,
        )

    def _add(self, task: Task) -> str:
        self.tasks.append(task)
        return task.id
