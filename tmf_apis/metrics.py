"""The Prometheus metrics of the server: requests, their duration, and the backlog of events."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tmf_apis.events.backlog import BacklogMonitor
from tmf_apis.security.refusals import RefusalLog
from tmf_apis.store.shared_state import Cell, SharedState

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of a server.

    Attributes:
        registry: The metrics; with several processes the counters are those of all of them.
    """

    def __init__(self, shared: SharedState | None = None) -> None:
        """Create the metrics.

        Args:
            shared: What the HTTP processes of the server share; None: this is the only one.
        """
        self.registry = CollectorRegistry()
        own: CollectorRegistry | None = self.registry
        if shared:
            # Each process counts in files of its own, which outlive it, and all are read.
            values.ValueClass = values.MultiProcessValue(lambda: shared.number)  # type: ignore[no-untyped-call]
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
            self.registry.register(ProcessCollector(shared))
            own = None
        self._requests = Counter(
            "tmf_requests",
            "Answers by operation, method and status",
            ("operation", "method", "status"),
            registry=own,
        )
        self._latency = Histogram(
            "tmf_request_seconds",
            "Time from a request's headers to its answer",
            ("operation",),
            buckets=_BUCKETS,
            registry=own,
        )
        self._refusals = Counter(
            "tmf_refusals",
            "Requests and connections that a limit refused, by limit",
            ("limit",),
            registry=own,
        )
        self._denials = Counter(
            "tmf_access_denied",
            "Failed log-ins (401) and refused requests (403)",
            ("status", "cause"),
            registry=own,
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
        """Count failed log-ins and refused requests from now on."""
        refusals.observe = self._count_denial

    def _count_denial(self, status: int, cause: str) -> None:
        self._denials.labels(str(status), cause).inc()

    def register_backlog(self, backlog: BacklogMonitor) -> None:
        """Add the metrics of the events and deliveries that wait."""
        self.registry.register(BacklogCollector(backlog))

    def exposition(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class ProcessCollector(Collector):
    """The metrics of the HTTP processes of a server."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        """Yield how many processes answer requests, and how often one was started again."""
        ready = self._shared.total(Cell.READY)
        yield _gauge("tmf_http_processes", "HTTP processes that answer requests", ready)
        restarts = CounterMetricFamily(
            "tmf_http_process_restarts", "HTTP processes that ended and were started again"
        )
        restarts.add_metric([], self._shared.total(Cell.RESTARTS))
        yield restarts


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
