"""An event worker for tests, also as a process that a test can kill.

Run it with ``python -m tests.support.relay_process URI DATABASE``.
"""

import asyncio
import sys
from dataclasses import replace

from pymongo import MongoClient

from tmf_apis.events.envelope import notification
from tmf_apis.events.event_worker import run
from tmf_apis.events.relay import EventHandlers
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings

FAST_SETTINGS = Settings(
    retry_first=0.05,
    retry_longest=0.3,
    callback_timeout=20.0,
    relay_interval=0.05,
)
KINDS = ("ProductOrder", "Customer")


def render(event, audience):
    """Return the notification of an event."""
    resource = {"id": event["resource"], **event["body"]}
    return notification(event, "productOrder", resource, audience)


async def run_relay(database, stop, settings=FAST_SETTINGS, listeners=None):
    """Relay and deliver events until ``stop`` is set."""
    await run(
        database,
        settings,
        KINDS,
        EventHandlers(render, listeners or {}),
        stop,
        policy=OutboundPolicy(allow_loopback=True),
        lease_margin=0.5,
    )


def main(uri, name):
    """Run an event worker with short leases until the process is killed."""
    settings = replace(FAST_SETTINGS, callback_timeout=1.0)
    with MongoClient(uri, tz_aware=True, w="majority", journal=True) as client:
        asyncio.run(run_relay(client[name], asyncio.Event(), settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
