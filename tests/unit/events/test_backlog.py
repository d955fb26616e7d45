"""The backlog monitor while the database does not answer."""

import threading

from tmf_apis.events import backlog
from tmf_apis.events.backlog import BacklogMonitor, BacklogSnapshot
from tmf_apis.metrics import Metrics


def test_a_slow_database_does_not_delay_the_metrics(monkeypatch):
    release = threading.Event()

    def wait_for_release(_database, _kinds):
        release.wait(60)
        return BacklogSnapshot(is_available=True, pending_events=1)

    monkeypatch.setattr(backlog, "read_backlog", wait_for_release)
    metrics = Metrics()
    metrics.register_backlog(BacklogMonitor(None, ["Customer"]))
    try:
        text = metrics.exposition().decode()
        assert not release.is_set()
    finally:
        release.set()
    assert "tmf_backlog_known 0.0" in text
    assert "tmf_pending_events" not in text
