"""Queries over stored forms as queries over the documents that contain them; pure."""

from collections.abc import Mapping
from typing import Any


def body_query(query: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    """Return the query over documents for a query over the stored form.

    This includes the operands of logical operators. An id becomes the key of the document, which is
    indexed.

    >>> body_query({"id": {"$in": ["1"]}, "name": "a"}, "t")
    {'_id': {'$in': ['t:1']}, 'body.name': 'a'}
    """
    documents: dict[str, Any] = {}
    for name, value in query.items():
        if name in {"$and", "$or", "$nor"}:
            documents[name] = [body_query(part, tenant) for part in value]
        elif name == "id":
            documents["_id"] = _document_keys(value, tenant)
        else:
            documents[f"body.{name}"] = value
    return documents


def _document_keys(condition: Any, tenant: str) -> Any:  # noqa: ANN401
    """Return a condition on ids as a condition on the keys of a tenant's documents."""
    if isinstance(condition, Mapping):
        return {operator: _document_keys(value, tenant) for operator, value in condition.items()}
    if isinstance(condition, list):
        return [_document_keys(part, tenant) for part in condition]
    return f"{tenant}:{condition}"
