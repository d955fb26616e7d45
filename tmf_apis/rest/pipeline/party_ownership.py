"""Ownership through related parties: a party can give its resources only to itself.

A related party in an owning role reads and changes the resource. A party that could name another in
such a role would put the resource into the other's view; a party that could remove another would
take the resource away from it.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.named_references import PARTY_ATTRIBUTES
from tmf_apis.rest.pipeline.owners import OwnerRoles

#: Members of a related party, or of its party role, that name a party.
_ID_MEMBERS = ("id", "partyId")


class OwnerEntry(NamedTuple):
    """A party that is named in an owning role.

    Attributes:
        attribute: The attribute that names it.
        party: The id of the party.
        pointer: JSON pointer of the entry.
    """

    attribute: str
    party: str
    pointer: str


def check_owners(
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    parties: Collection[str],
    roles: OwnerRoles,
) -> None:
    """Check that a change names no further party in an owning role but the client's own.

    Args:
        old: The resource before; None if it is new.
        new: The resource after.
        parties: The parties of the client.
        roles: The roles in which a party owns a resource.

    Raises:
        Forbidden: Another party would own the resource, or a part of it (HTTP 403).
    """
    entries = list(owner_entries(new, roles))
    known = Counter((e.attribute, e.party) for e in owner_entries(old or {}, roles))
    for entry in entries:
        if known[entry.attribute, entry.party] > 0:
            known[entry.attribute, entry.party] -= 1
        elif entry.party not in parties:
            raise Forbidden(
                f"{entry.pointer}: only the operator names another party in a role that owns the"
                " resource; allowed: the party of the token, and roles that do not own"
            )


def check_kept_owners(before: Collection[str], after: Collection[str]) -> None:
    """Check that a change takes the resource away from nobody.

    Args:
        before: The parties to which it belongs.
        after: Those to which it would belong.

    Raises:
        Forbidden: A party is missing afterwards (HTTP 403).
    """
    if set(before) - set(after):
        raise Forbidden("/relatedParty: only the operator removes a party that owns the resource")


def owner_entries(resource: Mapping[str, Any], roles: OwnerRoles) -> Iterator[OwnerEntry]:
    """Yield the parties that are named in owning roles, at any depth."""
    yield from _entries(resource, "", roles)


def _entries(value: Any, pointer: str, roles: OwnerRoles) -> Iterator[OwnerEntry]:  # noqa: ANN401
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _entries(item, f"{pointer}/{index}", roles)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in PARTY_ATTRIBUTES:
                yield from _party_entries(name, member, f"{pointer}/{name}", roles)
            elif isinstance(member, dict | list):
                yield from _entries(member, f"{pointer}/{name}", roles)


def _party_entries(
    name: str,
    value: Any,  # noqa: ANN401
    pointer: str,
    roles: OwnerRoles,
) -> Iterator[OwnerEntry]:
    is_list = isinstance(value, list)
    for index, entry in enumerate(value if is_list else [value]):
        if not isinstance(entry, dict):
            continue
        inner = f"{pointer}/{index}" if is_list else pointer
        if name != "relatedParty" or entry.get("role") in roles:
            party = entry.get("partyOrPartyRole")
            holders = [entry, *([party] if isinstance(party, dict) else [])]
            for id in {str(h[m]) for h in holders for m in _ID_MEMBERS if h.get(m)}:
                yield OwnerEntry(name, id, inner)
        yield from _entries(
            {k: v for k, v in entry.items() if k != "partyOrPartyRole"}, inner, roles
        )
        if isinstance(party := entry.get("partyOrPartyRole"), dict):
            yield from _entries(party, f"{inner}/partyOrPartyRole", roles)
