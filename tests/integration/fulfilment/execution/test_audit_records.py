"""The audit log attributes the writes of fulfilment to the client of the order."""

from datetime import timedelta

from tests.support.fulfilment_harness import order_item
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.events.delivery_queue import DeliveryQueue
from tmf_apis.events.relay import EventHandlers, Relay


def drain(database, kinds):
    """Relay the events of kinds without listeners."""
    queue = DeliveryQueue(
        database, delivered_retention=timedelta(hours=1), parked_retention=timedelta(hours=1)
    )
    queue.prepare()
    relay = Relay(database, queue, EventHandlers(lambda *_: None), owner="audit")
    relay.prepare(kinds)
    for kind in kinds:
        relay.drain(kind)


def test_writes_of_an_order_are_those_of_its_client(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    assert operator.run_order(key)["state"] == "completed"
    database = operator.engine.database
    drain(database, ["ProductOrder", "Product", "Service", "Resource"])
    log = AuditLog(database)
    (creation,) = log.entries.find({"resource": key.order, "operation": "create"})
    cause = f"ProductOrder:{key.order}"
    written = list(log.entries.find({"tenant": key.tenant, "cause": cause}))
    assert {entry["kind"] for entry in written} == {
        *("ProductOrder", "Product", "Service", "Resource")
    }
    assert {entry["subject"] for entry in written} == {creation["subject"]}
    assert all(entry["actor"] != entry["subject"] for entry in written)
    states = [entry.get("newState") for entry in written if entry["kind"] == "ProductOrder"]
    assert "completed" in states
