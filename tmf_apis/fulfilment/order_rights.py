"""The rights of an order: what its client may do, and what the operator does for it.

An order of a party reads and changes products and services with the rights of the party. The
operator's rights are used for the catalogue, the order itself and the operator's network only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.rest.pipeline.policy import Repository
from tmf_apis.rest.pipeline.repository import RepositoryFactory, ScopedRepository


@dataclass(frozen=True, slots=True)
class OrderRights:
    """The repositories of an order.

    Attributes:
        operator: Sees the whole tenant: the catalogue, the order and its tasks.
        orderer: Sees and changes what the client that placed the order may; products and services
            that the order names are read and written through it.
        network: Sees the operator's resources that are nobody's or the orderer's.
        parties: The parties of the client; None: the operator's own staff, who have all rights.
    """

    operator: Repository
    orderer: Repository
    network: Repository
    parties: frozenset[str] | None = None

    @classmethod
    def of_client(cls, operator: Repository, client: Repository) -> Self:
        """Return the rights of an order that a client is about to place.

        Args:
            operator: Sees the whole tenant.
            client: Sees what the client may.
        """
        parties = client.context.parties
        return cls(operator, client, operator.for_network(parties), parties)

    @property
    def services(self) -> Repository:
        """The repository of services that fulfilment itself has linked to the orderer's products.

        Such a service may belong to nobody, but never to another party.
        """
        return self.operator if self.parties is None else self.network

    def visible_ids(self, kind: str, ids: Iterable[str]) -> set[str]:
        """Return those of some ids that the orderer can see."""
        if not (wanted := sorted(set(ids))):
            return set()
        resources = self.orderer.find(kind, {"id": {"$in": wanted}}, limit=len(wanted))
        return {str(resource["id"]) for resource in resources}


def order_rights(
    repositories: RepositoryFactory,
    key: OrderKey,
    owner: frozenset[str] | None,
    previous: OrderRights | None = None,
) -> OrderRights:
    """Return the rights of an order that is executed.

    Args:
        repositories: Give access to the resources.
        key: The order.
        owner: The parties of the client that placed it; None: the operator's own staff.
        previous: Earlier rights of the order, whose identity maps are shared.
    """
    repositories = repositories.working_for(key.kind, key.order)
    operator = repositories.for_tenant(key.tenant)
    network = operator.for_network(owner)
    orderer = operator if owner is None else repositories.on_behalf_of(key.tenant, owner)
    if previous is not None:
        _share_identity_map(operator, previous.operator)
        _share_identity_map(network, previous.network)
        _share_identity_map(orderer, previous.orderer)
    return OrderRights(operator, orderer, network, owner)


def owner_of_order(repositories: RepositoryFactory, key: OrderKey) -> frozenset[str] | None:
    """Return the parties of the client that placed an order; None: the staff, or it was deleted."""
    try:
        return repositories.for_tenant(key.tenant).owner_of(key.kind, key.order)
    except NotFound:
        return None


def _share_identity_map(repository: ScopedRepository, previous: Repository) -> None:
    if isinstance(previous, ScopedRepository):
        repository.identity_map = previous.identity_map
