"""The key that signs blocks of the audit log: an Ed25519 key in a file outside the database.

Somebody who can change the database but does not have the key cannot compute a chain anew.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tmf_apis.security import private_files
from tmf_apis.settings import Settings

#: Name of the key's file in the data directory, unless the operator names another file.
KEY_FILE = "keys/audit-log.pem"


def key_file(settings: Settings) -> Path:
    """Return the file of the key that signs the audit log."""
    named = settings.audit_key_file
    return Path(named) if named else settings.data_dir / KEY_FILE


class SigningKey:
    """A private key.

    Attributes:
        id: The first 16 hexadecimal digits of the SHA-256 of the public key.
        public: The public key.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.id = key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self._private.sign(message)

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def key_id(public: Ed25519PublicKey) -> str:
    """Return the id of a public key."""
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def load_key(file: Path) -> SigningKey | None:
    """Return the key in a file; None: there is no such file.

    Raises:
        ValueError: The file has no Ed25519 private key.
    """
    with suppress(FileNotFoundError):
        return _read_key(file)
    return None


def load_or_create_key(file: Path) -> SigningKey:
    """Return the key in a file; create the file, readable only for its owner, if need be.

    Two processes that do this at once get the same key.

    Raises:
        OSError: The file can neither be read nor created.
        ValueError: The file has no Ed25519 private key.
    """
    if (key := load_key(file)) is not None:
        return key
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private_files.create(file, pem)
    return _read_key(file)


def _read_key(file: Path) -> SigningKey:
    private = serialization.load_pem_private_key(file.read_bytes(), None)
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError(f"{file} has no Ed25519 private key")  # noqa: TRY004 - the file's content
    return SigningKey(private)


def load_public_key(file: Path) -> Ed25519PublicKey:
    """Return the public key in a PEM file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file has no Ed25519 public key.
    """
    public = serialization.load_pem_public_key(file.read_bytes())
    if not isinstance(public, Ed25519PublicKey):
        raise ValueError(f"{file} has no Ed25519 public key")  # noqa: TRY004 - the file's content
    return public


class PublicKeys:
    """The public keys that a verification accepts."""

    def __init__(self, keys: Iterable[Ed25519PublicKey] = ()) -> None:
        self._keys = {key_id(key): key for key in keys}

    @classmethod
    def from_files(cls, private_file: Path, public_files: Iterable[Path] = ()) -> "PublicKeys":
        """Return the key of this server's data directory, if there is one, and further keys.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file has no Ed25519 key.
        """
        keys = []
        if (own := load_key(private_file)) is not None:
            keys.append(own.public)
        return cls([*keys, *map(load_public_key, public_files)])

    def problem(self, block: Mapping[str, object]) -> str:
        """Return why the signature of a block is not accepted; empty if it is.

        Without any key, signatures are not checked.
        """
        if not self._keys:
            return ""
        number, signature = block["number"], block.get("signature")
        if not isinstance(signature, bytes):
            return f"block {number} is not signed"
        if (key := self._keys.get(str(block.get("key")))) is None:
            return f"block {number} is signed with the unknown key {block.get('key')}"
        try:
            key.verify(signature, str(block["hash"]).encode())
        except InvalidSignature:
            return f"the signature of block {number} is wrong"
        return ""
