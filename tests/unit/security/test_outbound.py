"""Checks of callback and job URLs: names, addresses, and connections to a listener."""

import http.server
import threading

import httpx
import pytest

from tmf_apis.errors import InvalidBody
from tmf_apis.security import outbound
from tmf_apis.security.outbound import OutboundPolicy, check_url
from tmf_apis.security.pinned_http import pinned_client

REFUSED = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://0/",
    "http://0.0.0.0/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://10.0.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://169.254.169.254/latest/meta-data",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:0:909:909::80ff:fffe]/",
    "http://[2a00::5efe:10.0.0.1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[2001:2::1]/",
    "http://[100::1]/",
    "http://user@9.9.9.9/",
    "http://user:word@9.9.9.9/",
    "http://9.9.9.9@127.0.0.1/",
    "http://9.9.9.9\\@127.0.0.1/",
    "http://9.9.9.9:0/",
    "http://9.9.9.9:65536/",
    "http://9.9.9.9:x/",
    "http://%31%32%37.0.0.1/",
    "http://a..b/",
    "http://-x-.y/",
    "http:///path",
    "http:9.9.9.9",
    "//9.9.9.9/",
    "9.9.9.9",
    "ftp://9.9.9.9/",
    "file:///etc/passwd",
    "gopher://9.9.9.9/",
    "http://9.9.9.9/a b",
    "http://9.9.9.9/\r\nX: y",
    "http://9.9.9.9/\x00",
    "http://[9.9.9.9]/",
    "http://[::1/",
    "http://9.9.9.9/" + "a" * 3000,
    "",
]


@pytest.mark.parametrize("url", REFUSED)
def test_invalid_and_internal_urls_are_refused(url):
    with pytest.raises(InvalidBody) as refused:
        check_url(url, OutboundPolicy())
    assert refused.value.message


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://9.9.9.9/hook?x=1", "9.9.9.9"),
        ("http://9.9.9.9:1", "9.9.9.9"),
        ("HTTPS://9.9.9.9:65535/", "9.9.9.9"),
        ("https://[2620:fe::fe]:8443/hook", "2620:fe::fe"),
        ("https://[::ffff:9.9.9.9]/", "::ffff:9.9.9.9"),
    ],
)
def test_a_public_address_is_permitted(url, address):
    addresses = check_url(url, OutboundPolicy()).addresses
    assert [outbound._ip_literal(text) for text in addresses] == [outbound._ip_literal(address)]


def test_a_name_that_does_not_resolve_is_permitted_without_addresses():
    target = check_url("https://hook.does-not-exist.invalid/x", OutboundPolicy())
    assert target.host == "hook.does-not-exist.invalid"
    assert (target.port, target.addresses) == (443, ())


def test_a_name_in_another_script_is_converted_to_ascii():
    target = check_url("https://bücher.invalid:8443/a#b", OutboundPolicy())
    assert target.url == "https://xn--bcher-kva.invalid:8443/a"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_is_permitted_by_the_policy(host):
    assert check_url(f"http://{host}:8080/", OutboundPolicy(allow_loopback=True)).addresses


def test_permitting_loopback_permits_no_numeric_spellings_and_no_other_networks():
    for url in ("http://0x7f.1/", "http://10.0.0.1/", "http://169.254.169.254/"):
        with pytest.raises(InvalidBody):
            check_url(url, OutboundPolicy(allow_loopback=True))


def test_only_listed_hosts_are_permitted_if_there_is_a_list():
    policy = OutboundPolicy(
        allowed_hosts=("10.1.2.3", "*.example.invalid", "hooks.partner.invalid")
    )
    for host in ("10.1.2.3", "a.b.example.invalid", "hooks.partner.invalid"):
        assert check_url(f"https://{host}/", policy).host == host
    for host in ("9.9.9.9", "example.invalid", "evilexample.invalid", "x.hooks.partner.invalid"):
        with pytest.raises(InvalidBody, match=r"10\.1\.2\.3, \*\.example"):
            check_url(f"https://{host}/", policy)


def test_a_listed_host_can_be_private_but_not_link_local():
    policy = OutboundPolicy(allowed_hosts=("169.254.169.254", "10.0.0.1"))
    with pytest.raises(InvalidBody, match="link-local"):
        outbound.parse_url("http://169.254.169.254/", policy)
    assert outbound.parse_url("http://10.0.0.1/", policy).host == "10.0.0.1"


class _HostEcho(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        host = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(host)))
        self.end_headers()
        self.wfile.write(host)

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _HostEcho) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_client_connects_to_the_checked_address_and_sends_the_host_name(port):
    with pinned_client(OutboundPolicy(allow_loopback=True), timeout=20) as http_client:
        response = http_client.get(f"http://localhost:{port}/")
    assert (response.status_code, response.text) == (200, f"localhost:{port}")


def test_the_client_does_not_follow_a_redirect(port):
    with pinned_client(OutboundPolicy(allow_loopback=True), timeout=20) as http_client:
        assert http_client.get(f"http://127.0.0.1:{port}/away").status_code == 302


def test_the_client_checks_addresses_when_it_connects(port):
    with (
        pinned_client(OutboundPolicy(), timeout=20) as http_client,
        pytest.raises(httpx.TransportError, match="loopback"),
    ):
        http_client.get(f"http://localhost:{port}/")
