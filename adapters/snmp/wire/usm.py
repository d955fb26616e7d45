"""SNMPv3 messages as who receives them opens them: the user-based security model.

Source: RFC 3412 section 6 (message), RFC 3414 (USM, SHA), RFC 7860 (SHA-2), RFC 3826 (AES).
"""

import hashlib
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import Malformed
from adapters.snmp.wire.message import Pdu

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # cryptography before 47
    from cryptography.hazmat.primitives.ciphers.modes import CFB

#: Name -> name of the hash and octets of the authentication code.
AUTH_PROTOCOLS = {"SHA": ("sha1", 12), "SHA-256": ("sha256", 24)}
AES_KEY_LENGTH = 16
SALT_LENGTH = 8
EXPANDED_PASSWORD_LENGTH = 1_048_576
AUTH_FLAG, PRIV_FLAG = 1, 2
USM_SECURITY_MODEL = 3
#: Seconds by which a message may be older than the newest one of its engine.
TIME_WINDOW = 150
ENGINE_ID_LIMIT = 32
#: Localized keys kept; a key costs two hashes of a few octets, so a stranger gains nothing.
KEYS_LIMIT = 256


class NotAuthentic(Exception):
    """A message is well formed, but not from whom it says, or not now."""


def password_key(password: str, hash_name: str) -> bytes:
    """Return the key of a password: the hash of a megabyte of it (RFC 3414 section A.2).

    Raises:
        ValueError: The password is empty.
    """
    word = password.encode()
    if not word:
        raise ValueError("an SNMPv3 password cannot be empty")
    long = (word * (EXPANDED_PASSWORD_LENGTH // len(word) + 1))[:EXPANDED_PASSWORD_LENGTH]
    return hashlib.new(hash_name, long).digest()


@dataclass(slots=True)
class User:
    """A user of a sender of notifications.

    Attributes:
        name: User name.
        hash_name: Name of the hash.
        auth_code_length: Octets of the authentication code.
        auth_key: Stretched password.
        priv_key: Stretched password; None: messages come unencrypted.
    """

    name: bytes
    hash_name: str
    auth_code_length: int
    auth_key: bytes
    priv_key: bytes | None
    _localized_keys: dict[bytes, tuple[bytes, bytes | None]] = field(
        default_factory=dict, repr=False
    )
    _newest_times: dict[bytes, tuple[int, int]] = field(default_factory=dict, repr=False)

    @classmethod
    def from_secret(cls, secret: Mapping[str, str]) -> "User":
        """Return the user of a secret with user, auth, auth_password, priv and priv_password.

        Raises:
            ValueError: An algorithm is not one of ours, or a password is missing.
        """
        if (name := secret.get("auth", "SHA")) not in AUTH_PROTOCOLS:
            raise ValueError(f"auth is one of {', '.join(AUTH_PROTOCOLS)}")
        if secret.get("priv", "AES") != "AES":
            raise ValueError("priv is AES")
        algorithm, code = AUTH_PROTOCOLS[name]
        password = secret.get("priv_password")
        return cls(
            secret["user"].encode(),
            algorithm,
            code,
            password_key(secret.get("auth_password", ""), algorithm),
            None if password is None else password_key(password, algorithm),
        )

    def localized_keys(self, engine_id: bytes) -> tuple[bytes, bytes | None]:
        """Return the keys of authentication and privacy towards an engine."""
        if (found := self._localized_keys.get(engine_id)) is None:
            found = self._localized_key(self.auth_key, engine_id), None
            if self.priv_key is not None:
                found = found[0], self._localized_key(self.priv_key, engine_id)[:AES_KEY_LENGTH]
            if len(self._localized_keys) >= KEYS_LIMIT:
                self._localized_keys.clear()
            self._localized_keys[engine_id] = found
        return found

    def _localized_key(self, key: bytes, engine_id: bytes) -> bytes:
        return hashlib.new(self.hash_name, key + engine_id + key).digest()

    def check_timeliness(self, engine_id: bytes, boots: int, engine_time: int) -> None:
        """Refuse an authentic message that is older than the newest one of its engine.

        Raises:
            Refused: It is a replay, or was very long on its way.
        """
        newest = self._newest_times.get(engine_id, (0, 0))
        if boots < newest[0] or (boots == newest[0] and engine_time < newest[1] - TIME_WINDOW):
            raise NotAuthentic("replayed or too late")
        if len(self._newest_times) >= KEYS_LIMIT and engine_id not in self._newest_times:
            self._newest_times.clear()
        self._newest_times[engine_id] = max(newest, (boots, engine_time))


@dataclass(frozen=True, slots=True)
class V3Header:
    """The security parameters of a message, and where its parts stand.

    Attributes:
        flags: AUTHENTICATED, ENCRYPTED.
        engine_id: Identity of the sender's engine.
        boots: How often that has started.
        engine_time: Since when it runs, in seconds.
        user_name: User name.
        auth_code_span: Start and stop of the authentication code.
        salt: What the encryption was seasoned with.
        scoped_pdu_start: Start of the scoped PDU, or of the octets it is encrypted in.
        end: End of the message.
        message_id: Number that joins a response and its request.
    """

    flags: int
    engine_id: bytes
    boots: int
    engine_time: int
    user_name: bytes
    auth_code_span: tuple[int, int]
    salt: bytes
    scoped_pdu_start: int
    end: int
    message_id: int = 0


def decode_header(octets: bytes) -> V3Header:
    """Return the security parameters of a v3 message, nothing of it checked yet.

    Raises:
        Malformed: It is not one, or uses another security model.
    """
    number, at, end = message.decode_version(octets)
    if number != message.V3:
        raise Malformed(f"version {number} has no users")
    start, header_end = ber.expect_tlv(octets, at, end, ber.SEQUENCE)
    number, place = ber.expect_tlv(octets, start, header_end, ber.INTEGER)
    message_id = ber.decode_integer(octets[number:place])
    _, place = ber.expect_tlv(octets, place, header_end, ber.INTEGER)  # msgMaxSize
    flag, place = ber.expect_tlv(octets, place, header_end, ber.OCTETS)
    model, model_end = ber.expect_tlv(octets, place, header_end, ber.INTEGER)
    if place != flag + 1 or ber.decode_integer(octets[model:model_end]) != USM_SECURITY_MODEL:
        raise Malformed("not the user-based security model")
    at, content = ber.expect_tlv(octets, header_end, end, ber.OCTETS)
    at, stop = ber.expect_tlv(octets, at, content, ber.SEQUENCE)
    engine, place = ber.expect_tlv(octets, at, stop, ber.OCTETS)
    boots, boots_end = ber.expect_tlv(octets, place, stop, ber.INTEGER)
    seconds, seconds_end = ber.expect_tlv(octets, boots_end, stop, ber.INTEGER)
    user, user_end = ber.expect_tlv(octets, seconds_end, stop, ber.OCTETS)
    code = ber.expect_tlv(octets, user_end, stop, ber.OCTETS)
    salt, salt_end = ber.expect_tlv(octets, code[1], stop, ber.OCTETS)
    if place - engine > ENGINE_ID_LIMIT:
        raise Malformed("engine identity too long")
    return V3Header(
        octets[flag],
        octets[engine:place],
        ber.decode_integer(octets[boots:boots_end]),
        ber.decode_integer(octets[seconds:seconds_end]),
        octets[user:user_end],
        code,
        octets[salt:salt_end],
        content,
        end,
        message_id,
    )


def authenticate_message(octets: bytes, header: V3Header, user: User) -> Pdu:
    """Return the PDU in a message after checking who sent it, and when.

    Raises:
        Malformed: It is not a message, or what was encrypted is not.
        Refused: It is not from this user, not protected as the user's messages are, or a replay.
    """
    needed = AUTH_FLAG if user.priv_key is None else AUTH_FLAG | PRIV_FLAG
    if header.flags & needed != needed:
        raise NotAuthentic("not protected as it should be")
    authentication, privacy = user.localized_keys(header.engine_id)
    start, stop = header.auth_code_span
    if stop - start != user.auth_code_length:
        raise NotAuthentic("wrong authentication code")
    whole = octets[:start] + bytes(user.auth_code_length) + octets[stop:]
    code = hmac.digest(authentication, whole, user.hash_name)[: user.auth_code_length]
    if not hmac.compare_digest(code, octets[start:stop]):
        raise NotAuthentic("wrong authentication code")
    user.check_timeliness(header.engine_id, header.boots, header.engine_time)
    if not header.flags & PRIV_FLAG:
        return decode_plain_pdu(octets, header)
    at, end = ber.expect_tlv(octets, header.scoped_pdu_start, header.end, ber.OCTETS)
    plain = _decrypt(octets[at:end], header, privacy)
    return _decode_scoped_pdu(plain, 0, len(plain))


def decode_plain_pdu(octets: bytes, header: V3Header) -> Pdu:
    """Return the PDU in a message that is not encrypted; nothing is checked.

    Raises:
        Malformed: It is not a message.
    """
    return _decode_scoped_pdu(octets, header.scoped_pdu_start, header.end)


def _decode_scoped_pdu(octets: bytes, offset: int, end: int) -> Pdu:
    offset, end = ber.expect_tlv(octets, offset, end, ber.SEQUENCE)
    _, offset = ber.expect_tlv(octets, offset, end, ber.OCTETS)  # contextEngineID
    _, offset = ber.expect_tlv(octets, offset, end, ber.OCTETS)  # contextName
    pdu = message.decode_pdu(octets, offset, end)
    if not isinstance(pdu, Pdu):
        raise Malformed("a v1 trap in a v3 message")
    return pdu


def _decrypt(octets: bytes, header: V3Header, key: bytes | None) -> bytes:
    if key is None or len(header.salt) != SALT_LENGTH:
        raise NotAuthentic("cannot be decrypted")
    if not (0 <= header.boots < 2**31 and 0 <= header.engine_time < 2**31):
        raise Malformed("impossible time")
    decryptor = cipher(key, header.boots, header.engine_time, header.salt).decryptor()
    return decryptor.update(octets) + decryptor.finalize()


def cipher(key: bytes, boots: int, engine_time: int, salt: bytes) -> Cipher[CFB]:
    """Return the cipher of a message (RFC 3826 section 3.1)."""
    return Cipher(algorithms.AES(key), CFB(struct.pack(">II", boots, engine_time) + salt))
