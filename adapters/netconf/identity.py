"""How we and a NETCONF server know each other: host keys, passwords and private keys."""

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import paramiko

from adapters.credentials import Secret
from adapters.errors import Misconfigured

#: What a secret may hold.
SECRET_KEYS = frozenset({"user", "password", "private_key", "key_file", "passphrase", "host_key"})
PRIVATE_KEY_TYPES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a public key, as ssh-keygen -l shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are, and whom we expect.

    Attributes:
        user: User name.
        password: Password; empty where a key is used.
        private_key: Private key; None where a password is used.
        host_fingerprints: Fingerprints of the host keys that the element may have.
    """

    user: str
    password: str
    private_key: paramiko.PKey | None
    host_fingerprints: frozenset[str]

    def is_known_host(self, host_key: bytes) -> bool:
        """Whether a host key is one of those that the element may have."""
        return fingerprint(host_key) in self.host_fingerprints


def load_identity(secret: Secret, host_keys: str, element: str) -> Identity:
    """Return who we are.

    Args:
        secret: ``user`` with ``password``, ``private_key`` (its text) or ``key_file`` (its path,
            both with ``passphrase`` where it has one), and perhaps ``host_key``.
        host_keys: The element's public keys ("ssh-ed25519 AAAA...") or their fingerprints
            ("SHA256:..."), with commas between; those of the secret are added.
        element: Name of the element.

    Raises:
        Misconfigured: Something is missing or not usable.
    """
    if unknown := sorted(set(secret) - SECRET_KEYS):
        raise Misconfigured(element, f"NETCONF credentials have no {', '.join(unknown)}")
    if not (user := secret.get("user")):
        raise Misconfigured(element, "NETCONF credentials need a user")
    key = _load_private_key(secret, element)
    if key is None and "password" not in secret:
        raise Misconfigured(element, "NETCONF credentials need a password or a private key")
    texts = [one.strip() for one in f"{host_keys},{secret.get('host_key', '')}".split(",")]
    hosts = frozenset(_parse_fingerprint(one, element) for one in texts if one)
    return Identity(user, secret.get("password", ""), key, hosts)


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
    for kind in PRIVATE_KEY_TYPES:
        try:
            return kind.from_private_key(io.StringIO(text), secret.get("passphrase"))
        except (paramiko.SSHException, ValueError, TypeError, IndexError):
            continue
    message = "the private key is not Ed25519, ECDSA or RSA, or the passphrase is not its own"
    raise Misconfigured(element, message)
