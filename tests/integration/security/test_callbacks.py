"""Callbacks of hubs and URLs of jobs over HTTP: no loops, no ports of other services."""

import uuid

import httpx
import pytest

from tests.support.callback_listener import CallbackListener
from tests.support.waiting import wait_until

CATALOG = "/tmf-api/productCatalogManagement/v5"


@pytest.fixture
def listener():
    running = CallbackListener()
    yield running
    running.close()


def own_port(server):
    return httpx.URL(server.url).port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.9.9.9"])
def test_a_hub_on_the_server_itself_is_400(authenticated_server, api, host):
    url = f"http://{host}:{own_port(authenticated_server)}{CATALOG}/listener/categoryCreateEvent"
    response = api.post(f"{CATALOG}/hub", json={"callback": url, "@type": "Hub"})
    assert (response.status_code, "this server" in response.text) == (400, True)


@pytest.mark.parametrize("kind", ["importJob", "exportJob"])
def test_a_job_on_the_server_itself_or_on_another_service_is_400(authenticated_server, api, kind):
    type_ = kind[0].upper() + kind[1:]
    for port in (own_port(authenticated_server), 22, 5432):
        job = {"@type": type_, "url": f"http://127.0.0.1:{port}/x.json"}
        assert api.post(f"{CATALOG}/{kind}", json=job).status_code == 400, port


def test_a_server_does_not_accept_its_own_notifications(server, listener):
    """Whatever leads a notification back, an unknown proxy for example, there is no loop."""
    with server.client() as client:
        body = {"callback": listener.url, "@type": "Hub", "query": "eventType=CategoryCreateEvent"}
        hub = client.post(f"{CATALOG}/hub", json=body)
        assert hub.status_code == 201, hub.text
        name = uuid.uuid4().hex
        client.post(f"{CATALOG}/category", json={"@type": "Category", "name": name})
        wait_until(
            lambda: name in [b["event"]["category"].get("name") for b in listener.received],
            timeout=30,
        )
        headers, raw = listener.requests[-1]
        forwarded = {k: v for k, v in headers.items() if k not in {"host", "content-length"}}
        url = f"{CATALOG}/listener/categoryCreateEvent"
        refused = client.post(url, content=raw, headers=forwarded)
        assert (refused.status_code, "itself" in refused.text) == (400, True)
        del forwarded["x-tmf-sender"]
        assert client.post(url, content=raw, headers=forwarded).status_code == 204
        client.delete(f"{CATALOG}/hub/{hub.json()['id']}")


def test_a_callback_with_a_path_in_another_script_is_delivered(server, listener):
    with server.client() as client:
        callback = f"{listener.url}/bücher?größe=ä"
        hub = client.post(f"{CATALOG}/hub", json={"callback": callback, "@type": "Hub"})
        assert hub.status_code == 201, hub.text
        assert hub.json()["callback"] == callback
        client.post(f"{CATALOG}/category", json={"@type": "Category", "name": "x"})
        wait_until(lambda: listener.received, timeout=30)
        client.delete(f"{CATALOG}/hub/{hub.json()['id']}")
