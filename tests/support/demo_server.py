"""A demo operator for tests, with the same dates every time."""

from contextlib import contextmanager
from datetime import UTC, datetime

from pymongo import MongoClient

from tests.support.server import ServerProcess
from tmf_apis.demo import SEED

#: The time at which the demo operator of the examples was loaded.
LOADED = datetime(2026, 1, 5, 12, tzinfo=UTC)


@contextmanager
def demo_server(folder, mongodb_uri, database):
    """Run a server with the demo operator, in an empty database of a running MongoDB."""
    with MongoClient(mongodb_uri) as client:
        mark = {"_id": "demo:default", "seed": SEED, "now": LOADED, "done": False}
        client[database]["meta"].replace_one({"_id": mark["_id"]}, mark, upsert=True)
    server = ServerProcess(
        folder, TMF_AUTH="off", TMF_MONGODB_URI=mongodb_uri, TMF_MONGODB_DATABASE=database
    )
    server.options = ("--demo",)
    try:
        yield server.start()
    finally:
        server.stop()
