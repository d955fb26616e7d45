"""The ends of links: neighbours as they announce themselves, matched with the inventory."""

import pytest

from tmf_apis.inventory.characteristics import with_characteristics
from tmf_apis.reconciliation.neighbour_matching import ElementFinder, PortFinder, short_name


def element(id, name, serial="", **values):
    resource = {"id": id, "name": name, "serialNumber": serial}
    return with_characteristics(resource, {"managementAddress": "192.0.2.9", **values})


def port(id, element_id, **values):
    inside = {"relationshipType": "isContainedIn", "resource": {"id": element_id}}
    return with_characteristics({"id": id, "resourceRelationship": [inside]}, values)


MAC = "02:00:00:00:00:0a"
ELEMENTS = [
    element("1", "core-1", chassisId="02:00:00:00:00:01", managementAddress="192.0.2.1:161"),
    element("2", "core-2.example.net", chassisId="shelf 7", managementAddress="192.0.2.2"),
    element("3", "twin", "S3", systemName="twin.south.example.net"),
    element("4", "twin", "S4", systemName="twin.north.example.net"),
]
PORTS = [port("p", "1", macAddress=MAC)]


@pytest.mark.parametrize(
    ("neighbour", "expected"),
    [
        ({"system": "core-1"}, "1"),
        ({"system": "Core-1.Example.NET."}, "1"),
        ({"system": "core-2"}, "2"),
        ({"system": "core-2.example.net"}, "2"),
        ({"system": "core-2.elsewhere.net"}, "2"),
        ({"chassis": "02-00-00-00-00-01"}, "1"),
        ({"chassis": "0200.0000.000a"}, "1"),
        ({"chassis": "Shelf 7"}, "2"),
        ({"chassis": "192.0.2.2"}, "2"),
        ({"chassis": "192.0.2.1"}, "1"),
        ({"chassis": "S4"}, "4"),
        ({"system": "twin"}, ""),
        ({"system": "twin", "chassis": "S3"}, "3"),
        ({"system": "twin.north.example.net"}, "4"),
        ({"system": "twin.east.example.net"}, ""),
        ({"system": "unknown", "chassis": MAC}, "1"),
        ({"system": "10.1.2.3"}, ""),
        ({}, ""),
    ],
)
def test_an_element_is_found_by_chassis_and_by_name_with_and_without_domain(neighbour, expected):
    assert ElementFinder(ELEMENTS, PORTS).find(neighbour) == expected


FAR_PORTS = [
    port("a", "1", portName="ge-0/0/0", portIndex="513", portAlias="to edge 7",
         macAddress=MAC, ipAddress="198.51.100.1/30, 2001:db8::1"),
    port("b", "1", portName="Gi0/1", portDescription="GigabitEthernet0/1", portIndex="10101"),
    port("c", "1", portName="7", portIndex="107"),
    port("d", "1", portName="gone", portAlias="old", missingSince="2026-01-01T00:00:00Z"),
    port("e", "2", portName="Gi0/1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("neighbour", "expected"),
    [
        ({"port": "Gi0/1"}, "b"),
        ({"port": "GigabitEthernet0/1"}, "b"),
        ({"port": "02:00:00:00:00:0A"}, "a"),
        ({"port": "198.51.100.1"}, "a"),
        ({"port": "2001:db8::1"}, "a"),
        ({"port": "to edge 7"}, "a"),
        ({"port": "513"}, "a"),
        ({"port": "7"}, "c"),
        ({"port": "513", "description": "GigabitEthernet0/1"}, "b"),
        ({"port": "whatever", "description": "ge-0/0/0"}, "a"),
        ({"port": "whatever", "description": "to edge 7"}, "a"),
        ({"port": "gone"}, ""),
        ({"port": "old"}, ""),
        ({"port": "whatever"}, ""),
        ({}, ""),
    ],
)
def test_a_port_is_found_by_each_kind_of_identifier_and_by_description(neighbour, expected):
    assert PortFinder(FAR_PORTS).find("1", neighbour) == expected


def test_a_name_that_is_only_a_domain_is_kept():
    assert short_name(".example") == ".example"
