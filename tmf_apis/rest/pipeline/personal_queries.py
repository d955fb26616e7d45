"""The blind index of one kind, for the queries of one client."""

from collections.abc import Sequence
from typing import Any

from tmf_apis.rest.pipeline.blind_index import MIN_PREFIX, is_name, prefix_token, value_token
from tmf_apis.security.personal_attributes import AttributeRules, Coverage
from tmf_apis.store.data_keys import BLIND_SUBJECT, DataKey, DataKeys


class KindBlindIndex:
    """Returns the tokens of the values that a client looks for.

    Attributes:
        is_permitted: The client may query personal values.
        is_searchable: The index has tokens.
        is_complete: All documents are in the index.
    """

    is_searchable = True

    def __init__(  # noqa: PLR0913
        self,
        kind: str,
        rules: AttributeRules,
        keys: DataKeys,
        tenant: str,
        *,
        is_permitted: bool,
        is_complete: bool,
        with_prefixes: bool,
    ) -> None:
        self._kind = kind
        self._rules = rules
        self._keys = keys
        self._tenant = tenant
        self._with_prefixes = with_prefixes
        self.is_permitted = is_permitted
        self.is_complete = is_complete

    def coverage(self, path: str) -> Coverage:
        """Return how the values at a path of the stored form are covered."""
        return self._rules.coverage(path)

    def value_tokens(self, path: str, values: Sequence[Any]) -> list[bytes]:
        """Return the tokens of values at a path."""
        key = self._key()
        return [value_token(self._kind, path, value, key) for value in values]

    def prefix_tokens(self, path: str, prefix: str) -> list[bytes]:
        """Return the token of the beginning of a name; empty if the path has none."""
        if not self._with_prefixes or not is_name(path) or len(prefix) < MIN_PREFIX:
            return []
        return [prefix_token(self._kind, path, prefix, self._key())]

    def _key(self) -> DataKey:
        return self._keys.active(self._tenant, BLIND_SUBJECT)
