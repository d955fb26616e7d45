"""Audits: differences between inventory and elements are found and resolved."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from click.testing import CliRunner

from adapters.snmp import mib
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Target
from tmf_apis.cli import main
from tmf_apis.element_access.connections import Connections
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.elements import managed_elements, ports_by_key
from tmf_apis.inventory.resource_state import ReservationMark, ResourceUsage, ServiceUse
from tmf_apis.reconciliation.audit_tasks import AuditTasks
from tmf_apis.reconciliation.auditor import Auditor, select_elements
from tmf_apis.reconciliation.comparison import (
    ACCEPT_INTO_INVENTORY,
    CORRECT_NETWORK,
    IN_DOUBT,
    MISSING_ON_ELEMENT,
    OPEN_TASK,
    PORT_DIFFERS,
    PORT_GONE,
    SETTING_DIFFERS,
    UNKNOWN_ON_ELEMENT,
)
from tmf_apis.reconciliation.discovery import register
from tmf_apis.reconciliation.remedies import RemedyExecutor

#: Options of the adapter: a silent element is given up after two seconds.
OPTIONS = {"timeout": "2", "retries": "0"}
SPEEDS = {"downstream": 100_000_000, "upstream": 20_000_000}
SECRETS = {"lab": {"community": "simulated"}}


class Site:
    """A simulated gateway that is in the inventory."""

    def __init__(self, repository, gateway, connections):
        self.repository, self.gateway, self.connections = repository, gateway, connections
        host, port = gateway.address
        self.target = Target(gateway.name, f"{host}:{port}", "snmp", "lab", OPTIONS)

    @property
    def element(self):
        """The element in the inventory."""
        elements = managed_elements(self.repository)
        (element,) = (each for each in elements if each["name"] == self.gateway.name)
        return element

    def port(self, name):
        """A port in the inventory."""
        return ports_by_key(self.repository, self.element["id"])[name]

    def change_port(self, name, edit):
        """Change a port in the inventory."""
        self.repository.change("Resource", self.port(name)["id"], edit)

    def configuration(self, name):
        """Tag and rates in kbit/s of a port of the gateway."""
        port = self.gateway.port(name)
        return port.tag, port.downstream_kbps, port.upstream_kbps

    def put_into_inventory(self, service, port):
        """Put a service on a port in the inventory."""
        use = ServiceUse(ResourceUsage(service, dict(SPEEDS), "o-1"), product=service)
        self.change_port(port, lambda old: resource_state.set_use(old, use))

    def put_on_gateway(self, service, port):
        """Put a service on a port of the gateway."""
        port = self.gateway.port(port)
        port.tag, port.downstream_kbps, port.upstream_kbps = service, 100_000, 20_000

    def reserve(self, port, service):
        """Reserve a port in the inventory for an order."""
        mark = ReservationMark.for_duration(
            "o-9/1#1", self.repository.now, timedelta(hours=1), service
        )
        self.change_port(port, lambda old: resource_state.reserve(old, mark))

    async def audit(self):
        """The result of an audit of all elements."""
        auditor = Auditor(self.repository, self.connections)
        return await auditor.run(managed_elements(self.repository))

    async def differences(self):
        """The differences that an audit finds."""
        return [difference for _, difference in (await self.audit()).differences]

    async def apply(self, remedy, difference):
        """The outcome of a remedy for a difference."""
        executor = RemedyExecutor(self.repository, self.connections, "a-1")
        return await executor.apply(self.element, difference, remedy)

    async def resolve(self, remedy):
        """The outcome of a remedy for the only difference."""
        (difference,) = await self.differences()
        return await self.apply(remedy, difference)


@asynccontextmanager
async def running_site(repository, credentials, ports=6):
    credentials.add(SECRETS)
    connections = Connections(credentials)
    async with SimulatedGateway("gw-a", ports=ports, address=("127.0.2.1", 0)) as gateway:
        site = Site(repository, gateway, connections)
        async with connections.acquire(site.target) as adapter:
            await register(repository, adapter)
        try:
            yield site
        finally:
            await connections.close()


@pytest.fixture
def run_at_site(repository, credentials):
    """Run a coroutine function with a site and return its result."""

    def run(scenario, **options):
        async def run_scenario():
            async with running_site(repository, credentials, **options) as site:
                return await scenario(site)

        return asyncio.run(run_scenario())

    return run


# Faults, by the type of the difference that an audit finds.


def service_missing(site):
    site.put_into_inventory("s-1", "sub1")


def service_unknown(site):
    site.put_on_gateway("s-1", "sub1")


def setting_changed(site):
    site.put_into_inventory("s-1", "sub1")
    site.put_on_gateway("s-1", "sub1")
    site.gateway.port("sub1").downstream_kbps = 5_000


def service_on_other_port(site):
    site.put_into_inventory("s-1", "sub1")
    site.put_on_gateway("s-1", "sub2")


def port_removed(site):
    site.put_into_inventory("s-1", "sub6")
    del site.gateway.ports[8]


def port_in_doubt(site):
    site.put_into_inventory("s-1", "sub1")
    site.put_on_gateway("s-1", "sub1")
    site.change_port("sub1", lambda old: resource_state.quarantine(old, "o-1/1#1", "no answer"))


FAULTS = {
    service_missing: MISSING_ON_ELEMENT,
    service_unknown: UNKNOWN_ON_ELEMENT,
    setting_changed: SETTING_DIFFERS,
    service_on_other_port: PORT_DIFFERS,
    port_removed: PORT_GONE,
    port_in_doubt: IN_DOUBT,
}
for_every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)


# Audit and remedies.


@for_every_fault
def test_an_audit_finds_a_difference_and_changes_nothing(run_at_site, repository, fault):
    async def scenario(site):
        fault(site)
        before = repository.find("Resource", {})
        differences = await site.differences()
        assert repository.find("Resource", {}) == before
        assert site.gateway.set_count == 0
        return differences

    (difference,) = run_at_site(scenario)
    assert difference.type == FAULTS[fault]
    assert difference.service == "s-1"


@pytest.mark.parametrize(
    "fault", [service_missing, service_unknown, setting_changed, service_on_other_port]
)
def test_the_network_is_corrected(run_at_site, fault):
    async def scenario(site):
        fault(site)
        outcome = await site.resolve(CORRECT_NETWORK)
        assert (outcome.status, outcome.message) == ("done", "")
        assert await site.differences() == []
        assert resource_state.holder_of(site.port("sub1")) == ""
        return site.configuration("sub1"), site.configuration("sub2")

    sub1 = ("", 0, 0) if fault is service_unknown else ("s-1", 100_000, 20_000)
    assert run_at_site(scenario) == (sub1, ("", 0, 0))


@for_every_fault
def test_the_state_of_the_element_is_accepted_into_the_inventory(run_at_site, repository, fault):
    async def scenario(site):
        fault(site)
        outcome = await site.resolve(ACCEPT_INTO_INVENTORY)
        assert outcome.status == "done", outcome.message
        assert site.gateway.set_count == 0
        ports = ports_by_key(repository, site.element["id"])
        return await site.differences(), ports

    remaining, ports = run_at_site(scenario)
    expected_types = [PORT_GONE] if fault is port_removed else []
    assert [difference.type for difference in remaining] == expected_types
    usages = {name: resource_state.service_use(port).usage for name, port in ports.items()}
    services = {name: usage.service for name, usage in usages.items() if usage.service}
    assert (
        services
        == {
            service_missing: {},
            service_unknown: {"sub1": "s-1"},
            setting_changed: {"sub1": "s-1"},
            service_on_other_port: {"sub2": "s-1"},
            port_removed: {"sub6": "s-1"},
            port_in_doubt: {"sub1": "s-1"},
        }[fault]
    )
    if fault is setting_changed:
        assert usages["sub1"].settings["downstream"] == 5_000_000
    if fault is port_removed:
        assert ports["sub6"]["operationalState"] == "disabled"
    if fault is service_unknown:
        (service,) = repository.find("Service", {"id": "s-1"})
        assert (service["state"], service["category"]) == ("active", "RFS")


@for_every_fault
def test_one_task_is_opened_for_a_difference(run_at_site, repository, fault):
    async def scenario(site):
        fault(site)
        outcomes = [await site.resolve(OPEN_TASK) for _ in range(2)]
        assert [outcome.status for outcome in outcomes] == ["done", "done"]
        return len(await site.differences())

    assert run_at_site(scenario) == 1
    (task,) = repository.find("FalloutTask", {})
    assert (task["state"], task["element"]) == ("open", "gw-a")
    assert "s-1" in task["reason"]


def test_accepted_settings_change_the_characteristics_in_their_own_unit(run_at_site, repository):
    characteristics = [
        {"name": "downstream", "valueType": "integer", "value": 100},
        {"name": "colour", "valueType": "string", "value": "blue"},
        {"name": "upstream", "valueType": "integer"},
    ]
    service = {
        "@type": "Service",
        "id": "s-1",
        "state": "active",
        "serviceCharacteristic": characteristics,
    }

    async def scenario(site):
        setting_changed(site)
        repository.create("Service", service)
        return await site.resolve(ACCEPT_INTO_INVENTORY)

    assert run_at_site(scenario).status == "done"
    changed = repository.get("Service", "s-1")["serviceCharacteristic"]
    assert changed == [{**characteristics[0], "value": 5}, *characteristics[1:]]


def test_an_audit_skips_the_ports_that_orders_have_reserved(run_at_site):
    async def scenario(site):
        site.put_on_gateway("s-1", "sub1")  # applied, not yet in the inventory
        site.put_into_inventory("s-2", "sub2")  # removed, still in the inventory
        site.reserve("sub1", "")
        site.reserve("sub2", "s-2")
        result = await site.audit()
        return result.differences, result.ports_in_flight, result.services_checked

    assert run_at_site(scenario) == ([], 2, 0)


def test_a_difference_that_disappears_before_the_second_read_is_not_reported(run_at_site):
    async def scenario(site):
        service_missing(site)
        receive, request_count = site.gateway.datagram_received, 0

        def receive_and_provision(datagram, source):
            nonlocal request_count
            request_count += 1
            if request_count == 12:  # an order is carried out during the audit
                site.put_on_gateway("s-1", "sub1")
            receive(datagram, source)

        site.gateway.datagram_received = receive_and_provision
        return await site.differences()

    assert run_at_site(scenario) == []


def test_a_port_that_an_order_has_reserved_since_the_audit_is_not_corrected(run_at_site):
    async def scenario(site):
        service_missing(site)
        (difference,) = await site.differences()
        site.reserve("sub1", "s-1")
        outcome = await site.apply(CORRECT_NETWORK, difference)
        return outcome.status, site.gateway.set_count

    assert run_at_site(scenario) == ("noLongerThere", 0)


def test_a_difference_that_has_changed_since_the_audit_is_not_resolved(run_at_site):
    async def scenario(site):
        setting_changed(site)
        (difference,) = await site.differences()
        site.gateway.port("sub1").downstream_kbps = 7_000
        outcome = await site.apply(ACCEPT_INTO_INVENTORY, difference)
        return outcome.status, site.gateway.port("sub1").downstream_kbps

    assert run_at_site(scenario) == ("noLongerThere", 7_000)


@pytest.mark.parametrize("wrong", ["rejected_sets", "ignore_sets", "silent"])
def test_an_element_that_cannot_be_corrected_keeps_its_configuration(run_at_site, wrong):
    async def scenario(site):
        setting_changed(site)
        (difference,) = await site.differences()
        injection = site.gateway.fault_injection
        if wrong == "rejected_sets":
            injection.rejected_sets[mib.SVC_DOWN_KBPS] = 10
        else:
            setattr(injection, wrong, True)
        outcome = await site.apply(CORRECT_NETWORK, difference)
        injection.rejected_sets.clear()
        injection.ignore_sets = injection.silent = False
        assert resource_state.holder_of(site.port("sub1")) == ""
        return outcome.status, site.configuration("sub1")

    assert run_at_site(scenario) == ("failed", ("s-1", 5_000, 20_000))


def test_an_element_that_does_not_answer_has_no_differences(run_at_site):
    async def scenario(site):
        service_missing(site)
        site.gateway.fault_injection.silent = True
        return await site.audit()

    result = run_at_site(scenario)
    assert (result.differences, list(result.unreachable), result.elements) == ([], ["gw-a"], 0)


def test_elements_are_selected_by_id_or_name(run_at_site, repository):
    async def scenario(site):
        return site.element["id"]

    id = run_at_site(scenario)
    assert [element["id"] for element in select_elements(repository, [id, "gw-a"])] == [id]
    with pytest.raises(ValueError, match="no such element in the inventory: gw-z"):
        select_elements(repository, ["gw-z"])


# Tasks.


def run_task(repository, handler, kind, **attributes):
    """The task after its handler has run."""
    task = repository.create(kind, {"@type": kind, **attributes})
    handler(repository, task)
    return repository.get(kind, task["id"])


def test_an_audit_task_lists_differences_and_the_outcomes_of_remedies(
    run_at_site, repository, credentials
):
    tasks = AuditTasks(credentials)

    async def scenario(site):
        setting_changed(site)
        site.put_on_gateway("s-9", "sub3")
        audit = await asyncio.to_thread(run_task, repository, tasks.run_audit, "NetworkAudit")
        reference = {"@type": "EntityRef", "id": audit["id"]}
        resolve = repository, tasks.run_resolution, "ResolveDifference"
        first = await asyncio.to_thread(
            run_task, *resolve, audit=reference, differenceId=["1"], remedy=CORRECT_NETWORK
        )
        second = await asyncio.to_thread(
            run_task, *resolve, audit=reference, remedy=ACCEPT_INTO_INVENTORY
        )
        return audit, first, second, site.configuration("sub1")

    audit, first, second, configuration = run_at_site(scenario)
    assert (audit["state"], audit["checked"], audit["differences"]) == ("done", 1, 2)
    assert {entry["type"]: entry["count"] for entry in audit["count"]} == {
        SETTING_DIFFERS: 1,
        UNKNOWN_ON_ELEMENT: 1,
    }
    setting, unknown = audit["difference"]
    assert (setting["type"], setting["service"]["id"], setting["port"]) == (
        SETTING_DIFFERS,
        "s-1",
        "sub1",
    )
    assert setting["element"]["name"] == "gw-a"
    assert (unknown["type"], "resource" in unknown) == (UNKNOWN_ON_ELEMENT, False)
    assert (first["state"], first["resolved"], first["failed"]) == ("done", 1, 0)
    assert configuration == ("s-1", 100_000, 20_000)
    assert second["resolved"] == 1
    differences = repository.get("NetworkAudit", audit["id"])["difference"]
    assert [(item["chosen"], item["outcome"]) for item in differences] == [
        (CORRECT_NETWORK, "done"),
        (ACCEPT_INTO_INVENTORY, "done"),
    ]


def test_an_automatic_remedy_removes_no_unknown_service(run_at_site, repository, credentials):
    async def scenario(site):
        setting_changed(site)
        site.put_on_gateway("s-9", "sub3")
        audit = await asyncio.to_thread(
            run_task,
            *(repository, AuditTasks(credentials).run_audit, "NetworkAudit"),
            remedy=CORRECT_NETWORK,
        )
        return audit, site.configuration("sub1"), site.configuration("sub3")[0]

    audit, corrected, remaining_tag = run_at_site(scenario)
    assert corrected == ("s-1", 100_000, 20_000)
    assert remaining_tag == "s-9"
    assert [(item["chosen"], item["outcome"]) for item in audit["difference"]] == [
        (CORRECT_NETWORK, "done"),
        (OPEN_TASK, "done"),
    ]


def test_an_automatic_remedy_is_not_applied_to_too_many_differences(
    run_at_site, repository, credentials
):
    async def scenario(site):
        for number in range(1, 26):
            site.put_into_inventory(f"s-{number}", f"sub{number}")
        audit = await asyncio.to_thread(
            run_task,
            *(repository, AuditTasks(credentials).run_audit, "NetworkAudit"),
            remedy=CORRECT_NETWORK,
        )
        return audit, site.gateway.set_count

    audit, set_count = run_at_site(scenario, ports=30)
    assert (audit["state"], audit["differences"], set_count) == ("done", 25, 0)
    assert "without a person" in audit["message"]


def test_an_audit_of_an_unknown_element_fails(repository, credentials):
    handler = AuditTasks(credentials).run_audit
    audit = run_task(repository, handler, "NetworkAudit", elementId=["gw-z"])
    assert audit["state"] == "terminatedWithError"
    assert "gw-z" in audit["message"]


def test_a_remedy_for_an_unknown_difference_fails(repository, credentials):
    audit = repository.create(
        "NetworkAudit", {"@type": "NetworkAudit", "state": "done", "difference": []}
    )
    resolution = run_task(
        repository,
        AuditTasks(credentials).run_resolution,
        "ResolveDifference",
        audit={"@type": "EntityRef", "id": audit["id"]},
        differenceId=["7"],
        remedy=OPEN_TASK,
    )
    assert resolution["state"] == "terminatedWithError"
    assert "no difference 7" in resolution["message"]


# Commands.


def test_the_commands_discover_and_audit(engine, mongodb_uri, monkeypatch, tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(SECRETS))
    monkeypatch.setenv("TMF_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("TMF_MONGODB_URI", mongodb_uri)
    monkeypatch.setenv("TMF_MONGODB_DATABASE", engine.database.name)

    def tmf(*arguments):
        return CliRunner().invoke(main, [*arguments, "--data-dir", str(tmp_path)])

    async def run_commands():
        async with SimulatedGateway("gw-c", ports=4, address=("127.0.2.9", 0)) as gateway:
            host, port = gateway.address
            target = {"address": f"{host}:{port}", "credentials": "lab", "options": OPTIONS}
            targets = tmp_path / "elements"
            targets.write_text("# the lab\n" + json.dumps(target))
            discovery = await asyncio.to_thread(tmf, "discover", str(targets))
            gateway.port("sub1").tag = "s-77"
            audit = await asyncio.to_thread(tmf, "audit")
            acceptance = await asyncio.to_thread(
                tmf, "audit", "--remedy", ACCEPT_INTO_INVENTORY, "--json"
            )
            return discovery, audit, acceptance, await asyncio.to_thread(tmf, "audit", "gw-c")

    discovery, audit, acceptance, second_audit = asyncio.run(run_commands())
    assert discovery.exit_code == 0, discovery.output
    assert "gw-c" in discovery.output
    assert "1 created" in discovery.output
    assert audit.exit_code == 1, audit.output
    assert "s-77" in audit.output
    assert UNKNOWN_ON_ELEMENT in audit.output
    assert acceptance.exit_code == 0, acceptance.output
    assert second_audit.exit_code == 0, second_audit.output
    assert "1 services on 1 elements: no difference" in second_audit.output
    assert tmf("audit", "gw-z").exit_code == 1
    assert tmf("discover", "10.0.0.0/8").exit_code == 1
