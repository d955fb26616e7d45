"""``tmf serve`` over TLS: requests, reload, tokens bound to certificates, messages."""

import contextlib
import json
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from tests.support.certificates import Authority
from tests.support.paths import ROOT
from tests.support.raw_http import connection, received_until_closed
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until
from tmf_apis.security.tls import thumbprint

CATEGORY = "/tmf-api/productCatalogManagement/v5/category"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory, authority):
    """A server with TLS, authentication and optional client certificates."""
    certificate, key = authority.issue("server")
    served = ServerProcess(
        tmp_path_factory.mktemp("tls") / "data",
        TMF_AUTH="on",
        TMF_TLS_CERT=certificate,
        TMF_TLS_KEY=key,
        TMF_TLS_CLIENT_CA=str(authority.file),
        TMF_HEADER_SECONDS="2",
    )
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture(scope="module")
def url(tls_server):
    return f"https://{tls_server.url.partition('://')[2]}"


def connect(authority, url, token="", *certificate):
    """Return a client that trusts the authority."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    context = authority.client_context(*certificate)
    return httpx.Client(base_url=url, verify=context, headers=headers, timeout=30)


def bound_token(server, certificate):
    pem = (server.folder / "keys" / "signing.pem").read_text()
    der = ssl.PEM_cert_to_DER_cert(Path(certificate).read_text())
    claims = {"sub": "partner", "exp": time.time() + 600, "scope": "tmf620:read admin",
              "cnf": {"x5t#S256": thumbprint(der)}}  # fmt: skip
    return jwt.encode(claims, pem, algorithm="EdDSA", headers={"kid": "local"})


def test_requests_and_references_use_https(tls_server, authority, url):
    with connect(authority, url, tls_server.token()) as client:
        created = client.post(CATEGORY, json={"@type": "Category", "name": "x"})
        assert created.status_code == 201, created.text
        assert created.json()["href"].startswith(f"{url}/tmf-api/")
        assert client.get(created.json()["href"]).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_does_not_end_is_closed_in_time(tls_server, sent):
    """It is no connection yet, so the limits of connections do not hold."""
    address = urlsplit(tls_server.url)
    with connection((address.hostname, address.port)) as sock:
        sock.sendall(sent)
        started = time.monotonic()
        assert received_until_closed(sock) == b""
        assert 1 < time.monotonic() - started < 8


@pytest.mark.parametrize("path", [CATEGORY, "/", "/health/live", "/health/ready", "/nowhere"])
def test_every_response_requires_https_in_future(authority, url, path):
    with connect(authority, url) as client:
        response = client.get(path)
        assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_the_log_and_the_worker_name_https(tls_server, url):
    assert f"ready at {url}" in tls_server.log
    pid = wait_until(lambda: tls_server.child_pid("tmf_apis work"), timeout=30)
    environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert f"TMF_PUBLIC_URL={url}" in environment


def test_http_on_the_same_port_is_not_answered(tls_server):
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{tls_server.url.partition('://')[2]}/health/live")


def test_renewed_files_are_used_while_a_connection_goes_on(tls_server, authority, url):
    with connect(authority, url) as client:
        assert client.get("/health/live").status_code == 200
        serial = served_serial(authority, url)
        authority.issue("renewed", as_files="server")
        wait_until(lambda: served_serial(authority, url) != serial, timeout=20)
        assert client.get("/health/live").status_code == 200
    assert "TLS files reloaded" in tls_server.log


def served_serial(authority, url):
    with connect(authority, url) as client, client.stream("GET", "/health/live") as response:
        stream = response.extensions["network_stream"]
        return stream.get_extra_info("ssl_object").getpeercert()["serialNumber"]


@pytest.mark.parametrize("path", [CATEGORY, "/admin/subscriptions", "/metrics"])
def test_a_bound_token_counts_on_a_connection_with_its_certificate_only(
    tls_server, authority, url, path
):
    own, other = authority.issue("partner"), authority.issue("other")
    token = bound_token(tls_server, own[0])
    for certificate, status in ((own, 200), (other, 401), ((), 401)):
        with connect(authority, url, token, *certificate) as client:
            assert client.get(path).status_code == status
    with connect(authority, url, tls_server.token(scopes=["admin", "tmf620:read"])) as client:
        assert client.get(path).status_code == 200


def serve(**environment):
    """Start a server that is expected to end or to warn; return its output."""
    command = [sys.executable, "-m", "tmf_apis", "serve", "--port", "0"]
    return subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=60
    )


def test_files_that_do_not_match_are_one_line(authority, tmp_path):
    certificate, _ = authority.issue("one")
    _, key = authority.issue("two")
    ended = serve(TMF_DATA_DIR=str(tmp_path), TMF_TLS_CERT=certificate, TMF_TLS_KEY=key)
    lines = ended.stderr.decode().strip().splitlines()
    assert ended.returncode == 1
    assert len(lines) == 1
    assert "does not belong to the certificate" in lines[0]


def test_a_key_without_a_certificate_is_refused(authority, tmp_path):
    ended = serve(TMF_DATA_DIR=str(tmp_path), TMF_TLS_KEY="x.pem")
    assert "TMF_TLS_CERT" in ended.stderr.decode()


def warnings_of_first_second(folder, host, **environment):
    """Return the warnings of a server in its first moments; it has no database."""
    inherited = {"PATH": "", "TMF_AUTH": "on", "TMF_MONGODB_URI": "mongodb://127.0.0.1:1"}
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "tmf_apis", "serve", "--host", host, "--port", "0"],
        cwd=ROOT,
        env={**inherited, "TMF_DATA_DIR": str(folder), **environment,
             "TMF_TEMPORAL_ADDRESS": "127.0.0.1:1"},
        stderr=subprocess.PIPE,
    )  # fmt: skip
    messages = []
    with contextlib.closing(process.stderr):
        for line in process.stderr:
            record = json.loads(line)
            messages.append(record["message"])
            if "TMF_JWKS is not set" in record["message"]:
                break
        process.terminate()
        process.wait(30)
    return messages


def test_a_server_for_other_machines_warns_unless_it_has_tls_or_a_proxy(authority, tmp_path):
    certificate, key = authority.issue("warned")
    warning = "tokens and data are not encrypted"

    def warns(**environment):
        host = environment.pop("host", "0.0.0.0")  # noqa: S104
        messages = warnings_of_first_second(tmp_path, host, **environment)
        return any(warning in message for message in messages)

    assert warns()
    assert not warns(TMF_TLS_CERT=certificate, TMF_TLS_KEY=key)
    assert not warns(TMF_PUBLIC_URL="https://tmf.example")
