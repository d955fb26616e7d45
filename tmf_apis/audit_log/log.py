"""The stored audit log: entries are only added, never changed except to seal them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from tmf_apis.store.bulk import insert_new

#: Collections of the entries, of the blocks that seal them, and of the state of each chain.
ENTRY_COLLECTION = "audit_log"
BLOCK_COLLECTION = "audit_log_blocks"
CHAIN_COLLECTION = "audit_log_chains"

Document = dict[str, Any]

ENTRY_INDEXES = (
    IndexModel([("tenant", ASCENDING), ("time", DESCENDING), ("_id", ASCENDING)], name="time"),
    IndexModel(
        [("tenant", ASCENDING), ("subject", ASCENDING), ("time", DESCENDING)], name="subject"
    ),
    IndexModel(
        [("tenant", ASCENDING), ("resource", ASCENDING), ("time", DESCENDING)], name="resource"
    ),
    IndexModel([("tenant", ASCENDING), ("sequence", ASCENDING)], name="sequence"),
    IndexModel(
        [("pending", ASCENDING), ("time", ASCENDING)],
        name="pending",
        partialFilterExpression={"pending": True},
    ),
)
BLOCK_INDEXES = (
    IndexModel([("tenant", ASCENDING), ("number", ASCENDING)], name="number", unique=True),
)


class AuditLog:
    """Adds entries to the audit log of a database."""

    def __init__(self, database: Database[Document]) -> None:
        self.database = database
        self.entries = database[ENTRY_COLLECTION]
        self.blocks = database[BLOCK_COLLECTION]
        self.chains = database[CHAIN_COLLECTION]

    def prepare(self) -> None:
        """Create the collections and their indexes, unless they exist."""
        self.entries.create_indexes(list(ENTRY_INDEXES))
        self.blocks.create_indexes(list(BLOCK_INDEXES))

    def append(self, entries: Sequence[Document]) -> None:
        """Add entries; those that exist already stay unchanged, so a repetition is harmless."""
        insert_new(self.entries, entries)

    def append_in(self, session: ClientSession, entry: Document) -> None:
        """Add an entry within a transaction, so that it exists if and only if the change does."""
        self.entries.insert_one(entry, session=session)

    def pending_count(self) -> int:
        """Return the number of entries that are not sealed yet."""
        return self.entries.count_documents({"pending": True}, hint="pending")

    def oldest_pending(self) -> datetime | None:
        """Return the time of the oldest entry that is not sealed yet; None if there is none."""
        entry = self.entries.find_one({"pending": True}, {"time": 1}, sort=[("time", 1)])
        return entry["time"] if entry else None
