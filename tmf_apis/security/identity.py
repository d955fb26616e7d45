"""The identity of a client: created once for each request, and part of each query and write."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Forbidden

#: Member of ``parties`` of a resource that every party of the tenant can read.
EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated client.

    Attributes:
        subject: Subject of the token; "anonymous" without authentication.
        tenant: Tenant whose data the client can access.
        parties: Ids of the parties for which the client acts; None: the operator's own staff and
            systems, which can access all data of the tenant.
        scopes: Scopes of the token; None means all (authentication is off).
    """

    subject: str
    tenant: str
    parties: frozenset[str] | None = None
    scopes: frozenset[str] | None = None

    def require_scopes(self, scopes: Iterable[str]) -> None:
        """Check that the client has all scopes.

        Raises:
            Forbidden: A scope is missing; the message names it (HTTP 403).
        """
        if self.scopes is None:
            return
        if missing := [scope for scope in scopes if scope not in self.scopes]:
            raise Forbidden(f"the token lacks the scope {' '.join(missing)}")

    def read_filter(self) -> dict[str, Any]:
        """Return the query for the resources that the client can read."""
        if self.parties is None:
            return {"tenant": self.tenant}
        return {"tenant": self.tenant, "parties": {"$in": [*sorted(self.parties), EVERYONE]}}

    def write_filter(self) -> dict[str, Any]:
        """Return the query for the resources that the client can change."""
        if self.parties is None:
            return {"tenant": self.tenant}
        return {"tenant": self.tenant, "parties": {"$in": sorted(self.parties)}}
