"""The parties that a resource refers to."""

from collections.abc import Iterator, Mapping
from typing import Any


def party_ids(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the related parties, in the form of v4 or of v5.

    >>> list(party_ids({"relatedParty": [{"partyOrPartyRole": {"id": "42"}}, {"id": "43"}]}))
    ['42', '43']
    >>> list(party_ids({"relatedParty": {"id": "44"}}))
    ['44']
    >>> list(party_ids({"relatedParty": [{"id": "45", "partyOrPartyRole": {"partyId": "7"}}]}))
    ['45']
    """
    related = resource.get("relatedParty")
    for entry in related if isinstance(related, list) else [related]:
        if not isinstance(entry, Mapping):
            continue
        party = entry.get("partyOrPartyRole")
        id = party.get("id") if isinstance(party, Mapping) else None
        if id := id or entry.get("id"):
            yield str(id)
