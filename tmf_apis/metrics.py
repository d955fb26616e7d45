"""What Prometheus reads: requests by operation, how long they took, and what waits."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tmf_apis.events.backlog import BacklogMonitor

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tmf_requests",
            "Answers by operation, method and status",
            ("operation", "method", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "tmf_request_seconds",
            "Time from a request's headers to its answer",
            ("operation",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            operation: ``TMF622 v5 createProductOrder``; "" where no operation was found.
            method: The request's method; only used where an operation was found.
            status: HTTP status of the answer.
            seconds: How long it took.
        """
        key = (operation, method if operation else "", status)
        if (found := self._children.get(key)) is None:
            counter = self._requests.labels(key[0], key[1], str(status))
            found = self._children[key] = (counter, self._latency.labels(operation))
        found[0].inc()
        found[1].observe(seconds)

    def register_backlog(self, backlog: BacklogMonitor) -> None:
        """Show what waits, too."""
        self.registry.register(BacklogCollector(backlog))

    def exposition(self) -> bytes:
        """Return the figures in the Prometheus text format."""
        return generate_latest(self.registry)


class BacklogCollector(Collector):
    """What waits, as figures; those that cannot be known now are left out."""

    def __init__(self, backlog: BacklogMonitor) -> None:
        self._backlog = backlog

    def describe(self) -> list[Metric]:
        """Return nothing: what there will be is not looked up in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the figures."""
        found = self._backlog.snapshot()
        yield _gauge(
            "tmf_backlog_known", "1 where the figures of what waits are known", found.is_available
        )
        if not found.is_available:
            return
        yield _gauge("tmf_pending_events", "Events that wait for the relay", found.pending_events)
        yield _gauge(
            "tmf_oldest_delivery_seconds", "Age of the oldest pending delivery", found.oldest_age
        )
        yield _gauge_by_state("tmf_deliveries", "Deliveries by state", found.deliveries)
        yield _gauge_by_state(
            "tmf_subscriptions", "Hub subscriptions by state", found.subscriptions
        )


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _gauge_by_state(name: str, help: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=["state"])
    for state, value in values.items():
        family.add_metric([state], value)
    return family
