"""Personal characteristics of orders in the journal, encrypted with the key of the tenant.

The journal has characteristics and settings as mappings by name; a value is personal if the name is
that of a personal characteristic. A document with personal values has the member ``seal``::

    key, body   id of the data key, and the encrypted values with their positions
"""

from collections.abc import Iterable
from typing import Any

import orjson
from bson import Binary

from tmf_apis.security.personal_attributes import Leaf, PersonalAttributes, restored
from tmf_apis.store.data_keys import TENANT_SUBJECT, DataKeys

Document = dict[str, Any]


class JournalSealer:
    """Seals and opens documents of the journal."""

    def __init__(self, keys: DataKeys, table: PersonalAttributes, *, encrypt: bool) -> None:
        """Store the collaborators.

        Args:
            keys: The data keys.
            table: The personal attributes.
            encrypt: Encrypt what is written.
        """
        self._keys = keys
        self._table = table
        self._encrypt = encrypt

    def seal(self, tenant: str, document: Document) -> Document:
        """Return a document without personal values, which are encrypted beside it."""
        if not self._encrypt:
            return document
        leaves: list[Leaf] = []
        masked: Document = self._without_values(document, [], leaves)
        if not leaves:
            return document
        key = self._keys.active(tenant, TENANT_SUBJECT)
        values = orjson.dumps([[leaf.pointer, leaf.value] for leaf in leaves])
        body = Binary(key.seal(values, f"journal {document['_id']}"))
        return {**masked, "seal": {"key": key.id, "body": body}}

    def masked(self, value: Any) -> Any:  # noqa: ANN401
        """Return a part of a document without its personal values."""
        return self._without_values(value, [], []) if self._encrypt else value

    def open(self, documents: Iterable[Document]) -> None:
        """Put the personal values of documents back, in place."""
        sealed = [document for document in documents if "seal" in document]
        keys = self._keys.get_many({document["seal"]["key"] for document in sealed})
        for document in sealed:
            seal = document.pop("seal")
            if key := keys[seal["key"]]:
                values = orjson.loads(key.open(seal["body"], f"journal {document['_id']}"))
                restored(document, [Leaf(pointer, value) for pointer, value in values])

    def _without_values(self, value: Any, pointer: list[str | int], leaves: list[Leaf]) -> Any:  # noqa: ANN401
        if isinstance(value, list):
            return [
                self._without_values(item, [*pointer, index], leaves)
                for index, item in enumerate(value)
            ]
        if not isinstance(value, dict):
            return value
        masked: Document = {}
        for name, member in value.items():
            if member is not None and self._table.is_personal_characteristic(name):
                leaves.append(Leaf([*pointer, name], member))
                masked[name] = None
            else:
                masked[name] = self._without_values(member, [*pointer, name], leaves)
        return masked
