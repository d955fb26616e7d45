"""Introspection: the claims of an opaque token, as the authorization server states them.

Source: RFC 7662 (OAuth 2.0 Token Introspection).
"""

import json
import logging
import threading
import time
from typing import Any

import httpx

from tmf_apis.errors import Unavailable

log = logging.getLogger(__name__)

#: Time limit of each step of a request and of an answer, in seconds; largest answer, in bytes.
_TIMEOUT, _MAX_ANSWER_BYTES = 5.0, 65_536
#: Longest wait until one of the requests at once has ended, in seconds: the wait holds a thread.
_SLOT_TIMEOUT = 0.5
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
        if not self._slots.acquire(timeout=_SLOT_TIMEOUT):
            raise _unavailable("too many tokens are being checked")
        try:
            claims = json.loads(self._answer(token))
        except (httpx.HTTPError, ValueError) as error:
            log.error("introspection failed", extra={"error": str(error)[:300]})  # noqa: TRY400
            raise _unavailable("the introspection endpoint does not answer") from error
        finally:
            self._slots.release()
        if not isinstance(claims, dict) or not isinstance(claims.get("active"), bool):
            raise _unavailable("the introspection endpoint answers without the member active")
        return claims if claims["active"] else None

    def _answer(self, token: str) -> bytes:
        """Return the body of the endpoint's answer.

        Raises:
            Unavailable: The endpoint refuses this server (HTTP 503).
            ValueError: The answer is too long or too slow.
            httpx.HTTPError: There is no answer.
        """
        deadline = time.monotonic() + _TIMEOUT
        content = bytearray()
        with self._http.stream(
            "POST",
            self._url,
            data={"token": token, "token_type_hint": "access_token"},
            headers={"Accept": "application/json"},
        ) as response:
            if response.status_code != _OK:
                log.error("introspection failed", extra={"status": response.status_code})
                raise _unavailable(f"the introspection endpoint answers {response.status_code}")
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _MAX_ANSWER_BYTES or time.monotonic() > deadline:
                    raise ValueError("the answer is too long or too slow")
        return bytes(content)


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, headers={"Retry-After": "5"})
