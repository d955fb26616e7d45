"""An HTTP listener for event callbacks whose responses a test decides."""

import contextlib
import json
import socketserver
import threading

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def response(status, *headers, body=b""):
    """Return the bytes of an HTTP response."""
    lines = [f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class CallbackListener(socketserver.ThreadingTCPServer):
    """A listener that records the notifications that it accepts.

    Attributes:
        behave: Function of body and handler that returns the response; None closes the connection.
        received: Bodies of accepted notifications.
        requests: Headers and raw body of accepted notifications.
        paths: Paths of accepted notifications.
        connections: Number of connections.
        ended: Set when the listener is closed.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, behave=None, port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.behave = behave or (lambda _body, _handler: OK)
        self.received, self.requests, self.paths = [], [], []
        self.connections = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self):
        """The callback URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/cb"

    def event_ids(self):
        """Return the eventIds of the accepted notifications, in order."""
        return [body["eventId"] for body in list(self.received)]

    def numbers(self, id):
        """Return the attribute ``n`` of the accepted notifications of a resource, in order."""
        resources = [body["event"]["productOrder"] for body in list(self.received)]
        return [resource["n"] for resource in resources if resource["id"] == id]

    def close(self):
        """Stop the listener."""
        self.ended.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.connections += 1
        with contextlib.suppress(OSError):
            while self._handle_request():
                pass

    def _handle_request(self):
        if not (start := self.rfile.readline()):
            return False
        headers = {}
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        raw = self.rfile.read(int(headers.get("content-length", 1 << 20)))
        if len(raw) != int(headers.get("content-length", -1)):
            return False  # the sender was killed
        body = json.loads(raw)
        reply = self.server.behave(body, self)
        if reply is not None and reply.startswith(b"HTTP/1.1 2"):
            with self.server.lock:
                self.server.paths.append(start.split()[1].decode())
                self.server.received.append(body)
                self.server.requests.append((headers, raw))
        if reply is None:
            return False
        self.wfile.write(reply)
        return True
