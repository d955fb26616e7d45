"""Catalogue files, read and written piece by piece: NDJSON or one JSON array, gzip or plain."""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tmf_apis.errors import TooLarge

#: How every gzip member starts (RFC 1952).
_GZIP_MAGIC = b"\x1f\x8b"
#: Most bytes that unpacking gives at once.
_MAX_OUTPUT = 1 << 16
_BOM = b"\xef\xbb\xbf"
_WHITESPACE = b" \t\r\n"
_JSON_DELIMITERS = re.compile(rb'["\\{}\[\],]')


@dataclass(frozen=True, slots=True)
class RawResource:
    """One resource in a file, as it is written there.

    Attributes:
        line: Line that it starts in; the first is 1.
        raw: Its JSON; empty where it is at fault.
        error: What is wrong with it before it is even read; empty if nothing.
    """

    line: int
    raw: bytes
    error: str = ""


def decompressed_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked where they turn out to be gzip, in small pieces.

    Raises:
        ValueError: The gzip is damaged or ends too early.
    """
    waiting = iter(chunks)
    head = b""
    for chunk in waiting:
        head += chunk
        if len(head) >= len(_GZIP_MAGIC):
            break
    if head.startswith(_GZIP_MAGIC):
        yield from _gunzip(head, waiting)
    else:
        yield head
        yield from waiting


def _gunzip(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    data = head
    while True:
        try:
            out = member.decompress(data, _MAX_OUTPUT)
        except zlib.error as error:
            raise ValueError(f"not good gzip: {error}") from None
        if out:
            yield out
        data = member.unused_data if member.eof else member.unconsumed_tail
        data = data or next(rest, b"")
        if member.eof:
            if not data.lstrip(b"\0"):
                return
            member = zlib.decompressobj(wbits=31)
        elif not data and not out:
            raise ValueError("the gzip ends too early")


def limited_chunks(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the chunks as long as they are ``max_bytes`` bytes together.

    Raises:
        TooLarge: They are more.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise TooLarge(f"the file is larger than {max_bytes} bytes, unpacked")
        yield chunk


def raw_resources(chunks: Iterable[bytes], max_bytes: int) -> Iterator[RawResource]:
    """Yield the resources of a file: one a line, or the elements of an array.

    Args:
        chunks: The file, unpacked.
        max_bytes: Most bytes of one resource; a longer one is passed over and reported.
    """
    waiting = iter(chunks)
    head, blank_lines = b"", 0
    for chunk in waiting:
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
    for chunk in waiting:
        yield from reader.feed(chunk)
    yield from reader.close()


class _Reader:
    """Collects the bytes of one piece, up to the longest that is taken."""

    def __init__(self, max_bytes: int) -> None:
        self.line = 1
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._start_line = 0  # line of the piece's first byte that is not blank; 0: none yet
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
        piece = None
        if self._size > self._max_bytes:
            piece = RawResource(self._start_line, b"", f"longer than {self._max_bytes} bytes")
        elif self._start_line:
            piece = RawResource(self._start_line, bytes(self._buffer).rstrip(_WHITESPACE))
        self._buffer.clear()
        self._start_line = self._size = 0
        return piece


class _LineReader(_Reader):
    """NDJSON: one resource a line, empty lines ignored."""

    def feed(self, data: bytes) -> Iterator[RawResource]:
        """Take the next bytes; yield the pieces that they complete."""
        *ended, last = data.split(b"\n")
        for line in ended:
            self._add(line)
            if piece := self._finish():
                yield piece
            self.line += 1
        self._add(last)

    def close(self) -> Iterator[RawResource]:
        """Yield the last line, where nothing ends it."""
        if piece := self._finish():
            yield piece


class _ArrayReader(_Reader):
    """The rest of a JSON array after its opening bracket: what is between its commas."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._depth = 1
        self._in_string = False
        self._skip = 0  # bytes at the start of the next chunk that belong to an escape
        self._element_count = 0

    def feed(self, data: bytes) -> Iterator[RawResource]:
        """Take the next bytes; yield the pieces that they complete."""
        begin, skip = 0, self._skip
        for found in _JSON_DELIMITERS.finditer(data):
            at = found.start()
            if at < skip or not self._depth:
                continue
            mark = found[0]
            if self._in_string:
                skip = at + 2 if mark == b"\\" else skip
                self._in_string = mark != b'"'
            elif self._ends_element(mark):
                self._add(data[begin:at])
                begin = at + 1
                yield from self._finish_element()
        self._skip = max(0, skip - len(data))
        self._add(data[begin:])

    def _ends_element(self, delimiter: bytes) -> bool:
        """Take a mark outside of a text; return whether it ends an element."""
        if delimiter == b'"':
            self._in_string = True
        elif delimiter in b"{[":
            self._depth += 1
        elif delimiter in b"}]":
            self._depth -= 1
            return self._depth == 0
        return delimiter == b"," and self._depth == 1

    def _finish_element(self) -> Iterator[RawResource]:
        if piece := self._finish():
            self._element_count += 1
            yield piece
        elif self._element_count or self._depth:
            yield RawResource(self.line, b"", "nothing between two commas")

    def close(self) -> Iterator[RawResource]:
        """Yield what is wrong with the end of the file."""
        piece = self._finish()
        if self._depth:
            yield RawResource(piece.line if piece else self.line, b"", "the array is not closed")
        elif piece:
            yield RawResource(piece.line, b"", "something follows the array")
