"""Whom a resource belongs to, read from its own references."""

from collections.abc import Iterator, Mapping
from typing import Any


def party_ids(resource: Mapping[str, Any]) -> Iterator[str]:
    """Return the ids of the related parties, in whichever form they are written.

    >>> list(party_ids({"relatedParty": [{"partyOrPartyRole": {"id": "42"}}, {"id": "43"}]}))
    ['42', '43']
    >>> list(party_ids({"relatedParty": {"id": "44"}}))
    ['44']
    """
    related = resource.get("relatedParty")
    for one in related if isinstance(related, list) else [related]:
        if not isinstance(one, Mapping):
            continue
        party = one.get("partyOrPartyRole")
        holder = party if isinstance(party, Mapping) else one
        if holder.get("id"):
            yield str(holder["id"])
