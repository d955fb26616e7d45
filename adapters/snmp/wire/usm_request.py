"""SNMPv3 requests, responses and reports of the user-based security model; ``usm`` decodes them.

Source: RFC 3412 section 6 (message), RFC 3414 section 3.1 and section 4 (discovery), RFC 3826.
"""

import hmac
import time
from dataclasses import dataclass, field

from adapters.snmp.wire import ber, message, usm
from adapters.snmp.wire.message import Pdu
from adapters.snmp.wire.usm import ScopedPdu, User, V3Header

#: msgFlags: the receiver may answer with a report.
REPORTABLE_FLAG = 4
MAX_MESSAGE_SIZE = 65_507
#: Parent of the counters in reports (RFC 3414 section 5, usmStats).
USM_STATS = "1.3.6.1.6.3.15.1.1"
REPORT_REASONS = {
    f"{USM_STATS}.1.0": "unsupportedSecurityLevel",
    f"{USM_STATS}.2.0": "notInTimeWindow",
    f"{USM_STATS}.3.0": "unknownUserName",
    f"{USM_STATS}.4.0": "unknownEngineID",
    f"{USM_STATS}.5.0": "wrongDigest",
    f"{USM_STATS}.6.0": "decryptionError",
}


@dataclass(frozen=True, slots=True)
class EngineClock:
    """The identity and the clock of an engine, as last received.

    Attributes:
        engine_id: Identity of the engine (snmpEngineID).
        boots: Number of times that the engine has started (snmpEngineBoots).
        engine_time: Seconds since its last start, at ``received_at`` (snmpEngineTime).
        received_at: Time of receipt, a value of ``time.monotonic``.
    """

    engine_id: bytes = b""
    boots: int = 0
    engine_time: int = 0
    received_at: float = field(default_factory=time.monotonic)

    @classmethod
    def from_header(cls, header: V3Header) -> "EngineClock":
        """Return the clock of the sender of a message."""
        return cls(header.engine_id, header.boots, header.engine_time)

    @property
    def current_time(self) -> int:
        """Seconds since the last start of the engine, now."""
        return self.engine_time + int(time.monotonic() - self.received_at)


def encode_discovery(message_id: int) -> bytes:
    """Return the message that asks an engine for its identity and its clock."""
    scoped_pdu = _encode_scoped_pdu(ScopedPdu(b"", b"", Pdu(message.GET, message_id)))
    parameters = _encode_security_parameters(EngineClock(), 0, b"", b"", b"")
    return _encode_message(message_id, REPORTABLE_FLAG, parameters, scoped_pdu)


def encode_request(user: User, clock: EngineClock, message_id: int, pdu: Pdu) -> bytes:
    """Return a request, authenticated, and encrypted if the user has a privacy key."""
    scoped_pdu = ScopedPdu(clock.engine_id, b"", pdu)
    return _encode_authenticated(user, clock, message_id, REPORTABLE_FLAG, scoped_pdu)


def encode_response(
    user: User, clock: EngineClock, message_id: int, scoped_pdu: ScopedPdu
) -> bytes:
    """Return a response, or a report, of the engine that a request was sent to.

    It is authenticated, and encrypted if the user has a privacy key.
    """
    return _encode_authenticated(user, clock, message_id, 0, scoped_pdu)


def encode_plain_report(clock: EngineClock, message_id: int, pdu: Pdu) -> bytes:
    """Return a report that proves nothing, for a sender that does not know the engine yet."""
    parameters = _encode_security_parameters(clock, clock.current_time, b"", b"", b"")
    scoped_pdu = _encode_scoped_pdu(ScopedPdu(clock.engine_id, b"", pdu))
    return _encode_message(message_id, 0, parameters, scoped_pdu)


def _encode_authenticated(
    user: User, clock: EngineClock, message_id: int, flags: int, scoped_pdu: ScopedPdu
) -> bytes:
    auth_key, priv_key = user.localized_keys(clock.engine_id)
    flags, salt, engine_time = flags | usm.AUTH_FLAG, b"", clock.current_time
    body = _encode_scoped_pdu(scoped_pdu)
    if priv_key is not None:
        flags, salt = flags | usm.PRIV_FLAG, user.privacy.salt(clock.boots)
        encrypted = user.privacy.encrypt(priv_key, clock.boots, engine_time, salt, body)
        body = ber.encode_tlv(ber.OCTETS, encrypted)
    parameters = _encode_security_parameters(
        clock, engine_time, user.name, bytes(user.auth_code_length), salt
    )
    unsigned = _encode_message(message_id, flags, parameters, body)
    start, stop = usm.decode_header(unsigned).auth_code_span
    code = hmac.digest(auth_key, unsigned, user.hash_name)[: user.auth_code_length]
    return unsigned[:start] + code + unsigned[stop:]


def _encode_scoped_pdu(scoped_pdu: ScopedPdu) -> bytes:
    names = (scoped_pdu.context_engine_id, scoped_pdu.context_name)
    head = b"".join(ber.encode_tlv(ber.OCTETS, octets) for octets in names)
    return ber.encode_tlv(ber.SEQUENCE, head + message.encode_pdu(scoped_pdu.pdu))


def _encode_security_parameters(
    clock: EngineClock, engine_time: int, user_name: bytes, auth_code: bytes, salt: bytes
) -> bytes:
    return ber.encode_tlv(
        ber.SEQUENCE,
        ber.encode_tlv(ber.OCTETS, clock.engine_id)
        + ber.encode_integer(clock.boots)
        + ber.encode_integer(engine_time)
        + b"".join(ber.encode_tlv(ber.OCTETS, octets) for octets in (user_name, auth_code, salt)),
    )


def _encode_message(message_id: int, flags: int, parameters: bytes, body: bytes) -> bytes:
    header = (
        ber.encode_integer(message_id)
        + ber.encode_integer(MAX_MESSAGE_SIZE)
        + ber.encode_tlv(ber.OCTETS, bytes((flags,)))
        + ber.encode_integer(usm.USM_SECURITY_MODEL)
    )
    return ber.encode_tlv(
        ber.SEQUENCE,
        ber.encode_integer(message.V3)
        + ber.encode_tlv(ber.SEQUENCE, header)
        + ber.encode_tlv(ber.OCTETS, parameters)
        + body,
    )
