"""The health of the parts of the server, as ``/health/ready`` reports it.

Source: the names of the states are those of the draft "Health Check Response Format for HTTP APIs"
(draft-inadarei-api-health-check).
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from tmf_apis.store.connection import MongoDatabase

#: Collection of the reports of workers: the time, and the error of Temporal if there is one.
HEARTBEATS = "worker_heartbeats"
#: Pause between two reports of a worker, and age after which it counts as ended, in seconds.
HEARTBEAT_PAUSE, HEARTBEAT_LIFETIME = 2.0, 10.0
#: A disk with less free space is nearly full: bytes, and share of its size.
_FREE_BYTES, _FREE_SHARE = 1_073_741_824, 0.05

Check = dict[str, str]

PASS: Check = {"status": "pass"}
_DATABASE_FAILURE: Check = {"status": "fail", "output": "the database does not answer"}
#: The address and the error are in the log of the worker: anybody can read the state.
_TEMPORAL_FAILURE: Check = {"status": "fail", "output": "Temporal does not answer; orders wait"}
_NO_WORKER: Check = {
    "status": "fail",
    "output": "no worker reports: orders, tasks and events wait until one runs",
}
_UNKNOWN: Check = {"status": "warn", "output": "not known: no worker reports"}


class Health:
    """The last known state of each part; it is observed while the database answers.

    Attributes:
        checks: The state of each part except the database, by its name.
    """

    def __init__(self, database: MongoDatabase, data_dir: Path) -> None:
        """Store where to look."""
        self._database = database
        self._data_dir = data_dir
        self.checks: dict[str, Check] = {}

    def observe(self) -> None:
        """Observe the worker, Temporal and the disk."""
        try:
            reports = list(self._database[HEARTBEATS].aggregate(_RECENT_REPORTS))
        except PyMongoError:
            return
        self.checks = {
            "temporal": _temporal_check(reports),
            "worker": PASS if reports else _NO_WORKER,
            "disk": disk_check(self._data_dir),
        }

    def report(self, *, is_database_answering: bool) -> dict[str, Check]:
        """Return the state of each part by its name."""
        database = PASS if is_database_answering else _DATABASE_FAILURE
        return {"database": database, **self.checks}


#: The reports that are not too old, by the clock of the database.
_RECENT_REPORTS: list[dict[str, Any]] = [
    {"$match": {"$expr": {"$lt": [{"$subtract": ["$$NOW", "$at"]}, HEARTBEAT_LIFETIME * 1000]}}},
    {"$sort": {"at": -1}},
    {"$limit": 100},
]


def _temporal_check(reports: list[dict[str, Any]]) -> Check:
    if not reports:
        return _UNKNOWN
    return _TEMPORAL_FAILURE if all(report.get("temporal") for report in reports) else PASS


def disk_check(folder: Path) -> Check:
    """Return the state of the disk of a directory."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return {"status": "fail", "output": f"the data directory cannot be read: {error.strerror}"}
    if usage.free >= min(_FREE_BYTES, usage.total * _FREE_SHARE):
        return PASS
    free = usage.free // 1_048_576
    return {
        "status": "warn",
        "output": f"the disk of the data directory is nearly full: {free} MiB are free",
    }


class HealthCollector(Collector):
    """The state of each part as a metric."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def describe(self) -> list[Metric]:
        """Return an empty list, so that registering the collector reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metric."""
        family = GaugeMetricFamily(
            "tmf_component_up", "1 if a part of the server works", labels=["component"]
        )
        for name, check in self._health.checks.items():
            family.add_metric([name], check["status"] == "pass")
        yield family
