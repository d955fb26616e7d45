"""An offering that cannot be fulfilled is reported when it is launched, not when it is ordered."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.errors import Conflict
from tmf_apis.fulfilment.design import offers, shelves
from tmf_apis.fulfilment.design.mapping import Choice
from tmf_apis.fulfilment.design.offers import Cookbook, Offer
from tmf_apis.fulfilment.design.recipes import Faulty
from tmf_apis.rest.law import Desk, Law, Resource

log = logging.getLogger(__name__)

#: States of an offering in which it can be ordered, or nearly so.
LAUNCHED = frozenset({"Active", "Launched"})
#: Most reasons that are told at once.
_MOST = 20


def guarded(law: Law, *, strict: bool) -> Law:
    """Return the law of offerings with a look at whether one that is launched can be fulfilled.

    Args:
        law: The catalogue's law of ProductOffering.
        strict: Refuse one that cannot; otherwise the log says so.
    """

    def check(desk: Desk, old: Resource | None, new: Resource | None) -> None:
        if law.check:
            law.check(desk, old, new)
        if new is None or new.get("lifecycleStatus") not in LAUNCHED or _same(old, new):
            return
        if reasons := faults(desk, new):
            if strict:
                raise Conflict(
                    f"offering {new.get('name') or new.get('id')} cannot be fulfilled:"
                    f" {'; '.join(reasons)}"
                )
            log.warning(
                "an offering is launched that cannot be fulfilled",
                extra={"offering": new.get("id"), "tenant": desk.tenant, "reasons": reasons},
            )

    return replace(law, check=check)


def _same(old: Resource | None, new: Resource) -> bool:
    """Return whether a change leaves everything as it is that fulfilment depends on."""
    if old is None or old.get("lifecycleStatus") not in LAUNCHED:
        return False
    return all(
        old.get(name) == new.get(name) for name in ("productSpecification", "prodSpecCharValueUse")
    )


def faults(desk: Desk, offering: Mapping[str, Any]) -> list[str]:
    """Return why an offering cannot be fulfilled; nothing where it can, or is not ours.

    Ours is one whose product specification is in the catalogue and names a ``serviceType`` or a
    service specification that is in the service catalogue.
    """
    if not (id := offers.of(offering)):
        return []
    found = desk.find("ProductSpecification", {"id": id}, limit=1)
    if not found:
        return []
    own = str(offering.get("id") or "new")
    held = {own: {**offering, "id": own}}
    catalogue = shelves.for_specifications(desk, held, {id: found[0]}, {})
    try:
        offer = Cookbook().offer(desk.tenant, own, catalogue)
    except Faulty as fault:
        return list(fault.reasons[:_MOST])
    return list(dict.fromkeys(_of_values(offer)))[:_MOST]


def _of_values(offer: Offer) -> Iterator[str]:
    """Yield what is wrong with the values that may be chosen, each beside the usual ones."""
    if offer.recipe is None or not all(map(_known, offer.choices.values())):
        return
    usual = {n: one.default for n, one in offer.choices.items() if one.default is not None}
    for chosen in (usual, *_variants(offer, usual)):
        try:
            offer.recipe.figures(chosen)
        except Faulty as fault:
            yield from fault.reasons


def _known(choice: Choice) -> bool:
    """Return whether there is a value even if the customer chooses none."""
    return choice.default is not None or not choice.required


def _variants(offer: Offer, usual: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, choice in offer.choices.items():
        for value in choice.options[:_MOST]:
            if value != usual.get(name):
                yield {**usual, name: value}
