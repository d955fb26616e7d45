"""One product as it shall be: its services and what is done for them, with stable ids; pure."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.values import Setting
from tmf_apis.fulfilment.design.offers import Running, RunningService
from tmf_apis.fulfilment.design.recipes import Faulty, Figures, Node, Recipe
from tmf_apis.fulfilment.values import Need, OrderKey, Refused, ServicePlan, Task

#: What a service id may be made of: it is written on the port of an element.
_TAG = re.compile(r"[A-Za-z0-9._-]{1,60}")
#: Most services of one product.
_MOST = 500


@dataclass(frozen=True, slots=True)
class Order:
    """What the tasks of one item have in common.

    Attributes:
        key: The order.
        item: Id of the item.
        named: From category to what the order calls the resource that it wants.
        places: Ids of the places where resources may be.
        enabled: Whether the services are to be switched on; None: as they are.
    """

    key: OrderKey
    item: str
    named: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A product's services and tasks.

    Attributes:
        services: As they shall be, of both facings.
        tasks: Each after those that come before it.
        changes: Pairs of settings, before and after, of services that are changed.
        moved: A service goes to another carrier.
    """

    services: tuple[ServicePlan, ...] = ()
    tasks: tuple[Task, ...] = ()
    changes: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = ()
    moved: bool = False


def name_of(key: OrderKey, item: str) -> str:
    """Return the id of a new product: the same whenever the order is planned."""
    return tag(key, f"{key.order}-{item}")


def tag(key: OrderKey, name: str) -> str:
    """Return an id that can be written on an element.

    >>> tag(OrderKey("t", "o"), "o-1.2"), len(tag(OrderKey("t", "o"), "o-ä"))
    ('o-1.2', 36)
    """
    if _TAG.fullmatch(name):
        return name
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key.tenant}:{name}"))


@dataclass(slots=True)
class _Instance:
    """One service; ``running`` where it is in operation already."""

    node: Node
    id: str
    parts: list[str] = field(default_factory=list)
    cfs: str = ""
    running: RunningService | None = None


def drawing(
    order: Order, product: str, recipe: Recipe, chosen: dict[str, Any], running: Running | None
) -> Drawing:
    """Return a product's services and what has to be done so that they are as they shall be.

    Args:
        order: What orders it.
        product: Id of the product.
        recipe: What it takes.
        chosen: Its characteristics.
        running: What is in operation of it; None: nothing.

    Raises:
        Faulty: It cannot be fulfilled; all reasons.
    """
    figures = recipe.figures(chosen)
    instances, left = _instances(order.key, product, recipe, figures, running)
    draw = _Draw(order, product, figures)
    by_level: dict[int, list[str]] = {}
    for level in recipe.order:
        after = tuple(t for one in recipe.nodes[level - 1].before for t in by_level.get(one, ()))
        for instance in instances[level]:
            task = draw.task(instance, after)
            if task:
                by_level.setdefault(level, []).append(task)
    for service in left:
        draw.cease(service.id, service.specification, tuple(draw.ids()))
    services = tuple(
        _service(one, figures.levels[level])
        for level in range(1, len(figures.levels))
        for one in instances[level]
    )
    return Drawing(services, tuple(draw.tasks), tuple(draw.changes), draw.moved)


def ceasing(order: Order, product: str, services: Sequence[RunningService]) -> tuple[Task, ...]:
    """Return what ends services; the last of them first."""
    draw = _Draw(order, product, Figures((), ()))
    for service in reversed(services):
        draw.cease(service.id, service.specification, ())
    return tuple(draw.tasks)


def switching(order: Order, product: str, services: Sequence[RunningService]) -> tuple[Task, ...]:
    """Return what suspends or resumes services, whatever else is set on them."""
    draw = _Draw(order, product, Figures((), ()))
    for service in services:
        draw.switch(service)
    return tuple(draw.tasks)


def _instances(
    key: OrderKey, product: str, recipe: Recipe, figures: Figures, running: Running | None
) -> tuple[dict[int, list[_Instance]], list[RunningService]]:
    """Return the services by level, and those in operation that are not wanted any more."""
    left = list(running.services) if running else []
    customers = dict(running.customers) if running else {}
    taken = {service.id for service in left} | customers.keys()
    facing = {"resource": _ids(key, product, "."), "customer": _ids(key, f"{product}-cfs", ".")}
    made: dict[int, list[_Instance]] = {}
    reasons = []
    for node in recipe.nodes:
        made[node.level] = []
        try:
            count = node.quantity.count(node.name, figures.levels[node.above])
        except Refused as error:
            reasons.append(str(error))
            continue
        above = made[node.above] if node.above else [None]
        for parent in [one for one in above for _ in range(count)]:
            old = _matching(left, node) if node.facing == "resource" else None
            id = (old.id if old else "") or _kept(customers, node, product)
            id = id or next(one for one in facing[node.facing] if one not in taken)
            one = _Instance(node, id, cfs=_cfs(node, id, parent), running=old)
            made[node.level].append(one)
            if parent:
                parent.parts.append(id)
            if sum(map(len, made.values())) > _MOST:
                raise Faulty([f"the product has more than {_MOST} services"])
    if reasons:
        raise Faulty(reasons)
    return made, left


def _cfs(node: Node, id: str, parent: _Instance | None) -> str:
    if node.facing == "customer":
        return id
    return parent.cfs if parent else ""


def _matching(left: list[RunningService], node: Node) -> RunningService | None:
    for place, one in enumerate(left):
        if one.specification in {"", node.specification}:
            return left.pop(place)
    return None


def _kept(customers: dict[str, str], node: Node, product: str) -> str:
    """Return the id of a customer facing service that is there already; empty: there is none.

    A service that was ordered by itself is the one at the top.
    """
    if node.facing != "customer":
        return ""
    if not node.above and customers.pop(product, None) is not None:
        return product
    inner = (id for id, of in customers.items() if of == node.specification and id != product)
    if id := next(inner, ""):
        customers.pop(id)
    return id


def _ids(key: OrderKey, name: str, mark: str) -> Iterator[str]:
    yield tag(key, name)
    for number in range(2, _MOST * 4):
        yield tag(key, f"{name}{mark}{number}")


def _service(one: _Instance, characteristics: Mapping[str, Any]) -> ServicePlan:
    node = one.node
    return ServicePlan(
        one.id, node.name, node.specification, node.facing, characteristics, tuple(one.parts)
    )


class _Draw:
    """Makes the tasks of one product, numbered within their item later."""

    def __init__(self, order: Order, product: str, figures: Figures) -> None:
        self.order, self.product, self.figures = order, product, figures
        self.tasks: list[Task] = []
        self.changes: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self.moved = False

    def ids(self) -> Iterator[str]:
        return (task.id for task in self.tasks)

    def task(self, one: _Instance, after: tuple[str, ...]) -> str:
        """Add what a service needs done; return the id of the task, empty without one."""
        node, running = one.node, one.running
        settings = self._settings(node)
        needs = tuple(map(self._need, self.figures.needs[node.level]))
        derived = {feed.choice.name: (feed.slot, feed.of) for feed in node.feeds if feed.slot}
        task = Task(
            self._id(), self.order.item, "provide", self.product, one.cfs, one.id,
            node.specification, settings, needs, derived, after,
        )  # fmt: skip
        if running is None:
            return self._add(task)
        if self._moves(running, needs):
            self.moved = True
            made = self._add(replace(task, replaces=True))
            self.cease(one.id, node.specification, (made,))
            return made
        if running.settings and all(running.settings.get(k) == v for k, v in settings.items()):
            return ""
        self.changes.append((running.settings, settings))
        return self._add(replace(task, action="change"))

    def cease(self, service: str, specification: str, after: tuple[str, ...]) -> None:
        """Add the end of a service."""
        self._add(
            Task(
                self._id(),
                self.order.item,
                "cease",
                self.product,
                "",
                service,
                specification,
                after=after,
            )
        )

    def switch(self, service: RunningService) -> None:
        """Add the change of a service that only switches it on or off."""
        enabled = bool(self.order.enabled)
        if service.settings and service.settings.get("enabled", True) is enabled:
            return
        self._add(
            Task(
                self._id(),
                self.order.item,
                "change",
                self.product,
                "",
                service.id,
                service.specification,
                {"enabled": enabled},
            )
        )

    def _settings(self, node: Node) -> Mapping[str, Setting]:
        settings: Mapping[str, Setting] = self.figures.levels[node.level]
        if self.order.enabled is not None:
            return {**settings, "enabled": self.order.enabled}
        return settings

    def _need(self, need: Need) -> Need:
        order = self.order
        named = order.named.get(need.category)
        if named is None and not (order.places and not need.amount):
            return need
        places = () if need.amount else order.places
        return replace(need, named="" if named is None else str(named), places=places)

    def _moves(self, running: RunningService, needs: tuple[Need, ...]) -> bool:
        carrier = next((need for need in needs if need.carrier), None)
        if carrier is None:
            return False
        if carrier.named:
            return bool(running.names) and carrier.named not in running.names
        return bool(carrier.places and running.places and not running.places & set(carrier.places))

    def _id(self) -> str:
        return f"{self.order.item}#{len(self.tasks) + 1}"

    def _add(self, task: Task) -> str:
        self.tasks.append(task)
        return task.id
