"""Child processes: start, restart pauses and log rotation."""

import threading

from tmf_apis.store.process import ChildProcess


def test_a_long_log_is_rotated(tmp_path):
    child = ChildProcess("echo", tmp_path / "log")
    child.log.write_bytes(b"x" * (17 * 1024 * 1024))
    child.start(["echo", "hello"])
    child._process.wait()
    assert child.recent_output() == "hello\n"
    assert (tmp_path / "log.1").stat().st_size == 17 * 1024 * 1024


def test_a_child_can_only_be_started_from_the_main_thread(tmp_path):
    failures = []

    def start():
        try:
            ChildProcess("true", tmp_path / "log").start(["true"])
        except RuntimeError as error:
            failures.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert failures == ["true must be started from the main thread"]


def test_a_child_that_exits_repeatedly_is_restarted_after_pauses(tmp_path):
    child = ChildProcess("false", tmp_path / "log")
    assert child.check_restart_due()
    child.start(["false"])
    child._process.wait()
    assert child.check_restart_due()
    child.start(["false"])
    child._process.wait()
    assert not child.check_restart_due()
