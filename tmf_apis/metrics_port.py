"""The port for metrics without a token, which the HTTP processes of a server share."""

import socket
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app


class _MetricsServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the port is for one client that reads the same path."""


def serve_metrics(descriptor: int, registry: CollectorRegistry) -> None:
    """Serve metrics on a listening socket in a thread, which ends with the process.

    Args:
        descriptor: Descriptor of the socket; it must not block, because processes share it.
        registry: The metrics.
    """
    sock = socket.socket(fileno=descriptor)
    address = sock.getsockname()
    server = _MetricsServer(address[:2], _SilentHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = sock
    server.server_name, server.server_port = str(address[0]), address[1]
    server.setup_environ()
    server.set_app(make_wsgi_app(registry))
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
