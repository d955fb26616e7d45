"""A server with the demo operator, whose answers the generated clients read."""

from contextlib import contextmanager

from tests.support.server import ServerProcess


class _DemoServer(ServerProcess):
    options = ("--demo",)


@contextmanager
def demo_server(folder):
    """Run a server without authentication, with the demo operator, and yield its URL."""
    server = _DemoServer(folder, TMF_AUTH="off", TMF_ADDRESS_RATE="0")
    try:
        yield server.start().url
    finally:
        server.stop()
