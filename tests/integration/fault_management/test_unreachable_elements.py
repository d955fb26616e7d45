"""An element that does not answer has one alarm until it answers, and is retried."""

from dataclasses import replace

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.errors import Unreachable
from adapters.snmp.simulator import SimulatedGateway
from tests.support.notification_consumer import count_requests, running_consumer
from tests.support.waiting import wait_in_thread
from tmf_apis.element_access import breaker
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fault_management import trap_consumer
from tmf_apis.fault_management.collector import UnreachableElementsCollector
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

pytestmark = pytest.mark.anyio

SECRETS = Credentials("", {"TMF_CREDENTIAL_GW_SIM": '{"community": "simulated"}'})


@pytest.fixture
def repositories(database, tmp_path):
    settings = Settings(mongodb_database=database.name, data_dir=tmp_path)
    contracts = load_contracts(CONTRACTS_DIR, tmp_path / "cache")
    return RepositoryFactory(Engine(settings, contracts, database).writer, "test")


async def test_an_unreachable_element_has_one_alarm_until_it_answers(
    repositories, database, monkeypatch
):
    monkeypatch.setattr(trap_consumer, "REFRESH_INTERVAL", 0.1)
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.2)
    repository = repositories.for_tenant("default")

    def alarms(**query):
        return repository.find("Alarm", {"specificProblem": "elementUnreachable", **query})

    def unreachable_count():
        return next(UnreachableElementsCollector(database).collect()).samples[0].value

    async with (
        SimulatedGateway() as gateway,
        running_consumer(database, repositories, SECRETS) as consumer,
    ):
        target = replace(gateway.target, options={"timeout": "1", "retries": "0"})
        async with registry.create_adapter(target, SECRETS) as adapter:
            element = (await register(repository, adapter)).element
        await wait_in_thread(lambda: consumer.registry.elements)
        assert unreachable_count() == 0

        gateway.fault_injection.silent = True
        for _ in range(breaker.FAILURE_THRESHOLD):
            with pytest.raises(Unreachable):
                async with consumer.connections.acquire(target) as adapter:
                    await adapter.probe()
        await wait_in_thread(alarms)
        (alarm,) = alarms()
        assert alarm["alarmedObject"]["id"] == element["id"]
        assert (alarm["alarmType"], alarm["probableCause"], alarm["perceivedSeverity"]) == (
            *("communicationsAlarm", "communicationsSubsystemFailure", "major"),
        )
        await wait_in_thread(lambda: unreachable_count() == 1)
        request_count = count_requests(gateway)
        await wait_in_thread(lambda: request_count() >= 3)  # failed retries
        assert [each["alarmDetails"] for each in alarms()] == [alarm["alarmDetails"]]

        gateway.fault_injection.silent = False
        await wait_in_thread(lambda: alarms(state="cleared"))
        await wait_in_thread(lambda: unreachable_count() == 0)
        assert len(alarms()) == 1


def test_the_metric_is_exported_under_its_former_name_too(database):
    metric, deprecated = UnreachableElementsCollector(database).collect()
    assert metric.name == "tmf_elements_unreachable"
    assert deprecated.name == "tmf_elements_left_alone"
    assert deprecated.documentation.startswith("Deprecated: use tmf_elements_unreachable")
    assert deprecated.samples[0].value == metric.samples[0].value
