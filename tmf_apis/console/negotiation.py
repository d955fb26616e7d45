"""Which of two forms of the same thing a client wants: a page or JSON.

Source: RFC 9110, 12.5.1 (Accept).
"""

from flask import request

_HTML, _JSON = "text/html", "application/json"


def prefers_html() -> bool:
    """Return whether a page is wanted: only where the client says so, as browsers do."""
    accepted = request.accept_mimetypes
    return accepted[_HTML] > accepted[_JSON]
