"""The demo operator's network: TMF639 resources, a hundred at each site, tied on both sides.

The elements of the demo are on paper: none has a management address, so that orders that are
placed go to elements that answer.
"""

from datetime import datetime
from random import Random
from typing import Any

from tmf_apis.demo.offers import BY_ID
from tmf_apis.demo.orders import Sale
from tmf_apis.demo.parts import before, characteristic, reference
from tmf_apis.demo.sites import Site
from tmf_apis.demo.technical import specification_of
from tmf_apis.inventory.relationships import INVERSE
from tmf_apis.rest.law import Resource

CARDS = 4
PORTS_OF_CARD = 16
ACCESS_PORTS = 16
_MAC = "02:4c:4e:{:02x}:{:02x}:{:02x}"


class Network:
    """Resources by id, in the order in which they were built."""

    def __init__(self, now: datetime, random: Random) -> None:
        self._now, self._random = now, random
        self.resources: dict[str, Resource] = {}
        #: From the id of a sale's product to that of the access port that carries it.
        self.port_of: dict[str, str] = {}

    def build(self, sites: list[Site], sales: list[Sale]) -> None:
        """Build every site, put the services on ports, and lay the cables between the sites."""
        for site in sites:
            self._site(site)
            here = [one for one in sales if one.customer.town == site.number - 1]
            for port, sale in zip(self._access_ports(site), here, strict=False):
                self._carry(port, sale)
        for site, following in zip(sites, [*sites[1:], sites[0]], strict=True):
            self._cable(site, following)

    def add(  # noqa: PLR0913
        self,
        site: Site,
        id: str,
        name: str,
        category: str,
        inside: str = "",
        *,
        physical: bool = True,
        **more: Any,  # noqa: ANN401
    ) -> Resource:
        """Add a resource, inside another."""
        made: Resource = {
            "@type": "PhysicalResource" if physical else "LogicalResource",
            "id": id,
            "name": name,
            "category": category,
            "administrativeState": "unlocked",
            "operationalState": "enabled",
            "usageState": "active",
            "resourceStatus": "available",
            "resourceVersion": "1.0",
            "startOperatingDate": before(self._now, days=700),
            "place": [{"@type": "RelatedPlaceRef", "role": "site", "place": site.reference}],
            "resourceSpecification": _specification(category),
            **more,
        }
        if physical:
            number = f"LN{len(self.resources) + 1:06}"
            made |= {"serialNumber": number, "manufactureDate": before(self._now, days=900)}
        self.resources[id] = made
        if inside:
            self.relate(id, "isContainedIn", inside)
        return made

    def relate(self, one: str, relationship: str, other: str) -> None:
        """Relate two resources, and the second to the first by the inverse."""
        for id, type_, target in ((one, relationship, other), (other, INVERSE[relationship], one)):
            there = self.resources[target]
            self.resources[id].setdefault("resourceRelationship", []).append(
                {
                    "@type": "ResourceRelationship",
                    "relationshipType": type_,
                    "resource": reference(
                        "ResourceRef", target, there["name"], there["@type"],
                        href=f"/tmf-api/resourceInventoryManagement/v5/resource/{target}",
                    ),
                }
            )  # fmt: skip

    def _site(self, site: Site) -> None:
        at = site.id
        self.add(site, at, f"{site.name} exchange", "site", description="Building with equipment")
        rack = f"{at}-rack"
        self.add(site, rack, f"{site.code} rack 1", "rack", at)
        chassis = f"{at}-olt"
        self.add(
            site, chassis, f"{site.code} OLT", "chassis", rack,
            powerState="Full Power Applied", versionNumber="7.2",
            resourceCharacteristic=[
                characteristic("model", "Larkspur OLT-64"), characteristic("slots", CARDS),
                characteristic("loopbackAddress", f"192.0.2.{site.number}"),
            ],
        )  # fmt: skip
        for card in range(1, CARDS + 1):
            self._card(site, chassis, card)
        self._gateway(site, rack, chassis)
        self._addresses(site)
        for vlan in range(1, 7):
            id = f"{at}-vlan-{100 + vlan}"
            self.add(
                site, id, f"{site.code} VLAN {100 + vlan}", "vlan", physical=False,
                value=str(100 + vlan),
            )  # fmt: skip
            self.relate(chassis, "hosts", id)

    def _card(self, site: Site, chassis: str, card: int) -> None:
        id = f"{chassis}-card-{card}"
        self.add(site, id, f"{site.code} OLT card {card}", "card", chassis,
                 resourceCharacteristic=[characteristic("slot", card)])  # fmt: skip
        for port in range(1, PORTS_OF_CARD + 1):
            used = self._random.random() < 0.7  # noqa: PLR2004 - share of ports in use
            mac = _MAC.format(site.number, card, port)
            self.add(
                site, f"{id}-port-{port:02}", f"{site.code} OLT {card}/{port}", "ponPort", id,
                usageState="active" if used else "idle",
                resourceStatus="reserved" if used else "available",
                resourceCharacteristic=[
                    characteristic("portName", f"pon{card}/{port}"),
                    characteristic("macAddress", mac), characteristic("speed", 2500),
                ],
            )  # fmt: skip

    def _gateway(self, site: Site, rack: str, chassis: str) -> None:
        id = f"{site.id}-gateway"
        self.add(
            site, id, f"{site.code} gateway", "accessGateway", rack,
            resourceCharacteristic=[
                characteristic("vendor", "Larkspur"), characteristic("model", "Edge 16"),
                characteristic("software", "4.1.3"),
            ],
        )  # fmt: skip
        self.relate(id, "connectsTo", f"{chassis}-card-1-port-01")
        for port in range(1, ACCESS_PORTS + 1):
            self.add(
                site, f"{id}-port-{port:02}", f"{site.code} gateway ge{port}", "accessPort", id,
                usageState="idle", allocationStatus="free",
                resourceCharacteristic=[
                    characteristic("portName", f"ge{port}"),
                    characteristic("macAddress", _MAC.format(site.number, 0xF0, port)),
                    characteristic("speed", 1000),
                ],
            )  # fmt: skip

    def _addresses(self, site: Site) -> None:
        pool = f"{site.id}-pool"
        value = f"2001:db8:{site.number:x}::/48"
        self.add(site, pool, f"{site.code} addresses", "addressPool", site.id, physical=False,
                 value=value)  # fmt: skip
        self.relate(f"{site.id}-gateway", "uses", pool)
        for number in range(4):
            subnet = f"2001:db8:{site.number:x}:{number:x}::/64"
            self.add(site, f"{pool}-{number}", f"{site.code} subnet {number}", "subnet", pool,
                     physical=False, value=subnet)  # fmt: skip

    def _access_ports(self, site: Site) -> list[str]:
        """Return the ports of a site's gateway; the last few stay free."""
        return [f"{site.id}-gateway-port-{port:02}" for port in range(1, ACCESS_PORTS - 2)]

    def _carry(self, port: str, sale: Sale) -> None:
        resource = self.resources[port]
        speeds = [("downstreamSpeed", _speed(sale, "downstreamSpeed")),
                  ("upstreamSpeed", _speed(sale, "upstreamSpeed"))]  # fmt: skip
        resource |= {
            "usageState": "active",
            "allocationStatus": "allocated",
            "resourceStatus": "reserved",
            "externalIdentifier": [
                {
                    "@type": "ExternalIdentifier",
                    "externalIdentifierType": "service",
                    "id": sale.product,
                    "owner": "tmf-apis",
                }
            ],
            "resourceCharacteristic": [
                *resource["resourceCharacteristic"],
                characteristic("serviceId", sale.product),
                characteristic("orderedBy", f"{sale.order}/{sale.item}"),
                *(characteristic(name, value) for name, value in speeds),
            ],
        }
        self.port_of[sale.product] = port

    def _cable(self, site: Site, following: Site) -> None:
        id = f"{site.id}-cable"
        name = f"{site.code} to {following.code}"
        facts = {"length": 7 + site.number * 3, "fibres": 48}
        described = [characteristic(*fact) for fact in facts.items()]
        self.add(site, id, name, "cable", resourceCharacteristic=described)
        self.relate(id, "connectsTo", f"{site.id}-olt")
        self.relate(id, "connectsTo", f"{following.id}-olt")


def _speed(sale: Sale, name: str) -> int:
    return int(access(sale).get(name, 0))


def access(sale: Sale) -> dict[str, Any]:
    """Return the values of the access that a sale has, a bundle's parts included; or none."""
    for offer in (sale.offer, *(BY_ID[part] for part in sale.offer.parts)):
        if "serviceType" in offer.values:
            return dict(offer.values)
    return {}


def _specification(category: str) -> Resource:
    id, name = specification_of(category)
    return reference(
        "ResourceSpecificationRef", id, name, "ResourceSpecification", version="1.0",
        href=f"/tmf-api/resourceCatalog/v4/resourceSpecification/{id}",
    )  # fmt: skip


def build(sites: list[Site], sales: list[Sale], random: Random, now: datetime) -> Network:
    """Return the network with the services of these sales on it."""
    made = Network(now, random)
    made.build(sites, sales)
    return made
