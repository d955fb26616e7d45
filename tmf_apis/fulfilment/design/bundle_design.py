"""Collecting the designs of the products of a bundle into the plan of one item; pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tmf_apis.fulfilment.design.decomposition import DecompositionFailed
from tmf_apis.fulfilment.design.product_design import ProductDesign
from tmf_apis.fulfilment.values import ItemPlan, ProductPlan, Task


@dataclass(slots=True)
class BundleDesign:
    """The products of an item so far, the one of the item itself first."""

    item: str
    _products: list[ProductPlan] = field(default_factory=list)
    _designs: list[ProductDesign] = field(default_factory=list)
    _reasons: list[str] = field(default_factory=list)

    @property
    def has_tasks(self) -> bool:
        """Return whether a product has a task on the network."""
        return any(design.tasks for design in self._designs)

    @property
    def combined_design(self) -> ProductDesign:
        """The designs of all products as one."""
        return ProductDesign(
            services=tuple(each for design in self._designs for each in design.services),
            tasks=tuple(each for design in self._designs for each in design.tasks),
            setting_changes=tuple(
                each for design in self._designs for each in design.setting_changes
            ),
            is_move=any(design.is_move for design in self._designs),
        )

    @contextmanager
    def collecting_reasons(self) -> Iterator[None]:
        """Keep the reasons of a ``DecompositionFailed`` in the block for ``plan``."""
        try:
            yield
        except DecompositionFailed as error:
            self._reasons += error.reasons

    def add(self, product: ProductPlan, design: ProductDesign = ProductDesign()) -> None:  # noqa: B008 - frozen
        """Add a product with its design; without one, it changes in the inventory only."""
        services = tuple(service.id for service in design.services) or product.services
        self._products.append(replace(product, services=services))
        offset = sum(len(each.tasks) for each in self._designs)
        tasks = tuple(_renumbered_tasks(design.tasks, self.item, offset))
        self._designs.append(replace(design, tasks=tasks))

    def plan(self, action: str, change: str) -> tuple[ItemPlan, tuple[Task, ...]]:
        """Return the plan of the item and its tasks.

        Raises:
            DecompositionFailed: A product cannot be fulfilled; the error has all reasons.
        """
        if self._reasons:
            raise DecompositionFailed(self._reasons)
        design = self.combined_design
        product, *parts = self._products
        plan = ItemPlan(
            self.item,
            action,
            change,
            product,
            design.services,
            tuple(task.id for task in design.tasks),
            tuple(parts),
        )
        return plan, design.tasks


def _renumbered_tasks(tasks: tuple[Task, ...], item: str, offset: int) -> list[Task]:
    """Return tasks numbered from ``offset`` + 1 within their item."""
    if not offset:
        return list(tasks)
    ids = {task.id: f"{item}#{offset + number}" for number, task in enumerate(tasks, 1)}
    return [
        replace(task, id=ids[task.id], depends_on=tuple(ids[other] for other in task.depends_on))
        for task in tasks
    ]
