"""The parties that a resource refers to, and the roles in which they own it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from tmf_apis.settings import OWNER_ROLES

_PARTIES: Final = "relatedParty"


class OwnerRoles:
    """The roles in which a related party owns a resource; a party without a role owns it, too."""

    def __init__(self, roles: Iterable[str] = OWNER_ROLES) -> None:
        """Store the roles; case, blanks and punctuation do not count."""
        self._roles = frozenset(map(_normalised, roles))

    def __contains__(self, role: object) -> bool:
        """Return whether a related party in a role owns the resource.

        >>> "End-User" in OwnerRoles(), "installer" in OwnerRoles(), None in OwnerRoles()
        (True, False, True)
        """
        name = _normalised(role) if isinstance(role, str) else ""
        return not name or name in self._roles

    @property
    def fingerprint(self) -> str:
        """A text that is the same for the same roles."""
        return ",".join(sorted(self._roles))

    def owners_only(
        self, resource: dict[str, Any], holders: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return a resource without the related parties that do not own it.

        Args:
            resource: The resource.
            holders: Attributes whose objects have related parties that own the resource as well, at
                any depth.

        >>> parties = [{"id": "1", "role": "installer"}, {"id": "2", "role": "buyer"}]
        >>> OwnerRoles().owners_only({"item": [{"relatedParty": parties}]}, ["item"])
        {'item': [{'relatedParty': [{'id': '2', 'role': 'buyer'}]}]}
        """
        changes = {
            name: self._inner(resource[name], holders) for name in holders if name in resource
        }
        if _PARTIES in resource:
            changes[_PARTIES] = self._owners(resource[_PARTIES])
        return {**resource, **changes} if changes else resource

    def _inner(self, value: Any, holders: Collection[str]) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            return self.owners_only(value, holders)
        if isinstance(value, list):
            return [self._inner(item, holders) for item in value]
        return value

    def _owners(self, related: Any) -> list[Any]:  # noqa: ANN401
        entries = related if isinstance(related, list) else [related]
        return [e for e in entries if isinstance(e, Mapping) and e.get("role") in self]


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


@lru_cache(maxsize=1024)
def _normalised(role: str) -> str:
    return re.sub(r"[\W_]+", "", role).lower()


#: The roles unless the operator sets others.
STANDARD_OWNER_ROLES: Final = OwnerRoles()
