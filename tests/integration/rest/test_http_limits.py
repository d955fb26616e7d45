"""Limits of connections, heads, bodies and slow readers, on raw sockets."""

import contextlib
import re
import socket
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from tests.support.raw_http import connection, received_until_closed, response
from tests.support.waiting import wait_until
from tmf_apis.errors import TmfError
from tmf_apis.rest.http.asgi import read_body, send_response
from tmf_apis.rest.http.connection_limits import ConnectionLimits
from tmf_apis.rest.http.messages import Response, error_response
from tmf_apis.rest.http.protocol import limited_protocol
from tmf_apis.settings import Settings

SMALL = Settings(
    header_bytes=4096,
    header_count=20,
    header_seconds=0.3,
    body_seconds=0.3,
    stall_seconds=0.3,
    connection_limit=40,
    address_connections=30,
)
GET = b"GET /small HTTP/1.1\r\nHost: x\r\n"
#: The size of the large response: more than the buffers of both systems hold.
LARGE = 32 * 2**20


class LimitedServer:
    """A server of small and large responses with the limits of SMALL."""

    def __init__(self, settings):
        self.settings = settings
        self.refusals = Counter()
        self.limits = ConnectionLimits(settings, self._count)
        self.bodies = []
        config = uvicorn.Config(
            self._answer,
            log_config=None,
            http=limited_protocol(self.limits),
            lifespan="off",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def _count(self, reason):
        self.refusals[reason] += 1

    async def _answer(self, scope, receive, send):
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        try:
            if scope["path"] == "/early":
                await send_response(send, Response(200, b"early"))
                return
            self.bodies.append(await read_body(headers, receive, self.settings))
        except TmfError as error:
            await send_response(send, error_response(error))
        else:
            body = b"x" * LARGE if scope["path"] == "/large" else b"small"
            await send_response(send, Response(200, body))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="module")
def limited():
    with LimitedServer(SMALL) as limited:
        yield limited


@pytest.fixture(autouse=True)
def _no_connection_is_left(limited):
    yield
    wait_until(lambda: limited.limits.total == 0, timeout=5)
    assert not limited.limits.by_address


def is_answering(limited):
    with connection(limited.address) as sock:
        sock.sendall(GET + b"\r\n")
        return response(sock)[0] == 200


HEADS = {
    "one long header": (GET + b"X: " + b"a" * 5000 + b"\r\n\r\n", 431),
    "many headers": (GET + b"X: y\r\n" * 20 + b"\r\n", 431),
    "headers that are long together": (GET + (b"X: " + b"a" * 500 + b"\r\n") * 15 + b"\r\n", 431),
    "a long URI": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "a megabyte": (GET + b"X: " + b"a" * 2**20 + b"\r\n\r\n", 431),
    "a megabyte without an end": (GET + b"X: " + b"a" * 2**20, 431),
    "a long name": (GET + b"x" * 2**20, 431),
    "no path": (b"CONNECT other:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a second head": (GET + b"\r\n" + GET + b"X: " + b"a" * 5000 + b"\r\n\r\n", 200),
}


@pytest.mark.parametrize(("head", "status"), HEADS.values(), ids=HEADS)
def test_a_head_over_its_limits_is_refused(limited, head, status):
    with connection(limited.address) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(head)
        assert response(sock)[0] == status
        received_until_closed(sock)
    assert is_answering(limited)


def test_a_refusal_of_the_connection_has_the_headers_of_every_response(limited):
    with connection(limited.address) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(GET + b"X: " + b"a" * 5000 + b"\r\n\r\n")
        assert b"x-content-type-options: nosniff" in received_until_closed(sock).lower()


def test_a_head_within_its_limits_is_accepted(limited):
    head = GET + (b"X: " + b"a" * 180 + b"\r\n") * 19 + b"\r\n"
    with connection(limited.address) as sock:
        for part in (head[:10], head[10:2000], head[2000:] + head):
            sock.sendall(part)
        assert response(sock)[0] == 200


def test_the_limit_is_that_of_each_request_of_a_connection(limited):
    with connection(limited.address) as sock:
        for _ in range(20):
            sock.sendall(GET + b"X: " + b"a" * 1000 + b"\r\n\r\n")
            assert response(sock)[0] == 200


@pytest.mark.parametrize(
    "part", [b"", b"G", GET, GET + b"X: a", b"\r\n\r\n"], ids=["nothing", "G", "half", "X", "CRLF"]
)
def test_a_head_that_does_not_end_is_refused_in_time(limited, part):
    with connection(limited.address) as sock:
        sock.sendall(part)
        assert received_until_closed(sock).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_arrives_byte_by_byte_is_refused_in_time(limited):
    """Each byte does not extend the time limit."""
    with connection(limited.address) as sock, contextlib.suppress(ConnectionError):
        sock.settimeout(0.05)
        sock.sendall(GET)
        for _ in range(100):
            sock.sendall(b"X")
            with contextlib.suppress(TimeoutError):
                assert sock.recv(100).startswith(b"HTTP/1.1 408 ")
                return
        pytest.fail("the server waits for ever")


def test_a_body_that_does_not_end_is_refused_in_time(limited):
    with connection(limited.address) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert response(sock)[0] == 408


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
MALFORMED_BODIES = {
    "a chunk size that is no number": (CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk size over 64 bits": (CHUNKED + b"f" * 18 + b"\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk longer than its size": (CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n", 400),
    "a long chunk extension": (CHUNKED + b"2;" + b"x" * 2**20 + b"\r\n{}\r\n0\r\n\r\n", 400),
    "an endless chunk extension": (CHUNKED + b"2;" + b"x" * 2**20, 400),
    "many chunk extensions": (CHUNKED + (b"1;" + b"x" * 500 + b"\r\n \r\n") * 2000, 400),
    "many trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 1000 + b"\r\n", 431),
    "a long trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"y" * 2**20 + b"\r\n\r\n", 400),
    "an unknown last transfer coding": (CHUNKED.replace(b"chunked", b"xchunked") + b"{}", 400),
}


@pytest.mark.parametrize(
    ("request_bytes", "status"), MALFORMED_BODIES.values(), ids=MALFORMED_BODIES
)
def test_a_malformed_body_is_refused_at_once(request_bytes, status):
    """The client does not wait for the time limit of the body, and the rest is no request."""
    with LimitedServer(replace(SMALL, body_seconds=30.0)) as limited:
        with connection(limited.address) as sock, contextlib.suppress(ConnectionError):
            sock.settimeout(5)
            sock.sendall(request_bytes + GET + b"\r\n")
            answer, _, body = response(sock)
            assert answer == status
            assert b'"@type":"Error"' in body
            assert not received_until_closed(sock)
        assert not limited.bodies
        assert limited.refusals.total() == 1


def test_a_body_may_have_chunks_of_one_byte(limited):
    chunks = b"1\r\n1\r\n" * 200_000 + b"0\r\n\r\n"
    with LimitedServer(replace(SMALL, body_seconds=10.0)) as patient:
        with connection(patient.address) as sock:
            sock.sendall(CHUNKED + chunks + GET + b"Connection: close\r\n\r\n")
            assert received_until_closed(sock).count(b"HTTP/1.1 200 ") == 2
        assert patient.bodies == [b"1" * 200_000, b""]


def test_a_malformed_body_after_a_complete_request_does_not_end_that(limited):
    with connection(limited.address) as sock:
        sock.sendall(GET.replace(b"small", b"large") + b"\r\n" + CHUNKED + b"junk\r\n")
        assert len(received_until_closed(sock)) > LARGE


@pytest.mark.parametrize("size", [4000, 5000, 16_000, 40_000, 2**20])
def test_a_long_head_is_refused_once_and_logs_no_error(limited, size, caplog):
    before = limited.refusals.total()
    with connection(limited.address) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(GET + (b"X: " + b"a" * 1000 + b"\r\n") * (size // 1000 + 1))
        sock.sendall(b"X: " + b"a" * 40_000)
        assert response(sock)[0] == 431
        received_until_closed(sock)
    assert limited.refusals.total() == before + 1
    assert [r for r in caplog.records if r.levelname in {"ERROR", "CRITICAL"}] == []


def test_a_client_that_leaves_while_its_requests_wait_causes_no_error(limited, caplog):
    for _ in range(5):
        with connection(limited.address, receive_buffer=4096) as sock:
            sock.sendall((GET.replace(b"small", b"large") + b"\r\n") + (GET + b"\r\n") * 50)
            sock.recv(100)
    wait_until(lambda: limited.limits.total == 0, timeout=5)
    assert [r for r in caplog.records if r.levelname in {"ERROR", "CRITICAL"}] == []


def test_a_reader_that_accepts_nothing_is_disconnected(limited):
    before = limited.refusals["stalled"]
    with connection(limited.address, receive_buffer=4096) as sock:
        sock.sendall(GET.replace(b"small", b"large") + b"\r\n")
        wait_until(lambda: limited.refusals["stalled"] > before, timeout=10)
        assert len(received_until_closed(sock)) < LARGE


def test_a_reader_that_accepts_all_gets_all():
    with LimitedServer(replace(SMALL, stall_seconds=30.0)) as limited:
        with connection(limited.address) as sock:
            sock.sendall(GET.replace(b"small", b"large") + b"Connection: close\r\n\r\n")
            assert len(received_until_closed(sock)) > LARGE
        assert not limited.refusals


def test_one_address_cannot_open_more_connections_than_its_limit(limited):
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connection(limited.address)) for _ in range(30)]
        for sock in socks:
            sock.sendall(GET + b"\r\n")
            assert response(sock)[0] == 200
        extra = stack.enter_context(connection(limited.address))
        status, head, _ = response(extra)
        assert status == 429
        assert b"Retry-After: 1" in head
        socks[0].close()
        wait_until(lambda: limited.limits.total < 31, timeout=5)
        wait_until(lambda: is_answering(limited), timeout=5)


@pytest.mark.parametrize(
    ("auth", "address", "is_limited"),
    [
        ("off", "127.0.0.1", False),
        ("off", "::1", False),
        ("on", "127.0.0.1", True),
        ("auto", "127.0.0.1", True),
        ("on", "192.0.2.1", True),
        ("on", "::ffff:192.0.2.1", True),
    ],
)
def test_clients_on_the_machine_share_an_address_without_authentication(auth, address, is_limited):
    limits = ConnectionLimits(replace(SMALL, auth=auth, connection_limit=0), lambda _: None)
    errors = [limits.add(address) for _ in range(35)]
    assert errors[:30] == [None] * 30
    assert all(error is not None and error.status == 429 for error in errors[30:]) is is_limited
    for _ in errors:
        limits.remove(address)
    assert not limits.by_address


def test_the_addresses_of_one_ipv6_network_share_their_limit_and_those_of_ipv4_do_not():
    limits = ConnectionLimits(replace(SMALL, connection_limit=0), lambda _: None)
    assert [limits.add(f"2001:db8::{n:x}") is None for n in range(31)] == [True] * 30 + [False]
    assert all(limits.add(f"::ffff:192.0.2.{n}") is None for n in range(100))


def test_a_new_connection_takes_the_place_of_an_idle_one():
    settings = replace(SMALL, connection_limit=5, address_connections=0)
    with LimitedServer(settings) as limited, contextlib.ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(connection(limited.address))
            sock.sendall(GET + b"\r\n")
            assert response(sock)[0] == 200
            wait_until(lambda: limited.limits.total <= 5, timeout=5)


def test_connections_that_send_nothing_do_not_keep_others_out_for_long():
    settings = replace(SMALL, connection_limit=5, address_connections=0)
    with LimitedServer(settings) as limited, contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connection(limited.address))
        wait_until(lambda: is_answering(limited), timeout=5)


def test_a_body_that_nobody_needs_does_not_keep_its_connection(limited):
    with connection(limited.address) as sock:
        sock.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        assert response(sock)[0] == 200
        sock.sendall(b"cd" + GET + b"\r\n")
        assert response(sock)[0] == 200


def test_the_server_refuses_a_head_of_forty_megabytes(server):
    url = urlsplit(server.url)
    with connection((url.hostname, url.port)) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ")
        for _ in range(40):
            sock.sendall(b"a" * 2**20)
        assert response(sock)[0] == 431
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'tmf_refusals_total{limit="headers"}' in metrics


@pytest.fixture
def large_categories(api):
    """Fifteen categories of 100 KB each."""
    path = "/tmf-api/productCatalogManagement/v5/category"
    created = [
        api.post(path, json={"@type": "Category", "name": name, "pages": [name * 5000] * 20})
        for name in "abcde" * 3
    ]
    assert [answer.status_code for answer in created] == [201] * 15
    return [answer.json() for answer in created]


@pytest.mark.parametrize("query", ["limit=15", "limit=15&before=", "limit=15&fields=pages"])
def test_a_list_of_megabytes_is_the_same_as_its_resources(api, large_categories, query):
    answer = api.get(f"/tmf-api/productCatalogManagement/v5/category?{query}")
    assert answer.status_code == 200
    assert len(answer.content) > 1_500_000
    by_id = {category["id"]: category for category in large_categories}
    listed = answer.json()
    assert [item["id"] for item in listed] == sorted(by_id)
    assert all(item.items() <= by_id[item["id"]].items() for item in listed)


def test_slow_readers_of_large_lists_do_not_hold_memory(
    authenticated_server, api, large_categories
):
    path = "/tmf-api/productCatalogManagement/v5/category?limit=15"
    head = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['Authorization']}\r\n\r\n"
    )
    url = urlsplit(authenticated_server.url)
    api.get(path)
    with contextlib.ExitStack() as stack:
        before = resident_bytes(authenticated_server.process.pid)
        for _ in range(60):
            sock = stack.enter_context(connection((url.hostname, url.port), receive_buffer=4096))
            sock.sendall(head.encode())
            assert sock.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
        # Sixty bodies of 1.5 MB are 90 MB.
        assert resident_bytes(authenticated_server.process.pid) - before < 45_000_000


def resident_bytes(pid):
    """Return the memory of a process that is not shared with files."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", status)[1])
