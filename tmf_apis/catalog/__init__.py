"""TMF620, 633 and 634: what catalogues may say, and jobs that carry them in and out."""

from tmf_apis.catalog.export import Query, plain_query
from tmf_apis.catalog.families import FAMILIES, PRODUCTS, RESOURCES, SERVICES, Family
from tmf_apis.catalog.jobs import Accept, as_it_is
from tmf_apis.catalog.laws import room
from tmf_apis.catalog.states import machines
from tmf_apis.settings import Settings

__all__ = [
    "FAMILIES",
    "PRODUCTS",
    "RESOURCES",
    "ROOM",
    "SERVICES",
    "Accept",
    "Family",
    "Query",
    "as_it_is",
    "machines",
    "plain_query",
    "room",
]

#: The room of products as it is without settings of its own.
ROOM = room(Settings())
