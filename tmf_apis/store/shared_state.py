"""Memory that the HTTP processes of one server share: flags, counters, accounts and written keys.

A process writes cells of its own and reads those of all. A cell has eight aligned bytes, which the
processor reads and writes as a whole, so no lock is needed; only new accounts are claimed under a
file lock, which the system releases if its holder dies.
"""

import fcntl
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Self

#: Size of a cell, in bytes.
CELL = 8
#: Cells of the server, of each process, and of an account beside those of each process.
_SERVER_CELLS, _PROCESS_CELLS, ACCOUNT_CELLS = 8, 16, 4
#: Longest reason of a failed start, in bytes.
_REASON_BYTES = 2048
#: Number of accounts; size of the feed of written keys of each process, in bytes.
ACCOUNTS, FEED_BYTES = 32_768, 1_048_576


class Flag(IntEnum):
    """Cells of the server: set by one process, read by all."""

    DATABASE_STARTED = 0
    PREPARED = 1


class Cell(IntEnum):
    """Cells of a process."""

    READY = 0
    CONNECTIONS = 1
    SPOOLED = 2
    RESTARTS = 3
    FEED_HEAD = 4
    FEED_RESERVED = 5
    CHANGES = 6


class SharedState:
    """The memory as one process sees it.

    Attributes:
        file: Descriptor of the memory, which child processes inherit.
        processes: Number of the processes that share it.
        number: Number of this process, from 1; 0: the supervisor.
    """

    def __init__(self, file: int, processes: int, number: int = 0) -> None:
        """Map the memory.

        Args:
            file: Its descriptor.
            processes: Number of the processes.
            number: Number of this process, from 1; 0: the supervisor.
        """
        self.file, self.processes, self.number = file, processes, number
        self._lock = threading.Lock()
        account_bytes = ACCOUNTS * self.account_cells * CELL
        self._reasons_at = (_SERVER_CELLS + processes * _PROCESS_CELLS) * CELL
        self._accounts_at = self._reasons_at + processes * _REASON_BYTES
        self._feeds_at = self._accounts_at + account_bytes
        memory = mmap.mmap(file, self._feeds_at + processes * FEED_BYTES)
        self._bytes = memoryview(memory)
        self._cells = self._bytes[: self._reasons_at].cast("q")
        accounts = self._bytes[self._accounts_at : self._feeds_at]
        self.account_integers, self.account_floats = accounts.cast("q"), accounts.cast("d")

    @classmethod
    def create(cls, processes: int) -> Self:
        """Return new memory, in which all cells are 0, for the supervisor."""
        descriptor = _memory_file()
        cells = ACCOUNTS * (ACCOUNT_CELLS + processes) + _SERVER_CELLS + processes * _PROCESS_CELLS
        os.truncate(descriptor, cells * CELL + processes * (_REASON_BYTES + FEED_BYTES))
        return cls(descriptor, processes)

    @property
    def account_cells(self) -> int:
        """Return the number of cells of one account."""
        return ACCOUNT_CELLS + self.processes

    def set_flag(self, flag: Flag) -> None:
        """Set a flag of the server."""
        self._cells[flag] = 1

    def is_set(self, flag: Flag) -> bool:
        """Return whether a flag of the server is set."""
        return bool(self._cells[flag])

    def get(self, cell: Cell, number: int = 0) -> int:
        """Return a cell of a process; without its number, of this one."""
        return self._cells[self._index(cell, number)]

    def set(self, cell: Cell, value: int, number: int = 0) -> None:
        """Set a cell of a process; without its number, of this one."""
        self._cells[self._index(cell, number)] = value

    def total(self, cell: Cell) -> int:
        """Return the sum of a cell of all processes."""
        start = _SERVER_CELLS + cell
        return sum(self._cells[start + i * _PROCESS_CELLS] for i in range(self.processes))

    def announce_change(self) -> None:
        """Tell the other processes that something has changed that they cache."""
        with self._lock:
            self.set(Cell.CHANGES, self.get(Cell.CHANGES) + 1)

    def _index(self, cell: Cell, number: int) -> int:
        return _SERVER_CELLS + ((number or self.number) - 1) * _PROCESS_CELLS + cell

    def set_reason(self, reason: str) -> None:
        """Store why this process cannot start, for the supervisor."""
        start = self._reasons_at + (self.number - 1) * _REASON_BYTES
        text = reason.encode()[:_REASON_BYTES]
        self._bytes[start : start + _REASON_BYTES] = text.ljust(_REASON_BYTES, b"\0")

    def reason(self, number: int) -> str:
        """Return why a process could not start; empty if it gave no reason."""
        start = self._reasons_at + (number - 1) * _REASON_BYTES
        text = bytes(self._bytes[start : start + _REASON_BYTES])
        return text.rstrip(b"\0").decode(errors="replace")

    def feed(self, number: int) -> memoryview:
        """Return the bytes of the feed of a process."""
        start = self._feeds_at + (number - 1) * FEED_BYTES
        return self._bytes[start : start + FEED_BYTES]

    def forget_process(self, number: int) -> None:
        """Clear what a process that has ended was doing: requests, connections, bodies."""
        for cell in (Cell.READY, Cell.CONNECTIONS, Cell.SPOOLED):
            self.set(cell, 0, number)
        column = ACCOUNT_CELLS + number - 1
        for index in range(column, len(self.account_integers), self.account_cells):
            if self.account_integers[index]:
                self.account_integers[index] = 0

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Exclude the other processes for the duration of the block."""
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN)


def _memory_file() -> int:
    """Return the descriptor of a file without a name; in memory, where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("tmf-shared")
    with tempfile.TemporaryFile(prefix="tmf-shared-") as file:
        return os.dup(file.fileno())
