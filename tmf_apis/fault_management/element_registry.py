"""The elements of the inventory, and the registration of each as a sender of notifications."""

import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from adapters.credentials import CredentialEntry, Credentials
from adapters.errors import ElementError, Misconfigured
from adapters.snmp.element import TRAP_ADDRESSES
from adapters.snmp.traps import SenderRegistry
from adapters.values import Target
from tmf_apis.element_access.access_policy import (
    UNRESTRICTED,
    AccessPolicy,
    NotPermitted,
    checked_target,
)
from tmf_apis.inventory.discovery_records import DiscoveryRecords
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.inventory.tenants import tenants_with_elements
from tmf_apis.lasting_conditions import LastingCondition
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.security.addresses import Network
from tmf_apis.store.connection import MongoDatabase

log = logging.getLogger(__name__)

#: The adapter whose elements send SNMP notifications; others may.
SNMP = "snmp"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the inventory.

    Attributes:
        tenant: The tenant that owns it.
        resource_id: Id of its resource.
        target: Address and options of the connection to it.
    """

    tenant: str
    resource_id: str
    target: Target

    @property
    def key(self) -> str:
        """Key that is unique across tenants."""
        return f"{self.tenant}:{self.resource_id}"


class ElementRegistry:
    """The elements of all tenants.

    Attributes:
        senders: Senders whose notifications are accepted.
        elements: The trusted elements by key.
        discoveries: The times of discoveries.
    """

    def __init__(
        self,
        database: MongoDatabase,
        repositories: RepositoryFactory,
        credentials: Credentials,
        policy: AccessPolicy = UNRESTRICTED,
        *,
        relays: Iterable[Network] = (),
    ) -> None:
        """Create an empty registry.

        Args:
            database: Holds the inventory.
            repositories: Give access to the inventory by tenant.
            credentials: The operator's secrets.
            policy: The rules for connections to elements.
            relays: Networks of senders that forward notifications of elements.
        """
        self._policy = policy
        self._database = database
        self._repositories = repositories
        self._credentials = credentials
        self._trusted_elements: dict[str, Element] = {}
        self._ignored = LastingCondition(log, "element ignored", "element no longer ignored")
        self._refused = LastingCondition(
            log,
            "notifications of an element are refused",
            "notifications of an element are accepted again",
        )
        self._without_snmp = LastingCondition(
            log,
            "an element without SNMP credentials sends no notifications",
            "notifications of an element are accepted",
            level=logging.INFO,
        )
        self.senders = SenderRegistry(relays)
        self.discoveries = DiscoveryRecords(database)
        self.elements: Mapping[str, Element] = {}

    def read(self) -> dict[str, Element]:
        """Return the current elements of the inventory by key."""
        return {element.key: element for element in self._iter_elements()}

    def _iter_elements(self) -> Iterator[Element]:
        for tenant in tenants_with_elements(self._database):
            for resource in managed_elements(self._repositories.for_tenant(tenant)):
                id = resource["id"]
                subject = f"{tenant}:{id}"
                try:
                    element = Element(tenant, id, target_of(resource, tenant))
                except Misconfigured as error:
                    cause = str(error)
                    self._ignored.report(subject, cause=cause, resource=id, error=cause)
                else:
                    self._ignored.clear(subject, resource=id)
                    yield element

    def trust(self, elements: Mapping[str, Element]) -> list[Element]:
        """Trust exactly these elements; return those that are new or have changed."""
        changed = [
            element
            for key, element in elements.items()
            if self._trusted_elements.get(key) != element
        ]
        for key in self._trusted_elements.keys() - elements.keys():
            self.senders.unregister(key)
            del self._trusted_elements[key]
        self.elements = elements
        for condition in (self._refused, self._without_snmp):
            condition.forget_others(elements)
        for element in changed:
            self._trust(element)
        return changed

    def _trust(self, element: Element) -> None:
        target = element.target
        try:
            checked, entry = checked_target(target, self._credentials, self._policy)
            host, port = checked.endpoint(0)
            address, *others = (str(answer[4][0]) for answer in socket.getaddrinfo(host, port))
            others += self._further_addresses(target, entry)
            self.senders.register(element.key, address, entry.secret, others)
        except (ElementError, ValueError, OSError) as error:
            condition = self._refused if target.adapter == SNMP else self._without_snmp
            cause = str(error)
            condition.report(element.key, cause=cause, element=target.name, error=cause)
        else:
            self._refused.clear(element.key, element=target.name)
            self._without_snmp.clear(element.key, element=target.name)
            self._trusted_elements[element.key] = element

    def _further_addresses(self, target: Target, entry: CredentialEntry) -> list[str]:
        """Return the addresses that the inventory names as further senders of an element.

        Raises:
            ValueError: One of them is not an address.
            NotPermitted: One of them is not permitted.
        """
        addresses = [ip_address(text) for text in target.options.get(TRAP_ADDRESSES, "").split()]
        for address in addresses:
            if reason := self._policy.denial(address, entry):
                raise NotPermitted(target.name, f"address {address} is {reason}")
        return [str(address) for address in addresses]
