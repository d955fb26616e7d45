"""Child processes that die with this one: started, watched, stopped, their logs kept small."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

#: prctl(2): the signal that this process gets when the thread that forked it ends.
PR_SET_PDEATHSIG = 1
#: A log is cut at this size; what was in it is kept once, as ``<name>.1``.
LOG_LIMIT = 16 * 1024 * 1024
#: Shortest and longest pause before a child that died is started again, in seconds.
RESTART_PAUSES = (0.0, 15.0)
#: A child that lived this long has started well; its next death is not one in a row. In seconds.
STABLE_AFTER = 20.0


class CannotStart(Exception):
    """A part of the server cannot start; the message says what, why, and what to do."""


def _parent_death_hook(parent: int) -> Callable[[], None] | None:
    """Return what a child runs between fork and exec so that it ends when ``parent`` does."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # found before the fork: no locks after it

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask


class ChildProcess:
    """One process of ours, in a session of its own, writing to a log of its own.

    Attributes:
        name: What people call it, in messages.
        log: File that its output is appended to.
    """

    def __init__(self, name: str, log: Path) -> None:
        self.name, self.log = name, log
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._offset = 0
        self._exits_in_a_row = 0
        self._retry_at = 0.0

    @property
    def pid(self) -> int | None:
        """Its process id, once it was started."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether it is started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """How it ended, as ``subprocess`` counts; None while it runs."""
        return self._process.poll() if self._process else None

    def start(
        self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it. Must be called from the main thread: it dies with the thread that forks it.

        Raises:
            CannotStart: The log cannot be written or the program cannot be run.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{self.name} must be started from the main thread")
        try:
            self.rotate_log()
            with self.log.open("ab") as output:
                self._offset = output.tell()
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for us; we stop it afterwards
                    preexec_fn=_parent_death_hook(os.getpid()),  # noqa: PLW1509 - one system call
                )
        except OSError as error:
            raise CannotStart(f"cannot start {self.name} ({command[0]}): {error}") from error
        self._started_at = time.monotonic()

    def check_restart_due(self) -> bool:
        """Return whether a child that is not running may be started now; counts its death."""
        if self.is_running:
            return False
        now = time.monotonic()
        if self._process is not None and self._started_at:
            lived = now - self._started_at
            self._exits_in_a_row = 1 if lived > STABLE_AFTER else self._exits_in_a_row + 1
            shortest, longest = RESTART_PAUSES
            pause = (
                shortest
                if self._exits_in_a_row == 1
                else min(0.5 * 2**self._exits_in_a_row, longest)
            )
            self._retry_at, self._started_at = now + pause, 0.0
        return now >= self._retry_at

    def stop(self, grace: float) -> None:
        """End it: ask, wait up to ``grace`` seconds, then insist."""
        if self._process is None:
            return
        if self.is_running:
            self._process.terminate()
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def recent_output(self, limit: int = 20_000) -> str:
        """Return what it has written since its last start, the last ``limit`` bytes of it."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._offset, size), size - limit))
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    def rotate_log(self) -> None:
        """Keep the log under its limit; the child goes on writing to the same file."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT:
                shutil.copyfile(self.log, self.log.with_name(self.log.name + ".1"))
                os.truncate(self.log, 0)
                self._offset = 0


def command_line(pid: int) -> str:
    """Return the command line of a process, empty where it is gone or cannot be told."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (OSError, ValueError):
        return ""
