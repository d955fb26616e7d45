"""How many elements do not answer, for Prometheus; workers write it, any server tells it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pymongo
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from tmf_apis.assurance.watching import SILENT
from tmf_apis.store.connection import Documents

#: Longest wait for the database, in seconds.
LONGEST = 2.0
#: One that is left alone is tried, and noted, more often than this.
LASTS = timedelta(minutes=5)


class LeftAlone(Collector):
    """The figure; left out while the database does not answer."""

    def __init__(self, database: Documents) -> None:
        self._silent = database[SILENT]

    def describe(self) -> list[Metric]:
        """Return nothing: what there will be is not looked up in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the figure."""
        try:
            with pymongo.timeout(LONGEST):
                count = self._silent.count_documents({"at": {"$gt": datetime.now(UTC) - LASTS}})
        except PyMongoError:
            return
        help = "Elements that do not answer and are left alone"
        yield GaugeMetricFamily("tmf_elements_left_alone", help, value=count)
