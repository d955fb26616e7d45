"""Snapshots of network elements for tests of discovery."""

from datetime import UTC, datetime

from adapters.values import Facts, Inventory, Port, Target
from tmf_apis.reconciliation import snapshots

READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def access_port(number=1):
    """Return an access port "p<number>" that is up."""
    return Port(
        f"p{number}", str(number), "", enabled=True, up=True, speed=10**9, mac="", access=True
    )


def element_snapshot(name="gw", address="192.0.2.1", *, serial="", ports=3, **tables):
    """Return a validated snapshot of an element.

    ``ports`` is a number of access ports or the ports themselves; ``tables`` are further members
    of the inventory (``components``, ``neighbours``).
    """
    facts = Facts(name, "maker", "box", "1.0", serial, 5.0, 1)
    if isinstance(ports, int):
        ports = tuple(access_port(number) for number in range(1, ports + 1))
    inventory = Inventory(facts, ports, READ_AT, **tables)
    return snapshots.validated_snapshot(Target(name, address, "snmp", "lab"), inventory)
