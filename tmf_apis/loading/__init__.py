"""Bulk load: resources from files into the database, thousands a second, as often as need be."""

from tmf_apis.loading.loader import Loader, Outcome
from tmf_apis.loading.types import Types

__all__ = ["Loader", "Outcome", "Types"]
