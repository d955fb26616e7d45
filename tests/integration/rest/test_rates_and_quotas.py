"""Responses to a client that has reached a limit of its own or of its tenant."""

import contextlib
import re
import select
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.support.raw_http import connection, response
from tests.support.server import ALL_SCOPES, ServerProcess
from tests.support.waiting import wait_until

CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
IMPORT_JOB = "/tmf-api/productCatalogManagement/v5/importJob"
HUB = "/tmf-api/productCatalogManagement/v5/hub"
ORDER = "/tmf-api/productOrderingManagement/v5/productOrder"
LIMITS = {
    "TMF_CLIENT_RATE": "20",
    "TMF_CLIENT_BURST": "60",
    "TMF_CLIENT_CONCURRENCY": "5",
    "TMF_TENANT_RATE": "50",
    "TMF_TENANT_BURST": "150",
    "TMF_ADDRESS_RATE": "0.5",
    "TMF_ADDRESS_BURST": "40",
    "TMF_TRUSTED_PROXIES": "127.0.0.1/32",
    "TMF_CLIENT_HUB_LIMIT": "2",
    "TMF_JOB_LIMIT": "3",
    "TMF_ORDER_LIMIT": "3",
    "TMF_CLIENT_ORDER_LIMIT": "2",
    "TMF_STORAGE_LIMIT": "20000",
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A server with low limits, and without Temporal, so that jobs and orders do not end."""
    served = ServerProcess(
        tmp_path_factory.mktemp("limited") / "data",
        TMF_AUTH="on",
        TMF_CALLBACK_LOOPBACK="true",
        TMF_TEMPORAL_ADDRESS="127.0.0.1:1",
        **LIMITS,
    )
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture
def client_of(limited, tenant):
    """Return a function that returns a client of a new tenant."""
    clients = []

    def make(**claims):
        claims = {"tenant": tenant, **claims}
        address = f"192.0.2.{len(clients)}:{uuid.uuid4()}".partition(":")[0]
        client = limited.client(limited.token(**claims), **{"X-Forwarded-For": address})
        assert client.get(f"{CATEGORY}?limit=0").status_code == 200  # its token is known now
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def assert_limited(answer, match):
    assert answer.status_code == 429, answer.text
    body = answer.json()
    assert (body["@type"], body["code"], body["status"]) == ("Error", "27", "429")
    assert re.search(match, body["message"]), body
    assert int(answer.headers["Retry-After"]) >= 1


def refusals(limited, limit):
    token = limited.token(scopes=(*ALL_SCOPES, "admin"), subject=uuid.uuid4().hex)
    with limited.client(token, **{"X-Forwarded-For": "198.51.100.99"}) as client:
        text = client.get("/metrics").text
    match = re.search(rf'^tmf_refusals_total{{limit="{limit}"}} (\d+)', text, re.MULTILINE)
    return int(match[1]) if match else 0


def test_each_response_says_what_is_left(client_of):
    answer = client_of().get(f"{CATEGORY}?limit=0")
    assert answer.headers["RateLimit-Policy"] == '"client";q=60;w=3, "tenant";q=150;w=3'
    assert re.fullmatch(r'"client";r=\d+;t=\d+, "tenant";r=\d+;t=\d+', answer.headers["RateLimit"])


def test_a_client_over_its_rate_is_refused_and_another_is_not(limited, client_of):
    before = refusals(limited, "client_rate")
    flood, quiet = client_of(subject="flood"), client_of(subject="quiet")
    answers = [flood.get(f"{CATEGORY}?limit=0") for _ in range(200)]
    late = next(answer for answer in answers if answer.status_code != 200)
    assert_limited(late, "20 requests a second")
    assert late.headers["RateLimit-Policy"] == '"client";q=60;w=3'
    assert re.fullmatch(r'"client";r=0;t=\d', late.headers["RateLimit"])
    assert quiet.get(f"{CATEGORY}?limit=0").status_code == 200
    assert refusals(limited, "client_rate") > before


def test_the_clients_of_a_tenant_share_its_rate(client_of, limited):
    clients = [client_of(subject=f"client {number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda client: [client.get(f"{CATEGORY}?limit=0") for _ in range(45)], clients
        )
        refused = [answer for row in answers for answer in row if answer.status_code != 200]
    assert any("this tenant may send" in answer.json()["message"] for answer in refused)
    other = client_of(tenant=f"other{uuid.uuid4().hex[:8]}")
    assert other.get(f"{CATEGORY}?limit=0").status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense"])
def test_requests_without_a_valid_token_count_for_their_address(limited, authorization):
    address = f"203.0.113.{1 + len(authorization)}"
    headers = {"X-Forwarded-For": address}
    if authorization:
        headers["Authorization"] = authorization
    with limited.client(**headers) as client:
        statuses = [client.get(f"{CATEGORY}?limit=0").status_code for _ in range(45)]
        assert statuses[:39] == [401] * 39
        assert statuses[-1] == 429
        assert client.get("/metrics").status_code == 429
        assert client.get("/").status_code == 429
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 200


def over_limit(answer):
    return answer if answer.status_code == 429 else None


def answered(socks, count):
    """Return the sockets on which a response has arrived, if they are as many."""
    readable, _, _ = select.select(socks, [], [], 0)
    return readable if len(readable) == count else None


def test_a_client_has_a_limited_number_of_requests_at_a_time(limited, client_of):
    """Requests whose bodies have not arrived are in progress."""
    client = client_of(subject="parallel")
    url = urlsplit(limited.url)
    head = (
        f"POST {CATEGORY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 34\r\n"
        f"Content-Type: application/json\r\n"
        f"Authorization: {client.headers['Authorization']}\r\n\r\n"
    ).encode()
    with contextlib.ExitStack() as stack:
        address = (url.hostname, url.port)
        socks = [stack.enter_context(connection(address)) for _ in range(12)]
        for sock in socks:
            sock.sendall(head)
        refused = wait_until(lambda: over_limit(client.get(f"{CATEGORY}?limit=0")), pause=0.05)
        assert_limited(refused, "5 requests at a time")
        # Those over the limit are refused although their bodies have not arrived.
        readable = wait_until(lambda: answered(socks, 7))
        assert [response(sock)[0] for sock in readable] == [429] * 7
        for sock in set(socks) - set(readable):
            sock.sendall(b'{"@type":"Category","name":"half"}')
            assert response(sock)[0] == 201


def order(client):
    item = {"@type": "ProductOrderItem", "id": "1", "action": "add", "productOffering": {
        "@type": "ProductOfferingRef", "id": "x"}}  # fmt: skip
    return client.post(ORDER, json={"@type": "ProductOrder", "productOrderItem": [item]})


def test_orders_of_a_day_are_limited_by_client_and_tenant(limited, client_of):
    first, second = client_of(subject="first"), client_of(subject="second")
    assert [order(first).status_code for _ in range(2)] == [201, 201]
    refused = order(first)
    assert_limited(refused, "this client has placed 2 orders today")
    assert refused.headers["RateLimit-Policy"].startswith('"client-orders";q=2;w=86400, ')
    assert order(second).status_code == 201
    assert_limited(order(second), "this tenant has placed 3 orders today")
    assert refusals(limited, "client_orders") == 1


def test_stored_bytes_of_a_tenant_are_limited(client_of):
    client = client_of()
    large = {"@type": "Category", "name": "large", "description": "x" * 4000}
    created = [client.post(CATEGORY, json=large) for _ in range(6)]
    assert [answer.status_code for answer in created] == [201] * 5 + [429]
    assert_limited(created[-1], "of 20000 bytes")
    href = urlsplit(created[0].json()["href"]).path
    assert_limited(client.patch(href, json={"description": "y"}), "of 20000 bytes")
    assert client.get(href).status_code == 200
    assert client.delete(href).status_code == 204
    assert client.post(CATEGORY, json={**large, "description": ""}).status_code == 201


def test_unfinished_jobs_of_a_tenant_are_limited(client_of):
    client = client_of()
    job = {"@type": "ImportJob", "url": "file:///none.json"}
    statuses = [client.post(IMPORT_JOB, json=job).status_code for _ in range(4)]
    assert statuses == [201, 201, 201, 429]


def test_subscriptions_of_a_party_are_limited(client_of):
    client = client_of(parties=["42"])
    answers = [
        client.post(HUB, json={"@type": "Hub", "callback": f"http://127.0.0.1:9999/{n}"})
        for n in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert_limited(answers[-1], "at most 2 hub subscriptions")
    staff = client_of(subject="staff")
    body = {"@type": "Hub", "callback": "http://127.0.0.1:9999/staff"}
    assert staff.post(HUB, json=body).status_code == 201
