"""Checks of a customer that read other customers."""

from tmf_apis.errors import Conflict
from tmf_apis.rest.pipeline.policy import Repository, Resource


def refuse_duplicate(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Refuse a second customer of the same party.

    Raises:
        Conflict: The party is a customer already; the message names that customer (HTTP 409).
    """
    party = _engaged_party_id(new)
    if new is None or party is None or party == _engaged_party_id(old):
        return
    query = {"engagedParty.id": party, "id": {"$ne": new["id"]}}
    for other in repository.find("Customer", query, limit=1):
        raise Conflict(f"party {party} is customer {other['id']} already")


def _engaged_party_id(customer: Resource | None) -> str | None:
    reference = (customer or {}).get("engagedParty")
    party = reference.get("id") if isinstance(reference, dict) else None
    return party if isinstance(party, str) else None
