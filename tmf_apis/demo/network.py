"""Network of the demo operator (TMF639): a hundred resources at each site.

The elements of this network do not exist. They have no management address, so that orders use
elements that answer.
"""

from datetime import datetime
from random import Random
from typing import Any

from tmf_apis.demo.builders import characteristic, reference, time_before
from tmf_apis.demo.offers import OFFERS_BY_ID
from tmf_apis.demo.orders import Sale
from tmf_apis.demo.sites import Site
from tmf_apis.demo.technical_catalogs import specification_of
from tmf_apis.inventory.relationships import INVERSE_TYPES
from tmf_apis.rest.pipeline.policy import Resource

CARDS_PER_CHASSIS = 4
PORTS_PER_CARD = 16
PORTS_PER_GATEWAY = 16
_MAC_FORMAT = "02:4c:4e:{:02x}:{:02x}:{:02x}"


class Network:
    """The resources by id, in the order in which they are built."""

    def __init__(self, now: datetime, random: Random) -> None:
        self._now, self._random = now, random
        self.resources: dict[str, Resource] = {}
        #: Id of the access port that carries a product, by id of the product.
        self.port_by_product: dict[str, str] = {}

    def build(self, sites: list[Site], sales: list[Sale]) -> None:
        """Build the sites, assign the services to ports, and connect the sites by cables."""
        for site in sites:
            self._add_site(site)
            site_sales = [sale for sale in sales if sale.customer.town_index == site.number - 1]
            for port, sale in zip(self._access_ports(site), site_sales, strict=False):
                self._assign_port(port, sale)
        for site, next_site in zip(sites, [*sites[1:], sites[0]], strict=True):
            self._add_cable(site, next_site)

    def add_resource(  # noqa: PLR0913
        self,
        site: Site,
        id: str,
        name: str,
        category: str,
        container: str = "",
        *,
        physical: bool = True,
        **attributes: Any,  # noqa: ANN401
    ) -> Resource:
        """Add a resource, contained in another one if a container is given."""
        resource: Resource = {
            "@type": "PhysicalResource" if physical else "LogicalResource",
            "id": id,
            "name": name,
            "category": category,
            "administrativeState": "unlocked",
            "operationalState": "enabled",
            "usageState": "active",
            "resourceStatus": "available",
            "resourceVersion": "1.0",
            "startOperatingDate": time_before(self._now, days=700),
            "place": [{"@type": "RelatedPlaceRef", "role": "site", "place": site.reference}],
            "resourceSpecification": _specification_ref(category),
            **attributes,
        }
        if physical:
            number = f"LN{len(self.resources) + 1:06}"
            resource |= {
                "serialNumber": number,
                "manufactureDate": time_before(self._now, days=900),
            }
        self.resources[id] = resource
        if container:
            self.relate(id, "isContainedIn", container)
        return resource

    def relate(self, first: str, relationship: str, second: str) -> None:
        """Add a relationship from the first to the second resource, and its inverse."""
        for id, type_, target in (
            (first, relationship, second),
            (second, INVERSE_TYPES[relationship], first),
        ):
            other = self.resources[target]
            self.resources[id].setdefault("resourceRelationship", []).append(
                {
                    "@type": "ResourceRelationship",
                    "relationshipType": type_,
                    "resource": reference(
                        "ResourceRef", target, other["name"], other["@type"],
                        href=f"/tmf-api/resourceInventoryManagement/v5/resource/{target}",
                    ),
                }
            )  # fmt: skip

    def _add_site(self, site: Site) -> None:
        site_id = site.id
        self.add_resource(
            site, site_id, f"{site.name} exchange", "site", description="Building with equipment"
        )
        rack = f"{site_id}-rack"
        self.add_resource(site, rack, f"{site.code} rack 1", "rack", site_id)
        chassis = f"{site_id}-olt"
        self.add_resource(
            site,
            chassis,
            f"{site.code} OLT",
            "chassis",
            rack,
            powerState="Full Power Applied",
            versionNumber="7.2",
            resourceCharacteristic=[
                characteristic("model", "Larkspur OLT-64"),
                characteristic("slots", CARDS_PER_CHASSIS),
                characteristic("loopbackAddress", f"192.0.2.{site.number}"),
            ],
        )
        for card in range(1, CARDS_PER_CHASSIS + 1):
            self._add_card(site, chassis, card)
        self._add_gateway(site, rack, chassis)
        self._add_addresses(site)
        for vlan in range(1, 7):
            id = f"{site_id}-vlan-{100 + vlan}"
            self.add_resource(
                site, id, f"{site.code} VLAN {100 + vlan}", "vlan", physical=False,
                value=str(100 + vlan),
            )  # fmt: skip
            self.relate(chassis, "hosts", id)

    def _add_card(self, site: Site, chassis: str, card: int) -> None:
        id = f"{chassis}-card-{card}"
        self.add_resource(site, id, f"{site.code} OLT card {card}", "card", chassis,
                 resourceCharacteristic=[characteristic("slot", card)])  # fmt: skip
        for port in range(1, PORTS_PER_CARD + 1):
            used = self._random.random() < 0.7  # noqa: PLR2004 - share of ports in use
            mac = _MAC_FORMAT.format(site.number, card, port)
            self.add_resource(
                site, f"{id}-port-{port:02}", f"{site.code} OLT {card}/{port}", "ponPort", id,
                usageState="active" if used else "idle",
                resourceStatus="reserved" if used else "available",
                resourceCharacteristic=[
                    characteristic("portName", f"pon{card}/{port}"),
                    characteristic("macAddress", mac), characteristic("speed", 2500),
                ],
            )  # fmt: skip

    def _add_gateway(self, site: Site, rack: str, chassis: str) -> None:
        id = f"{site.id}-gateway"
        self.add_resource(
            site, id, f"{site.code} gateway", "accessGateway", rack,
            resourceCharacteristic=[
                characteristic("vendor", "Larkspur"), characteristic("model", "Edge 16"),
                characteristic("software", "4.1.3"),
            ],
        )  # fmt: skip
        self.relate(id, "connectsTo", f"{chassis}-card-1-port-01")
        for port in range(1, PORTS_PER_GATEWAY + 1):
            self.add_resource(
                site, f"{id}-port-{port:02}", f"{site.code} gateway ge{port}", "accessPort", id,
                usageState="idle", allocationStatus="free",
                resourceCharacteristic=[
                    characteristic("portName", f"ge{port}"),
                    characteristic("macAddress", _MAC_FORMAT.format(site.number, 0xF0, port)),
                    characteristic("speed", 1000),
                ],
            )  # fmt: skip

    def _add_addresses(self, site: Site) -> None:
        pool = f"{site.id}-pool"
        value = f"2001:db8:{site.number:x}::/48"
        self.add_resource(
            site,
            pool,
            f"{site.code} addresses",
            "addressPool",
            site.id,
            physical=False,
            value=value,
        )
        self.relate(f"{site.id}-gateway", "uses", pool)
        for number in range(4):
            subnet = f"2001:db8:{site.number:x}:{number:x}::/64"
            self.add_resource(
                site,
                f"{pool}-{number}",
                f"{site.code} subnet {number}",
                "subnet",
                pool,
                physical=False,
                value=subnet,
            )

    def _access_ports(self, site: Site) -> list[str]:
        """Return the ports of a site's gateway that are assigned; the last three stay free."""
        return [f"{site.id}-gateway-port-{port:02}" for port in range(1, PORTS_PER_GATEWAY - 2)]

    def _assign_port(self, port: str, sale: Sale) -> None:
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
                    "id": sale.product_id,
                    "owner": "tmf-apis",
                }
            ],
            "resourceCharacteristic": [
                *resource["resourceCharacteristic"],
                characteristic("serviceId", sale.product_id),
                characteristic("orderedBy", f"{sale.order_id}/{sale.item_number}"),
                *(characteristic(name, value) for name, value in speeds),
            ],
        }
        self.port_by_product[sale.product_id] = port

    def _add_cable(self, site: Site, next_site: Site) -> None:
        id = f"{site.id}-cable"
        values = {"length": 7 + site.number * 3, "fibres": 48}
        characteristics = [characteristic(name, value) for name, value in values.items()]
        self.add_resource(
            site,
            id,
            f"{site.code} to {next_site.code}",
            "cable",
            resourceCharacteristic=characteristics,
        )
        self.relate(id, "connectsTo", f"{site.id}-olt")
        self.relate(id, "connectsTo", f"{next_site.id}-olt")


def _speed(sale: Sale, name: str) -> int:
    return int(access_values(sale).get(name, 0))


def access_values(sale: Sale) -> dict[str, Any]:
    """Return the characteristic values of the access of a sale, also in a bundle; empty: none."""
    for offer in (sale.offer, *(OFFERS_BY_ID[part] for part in sale.offer.component_ids)):
        if "serviceType" in offer.characteristic_values:
            return dict(offer.characteristic_values)
    return {}


def _specification_ref(category: str) -> Resource:
    id, name = specification_of(category)
    return reference(
        "ResourceSpecificationRef", id, name, "ResourceSpecification", version="1.0",
        href=f"/tmf-api/resourceCatalog/v4/resourceSpecification/{id}",
    )  # fmt: skip


def build_network(sites: list[Site], sales: list[Sale], random: Random, now: datetime) -> Network:
    """Return the network that carries the services of sales."""
    network = Network(now, random)
    network.build(sites, sales)
    return network
