"""The Basic Encoding Rules, restricted to what SNMP uses.

Every length is checked against the enclosing element, so a malicious datagram can only cause
``Malformed``.

Source: ITU-T X.690; RFC 3417 section 8; RFC 2578 section 7.1.
"""

from functools import lru_cache

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIME_TICKS, OPAQUE, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
UINTEGER32 = 0x47  # RFC 1442, still sent by old agents
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB = 0x80, 0x81, 0x82
#: The tag of a variable of a response whose value does not follow the standard; not an octet.
UNDECODABLE = 0x100

UNSIGNED_TAGS = frozenset({COUNTER32, GAUGE32, TIME_TICKS, COUNTER64, UINTEGER32})
NO_VALUE_TAGS = frozenset({NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB})

#: Maximum length of an integer, in octets: a Counter64 with its leading zero.
INTEGER_LIMIT = 9
#: Maximum number of arcs of an object identifier (RFC 2578 section 3.5), and of its octets.
ARCS_LIMIT = 128
OID_OCTETS_LIMIT = 5 * ARCS_LIMIT
#: The first octet of an object identifier encodes two arcs; the first of them is 0, 1 or 2.
SECOND_ARC_RANGE = 40
MAX_FIRST_ARC = 2
IPV4_OCTETS = 4
#: Maximum number of octets that encode a length.
LENGTH_OCTETS_LIMIT = 4
#: Marks the long form of a length, and an octet of an arc that is followed by another one.
HIGH_BIT = 0x80
LOW_SEVEN_BITS = 0x7F

Value = int | bytes | str | None


class Malformed(ValueError):
    """The octets do not follow the standard."""


def tlv(octets: bytes, offset: int, end: int) -> tuple[int, int, int]:
    """Return the tag, start and stop of the element at ``offset``.

    Start and stop delimit the contents. The element must not extend beyond ``end``.

    Raises:
        Malformed: The element is truncated, or its length is not valid in SNMP.
    """
    if offset + 2 > end:
        raise Malformed("truncated element")
    tag, length = octets[offset], octets[offset + 1]
    offset += 2
    if length & HIGH_BIT:
        size = length & LOW_SEVEN_BITS
        if not 1 <= size <= LENGTH_OCTETS_LIMIT or offset + size > end:
            raise Malformed("invalid length")
        length = int.from_bytes(octets[offset : offset + size], "big")
        offset += size
    if offset + length > end:
        raise Malformed("truncated element")
    return tag, offset, offset + length


def content_start(octets: bytes, offset: int, tag: int) -> int:
    """Return the start of the contents of the element at ``offset``, which may be truncated.

    Raises:
        Malformed: The element has another tag, or its header is truncated.
    """
    if offset + 2 > len(octets) or octets[offset] != tag:
        raise Malformed("truncated element")
    length = octets[offset + 1]
    return offset + 2 + (length & LOW_SEVEN_BITS if length & HIGH_BIT else 0)


def expect_tlv(octets: bytes, offset: int, end: int, tag: int) -> tuple[int, int]:
    """Return the start and stop of the element at ``offset``, which must have the given tag.

    Raises:
        Malformed: The element has another tag, or is truncated.
    """
    actual_tag, start, stop = tlv(octets, offset, end)
    if actual_tag != tag:
        raise Malformed(f"expected tag {tag:#04x}, found {actual_tag:#04x}")
    return start, stop


def decode_integer(octets: bytes, *, signed: bool = True) -> int:
    """Return the number that the contents of an integer encode.

    Raises:
        Malformed: The contents are empty, or longer than any integer of SNMP.
    """
    if not 1 <= len(octets) <= INTEGER_LIMIT:
        raise Malformed("invalid integer")
    number = int.from_bytes(octets, "big", signed=signed)
    if not -(2**63) <= number < 2**64:
        raise Malformed("integer of more than 64 bits")
    return number


@lru_cache(maxsize=4096)
def decode_object_id(octets: bytes) -> str:
    """Return the dotted form of an object identifier from its contents.

    Raises:
        Malformed: The contents are empty, too long, or end in the middle of an arc.

    >>> decode_object_id(bytes.fromhex("2b06010201"))
    '1.3.6.1.2.1'
    """
    if not octets or octets[-1] & HIGH_BIT or len(octets) > OID_OCTETS_LIMIT:
        raise Malformed("invalid object identifier")
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
    """Return the value of a variable; None where there is no value.

    Object identifiers and IP addresses become text, octet strings become bytes.

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
    if tag == IP_ADDRESS and len(octets) == IPV4_OCTETS:
        return ".".join(map(str, octets))
    if tag in NO_VALUE_TAGS and not octets:
        return None
    raise Malformed(f"no such value: tag {tag:#04x}")


def as_text(value: Value) -> str:
    """Return a value as text; empty where there is no value.

    >>> as_text(b"sub1")
    'sub1'
    """
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def as_name(value: Value) -> str:
    """Return a text that people read, as one line without the padding that some agents add.

    >>> as_name(b"GigabitEthernet0/1" + bytes(2))
    'GigabitEthernet0/1'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in as_text(value)).split())


def as_int(value: Value) -> int:
    """Return a number; 0 where the value is not a number."""
    return value if isinstance(value, int) else 0


def split_object_id(dotted: str) -> tuple[int, ...]:
    """Return the arcs of an object identifier; their order is the order of a MIB walk.

    >>> split_object_id("1.3.6.10") > split_object_id("1.3.6.9")
    True
    """
    return tuple(map(int, dotted.split(".")))


def encode_tlv(tag: int, contents: bytes) -> bytes:
    """Return an element."""
    size = len(contents)
    if size < HIGH_BIT:
        return bytes((tag, size)) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, HIGH_BIT | len(length))) + length + contents


def encode_integer(number: int, tag: int = INTEGER) -> bytes:
    """Return an integer of any tag in the fewest octets; unsigned values stay positive."""
    return encode_tlv(tag, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


@lru_cache(maxsize=4096)
def encode_object_id(dotted: str) -> bytes:
    """Return an object identifier from its dotted form.

    >>> encode_object_id("1.3.6.1.2.1").hex()
    '06052b06010201'
    """
    first, second, *rest = split_object_id(dotted)
    contents = bytearray()
    for arc in (first * SECOND_ARC_RANGE + second, *rest):
        groups = [arc & LOW_SEVEN_BITS]
        while arc := arc >> 7:
            groups.append(HIGH_BIT | arc & LOW_SEVEN_BITS)
        contents += bytes(reversed(groups))
    return encode_tlv(OID, bytes(contents))


def encode_value(tag: int, value: Value) -> bytes:
    """Return the encoded value of a variable; the inverse of ``decode_value``."""
    if isinstance(value, int):
        return encode_integer(value, tag)
    if isinstance(value, bytes):
        return encode_tlv(tag, value)
    if value is None:
        return encode_tlv(tag, b"")
    if tag == OID:
        return encode_object_id(value)
    return encode_tlv(tag, bytes(map(int, value.split("."))))
