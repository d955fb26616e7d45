"""The identity of a client: created once for each request, and part of each query and write."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import Forbidden

#: Member of ``parties`` of a resource that every party of the tenant can read.
EVERYONE = "*"
#: Scope without which personal attributes are masked.
PERSONAL_DATA_SCOPE = "pii"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated client.

    Attributes:
        subject: Subject of the token; "anonymous" without authentication.
        tenant: Tenant whose data the client can access.
        parties: Ids of the parties for which the client acts; None: the operator's own staff and
            systems, which can access all data of the tenant. An empty set is nobody: the client
            sees only what everybody may see, and creates nothing.
        scopes: Scopes of the token; None means all (authentication is off).
    """

    subject: str
    tenant: str
    parties: frozenset[str] | None = None
    scopes: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Refuse ``EVERYONE`` as a party: it would match the resources of the catalogues."""
        if self.parties is not None and EVERYONE in self.parties:
            raise ValueError(f"{EVERYONE!r} is not the id of a party")

    @property
    def is_staff(self) -> bool:
        """Return whether the client is the operator's own staff, or one of its systems.

        Use this instead of the truth value of ``parties``, which is false for nobody, too.
        """
        return self.parties is None

    @property
    def owners(self) -> list[str] | None:
        """The parties that own what the client creates, sorted; None: the operator owns it."""
        return None if self.parties is None else sorted(self.parties)

    def acts_for(self, parties: Collection[str]) -> bool:
        """Return whether the client acts for one of these parties; staff acts for none."""
        return self.parties is not None and not self.parties.isdisjoint(parties)

    def require_owner(self) -> None:
        """Check that what the client creates has an owner.

        Raises:
            Forbidden: The client is neither staff nor acts for a party (HTTP 403).
        """
        if self.owners == []:
            raise Forbidden("the token acts for no party (its claim party is empty)")

    @property
    def sees_personal_data(self) -> bool:
        """Return whether the client reads personal attributes; to others they are masked."""
        return self.scopes is None or PERSONAL_DATA_SCOPE in self.scopes

    def require_scopes(self, scopes: Iterable[str]) -> None:
        """Check that the client has all scopes.

        Raises:
            Forbidden: A scope is missing; the message names it (HTTP 403).
        """
        if self.scopes is None:
            return
        if missing := [scope for scope in scopes if scope not in self.scopes]:
            raise Forbidden(f"the token lacks the scope {' '.join(missing)}")

    def require_one_scope(self, scopes: Iterable[str]) -> None:
        """Check that the client has one of several scopes.

        Raises:
            Forbidden: The client has none of them; the message names them (HTTP 403).
        """
        if self.scopes is not None and self.scopes.isdisjoint(scopes):
            raise Forbidden(f"the token lacks the scope {' or '.join(scopes)}")

    def require_staff(self) -> None:
        """Check that the client is the operator's own staff, or one of its systems.

        Raises:
            Forbidden: The client acts for a party (HTTP 403).
        """
        if not self.is_staff:
            raise Forbidden("a token that acts for a party cannot use the administration")

    def read_filter(self) -> dict[str, Any]:
        """Return the query for the resources that the client can read."""
        if self.owners is None:
            return {"tenant": self.tenant}
        return {"tenant": self.tenant, "parties": {"$in": [*self.owners, EVERYONE]}}

    def can_read(self, parties: Collection[str]) -> bool:
        """Return whether the client can read a resource of these parties."""
        return self.parties is None or not {*self.parties, EVERYONE}.isdisjoint(parties)

    def write_filter(self) -> dict[str, Any]:
        """Return the query for the resources that the client can change."""
        if self.owners is None:
            return {"tenant": self.tenant}
        return {"tenant": self.tenant, "parties": {"$in": self.owners}}


@dataclass(frozen=True, slots=True)
class NetworkIdentity(Identity):
    """The operator, restricted to its own resources while it works for some customers.

    It sees and changes what the operator created. A resource that a party created, or that belongs
    to other parties only, does not exist for it.

    Attributes:
        customers: Ids of the parties that it works for; None: the operator itself.
    """

    customers: frozenset[str] | None = None

    def read_filter(self) -> dict[str, Any]:
        """Return the query for the operator's resources that are nobody's or the customers'."""
        created_by_operator = {"tenant": self.tenant, "owner": {"$exists": False}}
        if self.customers is None:
            return created_by_operator
        return {**created_by_operator, "parties": {"$in": [[], *sorted(self.customers)]}}

    def write_filter(self) -> dict[str, Any]:
        """Return the query for the resources that can be changed, which are all it can see."""
        return self.read_filter()


@dataclass(frozen=True, slots=True)
class DelegatedIdentity(Identity):
    """The operator, restricted to what some customers may access while it works for them.

    It sets attributes that only the operator decides, and creates resources of the operator.

    Attributes:
        customers: Ids of the parties that it works for.
    """

    customers: frozenset[str] = frozenset()

    def read_filter(self) -> dict[str, Any]:
        """Return the query for the resources that the customers can read."""
        return {"tenant": self.tenant, "parties": {"$in": [*sorted(self.customers), EVERYONE]}}

    def write_filter(self) -> dict[str, Any]:
        """Return the query for the resources that the customers can change."""
        return {"tenant": self.tenant, "parties": {"$in": sorted(self.customers)}}
