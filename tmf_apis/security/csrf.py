"""CSRF and DNS-rebinding protection while authentication is off.

With authentication, a page of another site has no token. Without it, such a page in a browser on
this machine could write to the server (CSRF), or read from it by resolving its own name to
127.0.0.1 (DNS rebinding).

Source: Fetch Metadata Request Headers (W3C); RFC 6454 (Origin); DNS rebinding.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from tmf_apis.errors import Forbidden, quoted
from tmf_apis.security.addresses import is_loopback

_TRUSTED_FETCH_SITES = frozenset({"same-origin", "none"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def reject_cross_site(method: str, headers: Mapping[str, str], public_url: str) -> None:
    """Refuse a request that a page of another site has sent.

    Args:
        method: HTTP method in upper case.
        headers: Request headers by lower-case name.
        public_url: URL that clients use for this server; can be empty.

    Raises:
        Forbidden: The request is for another host or comes from another site (HTTP 403).
    """
    host = headers.get("host", "localhost")
    if not _is_own_host(host, public_url):
        raise Forbidden(
            f"without authentication this server does not answer for the host {quoted(host)};"
            " set TMF_PUBLIC_URL to the URL that clients use"
        )
    if method in _SAFE_METHODS:
        return
    origin = headers.get("origin")
    own_origins = {host, urlsplit(public_url).netloc} - {""}
    is_own = origin is None or urlsplit(origin).netloc in own_origins
    if not is_own or headers.get("sec-fetch-site", "none") not in _TRUSTED_FETCH_SITES:
        raise Forbidden("pages of other sites may not change data of this server")


@lru_cache(maxsize=256)
def _is_own_host(host: str, public_url: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or (bool(name) and name == urlsplit(public_url).hostname)
