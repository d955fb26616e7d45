"""An audit of many services: services a second, and where the time goes.

``python -m benchmarks.audit``: 10,000 services on simulated SNMP elements in a process beside this
one. "Inventory alone" reads and compares everything without asking an element.
"""

import argparse
import asyncio
import resource
import time
from datetime import UTC, datetime

from adapters.credentials import Credentials
from adapters.values import Observed
from benchmarks import elements
from benchmarks.discovery import discovered, house
from tmf_apis.elements.connections import Connections
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.elements import gateways
from tmf_apis.fulfilment.reservation import holdings
from tmf_apis.fulfilment.values import Usage
from tmf_apis.reconciliation.audit import Audit, Result
from tmf_apis.reconciliation.comparing import compare
from tmf_apis.reconciliation.expecting import views
from tmf_apis.rest.law import Desk, Resource

SETTINGS = {"downstream": elements.DOWN * 1000, "upstream": elements.UP * 1000}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 services")
    parser.add_argument("--services", type=int, help="how many")
    parser.add_argument("--each", type=int, default=40, help="services on each element")
    options = parser.parse_args()
    services = options.services or (1000 if options.quick else 10_000)
    count = max(1, services // options.each)
    with (
        elements.running(count, options.each, options.each) as _,
        house() as (desk, credentials, _),
    ):
        discovered(desk, credentials, count)
        for element in gateways(desk):
            for port in desk.find("Resource", {"resourceRelationship.resource.id": element["id"]}):
                _sell(desk, element, port)
        print(f"\nAudit of {count * options.each} services on {count} elements")
        _alone(desk)
        _whole(desk, credentials)


def _sell(desk: Desk, element: Resource, port: Resource) -> None:
    name = str(of_resource(port).get("portName"))
    if name.startswith("sub"):
        service = f"s-{str(element['name']).removeprefix('gw-')}-{name.removeprefix('sub')}"
        use = holdings.Use(Usage(service, SETTINGS, "o-1"), service)
        desk.change("Resource", port["id"], lambda old: holdings.in_use(old, use))


def _alone(desk: Desk) -> None:
    started, busy = time.perf_counter(), time.process_time()
    seen = views(desk, [one["id"] for one in gateways(desk)], datetime.now(UTC))
    found = 0
    for view in seen.values():
        there = [Observed(one.service, one.port, SETTINGS, up=True) for one in view.expected]
        found += len(compare(view, there))
    count = sum(len(view.expected) for view in seen.values())
    _print("inventory alone", count, started, busy, found)


def _whole(desk: Desk, credentials: Credentials) -> None:
    async def go() -> Result:
        connections = Connections(credentials)
        try:
            return await Audit(desk, connections).run(gateways(desk))
        finally:
            await connections.close()

    started, busy = time.perf_counter(), time.process_time()
    result = asyncio.run(go())
    _print("over SNMP", result.checked, started, busy, len(result.differences))
    print(f"  {len(result.unreachable)} elements did not answer")


def _print(what: str, count: int, started: float, busy: float, found: int) -> None:
    took, used = time.perf_counter() - started, time.process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"  {what:16} {took:6.2f} s  {count / took:8.0f} services/s  {1000 * used / count:6.3f} ms "
        f"of ours a service  {memory:5.0f} MB  {found} differences"
    )


if __name__ == "__main__":
    main()
