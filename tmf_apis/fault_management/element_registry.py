"""Which elements report to us, as the inventory says, and what is known of their ports."""

import logging
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adapters.credentials import Credentials
from adapters.errors import Misconfigured
from adapters.snmp.traps import SenderRegistry
from adapters.values import Target
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the inventory.

    Attributes:
        tenant: Whose it is.
        resource_id: Id of its resource.
        target: How it is reached.
    """

    tenant: str
    resource_id: str
    target: Target

    @property
    def key(self) -> str:
        """Its name among all tenants' elements."""
        return f"{self.tenant}:{self.resource_id}"


class ElementRegistry:
    """The elements of all tenants, kept in step with the inventory."""

    def __init__(
        self, database: MongoDatabase, repositories: RepositoryFactory, credentials: Credentials
    ) -> None:
        """Take what it looks things up in."""
        self._database = database
        self._repositories = repositories
        self._credentials = credentials
        self._trusted_elements: dict[str, Element] = {}
        self.senders = SenderRegistry()
        self.elements: Mapping[str, Element] = {}

    def read(self) -> dict[str, Element]:
        """Return the elements as the inventory has them now, by key."""
        return {one.key: one for one in self._iter_elements()}

    def _iter_elements(self) -> Iterator[Element]:
        with translate_errors():
            tenants = self._database["Resource"].distinct("tenant")
        for tenant in tenants:
            if tenant == DELETED_TENANT:
                continue
            for gateway in managed_elements(self._repositories.for_tenant(tenant)):
                try:
                    yield Element(tenant, gateway["id"], target_of(gateway))
                except Misconfigured as error:
                    log.warning("an element cannot be watched: %s", error)

    def trust(self, elements: Mapping[str, Element]) -> list[Element]:
        """Let these elements report, and no others; return those that are new or changed."""
        fresh = [one for key, one in elements.items() if self._trusted_elements.get(key) != one]
        for key in self._trusted_elements.keys() - elements.keys():
            self.senders.unregister(key)
            del self._trusted_elements[key]
        self.elements = elements
        for one in fresh:
            self._trust(one)
        return fresh

    def _trust(self, element: Element) -> None:
        target = element.target
        try:
            host, port = target.endpoint(0)
            secret = self._credentials.get(target.credentials, element=target.name)
            address = str(socket.getaddrinfo(host, port)[0][4][0])
            self.senders.register(element.key, address, secret)
        except (Misconfigured, ValueError, OSError) as error:
            log.warning("notifications are not taken: %s", error, extra={"element": target.name})
        else:
            self._trusted_elements[element.key] = element
