"""Which element an engineer means: one of the inventory, or one that is described on the spot."""

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

#: Most resources of one name that are told.
MAX_MATCHES = 10


@dataclass(frozen=True, slots=True)
class ElementSelector:
    """What the command line says of the element.

    Attributes:
        id: Id or name in the inventory; empty: ``address`` says where it is.
        address: Host, with ":port" where it is not the usual one.
        adapter: Name of the adapter.
        credentials: Name of the credentials.
        options: Options of the adapter, each as "name=value".
        uri: MongoDB of the inventory; empty: that of the settings.
        tenant: Whose inventory; empty: the default tenant's.
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
    """Give the element, and what keeps workers away from it while it is changed.

    Raises:
        ClickException: There is none, or more than one, or it cannot be reached by what is known.
        CannotStart: There is no database to be had.
    """
    if bool(selector.id) == bool(selector.address):
        raise click.UsageError("name the element by its id or name, or by --address")
    if selector.address:
        yield _target_from_options(selector), None
        return
    where = replace(settings, auth="off", mongodb_uri=selector.uri or settings.mongodb_uri)
    with open_engine(where) as made:
        desk = RepositoryFactory(made.writer, "engineer").for_tenant(
            selector.tenant or settings.default_tenant
        )
        yield target_of(_find_element(desk, selector.id)), ElementLeases(made.database)


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
    found = repository.find("Resource", {"$or": [{"id": id}, {"name": id}]}, limit=MAX_MATCHES)
    reached = [one for one in found if resource_characteristics(one).get("managementAddress")]
    if len(reached) == 1:
        return reached[0]
    if len(reached) > 1:
        ids = ", ".join(str(one["id"]) for one in reached)
        raise click.ClickException(f"{len(reached)} elements are called {id}; say which: {ids}")
    if found:
        raise click.ClickException(
            f"{id} is in the inventory and has no managementAddress: it is no element, or give"
            " --address"
        )
    raise click.ClickException(f"no element {id} in the inventory; or give --address")
