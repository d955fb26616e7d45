"""Which elements report to us, as the inventory says, and what is known of their ports."""

import logging
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adapters.credentials import Credentials
from adapters.errors import Misconfigured
from adapters.traps import Senders
from adapters.values import Target
from tmf_apis.fulfilment.elements import gateways, target_of
from tmf_apis.rest.desk import Desks
from tmf_apis.store.connection import Documents, translated
from tmf_apis.store.model import GONE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the inventory.

    Attributes:
        tenant: Whose it is.
        gateway: Id of its resource.
        target: How it is reached.
    """

    tenant: str
    gateway: str
    target: Target

    @property
    def key(self) -> str:
        """Its name among all tenants' elements."""
        return f"{self.tenant}:{self.gateway}"


class Network:
    """The elements of all tenants, kept in step with the inventory."""

    def __init__(self, database: Documents, desks: Desks, credentials: Credentials) -> None:
        """Take what it looks things up in."""
        self._database = database
        self._desks = desks
        self._credentials = credentials
        self._trusted: dict[str, Element] = {}
        self.senders = Senders()
        self.elements: Mapping[str, Element] = {}

    def read(self) -> dict[str, Element]:
        """Return the elements as the inventory has them now, by key."""
        return {one.key: one for one in self._read()}

    def _read(self) -> Iterator[Element]:
        with translated():
            tenants = self._database["Resource"].distinct("tenant")
        for tenant in tenants:
            if tenant == GONE:
                continue
            for gateway in gateways(self._desks.staff(tenant)):
                try:
                    yield Element(tenant, gateway["id"], target_of(gateway))
                except Misconfigured as error:
                    log.warning("an element cannot be watched: %s", error)

    def trust(self, elements: Mapping[str, Element]) -> list[Element]:
        """Let these elements report, and no others; return those that are new or changed."""
        fresh = [one for key, one in elements.items() if self._trusted.get(key) != one]
        for key in self._trusted.keys() - elements.keys():
            self.senders.forget(key)
            del self._trusted[key]
        self.elements = elements
        for one in fresh:
            self._trust(one)
        return fresh

    def _trust(self, one: Element) -> None:
        target = one.target
        try:
            host, port = target.endpoint(0)
            secret = self._credentials.get(target.credentials, element=target.name)
            address = str(socket.getaddrinfo(host, port)[0][4][0])
            self.senders.trust(one.key, address, secret)
        except (Misconfigured, ValueError, OSError) as error:
            log.warning("notifications are not taken: %s", error, extra={"element": target.name})
        else:
            self._trusted[one.key] = one
