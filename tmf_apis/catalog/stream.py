"""Reading catalogue files in chunks: NDJSON or a JSON array, compressed by gzip or not."""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tmf_apis.errors import TooLarge

#: First bytes of a gzip member (RFC 1952).
_GZIP_MAGIC = b"\x1f\x8b"
#: Largest number of bytes that decompression returns at once.
_MAX_OUTPUT = 1 << 16
_BOM = b"\xef\xbb\xbf"
_WHITESPACE = b" \t\r\n"
_JSON_DELIMITERS = re.compile(rb'["\\{}\[\],]')


@dataclass(frozen=True, slots=True)
class RawResource:
    """The text of one resource in a file.

    Attributes:
        line: Line that it starts in; the first is 1.
        raw: Its JSON; empty after an error.
        error: Reason why it cannot be read; empty if it can.
    """

    line: int
    raw: bytes
    error: str = ""


def decompressed_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file in small chunks, decompressed if the file is gzip.

    Raises:
        ValueError: The gzip data is invalid or truncated.
    """
    remaining = iter(chunks)
    head = b""
    for chunk in remaining:
        head += chunk
        if len(head) >= len(_GZIP_MAGIC):
            break
    if head.startswith(_GZIP_MAGIC):
        yield from _gunzip(head, remaining)
    else:
        yield head
        yield from remaining


def _gunzip(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    data = head
    while True:
        try:
            out = member.decompress(data, _MAX_OUTPUT)
        except zlib.error as error:
            raise ValueError(f"invalid gzip data: {error}") from None
        if out:
            yield out
        data = member.unused_data if member.eof else member.unconsumed_tail
        data = data or next(rest, b"")
        if member.eof:
            if not data.lstrip(b"\0"):
                return
            member = zlib.decompressobj(wbits=31)
        elif not data and not out:
            raise ValueError("the gzip data is truncated")


def limited_chunks(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the chunks of a file up to ``max_bytes`` bytes in total.

    Raises:
        TooLarge: The file has more bytes (HTTP 413).
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise TooLarge(f"the file is larger than {max_bytes} bytes after decompression")
        yield chunk


def raw_resources(chunks: Iterable[bytes], max_bytes: int) -> Iterator[RawResource]:
    """Yield the resources of a file: one a line, or the elements of an array.

    Args:
        chunks: The decompressed file.
        max_bytes: Largest size of one resource; a larger one is skipped and reported.
    """
    remaining = iter(chunks)
    head, blank_lines = b"", 0
    for chunk in remaining:
        head += chunk
        head = head.removeprefix(_BOM) if blank_lines == 0 else head
        rest = head.lstrip(_WHITESPACE)
        blank_lines += head[: len(head) - len(rest)].count(b"\n")
        head = rest
        if head and not (blank_lines == 0 and _BOM.startswith(head)):
            break
    is_array = head.startswith(b"[")
    reader = _ArrayReader(max_bytes) if is_array else _LineReader(max_bytes)
    reader.line += blank_lines
    yield from reader.feed(head[1:] if is_array else head)
    for chunk in remaining:
        yield from reader.feed(chunk)
    yield from reader.close()


class _Reader:
    """Collects the bytes of one resource, up to the largest size."""

    def __init__(self, max_bytes: int) -> None:
        self.line = 1
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._start_line = 0  # line of the first byte that is not blank; 0: none yet
        self._size = 0

    def _add(self, data: bytes) -> None:
        if not self._start_line:
            rest = data.lstrip(_WHITESPACE)
            self.line += data[: len(data) - len(rest)].count(b"\n")
            if not rest:
                return
            data, self._start_line = rest, self.line
        self.line += data.count(b"\n")
        self._size += len(data)
        if self._size <= self._max_bytes:
            self._buffer += data
        else:
            self._buffer.clear()

    def _finish(self) -> RawResource | None:
        resource = None
        if self._size > self._max_bytes:
            resource = RawResource(self._start_line, b"", f"longer than {self._max_bytes} bytes")
        elif self._start_line:
            resource = RawResource(self._start_line, bytes(self._buffer).rstrip(_WHITESPACE))
        self._buffer.clear()
        self._start_line = self._size = 0
        return resource


class _LineReader(_Reader):
    """Reads NDJSON: one resource a line, empty lines are ignored."""

    def feed(self, data: bytes) -> Iterator[RawResource]:
        """Add bytes; yield the resources that they complete."""
        *lines, last = data.split(b"\n")
        for line in lines:
            self._add(line)
            if resource := self._finish():
                yield resource
            self.line += 1
        self._add(last)

    def close(self) -> Iterator[RawResource]:
        """Yield the last line if no line feed ends it."""
        if resource := self._finish():
            yield resource


class _ArrayReader(_Reader):
    """Reads the elements of a JSON array, after its opening bracket."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._depth = 1
        self._in_string = False
        self._skip = 0  # number of bytes of an escape sequence at the start of the next chunk
        self._element_count = 0

    def feed(self, data: bytes) -> Iterator[RawResource]:
        """Add bytes; yield the resources that they complete."""
        begin, skip = 0, self._skip
        for match in _JSON_DELIMITERS.finditer(data):
            position, delimiter = match.start(), match[0]
            if position < skip or not self._depth:
                continue
            if self._in_string:
                skip = position + 2 if delimiter == b"\\" else skip
                self._in_string = delimiter != b'"'
            elif self._ends_element(delimiter):
                self._add(data[begin:position])
                begin = position + 1
                yield from self._finish_element()
        self._skip = max(0, skip - len(data))
        self._add(data[begin:])

    def _ends_element(self, delimiter: bytes) -> bool:
        """Process a delimiter outside of a string; return whether it ends an element."""
        if delimiter == b'"':
            self._in_string = True
        elif delimiter in b"{[":
            self._depth += 1
        elif delimiter in b"}]":
            self._depth -= 1
            return self._depth == 0
        return delimiter == b"," and self._depth == 1

    def _finish_element(self) -> Iterator[RawResource]:
        if resource := self._finish():
            self._element_count += 1
            yield resource
        elif self._element_count or self._depth:
            yield RawResource(self.line, b"", "nothing between two commas")

    def close(self) -> Iterator[RawResource]:
        """Yield an error if the file does not end with the array."""
        rest = self._finish()
        if self._depth:
            yield RawResource(rest.line if rest else self.line, b"", "the array is not closed")
        elif rest:
            yield RawResource(rest.line, b"", "something follows the array")
