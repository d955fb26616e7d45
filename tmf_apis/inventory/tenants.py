"""Tenants, as the resource inventory knows them."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.inventory.management import MANAGEMENT_ADDRESS
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.model import DELETED_TENANT

_KIND = "Resource"


def tenants_with_resources(database: MongoDatabase) -> list[str]:
    """Return every tenant that has resources, sorted by name."""
    return _tenants(database, {})


def tenants_with_elements(database: MongoDatabase) -> list[str]:
    """Return every tenant that has network elements, sorted by name."""
    return _tenants(database, {"body.resourceCharacteristic.name": MANAGEMENT_ADDRESS})


def _tenants(database: MongoDatabase, query: Mapping[str, Any]) -> list[str]:
    with translate_errors():
        tenants = database[_KIND].distinct("tenant", query)
    return sorted(tenant for tenant in tenants if tenant != DELETED_TENANT)
