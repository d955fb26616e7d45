"""The resources that an item of an order requests by name, and which service gets each; pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tmf_apis.fulfilment.design.catalog import InstalledService


class RequestedResources:
    """Assigns the requested resources to the services of a product, each once.

    A service keeps a resource that it has already: to name it is no request for another one. The
    others go to the services in the order in which they ask.
    """

    def __init__(
        self, identifiers: Mapping[str, Any], services: Iterable[InstalledService]
    ) -> None:
        """Find the services that have requested resources.

        Args:
            identifiers: From categories to ids, names or values: one, or a list.
            services: The services of the product that are in operation.
        """
        self._open = {category: _texts(value) for category, value in identifiers.items()}
        self._own: dict[tuple[str, str], list[str]] = {}
        for service in services:
            for category, names in _names_by_category(service, self._open):
                requested = self._open[category]
                if own := next((name for name in requested if name in names), ""):
                    requested.remove(own)
                    self._own.setdefault((service.id, category), []).append(own)

    def take(self, category: str, service: str) -> str:
        """Return the resource of a category that a service gets next; empty: any.

        Args:
            category: The category.
            service: Id of the service if it is in operation; otherwise empty.
        """
        names = self._own.get((service, category)) or self._open.get(category)
        return names.pop(0) if names else ""


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if each not in (None, "")]


def _names_by_category(
    service: InstalledService, categories: Iterable[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the names of each resource of a service, by the categories that are asked for."""
    for category in categories:
        if service.carrier is None or service.carrier.category == category:
            yield category, service.carrier_names
        for resource in service.resources:
            if resource.category == category:
                yield category, resource.names
