"""TLS of a listening server: modern defaults, client certificates, reload of changed files.

Source: RFC 9325 (recommendations for TLS), RFC 8705 section 3 (thumbprint of a certificate).
"""

import base64
import hashlib
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

#: Cipher suites of TLS 1.2: forward secrecy and authenticated encryption only. Those of TLS 1.3
#: are the library's, which are all of this kind.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: Pause between two looks at the files, in seconds.
CHECK_INTERVAL = 1.0
CLIENT_AUTH: Mapping[str, ssl.VerifyMode] = {
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class UnusableTlsFiles(ValueError):
    """The files of certificate and key cannot be used; the message names the file and why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of a TLS server, in PEM.

    Attributes:
        certificate: The certificate, followed by those of the authorities between it and the root.
        key: The private key, not encrypted; empty: it is in the file of the certificate.
        client_ca: Certificates of the authorities whose client certificates are accepted; empty:
            clients send none.
        client_auth: "optional" or "required": whether a client must send a certificate.
    """

    certificate: str
    key: str = ""
    client_ca: str = ""
    client_auth: str = "optional"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of all files."""
        names = (self.certificate, self.key, self.client_ca)
        return tuple(Path(name) for name in names if name)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the TLS context of a server, for HTTP or for the notifications of elements.

    Raises:
        UnusableTlsFiles: A file cannot be read, is malformed, or key and certificate do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    for path in files.paths:
        _check_readable(path)
    try:
        context.load_cert_chain(files.certificate, files.key or None, password=_refuse_password)
    except ssl.SSLError as error:
        raise UnusableTlsFiles(_reason(files, error)) from None
    if files.client_ca:
        try:
            context.load_verify_locations(files.client_ca)
        except ssl.SSLError as error:
            raise UnusableTlsFiles(f"{files.client_ca} has no certificates: {error}") from None
        context.verify_mode = CLIENT_AUTH[files.client_auth]
        # A resumed session would outlive the authority of its certificate.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise UnusableTlsFiles(f"the TLS file {path} cannot be read: {error.strerror}") from None


def _refuse_password() -> str:
    raise UnusableTlsFiles("the private key is encrypted; a server needs one without a password")


def _reason(files: TlsFiles, error: ssl.SSLError) -> str:
    key = files.key or files.certificate
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the private key in {key} does not belong to the certificate in {files.certificate}"
    return f"{files.certificate} is no PEM certificate, or {key} no PEM private key: {error}"


class ReloadingContext:
    """The TLS context of a listening socket, whose files are read again when they change.

    A handshake uses the latest usable files; established connections are not affected.

    Attributes:
        context: The context for the socket.
    """

    def __init__(self, files: TlsFiles, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the files.

        Args:
            files: The files.
            clock: Returns the current time, in seconds.

        Raises:
            UnusableTlsFiles: They cannot be used.
        """
        self._files = files
        self._clock = clock
        self._versions = self._file_versions()
        self._current = server_context(files)
        self._check_at = clock() + CHECK_INTERVAL
        self.context = server_context(files)
        self.context.sni_callback = self._use_current_context

    def reload_if_changed(self) -> None:
        """Read the files if they have changed; keep the old ones if the new ones are unusable."""
        if self._clock() < self._check_at:
            return
        self._check_at = self._clock() + CHECK_INTERVAL
        if (versions := self._file_versions()) == self._versions:
            return
        self._versions = versions
        try:
            self._current = server_context(self._files)
        except UnusableTlsFiles as error:
            log.error("the new TLS files are not used", extra={"error": str(error)})  # noqa: TRY400
        else:
            log.info("TLS files reloaded", extra={"certificate": self._files.certificate})

    def _file_versions(self) -> tuple[object, ...]:
        return tuple(map(_file_version, self._files.paths))

    def _use_current_context(
        self,
        connection: ssl.SSLObject | ssl.SSLSocket,
        server_name: str | None,  # noqa: ARG002 - the signature of the library
        context: ssl.SSLContext,  # noqa: ARG002
    ) -> None:
        """Use the latest files for a handshake; called for every one, also without a name."""
        connection.context = self._current


def _file_version(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def thumbprint(certificate: bytes) -> str:
    """Return the thumbprint of a certificate in DER, as in the claim ``cnf.x5t#S256``."""
    digest = hashlib.sha256(certificate).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def client_thumbprint(ssl_object: Any) -> str:  # noqa: ANN401 - an SSLObject, or uvloop's
    """Return the thumbprint of the client's certificate; "" without TLS or a certificate."""
    certificate = ssl_object.getpeercert(binary_form=True) if ssl_object else None
    return thumbprint(certificate) if certificate else ""
