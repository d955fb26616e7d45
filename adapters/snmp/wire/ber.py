"""The Basic Encoding Rules, as far as SNMP needs them.

Every length is checked against the element that encloses it, so that a hostile datagram can make
nothing but ``Malformed``.

Source: ITU-T X.690; RFC 3417 section 8; RFC 2578 section 7.1.
"""

from functools import lru_cache

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIME_TICKS, OPAQUE, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB = 0x80, 0x81, 0x82

UNSIGNED_TAGS = frozenset({COUNTER32, GAUGE32, TIME_TICKS, COUNTER64})
NO_VALUE_TAGS = frozenset({NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB})

#: Longest integer that SNMP has (Counter64 with its leading zero), in octets.
INTEGER_LIMIT = 9
#: Most sub-identifiers of an object identifier (RFC 2578 section 3.5), and its octets at most.
ARCS_LIMIT = 128
OID_OCTETS_LIMIT = 5 * ARCS_LIMIT
#: The first octet of an object identifier holds two arcs; the first of them is 0, 1 or 2.
SECOND_ARC_RANGE = 40
MAX_FIRST_ARC = 2
#: Octets of an IPv4 address, and most octets of a length.
FOUR = 4
HIGH_BIT = 0x80
LOW_SEVEN_BITS = 0x7F

Value = int | bytes | str | None


class Malformed(ValueError):
    """The octets are not what the standard says they should be."""


def tlv(octets: bytes, offset: int, end: int) -> tuple[int, int, int]:
    """Return tag, start and stop of the element at ``offset``; it must stop before ``end``.

    Raises:
        Malformed: It is cut short, or its length is not one of SNMP's.
    """
    if offset + 2 > end:
        raise Malformed("cut short")
    tag, length = octets[offset], octets[offset + 1]
    offset += 2
    if length & HIGH_BIT:
        size = length & LOW_SEVEN_BITS
        if not 1 <= size <= FOUR or offset + size > end:
            raise Malformed("impossible length")
        length = int.from_bytes(octets[offset : offset + size], "big")
        offset += size
    if offset + length > end:
        raise Malformed("cut short")
    return tag, offset, offset + length


def expect_tlv(octets: bytes, offset: int, end: int, tag: int) -> tuple[int, int]:
    """Return start and stop of the element at ``offset``, which must have this tag.

    Raises:
        Malformed: It has another tag, or is cut short.
    """
    found, start, stop = tlv(octets, offset, end)
    if found != tag:
        raise Malformed(f"expected tag {tag:#04x}, found {found:#04x}")
    return start, stop


def decode_integer(octets: bytes, *, signed: bool = True) -> int:
    """Return the number in the contents of an integer.

    Raises:
        Malformed: It is empty or longer than any of SNMP's.
    """
    if not 1 <= len(octets) <= INTEGER_LIMIT:
        raise Malformed("impossible integer")
    return int.from_bytes(octets, "big", signed=signed)


@lru_cache(maxsize=4096)
def decode_object_id(octets: bytes) -> str:
    """Return the contents of an object identifier in dotted form.

    Raises:
        Malformed: It is empty, too long or ends in the middle of an arc.

    >>> decode_object_id(bytes.fromhex("2b06010201"))
    '1.3.6.1.2.1'
    """
    if not octets or octets[-1] & HIGH_BIT or len(octets) > OID_OCTETS_LIMIT:
        raise Malformed("impossible object identifier")
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        arc = arc << 7 | octet & LOW_SEVEN_BITS
        if not octet & HIGH_BIT:
            arcs.append(arc)
            arc = 0
    top = min(arcs[0] // SECOND_ARC_RANGE, MAX_FIRST_ARC)
    return ".".join(map(str, (top, arcs[0] - SECOND_ARC_RANGE * top, *arcs[1:])))


def decode_value(tag: int, octets: bytes) -> Value:
    """Return what the contents of a variable mean; None where there is no value.

    Object identifiers and addresses come as text, octet strings as bytes.

    Raises:
        Malformed: The contents do not fit the tag, or SNMP has no such tag.
    """
    if tag == INTEGER:
        return decode_integer(octets)
    if tag in UNSIGNED_TAGS:
        return decode_integer(octets, signed=False)
    if tag in {OCTETS, OPAQUE}:
        return octets
    if tag == OID:
        return decode_object_id(octets)
    if tag == IP_ADDRESS and len(octets) == FOUR:
        return ".".join(map(str, octets))
    if tag in NO_VALUE_TAGS and not octets:
        return None
    raise Malformed(f"no such value: tag {tag:#04x}")


def encode_tlv(tag: int, contents: bytes) -> bytes:
    """Return an element."""
    size = len(contents)
    if size < HIGH_BIT:
        return bytes((tag, size)) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, HIGH_BIT | len(length))) + length + contents


def encode_integer(number: int, tag: int = INTEGER) -> bytes:
    """Return an integer of any kind in the fewest octets; unsigned kinds stay positive."""
    return encode_tlv(tag, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


@lru_cache(maxsize=4096)
def encode_object_id(dotted: str) -> bytes:
    """Return an object identifier from its dotted form.

    >>> encode_object_id("1.3.6.1.2.1").hex()
    '06052b06010201'
    """
    first, second, *rest = map(int, dotted.split("."))
    contents = bytearray()
    for arc in (first * SECOND_ARC_RANGE + second, *rest):
        groups = [arc & LOW_SEVEN_BITS]
        while arc := arc >> 7:
            groups.append(HIGH_BIT | arc & LOW_SEVEN_BITS)
        contents += bytes(reversed(groups))
    return encode_tlv(OID, bytes(contents))


def encode_value(tag: int, value: Value) -> bytes:
    """Return a variable's value; the inverse of ``decode_value``."""
    if isinstance(value, int):
        return encode_integer(value, tag)
    if isinstance(value, bytes):
        return encode_tlv(tag, value)
    if value is None:
        return encode_tlv(tag, b"")
    if tag == OID:
        return encode_object_id(value)
    return encode_tlv(tag, bytes(map(int, value.split("."))))
