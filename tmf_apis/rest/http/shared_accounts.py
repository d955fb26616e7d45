"""The accounts of clients, tenants and addresses that all processes of a server share.

Each account has a slot of the shared memory: the digest of its key, its tokens and when they were
computed, and for each process the number of its requests that are being answered. Two processes
that take a token in the same microsecond may take it once: no request waits for a lock.
"""

import hashlib
import struct

from tmf_apis.store.shared_state import ACCOUNT_CELLS, ACCOUNTS, SharedState

#: Cells of a slot: two of the digest, tokens, and when they were computed in seconds.
_TOKENS, _UPDATED_AT = 2, 3
#: Number of slots in which an account may be.
_PROBES = 32


class SharedAccount:
    """The requests of one client, tenant or address to all processes."""

    __slots__ = ("_active", "_digest", "_floats", "_integers", "_own", "_start")

    def __init__(self, state: SharedState, start: int, digest: tuple[int, int]) -> None:
        self._integers, self._floats = state.account_integers, state.account_floats
        self._start, self._digest = start, digest
        self._active = slice(start + ACCOUNT_CELLS, start + state.account_cells)
        self._own = start + ACCOUNT_CELLS + state.number - 1

    @property
    def is_valid(self) -> bool:
        """Return whether the slot has not been given to another account."""
        start, integers = self._start, self._integers
        return (integers[start], integers[start + 1]) == self._digest

    @property
    def tokens(self) -> float:
        """Requests that it may send at once."""
        return self._floats[self._start + _TOKENS]

    @tokens.setter
    def tokens(self, value: float) -> None:
        self._floats[self._start + _TOKENS] = value

    @property
    def updated_at(self) -> float:
        """Time at which ``tokens`` was computed, in seconds of the clock."""
        return self._floats[self._start + _UPDATED_AT]

    @updated_at.setter
    def updated_at(self, value: float) -> None:
        self._floats[self._start + _UPDATED_AT] = value

    @property
    def active(self) -> int:
        """Number of its requests, or connections, at this time."""
        return sum(self._integers[self._active])

    def add_active(self, change: int) -> None:
        """Add to the number of this process."""
        if self.is_valid:
            self._integers[self._own] += change

    def begin_request(self) -> None:
        """Count a request that begins."""
        self._floats[self._start + _TOKENS] -= 1
        self._integers[self._own] += 1

    def end_request(self) -> None:
        """Count the end of a request."""
        self.add_active(-1)


class SharedAccounts:
    """The table of accounts, as one process uses it.

    Attributes:
        state: The shared memory.
    """

    def __init__(self, state: SharedState) -> None:
        self.state = state

    def account(self, key: str, tokens: float = 0.0, now: float = 0.0) -> SharedAccount:
        """Return the account of a key.

        Args:
            key: Its key, unique in the server.
            tokens: The tokens of a new account.
            now: The time, in seconds of the clock.
        """
        digest = struct.unpack("qq", hashlib.blake2b(key.encode(), digest_size=16).digest())
        slots = self._slots(digest)
        start = self._find(slots, digest)
        if start is None:
            start = self._claim(slots, digest, tokens, now)
        return SharedAccount(self.state, start, digest)

    def _slots(self, digest: tuple[int, int]) -> list[int]:
        """Return the first cells of the slots in which an account may be."""
        width = self.state.account_cells
        return [(digest[0] + probe) % ACCOUNTS * width for probe in range(_PROBES)]

    def _find(self, slots: list[int], digest: tuple[int, int]) -> int | None:
        cells = self.state.account_integers
        return next((s for s in slots if cells[s] == digest[0] and cells[s + 1] == digest[1]), None)

    def _claim(self, slots: list[int], digest: tuple[int, int], tokens: float, now: float) -> int:
        """Give an account a slot: an empty one, or that of the account that was idle longest."""
        state = self.state
        with state.exclusive():
            if (start := self._find(slots, digest)) is not None:  # claimed by another process
                return start
            start = min(slots, key=self._last_use)
            state.account_floats[start + _TOKENS] = tokens
            state.account_floats[start + _UPDATED_AT] = now
            active = slice(start + ACCOUNT_CELLS, start + state.account_cells)
            for cell in range(active.start, active.stop):
                state.account_integers[cell] = 0
            state.account_integers[start], state.account_integers[start + 1] = digest
            return start

    def _last_use(self, start: int) -> tuple[bool, float]:
        """Return whether an account has requests, and when it was used last."""
        cells = self.state.account_integers
        is_active = any(cells[start + ACCOUNT_CELLS : start + self.state.account_cells])
        return is_active, self.state.account_floats[start + _UPDATED_AT]
