"""Resources reserved for a task, by the slots of its requirements, and the resulting allocation."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.errors import Misconfigured
from adapters.values import Setting, Target
from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.reservation import resource_queries
from tmf_apis.fulfilment.values import Allocation, ResourceRequirement, Task
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import PORT_INDEX, carrier_key, target_of
from tmf_apis.inventory.resource_state import ResourceUsage
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(slots=True)
class AllocationDraft:
    """The resources that a task has reserved so far.

    Attributes:
        exclusive: Resources that the task has alone, by slot.
        shared: Resources of which the task has a part, by slot.
        previous_usage: The usage of each resource before it was reserved, by slot.
        carrier_slot: The slot of the carrier; empty if there is none yet.
        element: The resource of the carrier's element; None if there is none.
        released_slots: Slots of resources that the service has and does not need any more.
        inherited_slots: Slots of resources that another task of the order releases first.
    """

    exclusive: dict[str, Resource] = field(default_factory=dict)
    shared: dict[str, Resource] = field(default_factory=dict)
    previous_usage: dict[str, ResourceUsage] = field(default_factory=dict)
    carrier_slot: str = ""
    element: Resource | None = None
    released_slots: tuple[str, ...] = ()
    inherited_slots: tuple[str, ...] = ()

    @property
    def carrier(self) -> Resource | None:
        """The resource that the service is set up on; None if there is none."""
        return self.exclusive.get(self.carrier_slot)

    def copy(self) -> "AllocationDraft":
        """Return a draft with the same resources that can be extended independently."""
        return AllocationDraft(
            dict(self.exclusive),
            dict(self.shared),
            dict(self.previous_usage),
            self.carrier_slot,
            self.element,
            self.released_slots,
            self.inherited_slots,
        )

    def to_allocation(self, task: Task, holder: str, tenant: str) -> Allocation:
        """Return the allocation of a task.

        Args:
            task: The task.
            holder: The holder of the reservations.
            tenant: The tenant of the order.

        Raises:
            Unfulfillable: The element's management data are incomplete.
        """
        resources = {**self.exclusive, **self.shared}
        names = {slot: str(each.get("name") or each["id"]) for slot, each in resources.items()}
        characteristics = resource_characteristics(self.carrier or {})
        return Allocation(
            task=task.id,
            service=task.service,
            action=task.action,
            resources={slot: resource["id"] for slot, resource in resources.items()},
            names=names,
            previous_usage=self.previous_usage,
            settings={} if task.action == "cease" else self._settings(task, resources),
            element=str(self.element["id"]) if self.element else "",
            target=_target_or_none(self.element, tenant),
            port=carrier_key(self.carrier) if self.carrier else "",
            holder=holder,
            product=task.product,
            shared_slots=tuple(self.shared),
            carrier_slot=self.carrier_slot,
            test_head=str(characteristics.get("testAddress") or ""),
            port_index=str(characteristics.get(PORT_INDEX) or ""),
            values={
                slot: pool_value_or_name(resource) for slot, resource in self.exclusive.items()
            },
            released_slots=self.released_slots,
            inherited_slots=self.inherited_slots,
        )

    def _settings(self, task: Task, resources: dict[str, Resource]) -> dict[str, Setting]:
        """Return the settings of the service: previous ones, ordered ones and derived ones."""
        settings = dict(task.settings)
        if task.action == "change":
            previous = self.previous_usage.get(self.carrier_slot, ResourceUsage()).settings
            settings = {**previous, **settings}
        for name, (slot, characteristic) in task.derived_settings.items():
            if slot in resources and slot not in self.released_slots:
                value = _characteristic_value(resources[slot], characteristic)
                if value is None and name in settings:
                    continue
                if value is None:
                    raise Unfulfillable(
                        f"{name} maps from {characteristic}, which"
                        f" {resource_state.display_name(resources[slot])} does not have",
                        f"{name} has no value",
                    )
                settings[name] = value
        return settings


def match_resources(
    requirements: tuple[ResourceRequirement, ...], resources: list[Resource]
) -> Iterator[tuple[ResourceRequirement, Resource]]:
    """Yield requirements of whole resources, each with a resource that meets it."""
    unmatched = list(resources)
    for requirement in sorted(requirements, key=lambda each: not each.identifier):
        resource = next((each for each in unmatched if meets(each, requirement)), None)
        if resource is not None and not requirement.amount:
            unmatched.remove(resource)
            yield requirement, resource


def resources_by_slot(
    requirements: tuple[ResourceRequirement, ...], resources: list[Resource]
) -> dict[str, Resource]:
    """Return resources by the slots of their requirements, or else by their categories."""
    matches = match_resources(requirements, resources)
    by_slot = {requirement.slot: resource for requirement, resource in matches}
    reserved_slots = {requirement.slot for requirement in requirements}
    matched_ids = {resource["id"] for resource in by_slot.values()}
    for resource in resources:
        if resource["id"] in matched_ids:
            continue
        slot = category = str(resource.get("category") or "resource")
        number = 1
        while slot in by_slot or slot in reserved_slots:
            number += 1
            slot = f"{category}.{number}"
        by_slot[slot] = resource
    return by_slot


def meets(resource: Resource, requirement: ResourceRequirement) -> bool:
    """Return whether a resource that a service has meets a requirement; see ``InstalledResource``.

    The places do not matter: the carrier stays where it is, and a move is planned as such.
    """
    return resource_queries.installed_resource(resource).meets(requirement)


def pool_value_or_name(resource: Resource) -> Setting:
    """Return the value of a number, an address or a VLAN, or else the name of a resource."""
    value = resource_characteristics(resource).get(str(resource.get("category")))
    if isinstance(value, int | str) and value != "":
        return value
    return str(resource.get("value") or resource.get("name") or resource["id"])


def _characteristic_value(resource: Resource, name: str) -> Setting | None:
    characteristics = resource_characteristics(resource)
    if name not in characteristics and name in {"value", "name", str(resource.get("category"))}:
        return str(resource.get("value") or resource.get("name") or "") or None
    value = characteristics.get(name)
    return value if isinstance(value, bool | int | str) else None


def _target_or_none(element: Resource | None, tenant: str) -> Target | None:
    if element is None:
        return None
    try:
        return target_of(element, tenant)
    except Misconfigured as error:
        raise Unfulfillable(str(error)) from error
