"""SNMP v1 and v2c messages and the PDUs in them.

Source: RFC 3416 section 3 (PDUs), RFC 1157 section 4.1.6 (Trap-PDU), RFC 3584 section 3.1 (a v1
trap translated to a v2 notification), RFC 1901 section 3 (message).
"""

from dataclasses import dataclass

from adapters.condition_types import SNMP_TRAPS
from adapters.snmp.wire import ber
from adapters.snmp.wire.ber import Malformed, Value

GET, GET_NEXT, RESPONSE, SET, TRAP_V1, GET_BULK, INFORM, TRAP, REPORT = (
    0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8,
)  # fmt: skip
V1, V2C, V3 = 0, 1, 3

#: The last generic trap of version 1; the next number means "enterprise specific".
LAST_GENERIC_TRAP = 5
#: Maximum number of variables in a message; more than any datagram can hold.
VARIABLES_LIMIT = 8192


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable binding.

    Attributes:
        oid: Object identifier in dotted form, instance included.
        tag: The value's tag; one of the constants of ``ber``.
        value: The value; None for NULL, noSuchObject, noSuchInstance and endOfMibView.
    """

    oid: str
    tag: int = ber.NULL
    value: Value = None


@dataclass(frozen=True, slots=True)
class Pdu:
    """A request, response, report, inform or trap of version 2.

    Attributes:
        tag: Type of the PDU; one of the constants above.
        request_id: Number that correlates a response with its request.
        error_status: 0, or an error of RFC 3416; for GET_BULK the non-repeaters.
        error_index: Position of the failed variable, from 1; for GET_BULK the max-repetitions.
        variables: The variable bindings.
        offset: Position of the tag in the datagram, in octets.
    """

    tag: int
    request_id: int
    error_status: int = 0
    error_index: int = 0
    variables: tuple[Variable, ...] = ()
    offset: int = 0


@dataclass(frozen=True, slots=True)
class TrapV1:
    """A trap of version 1.

    Attributes:
        trap: Object identifier of the trap in version 2.
        agent: IP address that the sender gives as its own.
        uptime: sysUpTime in hundredths of a second.
        variables: The variable bindings.
    """

    trap: str
    agent: str
    uptime: int
    variables: tuple[Variable, ...]


def decode_variables(
    octets: bytes, offset: int, end: int, *, lenient: bool = False
) -> tuple[Variable, ...]:
    """Return the variable bindings of the list at ``offset``.

    Args:
        octets: The message.
        offset: Position of the list.
        end: End of the element that contains the list.
        lenient: Give a variable whose value cannot be decoded the tag ``UNDECODABLE``.

    Raises:
        Malformed: The element is not a list of variable bindings.
    """
    offset, end = ber.expect_tlv(octets, offset, end, ber.SEQUENCE)
    variables: list[Variable] = []
    while offset < end:
        start, offset = ber.expect_tlv(octets, offset, end, ber.SEQUENCE)
        name, name_end = ber.expect_tlv(octets, start, offset, ber.OID)
        tag, content, content_end = ber.tlv(octets, name_end, offset)
        try:
            value = ber.decode_value(tag, octets[content:content_end])
        except Malformed:
            if not lenient:
                raise
            tag, value = ber.UNDECODABLE, None
        variables.append(Variable(ber.decode_object_id(octets[name:name_end]), tag, value))
        if len(variables) > VARIABLES_LIMIT:
            raise Malformed("too many variables")
    return tuple(variables)


def _decode_integer(octets: bytes, offset: int, end: int) -> tuple[int, int]:
    start, stop = ber.expect_tlv(octets, offset, end, ber.INTEGER)
    return ber.decode_integer(octets[start:stop]), stop


def decode_pdu(octets: bytes, offset: int, end: int) -> Pdu | TrapV1:
    """Return the PDU at ``offset``.

    Raises:
        Malformed: The element is not a PDU.
    """
    tag, start, stop = ber.tlv(octets, offset, end)
    if tag == TRAP_V1:
        return _decode_trap_v1(octets, start, stop)
    if not GET <= tag <= REPORT:
        raise Malformed(f"no such PDU: {tag:#04x}")
    request_id, position = _decode_integer(octets, start, stop)
    status, position = _decode_integer(octets, position, stop)
    index, position = _decode_integer(octets, position, stop)
    variables = decode_variables(octets, position, stop, lenient=tag == RESPONSE)
    return Pdu(tag, request_id, status, index, variables, offset)


def _decode_trap_v1(octets: bytes, offset: int, end: int) -> TrapV1:
    start, offset = ber.expect_tlv(octets, offset, end, ber.OID)
    enterprise = ber.decode_object_id(octets[start:offset])
    start, offset = ber.expect_tlv(octets, offset, end, ber.IP_ADDRESS)
    agent = str(ber.decode_value(ber.IP_ADDRESS, octets[start:offset]))
    generic, offset = _decode_integer(octets, offset, end)
    specific, offset = _decode_integer(octets, offset, end)
    start, offset = ber.expect_tlv(octets, offset, end, ber.TIME_TICKS)
    uptime = ber.decode_integer(octets[start:offset], signed=False)
    is_generic = 0 <= generic <= LAST_GENERIC_TRAP
    trap = f"{SNMP_TRAPS}.{generic + 1}" if is_generic else f"{enterprise}.0.{max(specific, 0)}"
    return TrapV1(trap, agent, uptime, decode_variables(octets, offset, end))


def decode_version(octets: bytes) -> tuple[int, int, int]:
    """Return the version of a message, the position after the version, and the end of the message.

    Raises:
        Malformed: The octets are not an SNMP message.
    """
    start, end = ber.expect_tlv(octets, 0, len(octets), ber.SEQUENCE)
    version, position = _decode_integer(octets, start, end)
    return version, position, end


def decode_community_message(octets: bytes) -> tuple[int, bytes, Pdu | TrapV1]:
    """Return the version, community and PDU of a v1 or v2c message.

    Raises:
        Malformed: The octets are not such a message.
    """
    version, position, end = decode_version(octets)
    if version not in {V1, V2C}:
        raise Malformed(f"version {version} has no community")
    start, stop = ber.expect_tlv(octets, position, end, ber.OCTETS)
    return version, octets[start:stop], decode_pdu(octets, stop, end)


def decode_head(octets: bytes) -> tuple[bytes, int]:
    """Return the community and request id of a v2c message whose rest may be malformed.

    Raises:
        Malformed: The head is malformed too.
    """
    start = ber.content_start(octets, 0, ber.SEQUENCE)
    _, position = _decode_integer(octets, start, len(octets))
    start, stop = ber.expect_tlv(octets, position, len(octets), ber.OCTETS)
    request_id, _ = _decode_integer(octets, ber.content_start(octets, stop, RESPONSE), len(octets))
    return octets[start:stop], request_id


def encode_community_message(version: int, community: bytes, pdu: Pdu) -> bytes:
    """Return an encoded v1 or v2c message."""
    head = ber.encode_integer(version) + ber.encode_tlv(ber.OCTETS, community)
    return ber.encode_tlv(ber.SEQUENCE, head + encode_pdu(pdu))


def encode_pdu(pdu: Pdu) -> bytes:
    """Return an encoded PDU, without the enclosing message."""
    bindings = b"".join(
        ber.encode_tlv(
            ber.SEQUENCE,
            ber.encode_object_id(variable.oid) + ber.encode_value(variable.tag, variable.value),
        )
        for variable in pdu.variables
    )
    body = (
        ber.encode_integer(pdu.request_id)
        + ber.encode_integer(pdu.error_status)
        + ber.encode_integer(pdu.error_index)
        + ber.encode_tlv(ber.SEQUENCE, bindings)
    )
    return ber.encode_tlv(pdu.tag, body)
