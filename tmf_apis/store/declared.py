"""Indexes as rooms declare them: led by the tenant and ended by the id, as every page needs."""

from typing import Any


def by(*paths: str) -> dict[str, Any]:
    """Return an index over paths of the stored form, in that order.

    >>> by("account.id")
    {'fields': ['tenant', 'body.account.id', '_id']}
    """
    return {"fields": ["tenant", *(f"body.{path}" for path in paths), "_id"]}
