"""Which element an engineer means: one of the inventory, or one that is described on the spot."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import click

from adapters.values import Target
from tmf_apis.elements.leasing import Leasing
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.elements import target_of
from tmf_apis.loading.command import engine
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.settings import Settings

#: Most resources of one name that are told.
SEVERAL = 10


@dataclass(frozen=True, slots=True)
class Meant:
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
def element(settings: Settings, meant: Meant) -> Iterator[tuple[Target, Leasing | None]]:
    """Give the element, and what keeps workers away from it while it is changed.

    Raises:
        ClickException: There is none, or more than one, or it cannot be reached by what is known.
        CannotStart: There is no database to be had.
    """
    if bool(meant.id) == bool(meant.address):
        raise click.UsageError("name the element by its id or name, or by --address")
    if meant.address:
        yield _described(meant), None
        return
    where = replace(settings, auth="off", mongodb_uri=meant.uri or settings.mongodb_uri)
    with engine(where) as made:
        desk = Desks(made.writes, "engineer").staff(meant.tenant or settings.default_tenant)
        yield target_of(_one(desk, meant.id)), Leasing(made.database)


def _described(meant: Meant) -> Target:
    options = {}
    for text in meant.options:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--option {text}: expected NAME=VALUE")
        options[name] = value
    return Target(meant.address, meant.address, meant.adapter, meant.credentials, options)


def _one(desk: Desk, id: str) -> Resource:
    found = desk.find("Resource", {"$or": [{"id": id}, {"name": id}]}, limit=SEVERAL)
    reached = [one for one in found if of_resource(one).get("managementAddress")]
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
