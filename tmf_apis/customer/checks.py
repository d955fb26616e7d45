"""Checks of a customer that read other customers."""

from tmf_apis.errors import Conflict, Forbidden
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource


def refuse_duplicate(repository: Repository, old: Resource | None, new: Resource | None) -> None:
    """Refuse a second customer of the same party.

    A client of parties makes customers of its own parties only. Otherwise the answer would tell it
    which others are customers, and it could make a customer of a party before that party does.

    Raises:
        Forbidden: The client does not act for the engaged party, whether that is a customer or not
            (HTTP 403).
        Conflict: The party is a customer already; the message names that customer if the client
            can read it (HTTP 409).
    """
    party = _engaged_party_id(new)
    if new is None or party is None or party == _engaged_party_id(old):
        return
    context = repository.context
    if context.parties is not None and not context.system and party not in context.parties:
        raise Forbidden("/engagedParty/id: only the operator makes customers of other parties")
    query = {"engagedParty.id": party, "id": {"$ne": new["id"]}}
    for other in repository.find("Customer", query, limit=1):
        raise Conflict(f"party {party} is customer {other['id']} already")


def lock_name(old: Resource | None, new: Resource, context: RequestContext) -> str:  # noqa: ARG001
    """Return the lock of an engaged party, if a write makes it a customer."""
    party = _engaged_party_id(new)
    return f"Customer.engagedParty:{party}" if party and party != _engaged_party_id(old) else ""


def _engaged_party_id(customer: Resource | None) -> str | None:
    reference = (customer or {}).get("engagedParty")
    party = reference.get("id") if isinstance(reference, dict) else None
    return party if isinstance(party, str) else None
