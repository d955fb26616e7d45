"""What a product's law looks up in other resources."""

from collections.abc import Iterator

from tmf_apis.rest import references
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.rest.references import Reference


def check(desk: Desk, old: Resource | None, new: Resource | None) -> None:
    """Let a product pass whose offering, specification, services and resources are there.

    Only where the operator's setting says so, and only what a change brings in.

    Raises:
        InvalidBody: One of them is not (HTTP 400).
    """
    if new is not None:
        references.check(desk, _references(old or {}), _references(new))


def _references(product: Resource) -> Iterator[Reference]:
    yield from references.single(product, "ProductOffering", "productOffering")
    yield from references.single(product, "ProductSpecification", "productSpecification")
    yield from references.several(product, "Service", "realizingService")
    yield from references.several(product, "Resource", "realizingResource")
