"""Log records as lines of JSON on standard error."""

import logging
from datetime import UTC, datetime
from typing import Any

from tmf_apis.json_lines import json_line
from tmf_apis.repeated_errors import ErrorLimitingHandler
from tmf_apis.security.request_origin import current_origin

_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLinesFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, message and the ``extra`` members.

    A line that is logged during a request has the request's id in ``request``; one of an HTTP
    process of several has its number in ``http_process``.
    """

    def __init__(self, http_process: int = 0) -> None:
        """Create the formatter.

        Args:
            http_process: Number of this process; 0: it is not one of several.
        """
        super().__init__()
        self._process = {"http_process": http_process} if http_process else {}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._process,
        }
        if request_id := current_origin.get().request_id:
            line["request"] = request_id
        line |= {name: v for name, v in vars(record).items() if name not in _RECORD_ATTRIBUTES}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json_line(line)


def configure_logging(level: str, *, http_process: int = 0) -> None:
    """Log JSON lines to standard error; errors that repeat, once a minute with their count.

    Args:
        level: The lowest level of logged messages.
        http_process: Number of this HTTP process; 0: it is not one of several.
    """
    handler = ErrorLimitingHandler()
    handler.setFormatter(JsonLinesFormatter(http_process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "uvicorn.error", "pymongo"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
