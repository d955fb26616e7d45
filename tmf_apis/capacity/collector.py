"""Prometheus metrics of capacity: highest utilisation, first exhaustion and number of alarms."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pymongo
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from tmf_apis.capacity.records import CAPACITY_COLLECTION
from tmf_apis.store.connection import MongoDatabase

#: Time for which the figures are cached; maximum time of the query; in seconds.
CACHE_AGE, QUERY_TIMEOUT = 15.0, 1.0
_LABELS = ("tenant", "category")
_METRICS = {
    "utilization": ("tmf_capacity_utilization", "Utilisation of the fullest resource"),
    "days": ("tmf_capacity_days_to_exhaustion", "Days until the first resource is exhausted"),
    "alarms": ("tmf_capacity_alarms", "Resources with a capacity alarm"),
}


class CapacityCollector(Collector):
    """Metrics by tenant and category; exports no samples while the database does not answer."""

    def __init__(self, database: MongoDatabase) -> None:
        self._records = database[CAPACITY_COLLECTION]
        self._lock = threading.Lock()
        self._cache: list[dict[str, Any]] = []
        self._cached_at = 0.0

    def describe(self) -> list[Metric]:
        """Return no metrics: registration must not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        groups = self._grouped_records()
        for key, (name, help) in _METRICS.items():
            family = GaugeMetricFamily(name, help, labels=_LABELS)
            for group in groups:
                if group[key] is not None:
                    family.add_metric([group["_id"][label] for label in _LABELS], group[key])
            yield family

    def _grouped_records(self) -> list[dict[str, Any]]:
        with self._lock:
            if self._cached_at and time.monotonic() - self._cached_at < CACHE_AGE:
                return self._cache
            try:
                with pymongo.timeout(QUERY_TIMEOUT):
                    self._cache = list(self._records.aggregate([_GROUP]))
            except PyMongoError:
                self._cache = []
            self._cached_at = time.monotonic()
            return self._cache


_GROUP = {
    "$group": {
        "_id": {label: f"${label}" for label in _LABELS},
        "utilization": {"$max": "$utilization"},
        "days": {"$min": "$daysToExhaustion"},
        "alarms": {"$sum": {"$cond": [{"$ifNull": ["$alarm", False]}, 1, 0]}},
    }
}
