"""Pages of other sites in a browser on this machine: what they send is not the operator's wish.

With authentication a stranger's page has no token. Without it nothing else would stop one from
writing to this server, or, by giving its own name the address 127.0.0.1, from reading it.

Source: Fetch Metadata Request Headers (W3C); RFC 6454 (Origin); DNS rebinding.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from tmf_apis.errors import Forbidden
from tmf_apis.security.addresses import is_loopback

_TRUSTED_FETCH_SITES = frozenset({"same-origin", "none"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def reject_cross_site(method: str, headers: Mapping[str, str], public_url: str) -> None:
    """Refuse what a page of another site has sent.

    Args:
        method: In upper case.
        headers: By lower-case name.
        public_url: URL that clients use for this server; may be empty.

    Raises:
        Forbidden: It has (HTTP 403).
    """
    host = headers.get("host", "localhost")
    if not _is_own_host(host, public_url):
        raise Forbidden(
            f"without authentication this server is not {host[:100]!r}; TMF_PUBLIC_URL names it"
        )
    if method in _SAFE_METHODS:
        return
    origin = headers.get("origin")
    ours = origin is None or urlsplit(origin).netloc in {host, urlsplit(public_url).netloc} - {""}
    if not ours or headers.get("sec-fetch-site", "none") not in _TRUSTED_FETCH_SITES:
        raise Forbidden("a page of another site may not do this")


@lru_cache(maxsize=256)
def _is_own_host(host: str, public_url: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or (bool(name) and name == urlsplit(public_url).hostname)
