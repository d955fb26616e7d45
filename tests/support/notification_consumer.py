"""A running consumer of notifications, without the other parts of a worker."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from tmf_apis.element_access.connections import Connections
from tmf_apis.fault_management.alarm_writer import AlarmWriter
from tmf_apis.fault_management.element_registry import ElementRegistry
from tmf_apis.fault_management.message_records import MessageRecords
from tmf_apis.fault_management.trap_consumer import TrapConsumer


@asynccontextmanager
async def running_consumer(database, repositories, secrets, *, host="127.0.0.1"):
    """Yield a consumer of notifications that runs; it listens on a free port."""
    with ThreadPoolExecutor(4) as executor:
        connections = Connections(
            secrets,
            on_circuit_change=lambda *change: consumer.note_circuit_change(*change),  # noqa: PLW0108 - defined below
        )
        consumer = TrapConsumer(
            ElementRegistry(database, repositories, secrets),
            AlarmWriter(database, repositories),
            connections,
            executor,
            (host, 0),
            MessageRecords(database),
        )
        stop = asyncio.Event()
        running = asyncio.create_task(consumer.run(stop))
        try:
            yield consumer
        finally:
            stop.set()
            await running
            await connections.close()


def count_requests(gateway):
    """Return a function that returns the number of datagrams received since now."""
    receive, count = gateway.datagram_received, 0

    def receive_and_count(datagram, source):
        nonlocal count
        count += 1
        receive(datagram, source)

    gateway.datagram_received = receive_and_count
    return lambda: count
