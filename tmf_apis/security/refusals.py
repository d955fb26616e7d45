"""Failed log-ins and refusals: counted, and logged at a bounded rate.

Whoever sends many invalid requests must not fill the log: of each client and cause, and of all
together, a limited number of lines is written in a minute. The next line of the following minute
has the number of those that were not written.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from tmf_apis.errors import TmfError
from tmf_apis.security.claims import TokenRefused
from tmf_apis.security.request_origin import RequestOrigin

log = logging.getLogger(__name__)

#: Length of the window, in seconds; most lines of one client and cause, and of all, in a window.
_WINDOW, _LINES_OF_CLIENT, _LINES = 60.0, 5, 200
_UNAUTHORIZED = 401


class RefusalLog:
    """Records the requests that authentication or authorization has refused.

    Attributes:
        observe: Called with the status and cause of each refusal.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Create an empty log.

        Args:
            clock: Returns the current time, in seconds.
        """
        self.observe: Callable[[int, str], None] = lambda *_: None
        self._clock = clock
        self._lock = threading.Lock()
        self._window_ends_at = 0.0
        self._written: Counter[tuple[str, str]] = Counter()
        self._suppressed = 0

    def record(self, error: TmfError, origin: RequestOrigin, path: str, subject: str = "") -> None:
        """Count a refusal and log it.

        Args:
            error: The refusal.
            origin: The origin of the request.
            path: The path of the request, without the query.
            subject: Subject of the client; that of a refused token is in the error.
        """
        cause, client = "forbidden", f"{origin.address} {subject}"
        if isinstance(error, TokenRefused):  # nobody has verified the subject of its token
            cause, subject, client = error.cause, error.subject, origin.address
        self.observe(error.status, cause)
        suppressed = self._lines_suppressed(client, cause)
        if suppressed is None:
            return
        log.warning(
            "log-in failed" if error.status == _UNAUTHORIZED else "request refused",
            extra={
                "client": origin.address,
                "subject": subject[:200],
                "cause": cause,
                "reason": error.message[:300],
                "path": path[:300],
                **({"unlogged": suppressed} if suppressed else {}),
            },
        )

    def _lines_suppressed(self, client: str, cause: str) -> int | None:
        """Return the number of omitted lines to report, or None to omit this line.

        The first line of a window reports the lines that were omitted in the one before.
        """
        with self._lock:
            now, suppressed = self._clock(), 0
            if now >= self._window_ends_at:
                self._window_ends_at = now + _WINDOW
                suppressed, self._suppressed = self._suppressed, 0
                self._written.clear()
            is_full = self._written.total() >= _LINES
            if is_full or self._written[client, cause] >= _LINES_OF_CLIENT:
                self._suppressed += 1
                return None
            self._written[client, cause] += 1
            return suppressed
