"""SNMPv3 messages as who receives them opens them: the user-based security model.

Source: RFC 3412 section 6 (message), RFC 3414 (USM, SHA), RFC 7860 (SHA-2), RFC 3826 (AES).
"""

import hashlib
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from adapters.wire import ber, message
from adapters.wire.ber import Malformed
from adapters.wire.message import Pdu

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # cryptography before 47
    from cryptography.hazmat.primitives.ciphers.modes import CFB

#: Name -> name of the hash and octets of the authentication code.
HASHES = {"SHA": ("sha1", 12), "SHA-256": ("sha256", 24)}
AES_KEY = 16
SALT = 8
STRETCH = 1_048_576
AUTHENTICATED, ENCRYPTED = 1, 2
USM = 3
#: Seconds by which a message may be older than the newest one of its engine.
WINDOW = 150
ENGINE_LIMIT = 32
#: Localized keys kept; a key costs two hashes of a few octets, so a stranger gains nothing.
KEYS_LIMIT = 256


class Refused(Exception):
    """A message is well formed, but not from whom it says, or not now."""


def stretched(password: str, algorithm: str) -> bytes:
    """Return the key of a password: the hash of a megabyte of it (RFC 3414 section A.2).

    Raises:
        ValueError: The password is empty.
    """
    word = password.encode()
    if not word:
        raise ValueError("an SNMPv3 password cannot be empty")
    long = (word * (STRETCH // len(word) + 1))[:STRETCH]
    return hashlib.new(algorithm, long).digest()


@dataclass(slots=True)
class User:
    """A user of a sender of notifications.

    Attributes:
        name: User name.
        algorithm: Name of the hash.
        code: Octets of the authentication code.
        authentication: Stretched password.
        privacy: Stretched password; None: messages come unencrypted.
    """

    name: bytes
    algorithm: str
    code: int
    authentication: bytes
    privacy: bytes | None
    _keys: dict[bytes, tuple[bytes, bytes | None]] = field(default_factory=dict, repr=False)
    _clocks: dict[bytes, tuple[int, int]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, secret: Mapping[str, str]) -> "User":
        """Return the user of a secret with user, auth, auth_password, priv and priv_password.

        Raises:
            ValueError: An algorithm is not one of ours, or a password is missing.
        """
        if (name := secret.get("auth", "SHA")) not in HASHES:
            raise ValueError(f"auth is one of {', '.join(HASHES)}")
        if secret.get("priv", "AES") != "AES":
            raise ValueError("priv is AES")
        algorithm, code = HASHES[name]
        password = secret.get("priv_password")
        return cls(
            secret["user"].encode(),
            algorithm,
            code,
            stretched(secret.get("auth_password", ""), algorithm),
            None if password is None else stretched(password, algorithm),
        )

    def keys(self, engine: bytes) -> tuple[bytes, bytes | None]:
        """Return the keys of authentication and privacy towards an engine."""
        if (found := self._keys.get(engine)) is None:
            found = self._local(self.authentication, engine), None
            if self.privacy is not None:
                found = found[0], self._local(self.privacy, engine)[:AES_KEY]
            if len(self._keys) >= KEYS_LIMIT:
                self._keys.clear()
            self._keys[engine] = found
        return found

    def _local(self, key: bytes, engine: bytes) -> bytes:
        return hashlib.new(self.algorithm, key + engine + key).digest()

    def check_time(self, engine: bytes, boots: int, seconds: int) -> None:
        """Refuse an authentic message that is older than the newest one of its engine.

        Raises:
            Refused: It is a replay, or was very long on its way.
        """
        newest = self._clocks.get(engine, (0, 0))
        if boots < newest[0] or (boots == newest[0] and seconds < newest[1] - WINDOW):
            raise Refused("replayed or too late")
        if len(self._clocks) >= KEYS_LIMIT and engine not in self._clocks:
            self._clocks.clear()
        self._clocks[engine] = max(newest, (boots, seconds))


@dataclass(frozen=True, slots=True)
class Envelope:
    """The security parameters of a message, and where its parts stand.

    Attributes:
        flags: AUTHENTICATED, ENCRYPTED.
        engine: Identity of the sender's engine.
        boots: How often that has started.
        seconds: Since when it runs, in seconds.
        user: User name.
        code: Start and stop of the authentication code.
        salt: What the encryption was seasoned with.
        content: Start of the scoped PDU, or of the octets it is encrypted in.
        end: End of the message.
        message: Number that joins a response and its request.
    """

    flags: int
    engine: bytes
    boots: int
    seconds: int
    user: bytes
    code: tuple[int, int]
    salt: bytes
    content: int
    end: int
    message: int = 0


def envelope(octets: bytes) -> Envelope:
    """Return the security parameters of a v3 message, nothing of it checked yet.

    Raises:
        Malformed: It is not one, or uses another security model.
    """
    number, at, end = message.version(octets)
    if number != message.V3:
        raise Malformed(f"version {number} has no users")
    start, header_end = ber.expect(octets, at, end, ber.SEQUENCE)
    number, place = ber.expect(octets, start, header_end, ber.INTEGER)
    message_id = ber.integer(octets[number:place])
    _, place = ber.expect(octets, place, header_end, ber.INTEGER)  # msgMaxSize
    flag, place = ber.expect(octets, place, header_end, ber.OCTETS)
    model, model_end = ber.expect(octets, place, header_end, ber.INTEGER)
    if place != flag + 1 or ber.integer(octets[model:model_end]) != USM:
        raise Malformed("not the user-based security model")
    at, content = ber.expect(octets, header_end, end, ber.OCTETS)
    at, stop = ber.expect(octets, at, content, ber.SEQUENCE)
    engine, place = ber.expect(octets, at, stop, ber.OCTETS)
    boots, boots_end = ber.expect(octets, place, stop, ber.INTEGER)
    seconds, seconds_end = ber.expect(octets, boots_end, stop, ber.INTEGER)
    user, user_end = ber.expect(octets, seconds_end, stop, ber.OCTETS)
    code = ber.expect(octets, user_end, stop, ber.OCTETS)
    salt, salt_end = ber.expect(octets, code[1], stop, ber.OCTETS)
    if place - engine > ENGINE_LIMIT:
        raise Malformed("engine identity too long")
    return Envelope(
        octets[flag],
        octets[engine:place],
        ber.integer(octets[boots:boots_end]),
        ber.integer(octets[seconds:seconds_end]),
        octets[user:user_end],
        code,
        octets[salt:salt_end],
        content,
        end,
        message_id,
    )


def open_message(octets: bytes, found: Envelope, user: User) -> Pdu:
    """Return the PDU in a message after checking who sent it, and when.

    Raises:
        Malformed: It is not a message, or what was encrypted is not.
        Refused: It is not from this user, not protected as the user's messages are, or a replay.
    """
    needed = AUTHENTICATED if user.privacy is None else AUTHENTICATED | ENCRYPTED
    if found.flags & needed != needed:
        raise Refused("not protected as it should be")
    authentication, privacy = user.keys(found.engine)
    start, stop = found.code
    if stop - start != user.code:
        raise Refused("wrong authentication code")
    whole = octets[:start] + bytes(user.code) + octets[stop:]
    code = hmac.digest(authentication, whole, user.algorithm)[: user.code]
    if not hmac.compare_digest(code, octets[start:stop]):
        raise Refused("wrong authentication code")
    user.check_time(found.engine, found.boots, found.seconds)
    if not found.flags & ENCRYPTED:
        return content(octets, found)
    at, end = ber.expect(octets, found.content, found.end, ber.OCTETS)
    plain = _decrypted(octets[at:end], found, privacy)
    return _scoped(plain, 0, len(plain))


def content(octets: bytes, found: Envelope) -> Pdu:
    """Return the PDU in a message that is not encrypted; nothing is checked.

    Raises:
        Malformed: It is not a message.
    """
    return _scoped(octets, found.content, found.end)


def _scoped(octets: bytes, at: int, end: int) -> Pdu:
    at, end = ber.expect(octets, at, end, ber.SEQUENCE)
    _, at = ber.expect(octets, at, end, ber.OCTETS)  # contextEngineID
    _, at = ber.expect(octets, at, end, ber.OCTETS)  # contextName
    pdu = message.pdu(octets, at, end)
    if not isinstance(pdu, Pdu):
        raise Malformed("a v1 trap in a v3 message")
    return pdu


def _decrypted(octets: bytes, found: Envelope, key: bytes | None) -> bytes:
    if key is None or len(found.salt) != SALT:
        raise Refused("cannot be decrypted")
    if not (0 <= found.boots < 2**31 and 0 <= found.seconds < 2**31):
        raise Malformed("impossible time")
    decryptor = cipher(key, found.boots, found.seconds, found.salt).decryptor()
    return decryptor.update(octets) + decryptor.finalize()


def cipher(key: bytes, boots: int, seconds: int, salt: bytes) -> Cipher[CFB]:
    """Return the cipher of a message (RFC 3826 section 3.1)."""
    return Cipher(algorithms.AES(key), CFB(struct.pack(">II", boots, seconds) + salt))
