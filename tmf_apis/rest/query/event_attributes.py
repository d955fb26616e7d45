"""The personal attributes of notifications, which the query of a subscription cannot name."""

from collections.abc import Sequence
from typing import Any

from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.views.kind_names import lower_first
from tmf_apis.security.personal_attributes import Coverage, PersonalAttributes


class EventAttributes:
    """Says which attributes of the notifications of a contract are personal.

    The notifications that queries are matched with have masked values, so no query finds one.

    Attributes:
        is_permitted: The client may query personal values.
        is_searchable, is_complete: Events have no tokens.
    """

    is_searchable = False
    is_complete = True

    def __init__(
        self, contract: Contract, table: PersonalAttributes, *, is_permitted: bool
    ) -> None:
        """Read the names of the contract's resources.

        Args:
            contract: The contract.
            table: The personal attributes.
            is_permitted: The client may query personal values.
        """
        self._kinds = {
            lower_first(operation.schema): operation.kind
            for operation in contract.operations
            if operation.kind
        }
        self._table = table
        self.is_permitted = is_permitted

    def coverage(self, path: str) -> Coverage:
        """Return how the values at a path of a notification are covered."""
        _, _, rest = path.partition(".")
        member, _, attribute = rest.partition(".")
        kind = self._kinds.get(member)
        return self._table.coverage(kind, attribute) if kind and attribute else Coverage.NONE

    def value_tokens(self, path: str, values: Sequence[Any]) -> list[bytes]:  # noqa: ARG002
        """Return no tokens."""
        return []

    def prefix_tokens(self, path: str, prefix: str) -> list[bytes]:  # noqa: ARG002
        """Return no tokens."""
        return []
