"""Audit of many services: services per second, with and without reading the elements.

``python -m benchmarks.audit``: 10,000 services on simulated SNMP elements in another process.
"Inventory alone" reads and compares everything without reading the elements.
"""

import argparse
import asyncio
import resource
import time
from datetime import UTC, datetime

from adapters.credentials import Credentials
from adapters.values import Observed
from benchmarks import elements
from benchmarks.discovery import discover_elements, empty_system
from tmf_apis.element_access.connections import Connections
from tmf_apis.inventory import resource_state
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import managed_elements
from tmf_apis.inventory.resource_state import ResourceUsage
from tmf_apis.reconciliation.auditor import Auditor, AuditResult
from tmf_apis.reconciliation.comparison import compare
from tmf_apis.reconciliation.expected_state import expected_states
from tmf_apis.rest.pipeline.policy import Repository, Resource

SETTINGS = {"downstream": elements.DOWNSTREAM * 1000, "upstream": elements.UPSTREAM * 1000}


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 services")
    parser.add_argument("--services", type=int, help="number of services")
    parser.add_argument("--each", type=int, default=40, help="services on each element")
    options = parser.parse_args()
    services = options.services or (1000 if options.quick else 10_000)
    count = max(1, services // options.each)
    with (
        elements.run_elements(count, options.each, options.each),
        empty_system() as (repository, credentials, _),
    ):
        discover_elements(repository, credentials, count)
        for element in managed_elements(repository):
            for port in repository.find(
                "Resource", {"resourceRelationship.resource.id": element["id"]}
            ):
                _put_service(repository, element, port)
        print(f"\nAudit of {count * options.each} services on {count} elements")
        _measure_inventory(repository)
        _measure_audit(repository, credentials)


def _put_service(repository: Repository, element: Resource, port: Resource) -> None:
    name = str(resource_characteristics(port).get("portName"))
    if name.startswith("sub"):
        service = f"s-{str(element['name']).removeprefix('gw-')}-{name.removeprefix('sub')}"
        use = resource_state.ServiceUse(ResourceUsage(service, SETTINGS, "o-1"), service)
        repository.change("Resource", port["id"], lambda old: resource_state.set_use(old, use))


def _measure_inventory(repository: Repository) -> None:
    started, processor_start = time.perf_counter(), time.process_time()
    states = expected_states(
        repository, [element["id"] for element in managed_elements(repository)], datetime.now(UTC)
    )
    difference_count = 0
    for state in states.values():
        observations = [
            Observed(expected.service, expected.port, SETTINGS, up=True)
            for expected in state.services
        ]
        difference_count += len(compare(state, observations))
    count = sum(len(state.services) for state in states.values())
    _print_result("inventory alone", count, started, processor_start, difference_count)


def _measure_audit(repository: Repository, credentials: Credentials) -> None:
    async def run_audit() -> AuditResult:
        connections = Connections(credentials)
        try:
            return await Auditor(repository, connections).run(managed_elements(repository))
        finally:
            await connections.close()

    started, processor_start = time.perf_counter(), time.process_time()
    result = asyncio.run(run_audit())
    _print_result(
        "over SNMP", result.services_checked, started, processor_start, len(result.differences)
    )
    print(f"  {len(result.unreachable)} elements did not answer")


def _print_result(
    label: str, count: int, started: float, processor_start: float, difference_count: int
) -> None:
    duration = time.perf_counter() - started
    processor_time = time.process_time() - processor_start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"  {label:16} {duration:6.2f} s  {count / duration:8.0f} services/s  "
        f"{1000 * processor_time / count:6.3f} ms of processor time per service  "
        f"{memory:5.0f} MB  {difference_count} differences"
    )


if __name__ == "__main__":
    main()
