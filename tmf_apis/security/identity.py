"""Who asks: one value, made once a request, that every query and write is bound to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Forbidden

#: In ``parties`` of a stored resource: every party of the tenant may read it.
EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class Identity:
    """A client.

    Attributes:
        subject: The token's subject; "anonymous" without authentication.
        tenant: Whose data it works on.
        parties: Ids of the parties it acts for; None for the operator's own staff and systems,
            who see all of the tenant.
        scopes: What it may do; None means everything (authentication is off).
    """

    subject: str
    tenant: str
    parties: frozenset[str] | None = None
    scopes: frozenset[str] | None = None

    def require_scopes(self, scopes: Iterable[str]) -> None:
        """Refuse a client that lacks a scope.

        Raises:
            Forbidden: The message names what is missing (HTTP 403).
        """
        if self.scopes is None:
            return
        if missing := [scope for scope in scopes if scope not in self.scopes]:
            raise Forbidden(f"the token lacks the scope {' '.join(missing)}")

    def read_filter(self) -> dict[str, Any]:
        """Return the part of every query that keeps a client to what it may see."""
        if self.parties is None:
            return {"tenant": self.tenant}
        return {"tenant": self.tenant, "parties": {"$in": [*sorted(self.parties), EVERYONE]}}

    def write_filter(self) -> dict[str, Any]:
        """Return the part of every query that keeps a client to what it may change."""
        if self.parties is None:
            return {"tenant": self.tenant}
        return {"tenant": self.tenant, "parties": {"$in": sorted(self.parties)}}
