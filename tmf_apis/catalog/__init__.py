"""TMF620, 633 and 634: what catalogues may say, and jobs that carry them in and out."""

from tmf_apis.catalog.definitions import (
    CATALOG_DEFINITIONS,
    PRODUCT_CATALOG,
    RESOURCE_CATALOG,
    SERVICE_CATALOG,
    CatalogDefinition,
)
from tmf_apis.catalog.export import QueryBuilder, attribute_query
from tmf_apis.catalog.jobs import ImportValidator, skip_validation
from tmf_apis.catalog.policies import api_module
from tmf_apis.catalog.states import state_machines
from tmf_apis.settings import Settings

__all__ = [
    "API_MODULE",
    "CATALOG_DEFINITIONS",
    "PRODUCT_CATALOG",
    "RESOURCE_CATALOG",
    "SERVICE_CATALOG",
    "CatalogDefinition",
    "ImportValidator",
    "QueryBuilder",
    "api_module",
    "attribute_query",
    "skip_validation",
    "state_machines",
]

#: The room of products as it is without settings of its own.
API_MODULE = api_module(Settings())
