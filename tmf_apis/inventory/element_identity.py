"""The identity of an element: is it the one that discovery has found at its address?"""

from collections.abc import Mapping
from typing import Any

from adapters.base import Adapter
from adapters.errors import ElementError, Rejected
from adapters.values import Facts
from tmf_apis.inventory.characteristics import resource_characteristics


class WrongElement(ElementError):
    """Another element answers at the address: it must not be configured before a person decides."""


async def check_identity(adapter: Adapter, element: Mapping[str, Any]) -> None:
    """Check that an element is the one in the inventory.

    Args:
        adapter: The open adapter of the element.
        element: The resource of the element.

    Raises:
        WrongElement: Its serial number, or else its system name, is another one.
        ElementError: The element does not answer.
    """
    serial, name = recorded_identity(element)
    if not serial and not name:
        return
    try:
        facts = await adapter.probe()
    except Rejected:  # it does not disclose its identity
        return
    if difference := identity_difference(element, facts):
        message = f"another element is at its address: {difference}; discover it again, or decide"
        raise WrongElement(adapter.target.name, message)


def recorded_identity(element: Mapping[str, Any]) -> tuple[str, str]:
    """Return the serial number and the system name that discovery has recorded; may be empty."""
    name = resource_characteristics(element).get("systemName")
    return str(element.get("serialNumber") or ""), str(name or "")


def identity_difference(element: Mapping[str, Any], facts: Facts) -> str:
    """Return how facts contradict the identity in the inventory; empty: they do not.

    The system name counts only where one of the two has no serial number: people change it.

    >>> facts = Facts("gw", "", "", "", "S-2", 0.0, 0)
    >>> identity_difference({"serialNumber": "S-1"}, facts)
    'its serial number is S-2 instead of S-1'
    >>> identity_difference({"serialNumber": "S-2"}, facts)
    ''
    """
    serial, name = recorded_identity(element)
    if serial and facts.serial.strip():
        if facts.serial.strip() == serial:
            return ""
        return f"its serial number is {facts.serial.strip()} instead of {serial}"
    if name and facts.name.strip() and facts.name.strip() != name:
        return f"its name is {facts.name.strip()} instead of {name}"
    return ""
