"""Selection of an element: from the inventory, or by an address on the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import click

from adapters.values import Target
from tmf_apis.bulk_load.command import open_engine
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import target_of
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

#: Number of resources with the same name that are listed.
MAX_MATCHES = 10


@dataclass(frozen=True, slots=True)
class ElementSelector:
    """The options of the command line that select an element.

    Attributes:
        id: Id or name in the inventory; empty: the element is given by ``address``.
        address: Host, with ":port" if it is not the default port.
        adapter: Name of the adapter.
        credentials: Name of the credentials.
        options: Options of the adapter, each as "name=value".
        uri: MongoDB URI of the inventory; empty: that of the settings.
        tenant: Tenant of the inventory; empty: the default tenant.
    """

    id: str = ""
    address: str = ""
    adapter: str = "snmp"
    credentials: str = ""
    options: tuple[str, ...] = field(default=())
    uri: str = ""
    tenant: str = ""


@contextmanager
def select_element(
    settings: Settings, selector: ElementSelector
) -> Iterator[tuple[Target, ElementLeases | None]]:
    """Yield the target, and the leases that exclude workers during a change.

    Raises:
        ClickException: There is not exactly one such element, or it has no address.
        CannotStart: The database cannot be opened.
    """
    if bool(selector.id) == bool(selector.address):
        raise click.UsageError("give either the id or name of an element, or --address")
    if selector.address:
        yield _target_from_options(selector), None
        return
    settings = replace(settings, auth="off", mongodb_uri=selector.uri or settings.mongodb_uri)
    with open_engine(settings) as engine:
        repository = RepositoryFactory(engine.writer, "engineer").for_tenant(
            selector.tenant or settings.default_tenant
        )
        element = _find_element(repository, selector.id)
        yield target_of(element, repository.tenant), ElementLeases(engine.database)


def _target_from_options(selector: ElementSelector) -> Target:
    options = {}
    for text in selector.options:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--option {text}: expected NAME=VALUE")
        options[name] = value
    return Target(
        selector.address, selector.address, selector.adapter, selector.credentials, options
    )


def _find_element(repository: Repository, id: str) -> Resource:
    network = repository.for_network(None)  # what a party created is not an element
    resources = network.find("Resource", {"$or": [{"id": id}, {"name": id}]}, limit=MAX_MATCHES)
    elements = [
        resource
        for resource in resources
        if resource_characteristics(resource).get("managementAddress")
    ]
    if len(elements) == 1:
        return elements[0]
    if len(elements) > 1:
        ids = ", ".join(str(element["id"]) for element in elements)
        raise click.ClickException(f"{len(elements)} elements are called {id}; use an id: {ids}")
    if resources:
        raise click.ClickException(
            f"{id} is in the inventory, but has no managementAddress; use --address"
        )
    raise click.ClickException(f"no element {id} in the inventory; use --address for others")
