"""Master keys: they wrap the data keys of the database, and never leave their provider.

A provider is a class that an entry point of the group ``tmf_apis.key_providers`` names; it is
created with the settings. ``TMF_KEY_PROVIDER`` selects it. The provider ``local`` has its keys from
``TMF_MASTER_KEY``, or from a file with one key a line; the first key wraps, the others only unwrap.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tmf_apis.security import private_files
from tmf_apis.setting_parsers import KEY_PROVIDERS
from tmf_apis.settings import Settings

#: Name of the provider whose keys are in a file or in the environment.
LOCAL = "local"
KEY_BYTES = 32
NONCE_BYTES = 12


class KeyUnavailable(Exception):
    """A master key is missing, invalid, or its provider does not answer."""


@runtime_checkable
class KeyProvider(Protocol):
    """Wraps and unwraps data keys of 32 bytes; methods may be called from several threads."""

    @property
    def current_id(self) -> str:
        """Name of the master key that ``wrap`` uses; it is stored beside the wrapped keys."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return a data key, encrypted with the current master key.

        Args:
            key: The data key.
            context: Text that ``unwrap`` must repeat; it is authenticated, not stored.

        Raises:
            KeyUnavailable: The provider does not answer.
        """

    def unwrap(self, wrapped: bytes, context: bytes, master_id: str) -> bytes:
        """Return a data key that was wrapped with a master key.

        Raises:
            KeyUnavailable: The provider does not have this master key, or does not answer.
        """

    def rotate(self) -> str:
        """Make a new master key the current one; return its name. Earlier keys still unwrap.

        Raises:
            KeyUnavailable: The provider cannot make a key.
        """


class LocalKeys:
    """Master keys from ``TMF_MASTER_KEY`` or from a file that only its owner can read."""

    def __init__(self, settings: Settings) -> None:
        """Read the keys; without any, generate the first one in the data directory.

        Raises:
            KeyUnavailable: A key is not 32 bytes in base64, or the file cannot be read.
        """
        self._path = _key_file(settings)
        self._is_from_environment = bool(settings.master_key)
        self._version = (0, 0)
        self.is_generated = False
        if settings.master_key:
            lines: Sequence[str] = settings.master_key.split(",")
        else:
            if not self._path.exists() and not settings.master_key_file:
                self.is_generated = private_files.create(self._path, _content([_new_line()]))
            self._version = _version(self._path)
            lines = _read(self._path)
        self._set_keys(lines)

    @property
    def path(self) -> Path:
        """The file of the keys."""
        return self._path

    @property
    def current_id(self) -> str:
        """Fingerprint of the current master key."""
        return self._current_id

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return a data key, encrypted with the current master key (AES-256-GCM)."""
        self._read_changed_file()
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._ciphers[self._current_id].encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes, master_id: str) -> bytes:
        """Return a data key that was wrapped with one of the master keys.

        Raises:
            KeyUnavailable: This key is not in the file or in the environment.
        """
        if master_id not in self._ciphers:
            self._read_changed_file()
        if (cipher := self._ciphers.get(master_id)) is None:
            raise KeyUnavailable(f"the master key {master_id} is not configured")
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
        except InvalidTag:
            raise KeyUnavailable(f"the master key {master_id} does not fit a data key") from None

    def rotate(self) -> str:
        """Put a new key in front of the file's keys; return its fingerprint."""
        if self._is_from_environment:
            raise KeyUnavailable(
                "the master key is in TMF_MASTER_KEY: put a new key and a comma in front of it,"
                " restart all servers, and run the command again"
            )
        private_files.replace(self._path, _content([_new_line(), *_read(self._path)]))
        self._read_changed_file()
        return self._current_id

    def _read_changed_file(self) -> None:
        """Read the file again if another process has rotated the keys."""
        if self._is_from_environment or (version := _version(self._path)) == self._version:
            return
        self._set_keys(_read(self._path))
        self._version = version

    def _set_keys(self, lines: Sequence[str]) -> None:
        keys = [_parse(line) for line in lines if line.strip()]
        if not keys:
            raise KeyUnavailable(f"{self._path} has no master key")
        self._ciphers = {_fingerprint(key): AESGCM(key) for key in keys}
        self._current_id = _fingerprint(keys[0])


def load_provider(settings: Settings) -> KeyProvider:
    """Return the configured provider of master keys.

    Raises:
        KeyUnavailable: There is no such provider, or it has no usable key.
    """
    name = settings.key_provider
    if name == LOCAL:
        return LocalKeys(settings)
    for entry_point in entry_points(group=KEY_PROVIDERS, name=name):
        provider = entry_point.load()(settings)
        if not isinstance(provider, KeyProvider):
            raise KeyUnavailable(f"{entry_point.value} is no KeyProvider")
        return provider
    installed = sorted({LOCAL, *(point.name for point in entry_points(group=KEY_PROVIDERS))})
    raise KeyUnavailable(f"TMF_KEY_PROVIDER={name}: expected one of {', '.join(installed)}")


def _key_file(settings: Settings) -> Path:
    if settings.master_key_file:
        return Path(settings.master_key_file)
    return settings.data_dir / "keys" / "master.key"


def _new_line() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _parse(line: str) -> bytes:
    try:
        key = base64.b64decode(line.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnavailable("a master key is 32 random bytes in base64 (openssl rand -base64 32)")
    return key


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"tmf master key" + key).hexdigest()[:16]


def _version(path: Path) -> tuple[int, int]:
    """Return inode and time of modification of a file; both change when it is replaced."""
    try:
        status = path.stat()
    except OSError as error:
        raise KeyUnavailable(f"the master keys cannot be read: {error}") from None
    return status.st_ino, status.st_mtime_ns


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").split()
    except (OSError, ValueError) as error:
        raise KeyUnavailable(f"the master keys cannot be read: {error}") from None


def _content(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("ascii")
