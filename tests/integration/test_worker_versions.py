"""Workers of two versions beside each other, on a real Temporal."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.service import RPCError, RPCStatusCode

from tmf_apis import temporal_deployment
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_temporal import EmbeddedTemporal
from tmf_apis.temporal_deployment import WorkerDeployment
from tmf_apis.temporal_worker import TASK_QUEUE, TemporalWorker, connect

pytestmark = pytest.mark.anyio
NAMESPACE = "default"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = Settings(data_dir=tmp_path_factory.mktemp("versions"))
    temporal = EmbeddedTemporal(settings)
    temporal.start()
    yield replace(settings, temporal_address=temporal.address)
    temporal.stop()


@pytest.fixture(autouse=True)
def prompt_checks(monkeypatch):
    monkeypatch.setattr(temporal_deployment, "CHECK_INTERVAL", 1.0)


@workflow.defn(name="Journey", sandboxed=False)
class Journey:
    """Visits a worker, waits for a signal, and visits a worker again."""

    def __init__(self):
        self.is_continued = False

    @workflow.signal
    def go_on(self):
        self.is_continued = True

    @workflow.run
    async def run(self, name: str) -> list[str]:
        options = {"start_to_close_timeout": timedelta(seconds=20)}
        first = await workflow.execute_activity("visit", name, **options)
        await workflow.wait_condition(lambda: self.is_continued)
        return [first, await workflow.execute_activity("visit", name, **options)]


class RunningWorker:
    def __init__(self, settings, version):
        @activity.defn(name="visit")
        async def visit(_: str) -> str:
            return f"version {version}"

        self._worker = TemporalWorker(settings, [Journey], [visit], version=version)
        self._stop = asyncio.Event()
        self._run = asyncio.create_task(self._worker.run(self._stop))

    async def stop(self):
        self._stop.set()
        with suppress(asyncio.CancelledError):
            await self._run


@asynccontextmanager
async def workers(settings, *versions):
    running = [RunningWorker(settings, version) for version in versions]
    try:
        yield running
    finally:
        await asyncio.gather(*(worker.stop() for worker in running))


async def eventually(condition, pause):
    """Wait until a condition is true."""
    for _ in range(int(60 / pause)):
        if await condition():
            return
        await asyncio.sleep(pause)
    raise AssertionError("not within a minute")


async def begin(client, name):
    """Start a workflow and wait until its first activity has ended."""
    handle = await client.start_workflow("Journey", name, id=name, task_queue=TASK_QUEUE)

    async def has_visited():
        events = (await handle.fetch_history()).events
        return any(event.HasField("activity_task_completed_event_attributes") for event in events)

    await eventually(has_visited, 0.1)
    return handle


async def end(handle):
    await handle.signal("go_on")
    return await asyncio.wait_for(handle.result(), 30)


async def version_is(client, version):
    deployment = WorkerDeployment(client, TASK_QUEUE)

    async def is_current():
        with suppress(RPCError):  # asked too often
            return await deployment.current_version() == version

    await eventually(is_current, 1.0)


async def test_an_upgrade_and_the_return_to_the_version_before(settings, monkeypatch):
    client = await connect(settings.temporal_address, NAMESPACE)
    async with workers(settings, 1):
        await version_is(client, 1)
        begun = await begin(client, "begun before the upgrade")
        async with workers(settings, 2):
            await version_is(client, 2)
            assert await end(begun) == ["version 1", "version 2"]
            for number in range(5):
                handle = await begin(client, f"after the upgrade {number}")
                assert await end(handle) == ["version 2", "version 2"]
            begun = await begin(client, "begun before the return")
            async with workers(settings, 1):  # an old worker that starts late
                await asyncio.sleep(0.5)
                assert await end(await begin(client, "late")) == ["version 2", "version 2"]
        monkeypatch.setattr(temporal_deployment, "POLL_AGE", timedelta(seconds=1))
        await version_is(client, 1)
        assert await end(begun) == ["version 2", "version 1"]


async def test_several_workers_of_a_new_version_start_at_once(settings):
    client = await connect(settings.temporal_address, NAMESPACE)
    async with workers(settings, 7, 7, 7):
        await version_is(client, 7)
        handles = [await begin(client, f"one of several {number}") for number in range(6)]
        for handle in handles:
            assert await end(handle) == ["version 7", "version 7"]


async def test_a_temporal_without_versions_is_used_without_them(settings, monkeypatch, caplog):
    client = await connect(settings.temporal_address, NAMESPACE)

    async def refuse(_):
        raise RPCError("unknown method", RPCStatusCode.UNIMPLEMENTED, b"")

    monkeypatch.setattr(client.workflow_service, "describe_worker_deployment", refuse)
    assert not await WorkerDeployment(client, TASK_QUEUE).is_supported()
    assert "stop all workers before an upgrade" in caplog.text
