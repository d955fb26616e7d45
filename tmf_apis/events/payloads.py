"""The payloads of deliveries: encrypted in the database if they have personal attributes."""

from collections.abc import Iterable, Sequence
from typing import Any

from bson import Binary

from tmf_apis.store.data_keys import DataKeys

Document = dict[str, Any]


def sealed_payloads(deliveries: Sequence[Document], keys: DataKeys) -> list[Document]:
    """Return deliveries with encrypted payloads, those that name a data key.

    A delivery whose key is destroyed is left out: the personal data was erased meanwhile.
    """
    data_keys = keys.get_many({row["key"] for row in deliveries if "key" in row})
    sealed = []
    for row in deliveries:
        if "key" not in row:
            sealed.append(row)
        elif key := data_keys[row["key"]]:
            payload = Binary(key.seal(row["payload"], _context(row)))
            sealed.append({**row, "payload": payload})
    return sealed


def open_payloads(deliveries: Iterable[Document], keys: DataKeys) -> set[str]:
    """Decrypt the payloads of deliveries in place; return the ids of those that are erased."""
    rows = [row for row in deliveries if "key" in row]
    data_keys = keys.get_many({row["key"] for row in rows})
    erased = set()
    for row in rows:
        if key := data_keys[row["key"]]:
            row["payload"] = key.open(row["payload"], _context(row))
        else:
            erased.add(row["_id"])
    return erased


def _context(delivery: Document) -> str:
    return f"delivery {delivery['_id']}"
