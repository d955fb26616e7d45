"""A server process that belongs to a data directory, with one owner at a time.

The first server on a data directory locks it and starts the process. Further servers find the
directory locked and attach to the running process. When the owner ends, another server takes over
and starts the process again.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmf_apis.security.private_directory import UnsafeDirectory, make_private
from tmf_apis.store.process import (
    CannotStart,
    ChildProcess,
    command_line,
    working_directory,
)

log = logging.getLogger(__name__)

#: Time between the request to end and the kill of an orphaned process, in seconds.
ORPHAN_GRACE = 30.0
#: Errors of a path that no permission makes a directory: too long, a file, or a loop of links.
IMPOSSIBLE_PATH = frozenset({errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.ELOOP})


def prepare_data_directory(folder: Path) -> None:
    """Create a data directory for this user only, or narrow an existing one.

    Raises:
        CannotStart: It is not writable, or another user could replace its files.
    """
    try:
        make_private(folder)
    except UnsafeDirectory as error:
        raise CannotStart(str(error)) from None
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder: Path, error: OSError) -> CannotStart:
    if error.errno in IMPOSSIBLE_PATH:
        return CannotStart(
            f"data directory {folder} cannot be created: {error.strerror};"
            " name another one in TMF_DATA_DIR"
        )
    return CannotStart(
        f"data directory {folder} is not writable by user {os.geteuid()}: {error.strerror};"
        " change its permissions, or name another one in TMF_DATA_DIR"
    )


class ManagedProcess(ABC):
    """A server process bound to a data directory.

    ``start``, ``supervise`` and ``stop`` are called from the main thread.

    Attributes:
        folder: The data directory.
        name: Name of the process, and of its lock, state and log files.
        is_ready: The process has answered since its last start.
    """

    def __init__(self, folder: Path, name: str) -> None:
        # the same for all servers on the directory, whatever links lead to it
        self.folder, self.name = Path(os.path.realpath(folder)), name
        self.child = ChildProcess(name, self.folder / f"{name}.log")
        self.is_ready = False
        self._lock: int | None = None

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command that starts the process; choose its ports if it needs any."""

    @property
    @abstractmethod
    def command_marker(self) -> str:
        """Return a part of the command that the process of every data directory has."""

    @property
    def working_directory(self) -> Path | None:
        """Return the directory in which the command is started; None: that of this process.

        A process that works in the data directory needs no name of it in its arguments, where
        special characters of the name could have a meaning.
        """
        return self.folder

    @abstractmethod
    def check_ready(self) -> bool:
        """Return whether the process can be used; as the owner, complete its setup."""

    @abstractmethod
    def diagnosis(self) -> str:
        """Return a message with the reason why the process ended, from its output."""

    @property
    def is_owner(self) -> bool:
        """Return whether this server owns the data directory."""
        return self._lock is not None

    @property
    def state(self) -> dict[str, Any]:
        """Return the state that the owner has stored: process id, ports."""
        try:
            state = json.loads(self._path("json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def start(self, timeout: float = 60.0) -> None:
        """Start the process, or attach to the running one, and wait until it answers.

        Args:
            timeout: Longest wait including recovery after a crash, in seconds.

        Raises:
            CannotStart: The process ended or did not answer in time; the message has a remedy.
        """
        self.prepare()
        deadline = time.monotonic() + timeout
        while True:
            started_before = self.child.pid
            if started_before and not self.child.is_running:
                diagnosis = self.diagnosis()
                self.stop()
                raise CannotStart(diagnosis)
            self.supervise()
            if self.is_ready:
                return
            if time.monotonic() > deadline:
                hint = f"its log is {self.child.log}" if self.is_owner else "another server owns it"
                self.stop()
                raise CannotStart(f"{self.name} did not answer in {timeout:g} s; {hint}")
            time.sleep(0.01)

    def supervise(self) -> None:
        """Take over or restart the process if need be, and check whether it answers."""
        if not self.is_owner and not self._acquire_lock():
            self.is_ready = self.is_ready or self.check_ready()
            return
        if self.child.is_running:
            self.child.rotate_log()
        elif self.child.check_restart_due():
            if self.child.pid:
                log.error("restarting a process", extra={"diagnosis": self.diagnosis()})
            self.is_ready = False
            if self._end_orphan():
                command = self.command()
                self.child.start(command, folder=self.working_directory)
                self._write_state({"pid": self.child.pid, **self.persistent_state()})
        if not self.is_ready:
            self.is_ready = self.child.is_running and self.check_ready()

    def stop(self, grace: float = 20.0) -> None:
        """As the owner, end the process within ``grace`` seconds and unlock the directory."""
        self.child.stop(grace)
        self.is_ready = False
        if self._lock is not None:
            if self.child.pid:
                self._write_state(self.state | {"pid": None})
                self.child = ChildProcess(self.name, self.child.log)
            os.close(self._lock)
            self._lock = None

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self.name}.{suffix}"

    def prepare(self) -> None:
        """Create the data directory.

        Raises:
            CannotStart: It is not writable, or another user could replace its files.
        """
        prepare_data_directory(self.folder)
        try:
            os.close(self._open_lock())
        except OSError as error:
            raise _not_writable(self.folder, error) from error

    def _open_lock(self) -> int:
        return os.open(self._path("owner"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _acquire_lock(self) -> bool:
        """Try to become the owner; the lock ends with this process."""
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock, self.is_ready = lock, False
        return True

    def _end_orphan(self) -> bool:
        """Return whether the former owner's process has ended; if not, terminate it."""
        state = self.state
        pid = state.get("pid")
        if not isinstance(pid, int) or not self._is_own_process(pid):
            return True
        terminated_at = state.get("orphaned")
        if terminated_at is None or time.time() - terminated_at > ORPHAN_GRACE:
            log.warning("ending the process of a server that has ended", extra={"pid": pid})
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if terminated_at is None else signal.SIGKILL)
            self._write_state(state | {"orphaned": time.time()})
        return False

    def _is_own_process(self, pid: int) -> bool:
        """Return whether a process serves this data directory."""
        command, folder = command_line(pid), str(self.folder)
        return self.command_marker in command and (
            working_directory(pid) == folder or folder in command
        )

    def _write_state(self, state: dict[str, Any]) -> None:
        """Write the state file; an error is logged, because a full disk must not prevent a stop."""
        new = self._path("json.new")
        try:
            new.write_text(json.dumps(state))
            new.replace(self._path("json"))
        except OSError as error:
            log.warning(
                "state file cannot be written",
                extra={"file": str(self._path("json")), "error": str(error)},
            )

    def persistent_state(self) -> dict[str, Any]:
        """Return the state to store for servers that attach and for the next start."""
        return {}
