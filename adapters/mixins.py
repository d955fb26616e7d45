"""Operations that are the same in many adapters; inherit those that fit your element."""

from datetime import datetime

from adapters import effect
from adapters.base import Adapter
from adapters.errors import Conflict, Unsupported
from adapters.observations import UsageRecord
from adapters.values import Intent, Observed, Transaction, Verdict


class TaggedServices:
    """Finds and removes services by the tag that the element stores on their ports."""

    async def read(self: Adapter, service_id: str) -> Observed | None:
        """Return the service whose id is the tag of a port; None if there is none.

        Raises:
            Conflict: Several ports have the tag.
        """
        services = [
            service for service in await self.services() if service.service_id == service_id
        ]
        if len(services) > 1:
            ports = ", ".join(service.port for service in services)
            raise Conflict(self.target.name, f"service {service_id!r} is on {ports}")
        return services[0] if services else None

    async def remove(self: Adapter, service_id: str) -> Transaction:
        """Remove a service from the port that has its tag; do nothing if there is none."""
        service = await self.read(service_id)
        if service is None:
            return Transaction(self.target.name, Intent(service_id, "", present=False))
        return await self.apply(await self.plan(Intent(service_id, service.port, present=False)))


class NoUsageRecords:
    """Refuses ``usage``: the element keeps no records."""

    async def usage(self: Adapter, service_id: str, since: datetime) -> list[UsageRecord]:
        """Refuse: the element keeps no usage records; compute usage from its counters."""
        raise Unsupported(self.target.name, f"no usage records ({service_id}, {since:%F})")


class ThroughputMeasurement:
    """Measures a service at the test head of its port; needs the capability "effect"."""

    async def measure(self: Adapter, intent: Intent) -> Verdict:
        """Measure the throughput that the customer gets; see ``adapters.effect.measure``."""
        return await effect.measure(self.target, intent)
