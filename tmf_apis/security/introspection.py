"""Introspection: the claims of an opaque token, as the authorization server states them.

Source: RFC 7662 (OAuth 2.0 Token Introspection).
"""

import logging
import threading
from typing import Any

import httpx

from tmf_apis.errors import Unavailable

log = logging.getLogger(__name__)

#: Time limit of each step of a request, in seconds; largest answer, in bytes.
_TIMEOUT, _MAX_ANSWER_BYTES = 5.0, 65_536
#: Most requests at once: random tokens cannot occupy all threads of the server.
_MAX_CONCURRENT = 8
_OK = 200


class Introspector:
    """A client of the introspection endpoint."""

    def __init__(self, url: str, client_id: str, secret: str) -> None:
        """Create the client; it connects with the first token.

        Args:
            url: The endpoint.
            client_id: Identity of this server at the endpoint; empty: no authentication.
            secret: The secret of that identity.
        """
        self._url = url
        self._slots = threading.BoundedSemaphore(_MAX_CONCURRENT)
        self._http = httpx.Client(
            auth=httpx.BasicAuth(client_id, secret) if client_id else None,
            timeout=_TIMEOUT,
            trust_env=False,
            limits=httpx.Limits(max_connections=_MAX_CONCURRENT),
        )

    def claims(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token; None if it is not active.

        Raises:
            Unavailable: The endpoint does not answer, refuses this server or answers nonsense
                (HTTP 503).
        """
        if not self._slots.acquire(timeout=_TIMEOUT):
            raise _unavailable("too many tokens are being checked")
        try:
            response = self._http.post(
                self._url,
                data={"token": token, "token_type_hint": "access_token"},
                headers={"Accept": "application/json"},
            )
            if response.status_code != _OK or len(response.content) > _MAX_ANSWER_BYTES:
                log.error("introspection failed", extra={"status": response.status_code})
                raise _unavailable(f"the introspection endpoint answers {response.status_code}")
            claims = response.json()
        except (httpx.HTTPError, ValueError) as error:
            log.error("introspection failed", extra={"error": str(error)[:300]})  # noqa: TRY400
            raise _unavailable("the introspection endpoint does not answer") from error
        finally:
            self._slots.release()
        if not isinstance(claims, dict) or not isinstance(claims.get("active"), bool):
            raise _unavailable("the introspection endpoint answers without the member active")
        return claims if claims["active"] else None


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, headers={"Retry-After": "5"})
