"""Child processes that share the log and the listening socket of this process."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tmf_apis.store.process import CannotStart, ChildProcess, parent_death_hook


class InheritingProcess(ChildProcess):
    """A child process that writes to the standard error of this process and inherits files."""

    def __init__(self, name: str, files: Sequence[int]) -> None:
        """Create the child; ``run`` starts it.

        Args:
            name: Its name in messages.
            files: The descriptors that it inherits, under the same numbers.
        """
        super().__init__(name, Path(os.devnull))
        self._files = tuple(files)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the process; call this from the main thread, because it ends with its thread.

        Raises:
            CannotStart: The program cannot be run.
        """
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command is trusted
                command,
                stdin=subprocess.DEVNULL,
                env=environment,
                pass_fds=self._files,
                start_new_session=True,  # Ctrl-C does not reach the child
                preexec_fn=parent_death_hook(os.getpid()),  # noqa: PLW1509 - one system call
            )
        except OSError as error:
            raise CannotStart(f"cannot start {self.name} ({command[0]}): {error}") from error
        self._started_at = time.monotonic()


def stop_processes(processes: Sequence[ChildProcess], grace: float) -> None:
    """Terminate processes, all at the same time; kill those that run for ``grace`` seconds more."""
    deadline = time.monotonic() + grace
    for process in processes:
        process.terminate()
    for process in processes:
        process.stop(max(0.0, deadline - time.monotonic()))
