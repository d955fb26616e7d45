"""Authentication of the adapter and of the NETCONF server: passwords, private keys, host keys."""

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import paramiko

from adapters.credentials import Secret
from adapters.errors import Misconfigured

#: Keys that a secret may have.
SECRET_KEYS = frozenset({"user", "password", "private_key", "key_file", "passphrase", "host_key"})
PRIVATE_KEY_TYPES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a public key in the notation of ``ssh-keygen -l``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Identity:
    """The credentials of the adapter and the host keys that it accepts.

    Attributes:
        user: User name.
        password: Password; empty if a private key is used.
        private_key: Private key; None if a password is used.
        host_fingerprints: Fingerprints of the accepted host keys.
    """

    user: str
    password: str
    private_key: paramiko.PKey | None
    host_fingerprints: frozenset[str]

    def is_known_host(self, host_key: bytes) -> bool:
        """Return whether a host key is accepted."""
        return fingerprint(host_key) in self.host_fingerprints


def load_identity(secret: Secret, host_keys: str, element: str) -> Identity:
    """Return the identity that a secret and a target describe.

    Args:
        secret: ``user`` with ``password``, ``private_key`` (text of the key) or ``key_file`` (path
            of the key), optionally ``passphrase`` of the key, and optionally ``host_key``.
        host_keys: Public keys of the element ("ssh-ed25519 AAAA...") or their fingerprints
            ("SHA256:..."), separated by commas; ``host_key`` of the secret is added.
        element: Name of the element.

    Raises:
        Misconfigured: A part is missing or not usable.
    """
    if unknown := sorted(set(secret) - SECRET_KEYS):
        raise Misconfigured(element, f"unknown keys of NETCONF credentials: {', '.join(unknown)}")
    if not (user := secret.get("user")):
        raise Misconfigured(element, "NETCONF credentials need a user")
    key = _load_private_key(secret, element)
    if key is None and "password" not in secret:
        raise Misconfigured(element, "NETCONF credentials need a password or a private key")
    texts = [text.strip() for text in f"{host_keys},{secret.get('host_key', '')}".split(",")]
    fingerprints = frozenset(_parse_fingerprint(text, element) for text in texts if text)
    return Identity(user, secret.get("password", ""), key, fingerprints)


def _parse_fingerprint(text: str, element: str) -> str:
    if text.startswith("SHA256:"):
        return text.rstrip("=")
    words = text.split()
    encoded = words[1] if len(words) > 1 else words[0]
    try:
        return fingerprint(base64.b64decode(encoded, validate=True))
    except ValueError:
        raise Misconfigured(
            element, "a host key is neither 'ssh-... AAAA...' nor 'SHA256:...'"
        ) from None


def _load_private_key(secret: Secret, element: str) -> paramiko.PKey | None:
    text = secret.get("private_key", "")
    try:
        if file := secret.get("key_file"):
            text = Path(file).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise Misconfigured(element, f"cannot read the private key: {error}") from error
    if not text:
        return None
    for key_type in PRIVATE_KEY_TYPES:
        try:
            return key_type.from_private_key(io.StringIO(text), secret.get("passphrase"))
        except (paramiko.SSHException, ValueError, TypeError, IndexError):
            continue
    message = "the private key is not Ed25519, ECDSA or RSA, or its passphrase is wrong"
    raise Misconfigured(element, message)
