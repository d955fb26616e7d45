"""Callback and job URLs: ports of other services, addresses of this server, and other scripts."""

import asyncio
import socket
from ipaddress import ip_address

import httpx
import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from tests.support.callback_listener import CallbackListener, response
from tmf_apis.errors import InvalidBody
from tmf_apis.events.sender import Subscriber, send
from tmf_apis.security import outbound, own_endpoints
from tmf_apis.security.outbound import OutboundPolicy, check_url, parse_url
from tmf_apis.security.own_endpoints import OwnEndpoints
from tmf_apis.security.pinned_http import async_connection_pool, pinned_client
from tmf_apis.security.ports import SERVICE_PORTS
from tmf_apis.settings import Settings

OWN = OwnEndpoints.from_texts("https://tmf.example", ["127.0.0.1:8620", "[2620:fe::7]:8620"])
LOOPBACK = OutboundPolicy(allow_loopback=True, own=OWN)


@pytest.mark.parametrize("port", sorted(SERVICE_PORTS))
@pytest.mark.parametrize("host", ["9.9.9.9", "hooks.example", "[2620:fe::fe]", "127.0.0.1"])
def test_a_port_of_another_service_is_refused_unless_it_is_listed(host, port):
    policy = OutboundPolicy(allow_loopback=True)
    with pytest.raises(InvalidBody, match=rf"port {port} .*TMF_CALLBACK_PORTS"):
        parse_url(f"https://{host}:{port}/x", policy)
    permitting = OutboundPolicy(allow_loopback=True, allowed_ports=(port,))
    assert parse_url(f"https://{host}:{port}/x", permitting).port == port


def test_the_ports_that_the_issue_names_are_refused():
    assert {22, 25, 3306, 5432, 6379, 11211, 27017} <= SERVICE_PORTS.keys()


def test_listed_ports_are_numbers_of_ports():
    assert Settings.from_environment({"TMF_CALLBACK_PORTS": "22, 25"}).callback_ports == (22, 25)
    for text in ("0", "65536", "ssh"):
        with pytest.raises(ValueError, match="TMF_CALLBACK_PORTS"):
            Settings.from_environment({"TMF_CALLBACK_PORTS": text})


OWN_SPELLINGS = [
    "http://127.0.0.1:8620/",
    "http://127.0.0.1:8620/tmf-api/x?a=b#c",
    "http://localhost:8620/",
    "http://LOCALHOST.:8620/",
    "http://127.1.2.3:8620/",
    "http://[::1]:8620/",
    "http://[::ffff:127.0.0.1]:8620/",
    "http://[::ffff:7f00:1]:8620/",
    "http://[64:ff9b::127.0.0.1]:8620/",
    "http://[2002:7f00:1::]:8620/",
    "http://127。0。0。1:8620/",
    "https://[2620:fe::7]:8620/",
    "https://[2620:00fe:0:0::7]:8620/",
    "https://tmf.example/",
    "https://TMF.example./x",
    "https://tmf.example:443/",
    "https://\uff54\uff4d\uff46.example/",
]


@pytest.mark.parametrize("url", OWN_SPELLINGS)
def test_the_own_address_is_refused_in_every_spelling(url):
    with pytest.raises(InvalidBody, match="this server"):
        check_url(url, LOOPBACK)


def test_the_own_address_is_refused_on_every_interface_of_the_machine():
    name = socket.gethostname()
    for address in outbound.resolve_host(name):
        with pytest.raises(InvalidBody):
            outbound.check_addresses(name, 8620, [address], LOOPBACK)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8621/", "http://tmf.example:8080/"])
def test_another_port_of_an_own_host_is_permitted(url):
    assert check_url(url, LOOPBACK)


def test_a_name_that_leads_to_the_proxy_of_this_server_needs_to_be_listed(monkeypatch):
    def resolve(host):
        return [ip_address("9.9.9.9")] if host.endswith("example") else []

    monkeypatch.setattr(outbound, "resolve_host", resolve)
    own_endpoints._addresses.cache_clear()
    with pytest.raises(InvalidBody, match="lead to this server"):
        check_url("https://other.example/", LOOPBACK)
    listing = OutboundPolicy(allowed_hosts=("*.example",), own=OWN)
    assert check_url("https://other.example/", listing).addresses == ("9.9.9.9",)
    with pytest.raises(InvalidBody, match="this server"):
        check_url("https://tmf.example/", listing)
    own_endpoints._addresses.cache_clear()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_listed_host_that_leads_to_loopback_needs_the_setting_for_loopback(host):
    name = host.strip("[]")
    with pytest.raises(InvalidBody, match="loopback"):
        check_url(f"http://{host}:8080/", OutboundPolicy(allowed_hosts=(name,)))
    permitting = OutboundPolicy(allow_loopback=True, allowed_hosts=(name,))
    assert check_url(f"http://{host}:8080/", permitting).addresses


@pytest.fixture(scope="module")
def listener():
    running = CallbackListener(lambda _body, _handler: response(200))
    yield running
    running.close()


def test_a_path_in_another_script_is_percent_encoded():
    target = parse_url("http://9.9.9.9/bücher/%20ß?größe=ä&x=%zz", OutboundPolicy())
    assert target.url == "http://9.9.9.9/b%C3%BCcher/%20%C3%9F?gr%C3%B6%C3%9Fe=%C3%A4&x=%zz"


URL_TEXT = st.tuples(
    st.sampled_from(["/", "?", "/a?", "#"]),
    st.text(st.characters(exclude_characters=' \\"<>^`{|}', exclude_categories=["Cc"]), max_size=30)
    | st.text("/?#[]@:%;.,=&+ü'é漢\u202e\u2028", max_size=20),
).map("".join)


@given(URL_TEXT)
@example("/é")
@example("?ß")
@example("/[")
@example("/\udcff")
def test_what_a_registration_accepts_can_be_sent(listener, text):
    policy = OutboundPolicy(allow_loopback=True)
    try:
        url = check_url(f"http://127.0.0.1:{listener.server_address[1]}{text}", policy).url
    except InvalidBody:
        reject()  # lone surrogates and the like

    async def deliver():
        pool = async_connection_pool(policy, max_connections=1)
        async with pool:
            return await send(Subscriber(url, "k", "s", pool), b"{}", policy, 20.0)

    attempt = asyncio.run(deliver())
    assert (attempt.status, attempt.error) == (200, "")
    with pinned_client(policy, timeout=20) as client:
        assert client.put(url, content=b"{}").status_code == 200


@given(
    st.text(max_size=40), st.sampled_from(["", "é", "ß.", "xn--", "漢", "[", "]", "[v1.x]", "."])
)
def test_no_url_whatever_causes_another_error_than_a_refusal(text, host):
    policy = OutboundPolicy(allow_loopback=True)
    for url in (text, f"http://{text}", f"https://{host}{text}/", f"http://a.invalid:{text}"):
        try:
            target = parse_url(url, policy)
        except InvalidBody:
            continue
        assert target.url.isascii()
        assert httpx.URL(target.url).host


@given(st.text(max_size=20))
def test_a_stored_url_that_cannot_be_sent_is_a_failed_attempt(text):
    policy = OutboundPolicy(allow_loopback=True)

    async def deliver():
        async with async_connection_pool(policy, max_connections=1) as pool:
            return await send(
                Subscriber(f"http://127.0.0.1:1/{text}", "k", "s", pool), b"{}", policy, 20.0
            )

    assert not asyncio.run(deliver()).is_delivered
