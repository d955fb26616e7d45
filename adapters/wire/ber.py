"""The Basic Encoding Rules, as far as SNMP needs them.

Every length is checked against the element that encloses it, so that a hostile datagram can make
nothing but ``Malformed``.

Source: ITU-T X.690; RFC 3417 section 8; RFC 2578 section 7.1.
"""

from functools import lru_cache

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIME_TICKS, OPAQUE, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB = 0x80, 0x81, 0x82

UNSIGNED = frozenset({COUNTER32, GAUGE32, TIME_TICKS, COUNTER64})
ABSENT = frozenset({NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB})

#: Longest integer that SNMP has (Counter64 with its leading zero), in octets.
INTEGER_LIMIT = 9
#: Most sub-identifiers of an object identifier (RFC 2578 section 3.5), and its octets at most.
OID_LIMIT = 128
OID_OCTETS = 5 * OID_LIMIT
#: The first octet of an object identifier holds two arcs; the first of them is 0, 1 or 2.
ARCS = 40
TOP = 2
#: Octets of an IPv4 address, and most octets of a length.
FOUR = 4
LONG = 0x80
SEVEN = 0x7F

Value = int | bytes | str | None


class Malformed(ValueError):
    """The octets are not what the standard says they should be."""


def element(octets: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return tag, start and stop of the element at ``at``; it must stop before ``end``.

    Raises:
        Malformed: It is cut short, or its length is not one of SNMP's.
    """
    if at + 2 > end:
        raise Malformed("cut short")
    tag, length = octets[at], octets[at + 1]
    at += 2
    if length & LONG:
        size = length & SEVEN
        if not 1 <= size <= FOUR or at + size > end:
            raise Malformed("impossible length")
        length = int.from_bytes(octets[at : at + size], "big")
        at += size
    if at + length > end:
        raise Malformed("cut short")
    return tag, at, at + length


def expect(octets: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Return start and stop of the element at ``at``, which must have this tag.

    Raises:
        Malformed: It has another tag, or is cut short.
    """
    found, start, stop = element(octets, at, end)
    if found != tag:
        raise Malformed(f"expected tag {tag:#04x}, found {found:#04x}")
    return start, stop


def integer(octets: bytes, *, signed: bool = True) -> int:
    """Return the number in the contents of an integer.

    Raises:
        Malformed: It is empty or longer than any of SNMP's.
    """
    if not 1 <= len(octets) <= INTEGER_LIMIT:
        raise Malformed("impossible integer")
    return int.from_bytes(octets, "big", signed=signed)


@lru_cache(maxsize=4096)
def object_id(octets: bytes) -> str:
    """Return the contents of an object identifier in dotted form.

    Raises:
        Malformed: It is empty, too long or ends in the middle of an arc.

    >>> object_id(bytes.fromhex("2b06010201"))
    '1.3.6.1.2.1'
    """
    if not octets or octets[-1] & LONG or len(octets) > OID_OCTETS:
        raise Malformed("impossible object identifier")
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        arc = arc << 7 | octet & SEVEN
        if not octet & LONG:
            arcs.append(arc)
            arc = 0
    top = min(arcs[0] // ARCS, TOP)
    return ".".join(map(str, (top, arcs[0] - ARCS * top, *arcs[1:])))


def value(tag: int, octets: bytes) -> Value:
    """Return what the contents of a variable mean; None where there is no value.

    Object identifiers and addresses come as text, octet strings as bytes.

    Raises:
        Malformed: The contents do not fit the tag, or SNMP has no such tag.
    """
    if tag == INTEGER:
        return integer(octets)
    if tag in UNSIGNED:
        return integer(octets, signed=False)
    if tag in {OCTETS, OPAQUE}:
        return octets
    if tag == OID:
        return object_id(octets)
    if tag == IP_ADDRESS and len(octets) == FOUR:
        return ".".join(map(str, octets))
    if tag in ABSENT and not octets:
        return None
    raise Malformed(f"no such value: tag {tag:#04x}")


def encode(tag: int, contents: bytes) -> bytes:
    """Return an element."""
    size = len(contents)
    if size < LONG:
        return bytes((tag, size)) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, LONG | len(length))) + length + contents


def encode_integer(number: int, tag: int = INTEGER) -> bytes:
    """Return an integer of any kind in the fewest octets; unsigned kinds stay positive."""
    return encode(tag, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


@lru_cache(maxsize=4096)
def encode_object_id(dotted: str) -> bytes:
    """Return an object identifier from its dotted form.

    >>> encode_object_id("1.3.6.1.2.1").hex()
    '06052b06010201'
    """
    first, second, *rest = map(int, dotted.split("."))
    contents = bytearray()
    for arc in (first * ARCS + second, *rest):
        groups = [arc & SEVEN]
        while arc := arc >> 7:
            groups.append(LONG | arc & SEVEN)
        contents += bytes(reversed(groups))
    return encode(OID, bytes(contents))


def encode_value(tag: int, content: Value) -> bytes:
    """Return a variable's value; the inverse of ``value``."""
    if isinstance(content, int):
        return encode_integer(content, tag)
    if isinstance(content, bytes):
        return encode(tag, content)
    if content is None:
        return encode(tag, b"")
    if tag == OID:
        return encode_object_id(content)
    return encode(tag, bytes(map(int, content.split("."))))
