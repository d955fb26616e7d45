"""TMF620 Product Catalog: what catalogue entities may be, and jobs that carry them in and out."""

from tmf_apis.catalog.export import Query, plain_query
from tmf_apis.catalog.jobs import Accept, as_it_is
from tmf_apis.catalog.laws import room
from tmf_apis.catalog.states import machines
from tmf_apis.settings import Settings

__all__ = ["ROOM", "Accept", "Query", "as_it_is", "machines", "plain_query", "room"]

#: The room as it is without settings of its own.
ROOM = room(Settings())
