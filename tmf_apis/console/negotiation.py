"""Content negotiation between an HTML page and JSON.

Source: RFC 9110, 12.5.1 (Accept).
"""

from flask import request

_HTML, _JSON = "text/html", "application/json"


def prefers_html() -> bool:
    """Return whether the client prefers HTML; JSON is the default."""
    accepted = request.accept_mimetypes
    return accepted[_HTML] > accepted[_JSON]
