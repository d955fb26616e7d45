"""Check at the launch of an offering that it can be fulfilled, before a customer orders it."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict
from tmf_apis.fulfilment import setting_check
from tmf_apis.fulfilment.design import catalog_reader, offers
from tmf_apis.fulfilment.design.decomposition import DecompositionFailed
from tmf_apis.fulfilment.design.mapping import CharacteristicSpecification
from tmf_apis.fulfilment.design.offers import Offer
from tmf_apis.rest.pipeline.catalog_terms import ON_SALE_STATES
from tmf_apis.rest.pipeline.policy import Repository, Resource

log = logging.getLogger(__name__)

#: Largest number of reasons in a message, and of values of a characteristic that are tried.
_MAX_REASONS = 20
#: Attributes of an offering that its fulfilment depends on.
_FULFILMENT_ATTRIBUTES = ("productSpecification", "prodSpecCharValueUse")


def check_launch(
    repository: Repository, old: Resource | None, new: Resource | None, *, strict: bool
) -> None:
    """Check that an offering can be fulfilled when it is launched.

    Args:
        repository: Sees the catalogues.
        old: The offering before; None: it is new.
        new: The offering after; None: it is deleted.
        strict: Refuse an offering that cannot be fulfilled; otherwise write a warning to the log.

    Raises:
        Conflict: The offering cannot be fulfilled (HTTP 409).
    """
    if new is None or not _is_on_sale(new) or _is_unchanged(old, new):
        return
    if reasons := obstacles(repository, new):
        if strict:
            raise Conflict(
                f"offering {new.get('name') or new.get('id')} cannot be fulfilled:"
                f" {'; '.join(reasons)}"
            )
        log.warning(
            "a launched offering cannot be fulfilled",
            extra={"offering": new.get("id"), "tenant": repository.tenant, "reasons": reasons},
        )


def _is_on_sale(offering: Resource) -> bool:
    return offering.get("lifecycleStatus") in ON_SALE_STATES


def _is_unchanged(old: Resource | None, new: Resource) -> bool:
    """Return whether an offering was on sale before with the same fulfilment attributes."""
    if old is None or not _is_on_sale(old):
        return False
    return all(old.get(name) == new.get(name) for name in _FULFILMENT_ATTRIBUTES)


def obstacles(repository: Repository, offering: Mapping[str, Any]) -> list[str]:
    """Return the reasons why an offering cannot be fulfilled; none if it can.

    An offering is fulfilled elsewhere, and has no obstacles, unless the catalogue has its product
    specification and that names a ``serviceType`` or a service specification of the catalogue.
    """
    if not (specification_id := offers.specification_id(offering)):
        return []
    specifications = catalog_reader.read_by_id(
        repository, "ProductSpecification", {specification_id}
    )
    if not specifications:
        return []
    id = str(offering.get("id") or "new")
    catalog = catalog_reader.read_product_specifications(
        repository, {id: {**offering, "id": id}}, specifications, {}
    )
    try:
        offer = offers.compile_offer(id, catalog)
    except DecompositionFailed as error:
        return list(error.reasons[:_MAX_REASONS])
    reasons = list(_value_obstacles(offer))
    if offer.decomposition:
        reasons += setting_check.unknown_settings(repository, offer.decomposition)
        reasons += setting_check.unknown_sources(repository, offer.decomposition)
    return list(dict.fromkeys(reasons))[:_MAX_REASONS]


def _value_obstacles(offer: Offer) -> Iterator[str]:
    """Yield the reasons why allowed values cannot be fulfilled.

    Each value is tried with the default values of the other characteristics.
    """
    if offer.decomposition is None or not all(map(_has_value, offer.characteristics.values())):
        return
    defaults = {
        name: characteristic.default
        for name, characteristic in offer.characteristics.items()
        if characteristic.default is not None
    }
    for values in (defaults, *_variants(offer, defaults)):
        try:
            offer.decomposition.derived_values(values)
        except DecompositionFailed as error:
            yield from error.reasons


def _has_value(characteristic: CharacteristicSpecification) -> bool:
    """Return whether the customer need not choose a value."""
    return characteristic.default is not None or not characteristic.required


def _variants(offer: Offer, defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the default values with one of them replaced by another allowed value."""
    for name, characteristic in offer.characteristics.items():
        for value in characteristic.allowed_values[:_MAX_REASONS]:
            if value != defaults.get(name):
                yield {**defaults, name: value}
