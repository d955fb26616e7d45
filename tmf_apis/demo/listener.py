"""Hub subscriber of the walkthrough: a small HTTP server on loopback that collects events."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_MAX_BODY = 4_194_304


class EventListener:
    """Collects events while the context is entered; duplicates of an ``eventId`` are dropped."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None]) -> None:
        """Create a listener.

        Args:
            on_event: Called with each event, in a thread of the listener.
        """
        self.events: list[dict[str, Any]] = []
        self._on_event = on_event
        self._lock = threading.Lock()
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                is_valid = 0 < size <= _MAX_BODY and receive(self.rfile.read(size))
                self.send_response(204 if is_valid else 400)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def callback_url(self) -> str:
        """URL that receives the events."""
        return f"http://127.0.0.1:{self._server.server_port}/listener"

    def _receive(self, body: bytes) -> bool:
        try:
            event = json.loads(body)
            id = event["eventId"]
        except (ValueError, KeyError, TypeError):
            return False
        with self._lock:
            if any(known_event["eventId"] == id for known_event in self.events):
                return True
            self.events.append(event)
        self._on_event(event)
        return True
