"""Which of two forms of the same thing a client wants: a page or JSON.

Source: RFC 9110, 12.5.1 (Accept).
"""

from flask import request

_PAGE, _JSON = "text/html", "application/json"


def wants_page() -> bool:
    """Return whether a page is wanted: only where the client says so, as browsers do."""
    accepted = request.accept_mimetypes
    return accepted[_PAGE] > accepted[_JSON]
