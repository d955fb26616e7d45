"""Encryption of SNMPv3 messages: AES with 128, 192 and 256 bits, and DES for old elements.

A key longer than the hash is extended. There are two ways to do so, which both are in use: that of
draft-blumenthal-aes-usm-04 (net-snmp and most others) and that of draft-reeder-snmpv3-usm-3desede
(Cisco). Where the hash is long enough, they do not differ.

Source: RFC 3826 (AES), RFC 3414 section 8 (DES).
"""

import hashlib
import secrets
import struct
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from adapters.snmp.wire.ber import Malformed

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # cryptography before 47
    from cryptography.hazmat.primitives.ciphers.modes import CFB

__all__ = ["CFB", "PRIV_PROTOCOLS", "PrivacyProtocol", "expanded_key", "localized_key"]

SALT_LENGTH = 8
EXPANDED_PASSWORD_LENGTH = 1_048_576
#: Length of a DES key and of a DES block, in octets.
_DES_LENGTH = 8
_MAX_COUNTER = 2**31


@dataclass(frozen=True, slots=True)
class PrivacyProtocol:
    """A way to encrypt messages.

    Attributes:
        key_length: Length of a key, in octets.
        is_des: DES instead of AES.
        hashes_again: The key is extended as in the draft of Reeder, else as in that of Blumenthal.
    """

    key_length: int
    is_des: bool = False
    hashes_again: bool = False

    def key(self, master_key: bytes, engine_id: bytes, hash_name: str) -> bytes:
        """Return the key for an engine.

        Args:
            master_key: Key of the password; see ``password_key``.
            engine_id: Identity of the engine.
            hash_name: Name of the hash.
        """
        key = localized_key(master_key, engine_id, hash_name)
        extension = key
        while len(key) < self.key_length:
            if self.hashes_again:
                extension = localized_key(expanded_key(extension, hash_name), engine_id, hash_name)
            else:
                extension = hashlib.new(hash_name, key).digest()
            key += extension
        return key[: self.key_length]

    def salt(self, boots: int) -> bytes:
        """Return a new salt for a message of an engine."""
        if self.is_des:
            return struct.pack(">I", boots) + secrets.token_bytes(SALT_LENGTH - 4)
        return secrets.token_bytes(SALT_LENGTH)

    def encrypt(self, key: bytes, boots: int, engine_time: int, salt: bytes, plain: bytes) -> bytes:
        """Return encrypted octets."""
        if self.is_des:
            plain += bytes(-len(plain) % _DES_LENGTH)
        encryptor = self._cipher(key, boots, engine_time, salt).encryptor()
        return encryptor.update(plain) + encryptor.finalize()

    def decrypt(
        self, key: bytes, boots: int, engine_time: int, salt: bytes, encrypted: bytes
    ) -> bytes:
        """Return decrypted octets.

        Raises:
            Malformed: The octets are not encrypted in this way.
        """
        if not (0 <= boots < _MAX_COUNTER and 0 <= engine_time < _MAX_COUNTER):
            raise Malformed("invalid engine boots or engine time")
        if len(salt) != SALT_LENGTH or (self.is_des and len(encrypted) % _DES_LENGTH):
            raise Malformed("cannot be decrypted")
        decryptor = self._cipher(key, boots, engine_time, salt).decryptor()
        return decryptor.update(encrypted) + decryptor.finalize()

    def _cipher(
        self, key: bytes, boots: int, engine_time: int, salt: bytes
    ) -> Cipher[CFB] | Cipher[modes.CBC]:
        if self.is_des:
            des_key, pre_vector = key[:_DES_LENGTH], key[_DES_LENGTH:]
            vector = bytes(a ^ b for a, b in zip(pre_vector, salt, strict=True))
            return Cipher(TripleDES(des_key * 3), modes.CBC(vector))
        return Cipher(algorithms.AES(key), CFB(struct.pack(">II", boots, engine_time) + salt))


#: Name of the protocol in credentials -> protocol. The names are those of net-snmp.
PRIV_PROTOCOLS = {
    "AES": PrivacyProtocol(16),
    "AES-128": PrivacyProtocol(16),
    "AES-192": PrivacyProtocol(24),
    "AES-256": PrivacyProtocol(32),
    "AES-192-C": PrivacyProtocol(24, hashes_again=True),
    "AES-256-C": PrivacyProtocol(32, hashes_again=True),
    "DES": PrivacyProtocol(16, is_des=True),
}


def expanded_key(octets: bytes, hash_name: str) -> bytes:
    """Return the hash of octets that are repeated to one megabyte (RFC 3414 section A.2)."""
    repetitions = EXPANDED_PASSWORD_LENGTH // len(octets) + 1
    return hashlib.new(hash_name, (octets * repetitions)[:EXPANDED_PASSWORD_LENGTH]).digest()


def localized_key(key: bytes, engine_id: bytes, hash_name: str) -> bytes:
    """Return a key for one engine (RFC 3414 section 2.6)."""
    return hashlib.new(hash_name, key + engine_id + key).digest()
