"""Checks of a product that read other resources."""

from collections.abc import Iterator

from tmf_apis.rest.pipeline import references
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.references import Reference


def check_references(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Check that the offering, specification, services and resources of a product exist.

    Only references that the change adds are checked, and only if the operator enables it.

    Raises:
        InvalidBody: The target of a reference does not exist (HTTP 400).
    """
    if new is not None:
        references.check_targets_exist(repository, _references(old or {}), _references(new))


def _references(product: Resource) -> Iterator[Reference]:
    yield from references.reference_at(product, "ProductOffering", "productOffering")
    yield from references.reference_at(product, "ProductSpecification", "productSpecification")
    yield from references.references_at(product, "Service", "realizingService")
    yield from references.references_at(product, "Resource", "realizingResource")
