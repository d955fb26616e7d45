"""The errors a client can meet, each with its HTTP status and its TMF630 code.

Source: TMF630 REST API Design Guidelines part 1, "Error representation".

    TmfError                      500  1    Internal error
      BadRequest                  400  20   Invalid request
        InvalidBody               400  21   Invalid body
        InvalidQuery              400  22   Invalid query parameter
      Unauthorized                401  40   Missing or invalid credentials
      Forbidden                   403  50   Forbidden
      NotFound                    404  60   Resource not found
      MethodNotAllowed            405  61   Method not allowed
      NotAcceptable               406  62   Not acceptable
      Conflict                    409  70   Conflict
        IllegalTransition         409  71   Illegal state change
        Stale                     409  72   Changed at the same moment
      PreconditionFailed          412  73   Precondition failed
      TooLarge                    413  23   Payload too large
      UriTooLong                  414  24   URI too long
      UnsupportedMediaType        415  25   Unsupported media type
      Unprocessable               422  26   Unprocessable request
      TooManyRequests             429  27   Limit reached
      NotImplementedHere          501  2    Not implemented
      Unavailable                 503  5    Service unavailable
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar


class TmfError(Exception):
    """An error with a TMF630 body.

    Attributes:
        status: HTTP status code.
        code: Application code, stable across releases; clients may switch on it.
        reason: Short text for people, the same for every occurrence.
        headers: Response headers that belong to the error (``Allow``, ``WWW-Authenticate``, ...).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "1"
    reason: ClassVar[str] = "Internal error"

    def __init__(self, message: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})

    @property
    def message(self) -> str:
        """What happened, to which attribute or resource, and what would have been allowed."""
        return str(self.args[0]) if self.args else ""

    def body(self) -> dict[str, str]:
        """Return the TMF630 error representation; ``status`` is text, as the contracts say."""
        return {
            "@type": "Error",
            "code": self.code,
            "reason": self.reason,
            "message": self.message or self.reason,
            "status": str(self.status),
        }


class BadRequest(TmfError):
    """The request cannot be understood."""

    status, code, reason = 400, "20", "Invalid request"


class InvalidBody(BadRequest):
    """The body breaks the contract; the message names the place (JSON pointer) and the rule."""

    code, reason = "21", "Invalid body"


class InvalidQuery(BadRequest):
    """A query parameter is not one that the contract knows, or its value is not of its type."""

    code, reason = "22", "Invalid query parameter"


class Unauthorized(TmfError):
    """There is no token, or not one that this server accepts."""

    status, code, reason = 401, "40", "Missing or invalid credentials"


class Forbidden(TmfError):
    """The token is good, but lacks the scope for this."""

    status, code, reason = 403, "50", "Forbidden"


class NotFound(TmfError):
    """There is no such resource for this client."""

    status, code, reason = 404, "60", "Resource not found"


class MethodNotAllowed(TmfError):
    """The path exists, the method does not; ``Allow`` lists those that do."""

    status, code, reason = 405, "61", "Method not allowed"


class NotAcceptable(TmfError):
    """The client accepts none of the media types that this server can send."""

    status, code, reason = 406, "62", "Not acceptable"


class Conflict(TmfError):
    """The request contradicts what the resource or another one is now."""

    status, code, reason = 409, "70", "Conflict"


class IllegalTransition(Conflict):
    """The lifecycle of the resource has no such step."""

    code, reason = "71", "Illegal state change"

    def __init__(self, kind: str, old: str, new: str, allowed: Iterable[str]) -> None:
        choices = ", ".join(sorted(allowed)) or "none, the state is final"
        super().__init__(f"{kind} cannot go from {old} to {new}; allowed: {choices}")


class Stale(Conflict):
    """Somebody changed the resource at the same moment; the client may try again."""

    code, reason = "72", "Changed at the same moment"


class PreconditionFailed(TmfError):
    """The resource is not at the version that ``If-Match`` names."""

    status, code, reason = 412, "73", "Precondition failed"


class TooLarge(TmfError):
    """The body, or what a patch would make of the resource, is over the limit."""

    status, code, reason = 413, "23", "Payload too large"


class UriTooLong(TmfError):
    """The path and query are longer than this server reads."""

    status, code, reason = 414, "24", "URI too long"


class UnsupportedMediaType(TmfError):
    """The body's media type or encoding is not one that the operation takes."""

    status, code, reason = 415, "25", "Unsupported media type"


class Unprocessable(TmfError):
    """The request is well formed but asks for what the operator does not allow."""

    status, code, reason = 422, "26", "Unprocessable request"


class TooManyRequests(TmfError):
    """A limit of this client or tenant is reached."""

    status, code, reason = 429, "27", "Limit reached"


class FeatureNotImplemented(TmfError):
    """The standard has it, this server does not."""

    status, code, reason = 501, "2", "Not implemented"


class Unavailable(TmfError):
    """The server cannot answer now, mostly because its database does not; try again later."""

    status, code, reason = 503, "5", "Service unavailable"


class Unfulfillable(Exception):
    """An item cannot be fulfilled as it was ordered; the message says why.

    Attributes:
        public_message: Why, for a customer: without what is another's, or the operator's own.
        order: Id of the order that the message is about; empty: none. Whoever may read that order
            may read the message.
    """

    def __init__(self, message: str, public_message: str = "", *, order: str = "") -> None:
        self.public_message = public_message or message
        self.order = order
        super().__init__(message)
