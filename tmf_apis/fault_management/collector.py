"""Prometheus metrics of unreachable elements and of notifications.

Workers record them, and every server exports them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pymongo
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from tmf_apis.fault_management.alarm_writer import UNREACHABLE_COLLECTION
from tmf_apis.fault_management.message_records import COUNTS_COLLECTION
from tmf_apis.store.connection import MongoDatabase

#: Maximum time to wait for the database, in seconds.
QUERY_TIMEOUT = 2.0
#: Age after which a record is ignored. Workers retry an unreachable element, and renew its record,
#: more often than this.
STALE_AFTER = timedelta(minutes=5)
#: Name of the metric, and its former name, which is exported until the next release.
METRIC, DEPRECATED_METRIC = "tmf_elements_unreachable", "tmf_elements_left_alone"
_HELP = "Elements that do not answer"


class UnreachableElementsCollector(Collector):
    """Counts the unreachable elements; exports nothing while the database does not answer."""

    def __init__(self, database: MongoDatabase) -> None:
        self._unreachable = database[UNREACHABLE_COLLECTION]

    def describe(self) -> list[Metric]:
        """Return no metrics: registration must not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the number of unreachable elements under both names of the metric."""
        try:
            with pymongo.timeout(QUERY_TIMEOUT):
                count = self._unreachable.count_documents(
                    {"at": {"$gt": datetime.now(UTC) - STALE_AFTER}}
                )
        except PyMongoError:
            return
        yield GaugeMetricFamily(METRIC, _HELP, value=count)
        deprecation = f"Deprecated: use {METRIC}. {_HELP}"
        yield GaugeMetricFamily(DEPRECATED_METRIC, deprecation, value=count)


class NotificationsCollector(Collector):
    """Counts datagrams by their outcome; exports nothing while the database does not answer."""

    def __init__(self, database: MongoDatabase) -> None:
        self._counts = database[COUNTS_COLLECTION]

    def describe(self) -> list[Metric]:
        """Return no metrics: registration must not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the number of datagrams by outcome and reason."""
        try:
            with pymongo.timeout(QUERY_TIMEOUT):
                rows = list(self._counts.find())
        except PyMongoError:
            return
        metric = CounterMetricFamily(
            "tmf_notifications",
            "SNMP notifications and other datagrams at the address for them",
            labels=("outcome", "reason"),
        )
        for row in rows:
            metric.add_metric((row["outcome"], row["reason"]), row["count"])
        yield metric
