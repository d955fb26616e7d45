"""Parsers of settings that are hosts, addresses or URLs; ``ValueError`` has what they expect."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from tmf_apis.setting_parsers import comma_separated, existing_file, number

_HOST = re.compile(r"[A-Za-z0-9_]([\w-]*\w)?(\.[A-Za-z0-9_]([\w-]*\w)?)*\.?", re.ASCII)
_URL = re.compile(r"https?://[^\s?#\\]+")
LAST_PORT = 65_535
#: Longest host name in bytes (RFC 1035).
_LONGEST_HOST = 253


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return networks in CIDR notation."""
    try:
        return tuple(map(ip_network, comma_separated(text)))
    except ValueError as error:
        raise ValueError(f"expected networks such as 192.0.2.0/24,2001:db8::/32: {error}") from None


def ports(text: str) -> tuple[int, ...]:
    """Return TCP ports."""
    parse = number(int, 1, LAST_PORT)
    return tuple(int(parse(word)) for word in comma_separated(text))


def endpoints(text: str) -> tuple[str, ...]:
    """Return texts of the form host:port."""
    words = comma_separated(text)
    for word in words:
        if not _is_endpoint(word):
            raise ValueError(f"expected host:port, not {word!r}")
    return words


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:  # not a port, or not an IPv6 address
        return False
    return bool(_is_host(host) and port) and parts.netloc == text and "@" not in text


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return len(text) <= _LONGEST_HOST and bool(_HOST.fullmatch(text))
    return True


def host(text: str) -> str:
    """Return a host name or an IP address."""
    if not _is_host(text):
        raise ValueError("expected a host name or an IP address")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Return host names, also of the form ``*.example.com``, and addresses."""
    words = comma_separated(text)
    for word in words:
        if not _is_host(word.removeprefix("*.")):
            raise ValueError(f"expected hosts such as api.example.com,*.example.com, not {word!r}")
    return words


def url(text: str) -> str:
    """Return an http or https URL without query; empty: none."""
    if not text:
        return text
    try:
        parts = urlsplit(text)
        is_usable = _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not _URL.fullmatch(text) or "@" in parts.netloc:
        raise ValueError("expected a URL such as https://api.example.com, without query")
    return text


def source(text: str) -> str:
    """Return a file name or URL; without TLS, a URL may lead to this machine only."""
    if not text.startswith(("http://", "https://")):
        return existing_file(text)
    try:
        parts = urlsplit(text)
        is_usable = _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError("expected a file or an https URL such as https://idp.example.com/keys")
    if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError("expected a file or an https URL; http is for loopback addresses only")
    return text


def endpoint(text: str) -> str:
    """Return the URL of an endpoint; empty: none."""
    if text and not text.startswith(("https://", "http://")):
        raise ValueError("expected an https URL")
    return source(text)


def mongodb_uri(text: str) -> str:
    """Return the URI of a replica set; empty: none. The driver checks the rest."""
    if text and not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("expected mongodb://host:port/?replicaSet=name or mongodb+srv://host")
    return text


def temporal_address(text: str) -> str:
    """Return host:port, or ``unix:`` with the path of a socket; empty: none."""
    if text and not text.startswith("unix:/") and not _is_endpoint(text):
        raise ValueError("expected host:port, such as temporal.example.com:7233")
    return text


def collector(text: str) -> str:
    """Return the http or https URL of a collector, perhaps with credentials; empty: none."""
    try:
        parts = urlsplit(text)
        is_usable = _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        is_usable = False
    if text and (not is_usable or not _URL.fullmatch(text)):
        raise ValueError("expected a URL such as http://127.0.0.1:4318")
    return text
