"""The TLS context of a server, on real sockets: defaults, files, reload, client certificates."""

import socket
import ssl
import threading
import warnings
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tmf_apis.security.tls import (
    CHECK_INTERVAL,
    ReloadingContext,
    TlsFiles,
    UnusableTlsFiles,
    client_thumbprint,
    server_context,
    thumbprint,
)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def files(authority):
    return TlsFiles(*authority.issue("server"))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@contextmanager
def connected(server, client):
    """Connect a client to a server over TLS; yield the sockets of both."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = []

        def accept():
            raw, _ = listener.accept()
            try:
                accepted.append(server.wrap_socket(raw, server_side=True))
            except (OSError, ssl.SSLError):
                raw.close()

        thread = threading.Thread(target=accept)
        thread.start()
        raw = socket.create_connection(listener.getsockname(), timeout=10)
        try:
            with closing(client.wrap_socket(raw, server_hostname="127.0.0.1")) as connection:
                thread.join()
                yield accepted[0] if accepted else None, connection
        finally:
            raw.close()
            thread.join()
            for connection in accepted:
                connection.close()


def served_name(context, authority):
    with connected(context, authority.client_context()) as (_, client):
        return client.getpeercert()["subject"][0][0][1]


def test_tls_1_3_is_used_and_tls_1_2_has_forward_secrecy(files, authority):
    context = server_context(files)
    with connected(context, authority.client_context()) as (_, client):
        assert client.version() == "TLSv1.3"
    older = authority.client_context()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with connected(context, older) as (_, client):
        name = client.cipher()[0]
        assert (client.version(), name.startswith("ECDHE-")) == ("TLSv1.2", True)


@pytest.mark.parametrize(
    ("highest", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AES256-GCM-SHA384"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384"),
    ],
)
def test_old_versions_and_cipher_suites_are_refused(files, authority, highest, ciphers):
    client = authority.client_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = highest
    client.set_ciphers(ciphers)
    with pytest.raises(ssl.SSLError), connected(server_context(files), client):
        pass


def test_files_that_cannot_be_used_are_named(tmp_path, authority, files):
    other = authority.issue("other")
    text = tmp_path / "text.pem"
    text.write_text("nonsense")
    encrypted = authority.issue("encrypted", password=b"x")
    for wrong, expected in (
        (TlsFiles(files.certificate, other[1]), "does not belong to the certificate in"),
        (TlsFiles(files.certificate), "no PEM private key"),
        (TlsFiles(str(text), files.key), "no PEM certificate"),
        (TlsFiles("/nowhere.pem", files.key), "/nowhere.pem cannot be read: No such file"),
        (TlsFiles(*encrypted), "encrypted"),
        (TlsFiles(files.certificate, files.key, str(text)), "has no certificates"),
    ):
        with pytest.raises(UnusableTlsFiles, match=expected):
            server_context(wrong)


def test_changed_files_are_used_by_the_next_connection_and_open_ones_go_on(files, authority):
    clock = Clock()
    reloading = ReloadingContext(files, clock)
    client = authority.client_context()
    with connected(reloading.context, client) as (server, connection):
        assert connection.getpeercert()["subject"][0][0][1] == "server"
        authority.issue("renewed", as_files="server")
        clock.now += CHECK_INTERVAL
        reloading.reload_if_changed()
        assert served_name(reloading.context, authority) == "renewed"
        connection.sendall(b"still here")
        assert server.recv(100) == b"still here"


def test_unusable_new_files_leave_the_old_ones_in_use(files, authority, caplog):
    clock = Clock()
    reloading = ReloadingContext(files, clock)
    certificate, _ = authority.issue("half")
    Path(files.certificate).write_text(Path(certificate).read_text())
    clock.now += CHECK_INTERVAL
    reloading.reload_if_changed()
    assert "not used" in caplog.text
    assert served_name(reloading.context, authority) == "server"
    authority.issue("renewed", as_files="server")
    clock.now += CHECK_INTERVAL
    reloading.reload_if_changed()
    assert served_name(reloading.context, authority) == "renewed"


def is_accepted(context, client):
    """Return whether the server completes the handshake, which a client of 1.3 does not see."""
    try:
        with connected(context, client) as (server, _):
            return server is not None
    except (ssl.SSLError, OSError):
        return False


@pytest.mark.parametrize("auth", ["optional", "required"])
def test_client_certificates_are_those_of_the_authority(tmp_path, authority, auth):
    stranger = Authority(tmp_path, "stranger")
    own, foreign = authority.issue("partner"), stranger.issue("intruder")
    files = TlsFiles(*authority.issue("server"), str(authority.file), auth)
    context = ReloadingContext(files).context
    assert is_accepted(context, authority.client_context()) == (auth == "optional")
    assert not is_accepted(context, authority.client_context(*foreign))
    with connected(context, authority.client_context(*own)) as (server, _):
        der = ssl.PEM_cert_to_DER_cert(Path(own[0]).read_text())
        assert client_thumbprint(server) == thumbprint(der)


def test_an_authority_that_has_been_replaced_is_refused_after_the_reload(tmp_path, authority):
    clock = Clock()
    files = TlsFiles(*authority.issue("server"), str(authority.file), "required")
    own = authority.client_context(*authority.issue("partner"))
    reloading = ReloadingContext(files, clock)
    assert is_accepted(reloading.context, own)
    stranger = Authority(tmp_path, "stranger")
    authority.file.write_bytes(stranger.file.read_bytes())
    clock.now += CHECK_INTERVAL
    reloading.reload_if_changed()
    assert not is_accepted(reloading.context, own)


def test_a_connection_without_tls_or_certificate_has_no_thumbprint(files, authority):
    assert client_thumbprint(None) == ""
    with connected(server_context(files), authority.client_context()) as (server, _):
        assert client_thumbprint(server) == ""
