"""Processes of lab elements: stopping them, and the last lines of their logs."""

import signal
import subprocess
from contextlib import suppress
from pathlib import Path

#: Time to end after a signal before the process is killed, in seconds.
STOP_TIMEOUT = 5.0


def stop_process(
    process: subprocess.Popen[bytes], stop_signal: signal.Signals = signal.SIGTERM
) -> None:
    """Stop a process with a signal; kill it if it does not end in time."""
    with suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT)


def log_tail(file: Path) -> str:
    """Return the last 500 characters of a log; a remark if it does not exist."""
    return file.read_text("utf-8", "replace")[-500:] if file.exists() else "no log"
