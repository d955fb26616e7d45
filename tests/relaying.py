"""A worker process of its own, for tests that kill it: ``python relaying.py URI DATABASE``."""

import asyncio
import sys

from pymongo import MongoClient

from tmf_apis.events.envelope import notification
from tmf_apis.events.relay import Application
from tmf_apis.events.worker import run
from tmf_apis.security.outbound import Policy
from tmf_apis.settings import Settings

QUICK = Settings(
    retry_first=0.05,
    retry_longest=0.3,
    callback_timeout=1.0,
    relay_interval=0.05,
)
KINDS = ("ProductOrder", "Customer")


def render(event, audience):
    resource = {"id": event["resource"], **event["body"]}
    return notification(event, "productOrder", resource, audience)


async def work(database, stop, settings=QUICK, listeners=None):
    await run(
        database,
        settings,
        KINDS,
        Application(render, listeners or {}),
        stop,
        policy=Policy(loopback=True),
        margin=0.5,
    )


def main(uri, name):
    with MongoClient(uri, tz_aware=True, w="majority", journal=True) as client:
        asyncio.run(work(client[name], asyncio.Event()))


if __name__ == "__main__":
    main(*sys.argv[1:])
