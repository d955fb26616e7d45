"""TMF620, TMF633 and TMF634: catalogues of products, services and resources."""

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

__all__ = [
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
