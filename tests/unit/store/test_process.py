"""Child processes: start, restart pauses and log rotation."""

import threading

import pytest

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


def restart_pauses(child, command, count):
    """Return the pauses before the next ``count`` restarts of a child that ends at once."""
    pauses = []
    for _ in range(count):
        child.start(command)
        child._process.wait()
        child.check_restart_due()
        pauses.append(child._pause())
    return pauses


def test_a_child_that_exits_repeatedly_is_restarted_after_pauses(tmp_path):
    child = ChildProcess("false", tmp_path / "log")
    assert child.check_restart_due()
    assert restart_pauses(child, ["false"], 9) == [0, 0.25, 0.5, 1, 2, 4, 8, 15, 15]
    assert not child.check_restart_due()


@pytest.mark.parametrize("command", [["sh", "-c", "kill -9 $$"], ["sh", "-c", "exit 137"]])
def test_a_child_that_was_killed_is_restarted_within_a_second_however_often(tmp_path, command):
    child = ChildProcess("sh", tmp_path / "log")
    assert restart_pauses(child, command, 6) == [0, 0.25, 0.5, 1, 1, 1]


def test_a_child_that_ran_for_ten_seconds_is_restarted_at_once(tmp_path):
    child = ChildProcess("false", tmp_path / "log")
    restart_pauses(child, ["false"], 5)
    child.start(["false"])
    child._process.wait()
    child._started_at -= 10.1
    assert child.check_restart_due()


def test_a_child_works_in_the_folder_that_is_named(tmp_path):
    (tmp_path / "Ä ,%#").mkdir()
    child = ChildProcess("pwd", tmp_path / "log")
    child.start(["pwd"], folder=tmp_path / "Ä ,%#")
    child._process.wait()
    assert child.recent_output() == f"{tmp_path}/Ä ,%#\n"
