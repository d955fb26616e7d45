"""Bulk load: thousands of resources per second from files into the database; safe to repeat."""

from tmf_apis.bulk_load.loader import Loader, LoadResult
from tmf_apis.bulk_load.resource_types import TypeResolver

__all__ = ["LoadResult", "Loader", "TypeResolver"]
