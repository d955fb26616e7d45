"""Locks by name among all processes that share a database, for blocking code.

A lock is a lease: if its holder dies, it expires. The leases are not written to disk before they
are acknowledged, because they protect writes of the next milliseconds only: if the primary of the
database fails at that moment, a lock can be lost.
"""

import hashlib
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import WriteConcern
from pymongo.database import Database

from tmf_apis.errors import Stale
from tmf_apis.store import leases
from tmf_apis.store.connection import translate_errors

#: Number of leases; names with the same hash share one, so that the collection does not grow.
_SLOTS = 4096
#: Duration of a lease, longer than any check and write; longest wait for one, in seconds.
LEASE_DURATION, WAIT_LIMIT = 30.0, 10.0
#: Shortest and longest pause between two attempts, in seconds.
_PAUSES = (0.002, 0.02)

Document = dict[str, Any]


class NamedLocks:
    """The locks of one database."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database[leases.LEASE_COLLECTION].with_options(
            write_concern=WriteConcern(w=1, j=False)
        )

    @contextmanager
    def hold(self, tenant: str, name: str) -> Iterator[None]:
        """Hold the lock of a name in a tenant.

        Raises:
            Stale: Others held it during ``WAIT_LIMIT`` seconds; try again (HTTP 409).
            Unavailable: The database does not answer (HTTP 503).
        """
        digest = hashlib.sha256(f"{tenant}:{name}".encode()).digest()
        id = f"lock:{int.from_bytes(digest[:4]) % _SLOTS}"
        owner = uuid.uuid4().hex
        self._acquire(id, owner)
        try:
            yield
        finally:
            with translate_errors():
                leases.release(self._collection, id, owner)

    def _acquire(self, id: str, owner: str) -> None:
        deadline = time.monotonic() + WAIT_LIMIT
        is_created = False
        with translate_errors():
            while not leases.acquire(self._collection, id, owner, LEASE_DURATION):
                if not is_created:
                    leases.create_if_absent(self._collection, id)
                    is_created = True
                    continue
                if time.monotonic() > deadline:
                    raise Stale("others are changing the same resources; try again")
                time.sleep(random.uniform(*_PAUSES))  # noqa: S311 - no secret
