"""The write pipeline with its relay in one process, for tests of the audit log."""

from contextlib import contextmanager
from datetime import timedelta

from tmf_apis.audit_log.entries import new_entry
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.audit_log.sealing import Sealer
from tmf_apis.engine import Engine
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.relay import EventHandlers, Relay
from tmf_apis.rest.pipeline.repository import ScopedRepository
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import RequestOrigin, current_origin
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client

STAFF = Identity("ann", "acme")
ORIGIN = RequestOrigin(address="192.0.2.7", request_id="req-1")


@contextmanager
def request_from(identity, origin=ORIGIN):
    """Run a block as a request of a client."""
    token = current_origin.set(origin.with_identity(identity))
    yield
    current_origin.reset(token)


class AuditHarness:
    """An engine, a relay and the audit log of one database.

    Attributes:
        engine: The engine.
        log: The audit log.
        listeners: Listeners of the relay, by kind.
    """

    def __init__(self, contracts, database):
        self.engine = Engine(Settings(), list(contracts.values()), database)
        self.engine.prepare()
        self.log = AuditLog(database)
        self.log.prepare()
        self.listeners = {}
        self._queue = DeliveryQueue(
            database, delivered_retention=timedelta(hours=1), parked_retention=timedelta(hours=1)
        )
        self._queue.prepare()
        self.relay().prepare(self.engine.kinds)

    def clear(self):
        """Empty the database."""
        database = self.engine.database
        for name in database.list_collection_names():
            if not name.startswith("system.") and name not in {"leases", "meta"}:
                database[name].delete_many({})
        self.end_leases()
        self.listeners.clear()

    def end_leases(self):
        """End the leases of workers that were killed."""
        lease = {"lease.owner": "", "lease.until": ""}
        self.engine.database["leases"].update_many({}, {"$unset": lease})

    def repository(self, identity=STAFF):
        """Return a repository that writes as an identity."""
        writer = self.engine.writer
        return ScopedRepository(writer, identity, writer.request_context(identity))

    def create(self, kind, identity=STAFF, **resource):
        """Create a resource as a client does; return its id."""
        writer = self.engine.writer
        context = writer.request_context(identity)
        return writer.create(identity, kind, {"@type": kind, **resource}, context).id

    def change(self, kind, id, identity=STAFF, **attributes):
        """Change attributes of a resource as a client does."""
        writer = self.engine.writer
        context = writer.request_context(identity)
        writer.change(identity, kind, id, lambda old: {**old, **attributes}, context)

    def delete(self, kind, id, identity=STAFF):
        """Delete a resource as a client does."""
        writer = self.engine.writer
        writer.delete(identity, kind, id, writer.request_context(identity))

    def relay(self, owner="r"):
        """Return a new relay, as of a new worker."""
        handlers = EventHandlers(self.engine.render_event, self.listeners)
        return Relay(self.engine.database, self._queue, handlers, owner=owner)

    def drain(self, owner="r"):
        """Relay the events of every kind."""
        relay = self.relay(owner)
        for kind in self.engine.kinds:
            if self.engine.database[kind].find_one({"events.0": {"$exists": True}}):
                relay.drain(kind)

    def entries(self, **query):
        """Return the stored entries that match, oldest first."""
        return list(self.log.entries.find(query).sort([("time", 1), ("revision", 1)]))


@contextmanager
def audit_harness(mongodb_uri, contracts, name):
    """Yield a harness on a database of its own."""
    with mongo_client(Settings(mongodb_database=name), mongodb_uri) as client:
        client.drop_database(name)
        yield AuditHarness(contracts, client[name])
        client.drop_database(name)


def append(log, count, tenant=STAFF.tenant):
    """Append entries that are not sealed."""
    facts = {"subject": "ann", "kind": "Service"}
    log.append([new_entry(tenant, "change", facts, revision=n) for n in range(count)])


def sealed(log, count=35, key=None):
    """Append and seal entries; return the sealer."""
    append(log, count)
    sealer = Sealer(log, "s", key)
    sealer.seal()
    return sealer
