"""The Prometheus metrics of the server: requests, their duration, and the backlog of events."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tmf_apis.events.backlog import BacklogMonitor
from tmf_apis.security.refusals import RefusalLog

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one process."""

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
        self._refusals = Counter(
            "tmf_refusals",
            "Requests and connections that a limit refused, by limit",
            ("limit",),
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Count a response and its duration.

        Args:
            operation: ``TMF622 v5 createProductOrder``; "" if the path has no operation.
            method: The method of the request; only counted with an operation.
            status: The HTTP status of the response.
            seconds: The duration of the request, in seconds.
        """
        key = (operation, method if operation else "", status)
        if (children := self._children.get(key)) is None:
            counter = self._requests.labels(key[0], key[1], str(status))
            children = self._children[key] = (counter, self._latency.labels(operation))
        counter, latency = children
        counter.inc()
        latency.observe(seconds)

    def count_refusal(self, limit: str) -> None:
        """Count a request or connection that a limit refused."""
        self._refusals.labels(limit).inc()

    def register_access_denials(self, refusals: RefusalLog) -> None:
        """Add the numbers of failed log-ins and refused requests."""
        self.registry.register(AccessDenialCollector(refusals))

    def register_backlog(self, backlog: BacklogMonitor) -> None:
        """Add the metrics of the events and deliveries that wait."""
        self.registry.register(BacklogCollector(backlog))

    def exposition(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class AccessDenialCollector(Collector):
    """The metric of failed log-ins and refused requests."""

    def __init__(self, refusals: RefusalLog) -> None:
        self._refusals = refusals

    def collect(self) -> Iterator[Metric]:
        """Yield the number of refusals by status and cause."""
        family = CounterMetricFamily(
            "tmf_access_denied",
            "Failed log-ins (401) and refused requests (403)",
            labels=["status", "cause"],
        )
        for (status, cause), count in sorted(self._refusals.counts.copy().items()):
            family.add_metric([str(status), cause], count)
        yield family


class BacklogCollector(Collector):
    """The metrics of events, deliveries and subscriptions; empty while they are unavailable."""

    def __init__(self, backlog: BacklogMonitor) -> None:
        self._backlog = backlog

    def describe(self) -> list[Metric]:
        """Return an empty list, so that registering the collector reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        backlog = self._backlog.snapshot()
        yield _gauge(
            "tmf_backlog_known", "1 if the backlog metrics are available", backlog.is_available
        )
        if not backlog.is_available:
            return
        yield _gauge("tmf_pending_events", "Events that wait for the relay", backlog.pending_events)
        yield _gauge(
            "tmf_audit_log_pending",
            "Audit entries that are not sealed yet",
            backlog.pending_audit_entries,
        )
        yield _gauge(
            "tmf_oldest_delivery_seconds", "Age of the oldest pending delivery", backlog.oldest_age
        )
        yield _gauge_by_state("tmf_deliveries", "Deliveries by state", backlog.deliveries)
        yield _gauge_by_state(
            "tmf_subscriptions", "Hub subscriptions by state", backlog.subscriptions
        )


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _gauge_by_state(name: str, help: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=["state"])
    for state, value in values.items():
        family.add_metric([state], value)
    return family
