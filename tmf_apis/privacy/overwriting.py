"""Personal values that are not encrypted, overwritten in the stored form of a resource; pure."""

from collections.abc import Collection
from typing import Any

from tmf_apis.rest.pipeline.data_subjects import CUSTOMER_KIND
from tmf_apis.security.personal_attributes import MASK, PersonalAttributes

Resource = dict[str, Any]

#: Members with the name of the party that an object refers to.
_NAME_MEMBERS = frozenset(
    {"name", "partyName", "givenName", "familyName", "fullName", "formattedName"}
)
#: Members that refer to accounts, which are called after their customer.
_ACCOUNTS = frozenset({"account", "billingAccount", "financialAccount"})
#: Members with free text, in which people write about people.
_FREE_TEXT = frozenset({"note"})


class Overwriter:
    """Overwrites what names a customer in its resources."""

    def __init__(self, table: PersonalAttributes, with_names: PersonalAttributes) -> None:
        """Create the overwriter.

        Args:
            table: The personal attributes.
            with_names: The same table, in which names are personal, too.
        """
        self._table = table
        self._with_names = with_names

    def overwritten(
        self, kind: str, resource: Resource, ids: Collection[str], *, is_shared: bool = False
    ) -> Resource:
        """Return a resource of a customer without anything that names the customer.

        References keep their ids: they are pseudonyms, which bills and orders need.

        Args:
            kind: The kind.
            resource: The stored form.
            ids: The ids of the customer and of its party.
            is_shared: The personal data in it is that of somebody else; only names are overwritten.
        """
        table = self._with_names if kind == CUSTOMER_KIND else self._table
        masked = resource if is_shared else table.masked(kind, resource)
        result: Resource = _without_names(masked, frozenset(ids), in_account=False)
        return result


def _without_names(value: Any, ids: frozenset[str], *, in_account: bool) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_without_names(item, ids, in_account=in_account) for item in value]
    if not isinstance(value, dict):
        return value
    is_named = in_account or not ids.isdisjoint({value.get("id"), value.get("partyId")})
    result = {}
    for name, member in value.items():
        if isinstance(member, str):
            result[name] = MASK if is_named and name in _NAME_MEMBERS else member
        elif name in _FREE_TEXT:
            result[name] = _without_text(member)
        else:
            result[name] = _without_names(member, ids, in_account=name in _ACCOUNTS)
    return result


def _without_text(notes: Any) -> Any:  # noqa: ANN401
    """Return notes whose texts and authors are overwritten."""
    if isinstance(notes, list):
        return [_without_text(note) for note in notes]
    if not isinstance(notes, dict):
        return notes
    return {
        name: MASK if name in {"text", "author"} and isinstance(member, str) else member
        for name, member in notes.items()
    }
