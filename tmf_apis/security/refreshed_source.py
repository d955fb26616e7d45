"""A value that is read from a file or a URL again and again, and survives an outage for a time."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import httpx

from tmf_apis.errors import Unavailable

log = logging.getLogger(__name__)

#: Longest pause between two attempts to read a source, and the pause before the first success, in
#: seconds.
_LONGEST_PAUSE, _FIRST_PAUSE = 30.0, 1.0
#: Time limit of one attempt, in seconds, and the largest source, in bytes.
_READ_TIMEOUT, _MAX_SOURCE_BYTES = 5.0, 16_777_216

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTimes:
    """The times of a refreshed source, in seconds.

    Attributes:
        refresh: Age at which the value is read again; an older value is not used, unless the source
            cannot be read.
        outage: Age up to which the value is used while the source cannot be read.
    """

    refresh: float
    outage: float

    @property
    def pause(self) -> float:
        """Shortest pause between two attempts."""
        return min(_LONGEST_PAUSE, self.refresh / 2)


class RefreshedSource(Generic[T]):
    """The parsed content of a file or URL.

    Attributes:
        generation: Number of changes of the content.
    """

    def __init__(
        self,
        source: str,
        parse: Callable[[str], T],
        times: RefreshTimes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store the configuration; the source is read when the value is needed.

        Args:
            source: File or URL.
            parse: Returns the value of a text; raises ``ValueError`` if it is malformed.
            times: When the value is read again, and how long it is used.
            clock: Returns the current time, in seconds.
        """
        self.generation = 0
        self._source = source
        self._parse = parse
        self._times = times
        self._clock = clock
        self._text: str | None = None
        self._value: T | None = None
        self._read_at = self._tried_at = float("-inf")
        self._check_at = float("-inf")
        self._lock = threading.Lock()

    def value(self) -> T:
        """Return the value, at most ``refresh`` seconds old unless the source cannot be read.

        Raises:
            Unavailable: The source cannot be read, and no value is recent enough (HTTP 503).
        """
        now = self._clock()
        if now >= self._check_at:
            self._refresh_if_due(now)
        if self._value is None or self._clock() - self._read_at > self._times.outage:
            raise Unavailable("the data that tokens are checked with cannot be read")
        return self._value

    def reread(self) -> bool:
        """Read the source unless it has just been read; return whether the value has changed."""
        generation = self.generation
        self._try_to_read(wait=True)
        return self.generation != generation

    def _refresh_if_due(self, now: float) -> None:
        """Read the source; in the background while the value is recent or the source is out."""
        is_out = self._tried_at > self._read_at
        is_old = now - self._read_at >= self._times.refresh
        if self._value is None or (is_old and not is_out):
            self._try_to_read(wait=True)
        elif not self._lock.locked():
            thread = threading.Thread(
                target=self._try_to_read, kwargs={"wait": False}, name="refresh", daemon=True
            )
            thread.start()

    def _try_to_read(self, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            now = self._clock()
            if now - max(self._tried_at, self._read_at) >= self._pause():
                self._read(now)
        finally:
            self._lock.release()

    def _pause(self) -> float:
        return _FIRST_PAUSE if self._value is None else self._times.pause

    def _read(self, now: float) -> None:
        try:
            text = read_source(self._source)
            if text != self._text:
                self._value, self._text = self._parse(text), text
                self.generation += 1
            self._read_at = now
            self._check_at = now + self._times.refresh / 2
        except (OSError, httpx.HTTPError, ValueError) as error:
            self._check_at = now + self._pause()
            log.warning(
                "cannot read the source of security data",
                extra={"source": self._source, "error": str(error)[:500]},
            )
        self._tried_at = now


def read_source(source: str) -> str:
    """Return the text of a file or URL.

    Raises:
        OSError: The file cannot be read.
        httpx.HTTPError: The URL cannot be read.
        ValueError: The text is not UTF-8, or too long.
    """
    if source.startswith(("https://", "http://")):
        return _read_url(source)
    path = Path(source.removeprefix("file://"))
    if path.stat().st_size > _MAX_SOURCE_BYTES:
        raise ValueError(f"the file has more than {_MAX_SOURCE_BYTES} bytes")
    return path.read_text(encoding="utf-8")


def _read_url(url: str) -> str:
    deadline = time.monotonic() + _READ_TIMEOUT
    content = bytearray()
    with httpx.stream(
        "GET", url, timeout=_READ_TIMEOUT, follow_redirects=False, trust_env=False
    ) as response:
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"the server answers {response.status_code}")
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _MAX_SOURCE_BYTES or time.monotonic() > deadline:
                raise ValueError("the response is too long or too slow")
    return content.decode("utf-8")
