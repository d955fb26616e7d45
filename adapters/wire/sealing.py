"""SNMPv3 messages as who asks seals them; ``usm`` opens the answers.

Source: RFC 3412 section 6 (message), RFC 3414 section 3.1 and section 4 (discovery), RFC 3826.
"""

import hmac
import secrets
import time
from dataclasses import dataclass, field

from adapters.wire import ber, message, usm
from adapters.wire.message import Pdu
from adapters.wire.usm import Envelope, User

#: msgFlags: the other side may answer with a report.
REPORTABLE = 4
MOST_OCTETS = 65_507
#: What reports say (RFC 3414 section 5, usmStats), each without its last 0.
STATISTICS = "1.3.6.1.6.3.15.1.1"
REPORTS = {
    f"{STATISTICS}.1.0": "unsupportedSecurityLevel",
    f"{STATISTICS}.2.0": "notInTimeWindow",
    f"{STATISTICS}.3.0": "unknownUserName",
    f"{STATISTICS}.4.0": "unknownEngineID",
    f"{STATISTICS}.5.0": "wrongDigest",
    f"{STATISTICS}.6.0": "decryptionError",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """What an engine has told of itself.

    Attributes:
        engine: Its identity.
        boots: How often it has started.
        seconds: Since when it ran then, in seconds.
        told: When it told so, as ``time.monotonic`` has it.
    """

    engine: bytes = b""
    boots: int = 0
    seconds: int = 0
    told: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, found: Envelope) -> "Clock":
        """Return the clock of who has sent a message."""
        return cls(found.engine, found.boots, found.seconds)

    @property
    def now(self) -> int:
        """Since when it runs now, in seconds."""
        return self.seconds + int(time.monotonic() - self.told)


def discovery(number: int) -> bytes:
    """Return the message that an engine answers with its identity and its clock."""
    scoped = _scoped(b"", Pdu(message.GET, number))
    return _message(number, REPORTABLE, _parameters(Clock(), 0, b"", b"", b""), scoped)


def seal(user: User, clock: Clock, number: int, content: Pdu) -> bytes:
    """Return a request, authenticated, and encrypted where the user has a key for it."""
    authentication, privacy = user.keys(clock.engine)
    flags, salt, seconds = REPORTABLE | usm.AUTHENTICATED, b"", clock.now
    body = _scoped(clock.engine, content)
    if privacy is not None:
        flags, salt = flags | usm.ENCRYPTED, secrets.token_bytes(usm.SALT)
        encryptor = usm.cipher(privacy, clock.boots, seconds, salt).encryptor()
        body = ber.encode(ber.OCTETS, encryptor.update(body) + encryptor.finalize())
    parameters = _parameters(clock, seconds, user.name, bytes(user.code), salt)
    whole = _message(number, flags, parameters, body)
    start, stop = usm.envelope(whole).code
    code = hmac.digest(authentication, whole, user.algorithm)[: user.code]
    return whole[:start] + code + whole[stop:]


def _scoped(engine: bytes, content: Pdu) -> bytes:
    head = ber.encode(ber.OCTETS, engine) + ber.encode(ber.OCTETS, b"")
    return ber.encode(ber.SEQUENCE, head + message.encode_pdu(content))


def _parameters(clock: Clock, seconds: int, name: bytes, code: bytes, salt: bytes) -> bytes:
    return ber.encode(
        ber.SEQUENCE,
        ber.encode(ber.OCTETS, clock.engine)
        + ber.encode_integer(clock.boots)
        + ber.encode_integer(seconds)
        + b"".join(ber.encode(ber.OCTETS, one) for one in (name, code, salt)),
    )


def _message(number: int, flags: int, parameters: bytes, body: bytes) -> bytes:
    header = (
        ber.encode_integer(number)
        + ber.encode_integer(MOST_OCTETS)
        + ber.encode(ber.OCTETS, bytes((flags,)))
        + ber.encode_integer(usm.USM)
    )
    return ber.encode(
        ber.SEQUENCE,
        ber.encode_integer(message.V3)
        + ber.encode(ber.SEQUENCE, header)
        + ber.encode(ber.OCTETS, parameters)
        + body,
    )
