"""The tree of service specifications below a product specification, while it is compiled."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.fulfilment.design.decomposition import ServiceNode, SpecificationIndex
from tmf_apis.fulfilment.design.mapping import CharacteristicSpecification

Characteristics = dict[str, CharacteristicSpecification]


class SpecificationTree:
    """The services of a product as far as they are compiled.

    Errors are collected, so that the maintainers of the catalogue see all of them at once.

    Attributes:
        product: The ProductSpecification.
        index: The specifications of services and resources.
        nodes: The services; the node with the number n is at index n - 1.
        characteristics: Specifications of the characteristics of the product (at index 0) and of
            the services, by node number.
        errors: Everything that is wrong with the specifications.
    """

    def __init__(self, product: Mapping[str, Any], index: SpecificationIndex) -> None:
        self.product = product
        self.index = index
        self.nodes: list[ServiceNode] = []
        self.characteristics: list[Characteristics] = []
        self.errors: list[str] = []

    @contextmanager
    def collecting_errors(self) -> Iterator[None]:
        """Add an ``Unfulfillable`` that is raised in the block to the errors."""
        try:
            yield
        except Unfulfillable as error:
            self.errors.append(str(error))

    def specification_id(self, number: int) -> str:
        """Return the id of the specification of a service, or of the product for 0."""
        return self.nodes[number - 1].specification if number else str(self.product.get("id"))

    def node_and_ancestors(self, number: int) -> list[int]:
        """Return the number of a service, of its parent and so on, up to the product's 0."""
        numbers = [number]
        while numbers[-1]:
            numbers.append(self.nodes[numbers[-1] - 1].parent)
        return numbers
