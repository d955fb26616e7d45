"""Bulk load: resources from files into the database, thousands a second, as often as need be."""

from tmf_apis.bulk_load.loader import Loader, LoadResult
from tmf_apis.bulk_load.resource_types import TypeResolver

__all__ = ["LoadResult", "Loader", "TypeResolver"]
