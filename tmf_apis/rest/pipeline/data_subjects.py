"""Data subjects: the person whose key encrypts the personal attributes of a resource.

A customer has a key of its own. Every other resource is encrypted with the key of the party that it
belongs to: the related party with the role "customer", otherwise the first of its owners. A
resource of nobody is encrypted with the key of its tenant.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.security.identity import EVERYONE
from tmf_apis.store.data_keys import TENANT_SUBJECT

CUSTOMER_KIND = "Customer"
_CUSTOMER_ROLES = frozenset({"customer", "buyer", "owner", "user"})


def customer_subject(id: str) -> str:
    """Return the subject of a customer's own resource."""
    return f"{CUSTOMER_KIND}:{id}"


def party_subject(id: str) -> str:
    """Return the subject of the resources of a party; the id may be that of a customer."""
    return f"party:{id}"


def subject_of(kind: str, id: str, body: Mapping[str, Any], parties: Iterable[str]) -> str:
    """Return the data subject of a resource.

    >>> subject_of("Customer", "7", {}, [])
    'Customer:7'
    >>> party = {"role": "Customer", "partyOrPartyRole": {"id": "42"}}
    >>> subject_of("ProductOrder", "1", {"relatedParty": [party]}, ["41", "42"])
    'party:42'
    >>> subject_of("ProductOrder", "1", {}, ["41"]), subject_of("ProductOrder", "1", {}, [])
    ('party:41', 'tenant')
    """
    if kind == CUSTOMER_KIND:
        return customer_subject(id)
    for party in (*_customers(body), *parties):
        if party != EVERYONE:
            return party_subject(party)
    return TENANT_SUBJECT


def _customers(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the related parties with the role of a customer."""
    for entry in json_objects(body.get("relatedParty")):
        party = entry.get("partyOrPartyRole")
        holder = party if isinstance(party, Mapping) else entry
        role = str(entry.get("role") or holder.get("role") or "").lower()
        if role in _CUSTOMER_ROLES and isinstance(holder.get("id"), str):
            yield holder["id"]
