"""SNMPv3 messages of the user-based security model (USM): authentication and decryption.

Source: RFC 3412 section 6 (message), RFC 3414 (USM, SHA, MD5), RFC 7860 (SHA-2).
"""

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from adapters.snmp.wire import ber, message
from adapters.snmp.wire.ber import Malformed
from adapters.snmp.wire.message import Pdu
from adapters.snmp.wire.privacy import CFB as CFB  # noqa: PLC0414 - a part of this interface
from adapters.snmp.wire.privacy import (
    PRIV_PROTOCOLS,
    PrivacyProtocol,
    expanded_key,
    localized_key,
)

#: Name of the protocol -> name of the hash and length of the authentication code in octets.
#: The names are those of net-snmp.
AUTH_PROTOCOLS = {
    "SHA": ("sha1", 12),
    "SHA-224": ("sha224", 16),
    "SHA-256": ("sha256", 24),
    "SHA-384": ("sha384", 32),
    "SHA-512": ("sha512", 48),
    "MD5": ("md5", 12),
}
#: Protocols that can be broken today, and the member of credentials that permits them.
WEAK_PROTOCOLS, WEAK_MEMBER = frozenset({"MD5", "DES"}), "weak_protocols"
AUTH_FLAG, PRIV_FLAG = 1, 2
USM_SECURITY_MODEL = 3
#: Maximum age of a message, in seconds, relative to the newest message of its engine.
TIME_WINDOW = 150
#: How much slower than this machine's the clock of an engine may be, as a part of its time.
CLOCK_DRIFT = 0.001
#: Number of starts after which an engine must not be trusted any more (RFC 3414 section 2.2.2).
LATCHED_BOOTS = 2**31 - 1
ENGINE_ID_LIMIT = 32
#: Size of the caches of a user. Anybody can fill them by inventing engine IDs, but computing a
#: localized key again costs only two hashes of a few octets.
ENGINES_LIMIT = 256


class NotAuthentic(Exception):
    """The message is well formed, but does not prove its sender, or is too old."""


def password_key(password: str, hash_name: str) -> bytes:
    """Return the key of a password: the hash of the password repeated to one megabyte.

    Raises:
        ValueError: The password is empty.

    Source: RFC 3414 section A.2.
    """
    octets = password.encode()
    if not octets:
        raise ValueError("an SNMPv3 password cannot be empty")
    return expanded_key(octets, hash_name)


class EngineTime(NamedTuple):
    """The time of an engine in its newest message.

    Attributes:
        boots: Number of starts of the engine (snmpEngineBoots).
        engine_time: Seconds since its last start (latestReceivedEngineTime).
        received_at: When the message arrived, in seconds since 1970.
    """

    boots: int
    engine_time: int
    received_at: float


@dataclass(slots=True)
class EngineTimes:
    """The newest time of each engine, and the check of messages against it.

    Attributes:
        is_advancing: The time of an engine advances between its messages, so that a message which
            is the newest one, but old, is refused too.
        clock: Returns the current time, in seconds since 1970.
    """

    is_advancing: bool = False
    clock: Callable[[], float] = time.time
    _newest: dict[bytes, EngineTime] = field(default_factory=dict, repr=False)
    _changed: set[bytes] = field(default_factory=set, repr=False)

    def check(self, engine_id: bytes, boots: int, engine_time: int) -> None:
        """Refuse an authentic message that is too old, and remember the newest time otherwise.

        Raises:
            NotAuthentic: The message is a replay, or was delayed beyond the time window.

        Source: RFC 3414 section 3.2, step 7.
        """
        now = self.clock()
        newest = self._newest.get(engine_id, EngineTime(0, 0, now))
        elapsed = max(0.0, now - newest.received_at) if self.is_advancing else 0.0
        oldest = newest.engine_time + elapsed * (1 - CLOCK_DRIFT) - TIME_WINDOW
        is_old = boots < newest.boots or (boots == newest.boots and engine_time < oldest)
        if is_old or boots >= LATCHED_BOOTS:
            raise NotAuthentic("replayed or too late")
        if len(self._newest) >= ENGINES_LIMIT and engine_id not in self._newest:
            self.clear()
        if engine_id not in self._newest or (boots, engine_time) > newest[:2]:
            self._newest[engine_id] = EngineTime(boots, engine_time, now)
            self._changed.add(engine_id)

    def restore(self, engine_id: bytes, newest: EngineTime) -> None:
        """Set the newest time of an engine, unless a newer one is known."""
        known = self._newest.get(engine_id)
        if known is None or newest[:2] > known[:2]:
            self._newest[engine_id] = newest

    def take_changes(self) -> dict[bytes, EngineTime]:
        """Return the times that have changed since the last call."""
        changes = {id: self._newest[id] for id in self._changed if id in self._newest}
        self._changed.clear()
        return changes

    def clear(self) -> None:
        """Forget all times."""
        self._newest.clear()


def checked_protocols(secret: Mapping[str, str]) -> tuple[str, str]:
    """Return the names of the protocols of a secret, which are SHA and AES if it names none.

    Raises:
        ValueError: A protocol is not supported, or weak and not permitted.
    """
    auth, priv = secret.get("auth", "SHA"), secret.get("priv", "AES")
    if auth not in AUTH_PROTOCOLS:
        raise ValueError(f"auth is one of {', '.join(AUTH_PROTOCOLS)}")
    if priv not in PRIV_PROTOCOLS:
        raise ValueError(f"priv is one of {', '.join(PRIV_PROTOCOLS)}")
    weak = sorted(WEAK_PROTOCOLS & {auth, priv})
    if weak and secret.get(WEAK_MEMBER) != "yes":
        reason = f"{' and '.join(weak)} can be broken"
        raise ValueError(f'{reason}; "{WEAK_MEMBER}": "yes" permits it for an old element')
    return auth, priv


@dataclass(slots=True)
class User:
    """An SNMPv3 user, with its keys and the newest time seen of each engine.

    Attributes:
        name: User name.
        hash_name: Name of the hash.
        auth_code_length: Length of the authentication code, in octets.
        auth_key: Key of the authentication password, not localized.
        priv_key: Key of the privacy password, not localized; None: messages are not encrypted.
        privacy: The way to encrypt messages.
        times: The newest time of each engine that has sent messages of the user.
    """

    name: bytes
    hash_name: str
    auth_code_length: int
    auth_key: bytes
    priv_key: bytes | None
    privacy: PrivacyProtocol = PRIV_PROTOCOLS["AES"]
    _localized_keys: dict[bytes, tuple[bytes, bytes | None]] = field(
        default_factory=dict, repr=False
    )
    times: EngineTimes = field(default_factory=EngineTimes, repr=False)

    @classmethod
    def from_secret(cls, secret: Mapping[str, str]) -> "User":
        """Return the user of a secret with user, auth, auth_password, priv and priv_password.

        Raises:
            ValueError: A protocol is not supported or not permitted, or a password is missing.
        """
        auth, priv = checked_protocols(secret)
        hash_name, code_length = AUTH_PROTOCOLS[auth]
        password = secret.get("priv_password")
        return cls(
            secret["user"].encode(),
            hash_name,
            code_length,
            password_key(secret.get("auth_password", ""), hash_name),
            None if password is None else password_key(password, hash_name),
            PRIV_PROTOCOLS[priv],
        )

    def without_privacy(self) -> "User":
        """Return the same user with authentication only; both share the times of the engines."""
        return replace(self, priv_key=None, _localized_keys={})

    def forget_times(self) -> None:
        """Forget the newest time of every engine, so that older messages are accepted again."""
        self.times.clear()

    def localized_keys(self, engine_id: bytes) -> tuple[bytes, bytes | None]:
        """Return the authentication key and the privacy key for an engine."""
        if (keys := self._localized_keys.get(engine_id)) is None:
            keys = localized_key(self.auth_key, engine_id, self.hash_name), None
            if self.priv_key is not None:
                keys = keys[0], self.privacy.key(self.priv_key, engine_id, self.hash_name)
            if len(self._localized_keys) >= ENGINES_LIMIT:
                self._localized_keys.clear()
            self._localized_keys[engine_id] = keys
        return keys


@dataclass(frozen=True, slots=True)
class V3Header:
    """The security parameters of a message, and the positions of its parts.

    Attributes:
        flags: ``AUTH_FLAG``, ``PRIV_FLAG`` and others.
        engine_id: Identity of the sender's engine.
        boots: Number of times that the engine has started.
        engine_time: Seconds since its last start.
        user_name: User name.
        auth_code_span: Start and stop of the authentication code.
        salt: Part of the initialization vector of the encryption.
        scoped_pdu_start: Start of the scoped PDU, or of the octet string that encrypts it.
        end: End of the message.
        message_id: Number that correlates a response with its request.
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
    """Return the security parameters of a v3 message, without verifying them.

    Raises:
        Malformed: The octets are not a v3 message, or use another security model.
    """
    version, position, end = message.decode_version(octets)
    if version != message.V3:
        raise Malformed(f"version {version} has no users")
    start, header_end = ber.expect_tlv(octets, position, end, ber.SEQUENCE)
    start, position = ber.expect_tlv(octets, start, header_end, ber.INTEGER)
    message_id = ber.decode_integer(octets[start:position])
    _, position = ber.expect_tlv(octets, position, header_end, ber.INTEGER)  # msgMaxSize
    flags, position = ber.expect_tlv(octets, position, header_end, ber.OCTETS)
    model, model_end = ber.expect_tlv(octets, position, header_end, ber.INTEGER)
    if position != flags + 1 or ber.decode_integer(octets[model:model_end]) != USM_SECURITY_MODEL:
        raise Malformed("not the user-based security model")
    start, parameters_end = ber.expect_tlv(octets, header_end, end, ber.OCTETS)
    start, stop = ber.expect_tlv(octets, start, parameters_end, ber.SEQUENCE)
    engine, engine_end = ber.expect_tlv(octets, start, stop, ber.OCTETS)
    boots, boots_end = ber.expect_tlv(octets, engine_end, stop, ber.INTEGER)
    time_start, time_end = ber.expect_tlv(octets, boots_end, stop, ber.INTEGER)
    user, user_end = ber.expect_tlv(octets, time_end, stop, ber.OCTETS)
    auth_code_span = ber.expect_tlv(octets, user_end, stop, ber.OCTETS)
    salt, salt_end = ber.expect_tlv(octets, auth_code_span[1], stop, ber.OCTETS)
    if engine_end - engine > ENGINE_ID_LIMIT:
        raise Malformed("engine ID too long")
    return V3Header(
        octets[flags],
        octets[engine:engine_end],
        ber.decode_integer(octets[boots:boots_end]),
        ber.decode_integer(octets[time_start:time_end]),
        octets[user:user_end],
        auth_code_span,
        octets[salt:salt_end],
        parameters_end,
        end,
        message_id,
    )


@dataclass(frozen=True, slots=True)
class ScopedPdu:
    """A PDU with its context.

    Attributes:
        context_engine_id: Identity of the engine that has the context.
        context_name: Name of the context.
        pdu: The PDU.
    """

    context_engine_id: bytes
    context_name: bytes
    pdu: Pdu


def authenticate_message(octets: bytes, header: V3Header, user: User) -> Pdu:
    """Return the PDU of a message after verifying its sender and its age.

    Raises:
        Malformed: The octets, or the decrypted octets, are not a message.
        NotAuthentic: The message is not from this user, is not protected as the user's messages
            are, or is a replay.
    """
    check_sender(octets, header, user)
    user.times.check(header.engine_id, header.boots, header.engine_time)
    return decrypted_pdu(octets, header, user).pdu


def check_sender(octets: bytes, header: V3Header, user: User) -> None:
    """Verify the sender of a message, not its age.

    Raises:
        NotAuthentic: The message is not from this user, or is not protected as the user's messages
            are.
    """
    required = AUTH_FLAG if user.priv_key is None else AUTH_FLAG | PRIV_FLAG
    if header.flags & required != required:
        raise NotAuthentic("not protected as required for this user")
    auth_key, _ = user.localized_keys(header.engine_id)
    start, stop = header.auth_code_span
    if stop - start != user.auth_code_length:
        raise NotAuthentic("wrong authentication code")
    signed = octets[:start] + bytes(user.auth_code_length) + octets[stop:]
    code = hmac.digest(auth_key, signed, user.hash_name)[: user.auth_code_length]
    if not hmac.compare_digest(code, octets[start:stop]):
        raise NotAuthentic("wrong authentication code")


def decrypted_pdu(octets: bytes, header: V3Header, user: User) -> ScopedPdu:
    """Return the PDU of a message, decrypted if it is encrypted.

    Raises:
        Malformed: The octets, or the decrypted octets, are not a message.
        NotAuthentic: The user has no key to decrypt it.
    """
    if not header.flags & PRIV_FLAG:
        return _decode_scoped_pdu(octets, header.scoped_pdu_start, header.end)
    _, key = user.localized_keys(header.engine_id)
    if key is None:
        raise NotAuthentic("cannot be decrypted")
    start, stop = ber.expect_tlv(octets, header.scoped_pdu_start, header.end, ber.OCTETS)
    plain = user.privacy.decrypt(
        key, header.boots, header.engine_time, header.salt, octets[start:stop]
    )
    return _decode_scoped_pdu(plain, 0, len(plain))


def decode_plain_pdu(octets: bytes, header: V3Header) -> Pdu:
    """Return the PDU of a message that is not encrypted, without verifying its sender.

    Raises:
        Malformed: The octets are not a message.
    """
    return _decode_scoped_pdu(octets, header.scoped_pdu_start, header.end).pdu


def _decode_scoped_pdu(octets: bytes, offset: int, end: int) -> ScopedPdu:
    offset, end = ber.expect_tlv(octets, offset, end, ber.SEQUENCE)
    start, offset = ber.expect_tlv(octets, offset, end, ber.OCTETS)
    context_engine_id = octets[start:offset]
    start, offset = ber.expect_tlv(octets, offset, end, ber.OCTETS)
    context_name = octets[start:offset]
    pdu = message.decode_pdu(octets, offset, end)
    if not isinstance(pdu, Pdu):
        raise Malformed("a v1 trap in a v3 message")
    return ScopedPdu(context_engine_id, context_name, pdu)
