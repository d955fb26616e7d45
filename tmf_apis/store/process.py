"""Child processes that end with this process, with restarts and log rotation."""

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

#: prctl(2): set the signal that a process receives when the thread that forked it ends.
PR_SET_PDEATHSIG = 1
#: Size at which a log is rotated, in bytes; one older log is kept, as ``<name>.1``.
LOG_LIMIT = 16 * 1024 * 1024
#: Pause before the second restart in a row, in seconds; it doubles with each further one.
FIRST_PAUSE = 0.25
#: Longest pause before a child is restarted that was killed, or that ended by itself, in seconds.
LONGEST_PAUSE_AFTER_KILL, LONGEST_PAUSE_AFTER_EXIT = 1.0, 15.0
#: Run time after which a child counts as stable and the pauses start again, in seconds.
STABLE_AFTER = 10.0
#: Statuses of a child that was killed from outside; those over 128 are a launcher's.
_KILLED = frozenset(
    status
    for number in (signal.SIGKILL, signal.SIGTERM)
    for status in (-number.value, 128 + number.value)
)


class CannotStart(Exception):
    """A part of the server cannot start; the message names the part, the reason and a remedy."""


def parent_death_hook(parent: int) -> Callable[[], None] | None:
    """Return a function for the child, between fork and exec, that ends it with its parent.

    None on systems other than Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork: it takes a lock

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call
            os._exit(1)

    return end_with_parent


class ChildProcess:
    """A child process in a session of its own, with its own log.

    Attributes:
        name: Name of the process in messages.
        log: File to which its output is appended.
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
        """Return the process id; None before the first start."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Return whether the process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Return the exit status as ``subprocess`` does; None while the process runs."""
        return self._process.poll() if self._process else None

    def start(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start the process; call this from the main thread, because it ends with its thread.

        Args:
            command: Program and arguments.
            environment: Its environment; None: that of this process.
            folder: Its working directory; None: that of this process.

        Raises:
            CannotStart: The log cannot be written or the program cannot be run.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{self.name} must be started from the main thread")
        try:
            self.rotate_log()
            with self.log.open("ab") as output:
                self._offset = output.tell()
                self._process = subprocess.Popen(  # noqa: S603 - the command is trusted
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,  # Ctrl-C does not reach the child
                    preexec_fn=parent_death_hook(os.getpid()),  # noqa: PLW1509 - one system call
                )
        except OSError as error:
            raise CannotStart(f"cannot start {self.name} ({command[0]}): {error}") from error
        self._started_at = time.monotonic()

    def check_restart_due(self) -> bool:
        """Return whether a stopped child can be restarted now; count its exit once."""
        if self.is_running:
            return False
        now = time.monotonic()
        if self._process is not None and self._started_at:
            was_stable = now - self._started_at > STABLE_AFTER
            self._exits_in_a_row = 1 if was_stable else self._exits_in_a_row + 1
            self._retry_at, self._started_at = now + self._pause(), 0.0
        return now >= self._retry_at

    def terminate(self) -> None:
        """Ask the process to end, if it is running."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    def _pause(self) -> float:
        """Return the pause before the next start, in seconds; none after the first exit."""
        if self._exits_in_a_row <= 1:
            return 0.0
        was_killed = self.returncode in _KILLED
        longest = LONGEST_PAUSE_AFTER_KILL if was_killed else LONGEST_PAUSE_AFTER_EXIT
        return min(FIRST_PAUSE * 2.0 ** min(self._exits_in_a_row - 2, 10), longest)

    def stop(self, grace: float) -> None:
        """Terminate the process; kill it if it runs for more than ``grace`` further seconds."""
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
        """Return the last ``limit`` bytes of the output since the last start."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._offset, size), size - limit))
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    def rotate_log(self) -> None:
        """Rotate the log if it exceeds its limit; the child keeps writing to the same file."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT:
                shutil.copyfile(self.log, self.log.with_name(self.log.name + ".1"))
                os.truncate(self.log, 0)
                self._offset = 0


def command_line(pid: int) -> str:
    """Return the command line of a process; empty if it has ended or cannot be read."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
    except OSError:
        return ""


def working_directory(pid: int) -> str:
    """Return the working directory of a process; empty if it has ended or cannot be read."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
