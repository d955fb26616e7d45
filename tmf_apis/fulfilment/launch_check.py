"""An offering that cannot be fulfilled is reported when it is launched, not when it is ordered."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.errors import Conflict
from tmf_apis.fulfilment.design import catalog_reader, offers
from tmf_apis.fulfilment.design.decomposition import DecompositionFailed
from tmf_apis.fulfilment.design.mapping import CharacteristicSpecification
from tmf_apis.fulfilment.design.offers import Offer, OfferCache
from tmf_apis.rest.pipeline.catalog_terms import ON_SALE_STATES
from tmf_apis.rest.pipeline.policy import Repository, Resource

log = logging.getLogger(__name__)

#: Most reasons that are told at once.
_MAX_REASONS = 20


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
    if new is None or new.get("lifecycleStatus") not in ON_SALE_STATES or _is_unchanged(old, new):
        return
    if reasons := obstacles(repository, new):
        if strict:
            raise Conflict(
                f"offering {new.get('name') or new.get('id')} cannot be fulfilled:"
                f" {'; '.join(reasons)}"
            )
        log.warning(
            "an offering is launched that cannot be fulfilled",
            extra={"offering": new.get("id"), "tenant": repository.tenant, "reasons": reasons},
        )


def _is_unchanged(old: Resource | None, new: Resource) -> bool:
    """Return whether a change leaves everything as it is that fulfilment depends on."""
    if old is None or old.get("lifecycleStatus") not in ON_SALE_STATES:
        return False
    return all(
        old.get(name) == new.get(name) for name in ("productSpecification", "prodSpecCharValueUse")
    )


def obstacles(repository: Repository, offering: Mapping[str, Any]) -> list[str]:
    """Return why an offering cannot be fulfilled; nothing where it can, or is not ours.

    Ours is one whose product specification is in the catalogue and names a ``serviceType`` or a
    service specification that is in the service catalogue.
    """
    if not (id := offers.specification_id(offering)):
        return []
    found = repository.find("ProductSpecification", {"id": id}, limit=1)
    if not found:
        return []
    own = str(offering.get("id") or "new")
    held = {own: {**offering, "id": own}}
    catalogue = catalog_reader.read_product_specifications(repository, held, {id: found[0]}, {})
    try:
        offer = OfferCache().get(repository.tenant, own, catalogue)
    except DecompositionFailed as fault:
        return list(fault.reasons[:_MAX_REASONS])
    return list(dict.fromkeys(_value_obstacles(offer)))[:_MAX_REASONS]


def _value_obstacles(offer: Offer) -> Iterator[str]:
    """Yield what is wrong with the values that may be chosen, each beside the usual ones."""
    if offer.decomposition is None or not all(map(_has_value, offer.characteristics.values())):
        return
    usual = {n: one.default for n, one in offer.characteristics.items() if one.default is not None}
    for chosen in (usual, *_variants(offer, usual)):
        try:
            offer.decomposition.derived_values(chosen)
        except DecompositionFailed as fault:
            yield from fault.reasons


def _has_value(characteristic: CharacteristicSpecification) -> bool:
    """Return whether there is a value even if the customer chooses none."""
    return characteristic.default is not None or not characteristic.required


def _variants(offer: Offer, defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, choice in offer.characteristics.items():
        for value in choice.allowed_values[:_MAX_REASONS]:
            if value != defaults.get(name):
                yield {**defaults, name: value}
