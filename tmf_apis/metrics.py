"""What Prometheus reads: requests by operation, and how long they took."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

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
        self._seconds = Histogram(
            "tmf_request_seconds",
            "Time from a request's headers to its answer",
            ("operation",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, operation: str, method: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            operation: ``TMF622 v5 createProductOrder``; "" where no operation was found.
            method: The request's method; only used where an operation was found.
            status: HTTP status of the answer.
            seconds: How long it took.
        """
        key = (operation, method if operation else "", status)
        if (found := self._known.get(key)) is None:
            counter = self._requests.labels(key[0], key[1], str(status))
            found = self._known[key] = (counter, self._seconds.labels(operation))
        found[0].inc()
        found[1].observe(seconds)

    def text(self) -> bytes:
        """Return the figures in the Prometheus text format."""
        return generate_latest(self.registry)
