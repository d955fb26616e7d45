"""The checks of worker, Temporal and disk."""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tests.support.waiting import wait_until
from tmf_apis.app import Readiness
from tmf_apis.health import HEARTBEATS, Health, HealthCollector, disk_check
from tmf_apis.worker_heartbeat import WorkerHeartbeat


@pytest.fixture
def health(database, tmp_path):
    return Health(database, tmp_path)


def report(database, *, temporal="", age=0.0):
    at = datetime.now(UTC) - timedelta(seconds=age)
    database[HEARTBEATS].insert_one({"at": at, "temporal": temporal})


def states(health):
    health.observe()
    checks = health.report(is_database_answering=True)
    return {name: check["status"] for name, check in checks.items()}


def test_without_a_report_the_worker_fails_and_temporal_is_unknown(database, health):
    report(database, age=30)
    assert states(health) == {
        "database": "pass", "temporal": "warn", "worker": "fail", "disk": "pass"
    }  # fmt: skip


def test_temporal_passes_if_one_worker_reaches_it(database, health):
    report(database, temporal="no connection")
    assert states(health)["temporal"] == "fail"
    assert health.checks["temporal"]["output"] == "Temporal does not answer; orders wait"
    report(database)
    assert states(health) == dict.fromkeys(("database", "temporal", "worker", "disk"), "pass")


def test_a_process_that_awaits_its_siblings_answers_requests_but_is_not_ready():
    readiness = Readiness()
    readiness.engine, readiness.reason = object(), ""
    readiness.awaits_siblings = True
    assert readiness.require_engine() is readiness.engine
    assert readiness.problem() == "other processes of the server are starting"
    readiness.awaits_siblings = False
    assert readiness.problem() == ""


def test_a_database_that_does_not_answer_is_named_apart(health):
    assert health.report(is_database_answering=False)["database"]["status"] == "fail"


def test_the_metric_has_each_part(database, health):
    report(database, temporal="down")
    health.observe()
    (family,) = HealthCollector(health).collect()
    values = {sample.labels["component"]: sample.value for sample in family.samples}
    assert values == {"temporal": 0, "worker": 1, "disk": 1}


@pytest.mark.parametrize(
    ("total", "free", "status"),
    [
        (100 << 30, 900 << 20, "warn"),
        (100 << 30, 2 << 30, "pass"),
        (64 << 20, 3 << 20, "warn"),
        (64 << 20, 32 << 20, "pass"),
        (64 << 20, 0, "warn"),
    ],
)
def test_a_disk_with_little_space_is_nearly_full(monkeypatch, tmp_path, total, free, status):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=total, free=free))
    check = disk_check(tmp_path)
    assert check["status"] == status
    assert status == "pass" or f"{free >> 20} MiB are free" in check["output"]


def test_a_worker_reports_until_it_stops(database, health):
    async def run():
        stop = asyncio.Event()

        async def temporal_error():
            return "refused"

        with ThreadPoolExecutor(1) as executor:
            heartbeat = WorkerHeartbeat(database, executor, temporal_error)
            heartbeat.prepare()
            running = asyncio.create_task(heartbeat.run(stop))
            await asyncio.to_thread(
                wait_until, lambda: database[HEARTBEATS].count_documents({}), timeout=30
            )
            assert states(health)["worker"] == "pass"
            assert health.checks["temporal"]["status"] == "fail"
            assert "refused" in database[HEARTBEATS].find_one()["temporal"]
            stop.set()
            await running

    asyncio.run(run())
    assert states(health)["worker"] == "fail"
