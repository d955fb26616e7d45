"""Catalogue files, read and written piece by piece: NDJSON or one JSON array, gzip or plain."""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tmf_apis.errors import TooLarge

#: How every gzip member starts (RFC 1952).
_GZIP = b"\x1f\x8b"
#: Most bytes that unpacking gives at once.
_PIECE = 1 << 16
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_MARKS = re.compile(rb'["\\{}\[\],]')


@dataclass(frozen=True, slots=True)
class Piece:
    """One resource in a file, as it is written there.

    Attributes:
        line: Line that it starts in; the first is 1.
        raw: Its JSON; empty where it is at fault.
        fault: What is wrong with it before it is even read; empty if nothing.
    """

    line: int
    raw: bytes
    fault: str = ""


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked where they turn out to be gzip, in small pieces.

    Raises:
        ValueError: The gzip is damaged or ends too early.
    """
    waiting = iter(chunks)
    head = b""
    for chunk in waiting:
        head += chunk
        if len(head) >= len(_GZIP):
            break
    if head.startswith(_GZIP):
        yield from _gunzip(head, waiting)
    else:
        yield head
        yield from waiting


def _gunzip(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    data = head
    while True:
        try:
            out = member.decompress(data, _PIECE)
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


def limited(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Yield the chunks as long as they are ``most`` bytes together.

    Raises:
        TooLarge: They are more.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            raise TooLarge(f"the file is larger than {most} bytes, unpacked")
        yield chunk


def pieces(chunks: Iterable[bytes], longest: int) -> Iterator[Piece]:
    """Yield the resources of a file: one a line, or the elements of an array.

    Args:
        chunks: The file, unpacked.
        longest: Most bytes of one resource; a longer one is passed over and reported.
    """
    waiting = iter(chunks)
    head, blank_lines = b"", 0
    for chunk in waiting:
        head += chunk
        head = head.removeprefix(_BOM) if blank_lines == 0 else head
        rest = head.lstrip(_BLANK)
        blank_lines += head[: len(head) - len(rest)].count(b"\n")
        head = rest
        if head and not (blank_lines == 0 and _BOM.startswith(head)):
            break
    is_array = head.startswith(b"[")
    reader = _Array(longest) if is_array else _Lines(longest)
    reader.line += blank_lines
    yield from reader.feed(head[1:] if is_array else head)
    for chunk in waiting:
        yield from reader.feed(chunk)
    yield from reader.close()


class _Reader:
    """Collects the bytes of one piece, up to the longest that is taken."""

    def __init__(self, longest: int) -> None:
        self.line = 1
        self._longest = longest
        self._held = bytearray()
        self._start = 0  # line of the piece's first byte that is not blank; 0: none yet
        self._size = 0

    def _add(self, data: bytes) -> None:
        if not self._start:
            rest = data.lstrip(_BLANK)
            self.line += data[: len(data) - len(rest)].count(b"\n")
            if not rest:
                return
            data, self._start = rest, self.line
        self.line += data.count(b"\n")
        self._size += len(data)
        if self._size <= self._longest:
            self._held += data
        else:
            self._held.clear()

    def _take(self) -> Piece | None:
        piece = None
        if self._size > self._longest:
            piece = Piece(self._start, b"", f"longer than {self._longest} bytes")
        elif self._start:
            piece = Piece(self._start, bytes(self._held).rstrip(_BLANK))
        self._held.clear()
        self._start = self._size = 0
        return piece


class _Lines(_Reader):
    """NDJSON: one resource a line, empty lines ignored."""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes; yield the pieces that they complete."""
        *ended, last = data.split(b"\n")
        for line in ended:
            self._add(line)
            if piece := self._take():
                yield piece
            self.line += 1
        self._add(last)

    def close(self) -> Iterator[Piece]:
        """Yield the last line, where nothing ends it."""
        if piece := self._take():
            yield piece


class _Array(_Reader):
    """The rest of a JSON array after its opening bracket: what is between its commas."""

    def __init__(self, longest: int) -> None:
        super().__init__(longest)
        self._depth = 1
        self._text = False
        self._skip = 0  # bytes at the start of the next chunk that belong to an escape
        self._elements = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes; yield the pieces that they complete."""
        begin, skip = 0, self._skip
        for found in _MARKS.finditer(data):
            at = found.start()
            if at < skip or not self._depth:
                continue
            mark = found[0]
            if self._text:
                skip = at + 2 if mark == b"\\" else skip
                self._text = mark != b'"'
            elif self._ends(mark):
                self._add(data[begin:at])
                begin = at + 1
                yield from self._element()
        self._skip = max(0, skip - len(data))
        self._add(data[begin:])

    def _ends(self, mark: bytes) -> bool:
        """Take a mark outside of a text; return whether it ends an element."""
        if mark == b'"':
            self._text = True
        elif mark in b"{[":
            self._depth += 1
        elif mark in b"}]":
            self._depth -= 1
            return self._depth == 0
        return mark == b"," and self._depth == 1

    def _element(self) -> Iterator[Piece]:
        if piece := self._take():
            self._elements += 1
            yield piece
        elif self._elements or self._depth:
            yield Piece(self.line, b"", "nothing between two commas")

    def close(self) -> Iterator[Piece]:
        """Yield what is wrong with the end of the file."""
        piece = self._take()
        if self._depth:
            yield Piece(piece.line if piece else self.line, b"", "the array is not closed")
        elif piece:
            yield Piece(piece.line, b"", "something follows the array")
