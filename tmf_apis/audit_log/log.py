"""The stored audit log: entries are only added, never changed except to seal them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from tmf_apis.audit_log.blocks import ChainHead
from tmf_apis.audit_log.entries import attribute_to_creator, client_facts, new_entry
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import current_origin
from tmf_apis.store.bulk import insert_new

#: Collections of the entries, of the blocks that seal them, and of the state of each chain.
ENTRY_COLLECTION = "audit_log"
BLOCK_COLLECTION = "audit_log_blocks"
CHAIN_COLLECTION = "audit_log_chains"

Document = dict[str, Any]
T = TypeVar("T")

ENTRY_INDEXES = (
    IndexModel([("tenant", ASCENDING), ("time", DESCENDING), ("_id", ASCENDING)], name="time"),
    IndexModel(
        [("tenant", ASCENDING), ("subject", ASCENDING), ("time", DESCENDING)], name="subject"
    ),
    IndexModel(
        [("tenant", ASCENDING), ("resource", ASCENDING), ("time", DESCENDING)], name="resource"
    ),
    IndexModel(
        [("tenant", ASCENDING), ("sequence", ASCENDING)],
        name="sequence",
        partialFilterExpression={"sequence": {"$exists": True}},
    ),
    IndexModel(
        [("pending", ASCENDING), ("tenant", ASCENDING), ("time", ASCENDING)],
        name="unsealed",
        partialFilterExpression={"pending": True},
    ),
)
BLOCK_INDEXES = (
    IndexModel([("tenant", ASCENDING), ("number", ASCENDING)], name="number", unique=True),
    IndexModel(
        [("ids.0", ASCENDING)],
        name="unapplied",
        partialFilterExpression={"ids.0": {"$exists": True}},
    ),
)


#: Most ids of resources in the entries that are read at a time.
MAX_IDS = 20_000
#: Matches the blocks some of whose entries may lack their sequence.
_UNAPPLIED = {"ids.0": {"$exists": True}}


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

    def append_writes(self, entries: Sequence[Document]) -> None:
        """Add the entries of writes.

        What the server wrote for a resource is attributed to the client that created the resource;
        the server becomes the ``actor``.
        """
        caused = [entry for entry in entries if "cause" in entry]
        self.append([entry for entry in entries if "cause" not in entry])
        if caused:
            ids = {entry["cause"].partition(":")[2] for entry in caused}
            creators = self._creators({entry["tenant"] for entry in caused}, ids)
            for entry in caused:
                attribute_to_creator(entry, creators)
            self.append(caused)

    def _creators(
        self, tenants: Iterable[str], ids: Iterable[str]
    ) -> dict[tuple[str, str], Document]:
        """Return the entries of the creation of resources, by tenant and "<kind>:<id>"."""
        query = {
            "tenant": {"$in": sorted(tenants)},
            "resource": {"$in": sorted(ids)},
            "operation": "create",
        }
        members = dict.fromkeys(("tenant", "kind", "resource", "subject", "parties"), 1)
        return {
            (row["tenant"], f"{row['kind']}:{row['resource']}"): row
            for row in self.entries.find(query, members)
        }

    def record(self, identity: Identity, operation: str, **members: object) -> None:
        """Add an entry of the current request, before the caller goes on.

        Args:
            identity: The client.
            operation: What the client does, such as "erase".
            **members: Further members of the entry: kind, resource, attributes (names only).
        """
        self.append([_entry_of_request(identity, operation, members)])

    def record_with(
        self,
        identity: Identity,
        operation: str,
        write: Callable[[ClientSession], T],
        **members: object,
    ) -> T:
        """Add an entry in a transaction with a change; return the result of ``write``.

        So the entry exists if and only if the change does.

        Args:
            identity: The client.
            operation: What the client does.
            write: Makes the change with the session; called again after a conflict. An exception
                ends the transaction without an entry.
            **members: Further members of the entry, as of ``record``.
        """
        entry = _entry_of_request(identity, operation, members)

        def change(session: ClientSession) -> T:
            self.entries.insert_one(entry, session=session)
            return write(session)

        with self.database.client.start_session() as session:
            return session.with_transaction(change)

    def has_pending(self) -> bool:
        """Return whether there are entries that are not sealed yet."""
        return self.entries.find_one({"pending": True}, {"_id": 1}) is not None

    def pending_entries(self, tenant: str, limit: int) -> list[Document]:
        """Return the oldest entries of a tenant that are not sealed yet."""
        entries: list[Document] = []
        weight = 0
        query = {"pending": True, "tenant": tenant}
        with self.entries.find(query).sort([("time", 1)]).limit(limit) as cursor:
            for entry in cursor:
                entries.append(entry)
                resource = entry.get("resource")
                weight += len(resource) if isinstance(resource, list) else 1
                if weight > MAX_IDS:
                    break
        return entries

    def pending_tenants(self) -> list[str]:
        """Return the tenants that have entries that are not sealed yet; reads an index only."""
        return self.entries.distinct("tenant", {"pending": True})

    def tenants(self) -> list[str]:
        """Return the tenants that have entries, sorted."""
        return sorted({*self.entries.distinct("tenant"), *self.blocks.distinct("tenant")})

    def last_block(self, tenant: str) -> Document | None:
        """Return the last block of a tenant; None if there is none."""
        return self.blocks.find_one({"tenant": tenant}, sort=[("number", -1)])

    def anchor(self, tenant: str) -> Document | None:
        """Return the last block that retention has dropped, without its digests; None: none."""
        chain = self.chains.find_one({"_id": tenant})
        return chain["anchor"] if chain else None

    def head(self, tenant: str, last_block: Document | None) -> ChainHead:
        """Return the end of a chain whose last block has been read."""
        return ChainHead.of(tenant, last_block or self.anchor(tenant))

    def has_unapplied_blocks(self) -> bool:
        """Return whether entries of a block lack their sequence after a crash."""
        return self.blocks.find_one(_UNAPPLIED, {"_id": 1}) is not None

    def unapplied_blocks(self) -> list[Document]:
        """Return the blocks some of whose entries lack their sequence after a crash."""
        return list(self.blocks.find(_UNAPPLIED))

    def pending_count(self) -> int:
        """Return the number of entries that are not sealed yet."""
        return self.entries.count_documents({"pending": True})


def _entry_of_request(identity: Identity, operation: str, members: Document) -> Document:
    facts = client_facts(current_origin.get(), identity.subject, identity.parties)
    return new_entry(identity.tenant, operation, facts, **members)
