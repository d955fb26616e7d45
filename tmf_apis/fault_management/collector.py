"""How many elements do not answer, for Prometheus; workers write it, any server tells it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pymongo
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from tmf_apis.fault_management.alarm_writer import UNREACHABLE_COLLECTION
from tmf_apis.store.connection import MongoDatabase

#: Longest wait for the database, in seconds.
QUERY_TIMEOUT = 2.0
#: One that is left alone is tried, and noted, more often than this.
STALE_AFTER = timedelta(minutes=5)


class OpenCircuitsCollector(Collector):
    """The figure; left out while the database does not answer."""

    def __init__(self, database: MongoDatabase) -> None:
        self._unreachable = database[UNREACHABLE_COLLECTION]

    def describe(self) -> list[Metric]:
        """Return nothing: what there will be is not looked up in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the figure."""
        try:
            with pymongo.timeout(QUERY_TIMEOUT):
                count = self._unreachable.count_documents(
                    {"at": {"$gt": datetime.now(UTC) - STALE_AFTER}}
                )
        except PyMongoError:
            return
        help = "Elements that do not answer and are left alone"
        yield GaugeMetricFamily("tmf_elements_left_alone", help, value=count)
